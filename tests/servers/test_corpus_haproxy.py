"""HAProxy's collector on real configurations: no exception, and no complaint that HAProxy itself would not make."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import trees
from audit_tcp.probe import haproxy
from audit_tcp.probe.host import Host

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "haproxy"
FILES = sorted(CORPUS.glob("*.cfg")) if CORPUS.is_dir() else []
MAIN = "/etc/haproxy/haproxy.cfg"
HANG_S = 2

pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus at {CORPUS}")

UNDECIDED = "cannot be decided here"
"""Conditions on the features of a program that the tree does not hold."""


def collected(tmp_path, file):
    host = Host(str(trees.grow(tmp_path, {MAIN: file.read_bytes()})))
    return list(haproxy.collect(host)), host


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_real_configuration(tmp_path, file):
    times = []
    for _ in range(3):
        started = time.process_time()
        subjects, host = collected(tmp_path, file)
        times.append(time.process_time() - started)
    print(f"{file.name}: {min(times) * 1000:.2f} ms")  # noqa: T201  a figure to look at, with -s
    assert min(times) < HANG_S
    assert subjects[0][0] == "config"
    assert len({(kind, name) for kind, name, _ in subjects}) == len(subjects)
    assert all(where.startswith("/etc/haproxy") for where, _ in host.errors)
    for kind, _, facts in subjects:
        if kind == "server" and facts["mode"]["value"] in ("http", "tcp"):
            assert "idle_timeout_s" in facts


@pytest.mark.wire
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_refused_is_what_haproxy_refuses(tmp_path, file):
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not Path(program).exists():
        pytest.skip("haproxy is not installed")
    subjects, _ = collected(tmp_path, file)
    own = {
        int(text.split(":")[1])
        for text in subjects[0][2]["unreadable"]["value"]
        if UNDECIDED not in text and not text.startswith(f"{MAIN}:1:")  # its first line stands for all before a section
    }
    done = subprocess.run([program, "-c", "-f", str(tmp_path / MAIN[1:])], capture_output=True, text=True, timeout=30)
    theirs = {int(line) for line in re.findall(r"ALERT.*?parsing \[[^\]]*?:(\d+)\]", done.stderr)}
    assert own <= theirs
    if done.returncode == 0:
        assert not own
