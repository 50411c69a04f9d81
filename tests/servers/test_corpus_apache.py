"""Real configurations of Apache httpd, where the corpus is there: all are read, and quickly."""

import sys
import time
from pathlib import Path

import pytest

from audit_tcp.probe import apache
from audit_tcp.probe.host import Host
from trees import grow

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "apache"
FILES = sorted(CORPUS.glob("*")) if CORPUS.is_dir() else []

pytestmark = pytest.mark.skipif(not FILES, reason="the corpus is not here")

FAULTS = (
    "does not exist",
    "nothing matches the wildcard",
    "which is not loaded",
    "Use names no macro",
    "a variable that is not set where it is read",
)
"""What a single file of a larger whole lacks."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_real_file(tmp_path, path):
    grow(tmp_path, {"/etc/apache2/apache2.conf": path.read_bytes()})
    taken = []
    for _ in range(3):
        host, start = Host(str(tmp_path)), time.process_time()
        subjects = list(apache.collect(host))
        taken.append(time.process_time() - start)
    assert subjects[0][0] == "config"
    names = [(kind, name) for kind, name, _ in subjects]
    assert len(names) == len(set(names))
    sys.stdout.write(f"{path.name}: {min(taken) * 1000:.1f} ms, {len(subjects)} subjects\n")
    assert min(taken) < 2
    assert [what for _, what in host.errors if not what.endswith(FAULTS)] == []
