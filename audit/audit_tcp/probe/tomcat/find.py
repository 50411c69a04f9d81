"""Where Tomcat is: in the java processes that run its Bootstrap, else in the usual places; and which version."""

import os
import posixpath
import re

from .. import processes, servers
from ..host import Host, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from ..processes import Process

COMMANDS = ("java", "jsvc", "jsvc.exec")
BOOTSTRAP = "org.apache.catalina.startup.Bootstrap"
PASSING = ("stop", "configtest")
"""Commands of Bootstrap that serve nobody."""

PLACES = (
    # a folder, how the names in it begin, and the file below them
    ("/var/lib", "tomcat", "/conf/server.xml"),
    ("/var/lib/tomcats", "", "/conf/server.xml"),
    ("/etc", "tomcat", "/server.xml"),
    ("/usr/share", "tomcat", "/conf/server.xml"),
    ("/opt", "tomcat", "/conf/server.xml"),
    ("/usr/local", "tomcat", "/conf/server.xml"),
)
"""In this order: a folder of /etc is mostly what one of /var/lib links to."""


class Instance:
    """One Tomcat: its server.xml, where its programs are, and the process that runs it."""

    def __init__(self, files: Host, config: str, home: str, properties: "dict[str, str]") -> None:
        self.files, self.config, self.home, self.properties = files, config, home, properties
        self.process: "Optional[Process]" = None

    @property
    def folder(self) -> str:
        """Where server.xml and catalina.properties stand."""
        return posixpath.dirname(self.config)


def instances(host: Host) -> "list[Instance]":
    """Those that run; where none runs, those whose configuration stands in a usual place."""
    seen: "set[object]" = set()
    running = [one for one in _running(host) if _new(one, seen, one.process.argv if one.process else ())]
    return running or [one for one in _standing(host) if _new(one, seen, ())]


def _new(one: Instance, seen: "set[object]", arguments: "object") -> bool:
    """Two processes with one configuration and one command line are one instance, as are two paths to one file."""
    try:
        status = os.stat(one.files.real(one.config))
        identity: "object" = (status.st_dev, status.st_ino, str(arguments))
    except (OSError, Unreadable):
        identity = (one.files.root, one.config, str(arguments))
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _running(host: Host) -> "Iterator[Instance]":
    for process in processes.running(host):
        if process.comm in COMMANDS:
            argv = process.argv
            if BOOTSTRAP in argv:
                one = _of(process, argv)
                if one is not None:
                    yield one


def _of(process: "Process", argv: "list[str]") -> "Optional[Instance]":
    place = argv.index(BOOTSTRAP)
    rest = argv[place + 1 :]
    if any(one in PASSING for one in rest):
        return None
    pairs = (one[2:].partition("=") for one in argv[:place] if one.startswith("-D"))
    properties = {name: value for name, _, value in pairs}
    folder = process.directory
    home = properties.get("catalina.home") or folder
    base = properties.get("catalina.base") or home
    named = rest[rest.index("-config") + 1 :][:1] if "-config" in rest else []
    config = posixpath.join(folder, base, named[0] if named else "conf/server.xml")
    instance = Instance(process.files, posixpath.normpath(config), posixpath.join(folder, home), properties)
    properties.setdefault("catalina.home", home)
    properties.setdefault("catalina.base", base)
    instance.process = process
    return instance


def _standing(host: Host) -> "Iterator[Instance]":
    paths = (
        "{}/{}{}".format(folder, name, rest)
        for folder, begin, rest in PLACES
        for name in host.entries(folder)
        if name.startswith(begin)
    )
    for path in filter(host.exists, paths):
        folder = posixpath.dirname(path)
        base = posixpath.dirname(folder) if folder.endswith("/conf") else folder
        shared = re.match(r"/(?:etc|var/lib)/(tomcat[^/]*)", path)
        home = "/usr/share/" + shared.group(1) if shared else base
        home = home if host.exists(home + "/lib") else base
        yield Instance(host, path, home, {"catalina.base": base, "catalina.home": home})


INFO = b"org/apache/catalina/util/ServerInfo.properties"

LARGEST_INFO = 1 << 16
"""Bytes of it that are read."""


def version(one: Instance) -> "tuple[list[int], str] | None":
    """The version that catalina.jar states, and its path; None where it cannot be read."""
    path = one.home + "/lib/catalina.jar"
    text = _info(processes.content(one.files, path))
    found = re.search(r"^server\.number[ \t]*=[ \t]*(.*)", text, re.MULTILINE)
    number = servers.version_of(found.group(1)) if found else None
    return (number, path) if number else None


def _info(jar: bytes) -> str:
    """The text of ServerInfo.properties in a jar, empty where it is none. One entry needs no list of all of them."""
    import zlib

    def number(place: int, size: int) -> int:
        return int.from_bytes(jar[place : place + size], "little")

    entry = jar.rfind(INFO) - 46
    if entry < 0 or jar[entry : entry + 4] != b"PK\1\2":
        return ""
    header = number(entry + 42, 4)
    start = header + 30 + number(header + 26, 2) + number(header + 28, 2)
    data = jar[start : start + min(number(entry + 20, 4), LARGEST_INFO)]
    if number(entry + 10, 2) == 8:
        try:
            data = zlib.decompressobj(-15).decompress(data, LARGEST_INFO)
        except zlib.error:
            return ""
    return data.decode("utf-8", "replace")
