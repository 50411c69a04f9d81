"""nginx configurations of other projects: read whole, quickly, and as another parser reads them."""

import os
import time
from pathlib import Path

import pytest

from audit_tcp.probe import nginx
from audit_tcp.probe.host import Host
from audit_tcp.probe.nginx import instance as nginx_instance
from audit_tcp.probe.nginx import syntax as nginx_syntax

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "nginx"
FILES = sorted(CORPUS.glob("*"))

pytestmark = pytest.mark.skipif(not FILES, reason="the corpus is not here")

GUARD = 2.0
"""Seconds after which reading one file is a hang."""

WATCHED = frozenset(nginx_instance.KEPT) - {"include", "listen", "server_name", "server"}
"""Directives that are compared with crossplane's reading."""

BROKEN = {
    "10-cloudfoundry-php-buildpack-http-defaults.conf": "this block is not closed",
    "48-dominus04-rinha_backend_2023-nginx.conf": 'unexpected ";"',
}
"""Files that are no whole nginx configuration, and what is wrong with them beside missing includes."""

DESERVED = ("include of a file that does not exist",)
"""What every file may be told: its includes are not in the corpus."""


def tree(tmp_path, path):
    """A host whose nginx.conf is the file, or includes it where it belongs if it is no whole configuration."""
    text = path.read_bytes()
    folder = tmp_path / "etc" / "nginx"
    (folder / "conf.d").mkdir(parents=True)
    words = [line.split()[:1] for line in text.replace(b"{", b" {").splitlines()]
    if [b"http"] in words or [b"stream"] in words:
        (folder / "nginx.conf").write_bytes(text)
    else:
        frame = b"stream { %s }" if "stream" in path.name.split("-")[-1] or b"ssl_preread" in text else b"http { %s }"
        if [b"server"] not in words and [b"proxy_pass"] in words:
            frame = b"http { server { location / { %s } } }"
        elif [b"server"] not in words and [b"location"] in words:
            frame = b"http { server { %s } }"
        (folder / "nginx.conf").write_bytes(frame % b"include conf.d/*.conf;")
        (folder / "conf.d" / "it.conf").write_bytes(text)
    return Host(str(tmp_path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:30])
def test_a_file_is_read(tmp_path, path):
    host = tree(tmp_path, path)
    spent = []
    for _ in range(3):
        start = time.process_time()
        found = list(nginx.collect(host))
        spent.append(time.process_time() - start)
    print(f"{path.name}: {min(spent) * 1000:.2f} ms")  # noqa: T201  a figure to look at, with -s
    assert min(spent) < GUARD
    assert found[0][0] == "config"
    names = [(kind, name) for kind, name, _ in found]
    assert len(set(names)) == len(names)
    faults = {what for _, what in host.errors if what not in DESERVED}
    assert faults <= {BROKEN.get(path.name)}, faults


def stated(block, path=()):
    """(names of the blocks around, directive, arguments, line) of each watched directive of ours."""
    for one in block:
        if one.block is not None:
            yield from stated(one.block, (*path, one.name))
        elif one.name in WATCHED:
            yield path, one.name, tuple(one.args), one.line


def stated_by_crossplane(block, path=()):
    """The same of crossplane's tree."""
    for one in block:
        if "block" in one:
            yield from stated_by_crossplane(one["block"], (*path, one["directive"]))
        elif one["directive"] in WATCHED:
            yield path, one["directive"], tuple(one["args"]), one["line"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:30])
def test_crossplane_reads_the_same(path):
    crossplane = pytest.importorskip("crossplane")
    theirs = crossplane.parse(os.fspath(path), single=True, check_ctx=False, check_args=False, comments=False)
    if theirs["status"] != "ok":
        pytest.skip("crossplane cannot parse it")
    text = path.read_bytes().decode("utf-8", "backslashreplace")
    ours = list(stated(nginx_syntax.parse(text, "it", nginx_instance.KEPT, lambda line, what: None)))
    assert ours == list(stated_by_crossplane(theirs["config"][0]["parsed"]))
