"""Which HAProxy runs on a host, or would: its command line, environment, version and features."""

import os
import re

from .. import packages, processes
from ..host import Host, Unreadable
from ..instances import Instance, absolute
from ..servers import version_of
from . import conditions as haproxy_conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Tuple

    from ..processes import Process

USUAL = ("/etc/haproxy/haproxy.cfg", "/usr/local/etc/haproxy/haproxy.cfg")
"""Where the configuration is where no command line says it: distributions' packages, and the official image."""

UNIT_FILES = ("/etc/default/haproxy", "/etc/sysconfig/haproxy")
"""What the distributions' unit reads: CONFIG, CFGDIR, EXTRAOPTS and OPTIONS there make its command line."""

PROGRAMS = ("/usr/sbin/haproxy", "/usr/local/sbin/haproxy")

_VALUED = frozenset(("-f", "-C", "-L", "-S", "-m", "-n", "-N", "-p", "-x", "-cc"))


class Command:
    """What a command line asks for."""

    def __init__(self, arguments: "List[str]", directory: str) -> None:
        self.files: "List[str]" = []
        self.maxconn = self.peer = ""
        self._read(arguments)
        self.paths = [absolute(self._directory(directory), path) for path in self.files]

    def _read(self, arguments: "List[str]") -> None:
        self._chdir = ""
        at = 0
        while at < len(arguments):
            word = arguments[at]
            at += 1
            if word == "--":
                self.files.extend(arguments[at:])
                return
            if word in _VALUED and at < len(arguments):
                self._take(word, arguments[at])
                at += 1

    def _take(self, flag: str, value: str) -> None:
        if flag == "-f":
            self.files.append(value)
        elif flag == "-C":
            self._chdir = value
        elif flag == "-n":
            self.maxconn = value
        elif flag == "-L":
            self.peer = value

    def _directory(self, directory: str) -> str:
        return absolute(directory, self._chdir) if self._chdir else directory


class Found:
    """One instance, with what its configuration may ask about."""

    def __init__(
        self,
        files: Host,
        command: Command,
        process: "Optional[Process]",
        given: "Dict[str, str]",
        reader: "Optional[Process]" = None,
    ) -> None:
        """`reader` is the process whose environment the configuration was read with."""
        self.instance = Instance("haproxy", files, process)
        self._reader = reader
        self.paths, self.maxconn = command.paths, command.maxconn
        self._command, self._process, self._given = command, process, given
        self._program = b""
        self.version_text = ""
        self._find_version()

    def _find_version(self) -> None:
        files, process = self.instance.files, self._process
        ran = process.executable if process else None
        for path in (ran,) if ran else PROGRAMS:
            if ran is None and not files.exists(path):
                continue
            self._program = processes.content(files, path)
            text = _version(self._program)
            if text:
                self.version_text = haproxy_conditions.bare(text)
                self.instance.version, self.instance.version_origin = version_of(text), path
                return
        package = packages.version(files, "haproxy")
        if package:
            self.instance.version, self.instance.version_origin = package
            self.version_text = ".".join(str(part) for part in package[0])

    def variables(self, wanted: "set[str]") -> "Dict[str, str]":
        """The environment as far as the configuration asks for it, and what HAProxy itself puts there."""
        found = dict(self._given)
        if self._reader is not None:
            found.update(self._reader.environment(wanted))
        found["HAPROXY_CFGFILES"] = ";".join(self.paths)
        found.setdefault("HAPROXY_LOCALPEER", self._command.peer or self.instance.files.name())
        if self.instance.version and self.instance.version >= [2, 8]:
            found.setdefault("HAPROXY_BRANCH", ".".join(str(part) for part in self.instance.version[:2]))
        return found

    def features(self) -> "Dict[str, bool]":
        """The features that the program says it was built with; empty where its list cannot be found."""
        return _features(self._program)


def find(host: Host, running: "List[Process]") -> "Iterator[Found]":
    """The instances that run; where none does, the one that the usual places configure.

    A master starts itself anew, with more variables, once its worker has read the configuration: the worker's count.
    """
    commands = {one.pid: Command(one.argv[1:], one.directory) for one in running}
    firsts: "Dict[Tuple[object, ...], Process]" = {}
    for one in running:
        firsts.setdefault(_identity(one, commands[one.pid]), one)
    for process in firsts.values():
        workers = [one for one in processes.running(host) if one.comm == "haproxy" and one.parent == process.pid]
        yield Found(process.files, commands[process.pid], process, {}, workers[-1] if workers else process)
    if not running:
        command, given = _configured(host)
        if command is not None:
            yield Found(host, command, None, given)


def _identity(process: "Process", command: Command) -> "Tuple[object, ...]":
    """Two processes are one instance that see the same files and network and read the same configuration."""
    try:
        status = os.stat(process.files.root or "/")
        root: "object" = (status.st_dev, status.st_ino)
    except OSError:
        root = process.pid
    return root, process.namespace, tuple(command.paths)


def _configured(host: Host) -> "Tuple[Optional[Command], Dict[str, str]]":
    given: "Dict[str, str]" = {}
    for path in UNIT_FILES:
        try:
            if host.exists(path):
                given.update(_assignments(host.text(path)))
        except (OSError, Unreadable):
            continue
    usual = next((path for path in USUAL if host.exists(path)), "")
    arguments = ["-f", given.get("CONFIG") or usual]
    if given.get("CFGDIR"):
        arguments += ["-f", given["CFGDIR"]]
    arguments += (given.get("EXTRAOPTS", "") + " " + given.get("OPTIONS", "")).split()
    command = Command(arguments, "/") if usual or given.get("CONFIG") else None
    return command, given


_ASSIGNED = re.compile(
    r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(?:\"([^\"]*)\"|'([^']*)'|([^\r]*?))[ \t\r]*\Z"
)


def _assignments(text: str) -> "Dict[str, str]":
    """The variables of a file as systemd reads it."""
    found = {}
    for line in text.split("\n"):
        match = _ASSIGNED.match(line[:4096])
        if match:
            name, double, single, plain = match.groups()
            found[name] = next(one for one in (double, single, plain, "") if one is not None)
    return found


_RELEASED = b", released 20"
_VERSION = re.compile(rb"version ([0-9]{1,3}\.[0-9]{1,3}[-+~.0-9A-Za-z]{0,60})\Z")
_FIRST = b"51DEGREES "
_LIST = re.compile(rb"[+-][A-Z0-9_]+(?: [+-][A-Z0-9_]+){3,400}")


def _version(program: bytes) -> str:
    """The version in the text ` version 2.6.12-1, released 2026/10/17` that every HAProxy holds for its statistics."""
    at = program.rfind(_RELEASED)  # it stands near the end
    while at >= 0:
        found = _VERSION.search(program[max(0, at - 80) : at])
        if found:
            return found.group(1).decode("ascii")
        at = program.rfind(_RELEASED, 0, at)
    return ""


def _features(program: bytes) -> "Dict[str, bool]":
    """The list begins with 51DEGREES wherever conditions exist (2.4)."""
    at = program.find(_FIRST)
    while at > 0:
        found = _LIST.match(program, at - 1)
        if found:
            words = found.group().decode("ascii").split()
            return {word[1:]: word[0] == "+" for word in words}
        at = program.find(_FIRST, at + 1)
    return {}
