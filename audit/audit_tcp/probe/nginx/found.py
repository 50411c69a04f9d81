"""Where an nginx is: its process or the usual places, its main file, and its version."""

import posixpath
import re

from .. import processes
from ..host import Host
from ..namespaces import HOST
from ..servers import version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from ..processes import Process

NAMES = ("nginx", "nginx-debug", "openresty", "angie")

PROGRAMS = (
    "/usr/sbin/nginx",
    "/usr/local/nginx/sbin/nginx",
    "/usr/local/sbin/nginx",
    "/usr/local/openresty/nginx/sbin/nginx",
    "/opt/bitnami/nginx/sbin/nginx",
    "/usr/sbin/angie",
)

MAIN = (
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/etc/nginx/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
    "/opt/bitnami/nginx/conf/nginx.conf",
    "/etc/angie/angie.conf",
)

PREFIX = "/usr/local/nginx"
"""What nginx is built for where it is not told otherwise."""

_VERSIONS = tuple(name + rb"/([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})" for name in (b"nginx", b"openresty"))
"""One search each: a pattern that begins with letters is looked for ten times faster than one with a choice."""

_OWN_COUNTS = (b"Angie/[0-9]", b"freenginx/[0-9]")
"""Variants that count their versions on their own: the catalog's changes do not hold by these numbers."""

_BUILT = {
    "conf": rb"--conf-path=([!-&(-~]{1,400})",
    "prefix": rb"--prefix=([!-&(-~]{1,400})",
}


class Instance:
    """One nginx: the files that it sees, its main file, and its process where it runs."""

    def __init__(self, files: Host, main: str, program: bytes, process: "Optional[Process]" = None) -> None:
        self.files, self.main, self.process = files, main, process
        self.running = process is not None
        self.namespace = process.namespace if process else HOST
        self.version = _version(program) or (None if program else _packaged(files))
        self.origin = "the program's own" if program else "dpkg"


def find(host: Host) -> "Iterator[Instance]":
    """Each nginx that runs, once for each configuration; where none runs, those whose main file is in a usual place."""
    seen = set()
    for process in processes.masters(host, NAMES):
        words = _arguments(process.argv)
        if _ends_at_once(words):
            continue
        program = processes.program(process)
        main = _main(words, process, program)
        key = (process.files.prefix, process.files.root, main)
        if key not in seen:
            seen.add(key)
            yield Instance(process.files, main, program, process)
    if not seen:
        for main in MAIN:
            if host.exists(main):
                yield Instance(host, main, next(filter(None, (processes.content(host, one) for one in PROGRAMS)), b""))


def _arguments(argv: "list[str]") -> "list[str]":
    """The arguments of a command line; a master has renamed itself to `nginx: master process ` and its command line."""
    title = argv[0].partition(": master process ") if argv else ("", "", "")
    return title[2].split()[1:] if title[1] else argv[1:]


def _ends_at_once(words: "list[str]") -> bool:
    """Whether a command line asks for a test, a version or a signal: such a process is no server."""
    return any(re.match("-[tTqvVh?]*[tTvVhs?]", word) for word in words)


def _option(words: "list[str]", letter: str) -> "str | None":
    """The argument of -c or -p, which may be glued to it."""
    for number, word in enumerate(words):
        if word.startswith("-" + letter):
            return word[2:] or (words[number + 1] if number + 1 < len(words) else None)
    return None


def _main(words: "list[str]", process: "Process", program: bytes) -> str:
    """The main file: -c, relative to -p or to what the program was built for."""
    built = _built(program, "prefix") or PREFIX
    prefix = posixpath.join(process.directory, _option(words, "p") or built)
    stated = _option(words, "c") or _built(program, "conf")
    if stated is None:
        usual = [main for main in MAIN if process.files.exists(main)]
        stated = usual[0] if usual and not _option(words, "p") else "conf/nginx.conf"
    return posixpath.normpath(posixpath.join(prefix, stated))


def _built(program: bytes, name: str) -> "str | None":
    """A path of `configure`, as the program itself says it."""
    found = re.search(_BUILT[name], program)
    return found.group(1).decode("ascii") if found else None


def _version(program: bytes) -> "list[int] | None":
    if any(re.search(own, program) for own in _OWN_COUNTS):
        return None
    found = next(filter(None, (re.search(version, program) for version in _VERSIONS)), None)
    return version_of(found.group(1).decode("ascii")) if found else None


def _packaged(files: Host) -> "list[int] | None":
    """The version that dpkg has installed."""
    status = processes.content(files, "/var/lib/dpkg/status")
    start = status.find(b"\nPackage: nginx\n")
    entry = status[start : status.find(b"\n\n", start + 1)] if start >= 0 else b""
    found = re.search(rb"\nVersion: (?:[0-9]+:)?([0-9.]{1,30})", entry)
    installed = b"\nStatus: install ok installed" in entry
    return version_of(found.group(1).decode("ascii")) if found and installed else None
