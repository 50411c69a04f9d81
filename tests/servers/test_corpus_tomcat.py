"""Every server.xml of the corpus of real configurations: no exception, and no error that the file does not deserve."""

import time
from pathlib import Path

import pytest

import trees
from audit_tcp.probe import tomcat
from audit_tcp.probe.host import Host

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "tomcat"
FILES = sorted(CORPUS.glob("*.xml"))
GUARD = 2.0
"""Seconds that no file may take; what it takes is printed."""

DESERVED = {
    # number of the file: (what is told, each once, and in which list; connectors that are read)
    "10": ({"proxyName", "proxyPort", "scheme"}, 1),
    "17": ({"port"}, 1),
    "21": ({"the root element is not Server"}, 0),
    "22": ({"the root element is not Server", "not well-formed"}, 0),
    "25": ({"port"}, 1),
    "27": (set(), 0),
}
"""10, 17 and 25 take values from properties that are not at hand, 21 is of another server, 22 is a piece of a file, and
27 is a template that has words for ports: Tomcat starts no such connector."""

pytestmark = pytest.mark.skipif(not FILES, reason=f"{CORPUS} is absent")


def config_of(found):
    return next(facts for kind, _, facts in found if kind == "config")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:30])
def test_a_file_of_the_corpus(tmp_path, path):
    text = path.read_bytes()
    host = Host(str(trees.grow(tmp_path, {"/opt/tomcat/conf/server.xml": text})))
    spent = []
    for _ in range(3):
        before = time.process_time()
        found = list(tomcat.collect(host))
        spent.append(time.process_time() - before)
    print(f"{path.name}: {min(spent) * 1000:.2f} ms")  # noqa: T201
    assert min(spent) < GUARD
    expected, count = DESERVED.get(path.name[:2], (set(), None))
    told = config_of(found)["unreadable"]["value"]
    assert {entry.split(": ")[1] for entry in told} == expected
    assert {f"{where}: {what}" for where, what in host.errors} == set(told)
    servers = [name for kind, name, _ in found if kind == "server"]
    assert len(servers) == len(set(servers))
    assert bool(servers) if count is None else len(servers) == count
