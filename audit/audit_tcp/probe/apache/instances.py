"""Where an Apache httpd is: running processes by their command lines, else the usual places of configurations."""

import re

from .. import processes, servers
from ..host import Host, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from ..processes import Process

ENVVARS = "/etc/apache2/envvars"

LONGEST_VALUE = 8192
"""Characters of a variable of envvars."""

_VERSION = rb"Apache/([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,4})"
_BUILT_ROOT = rb'HTTPD_ROOT="(/[^"\0]{1,200})"'
_BUILT_FILE = rb'SERVER_CONFIG_FILE="([^"\0]{1,200})"'
_EXPORT = r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$"


class Instance:
    """One httpd with its configuration: a running one, or one that lies where it usually does."""

    def __init__(self, files: Host, path: str, root: str, program: bytes, arguments: "list[tuple[str, str]]") -> None:
        self.files, self.path, self.root, self.program, self.arguments = files, path, root, program, arguments
        self.process: "Optional[Process]" = None
        self.namespace = "host"
        found = re.search(_VERSION, program)
        self.version = servers.version_of(found.group(1).decode()) if found else None
        self._shell: "Optional[dict[str, str]]" = None

    def variable(self, name: str) -> "str | None":
        """A variable of its environment: of the process, else as Debian's envvars assigns it."""
        if self.process is not None:
            return self.process.environment([name]).get(name)
        return self.shell().get(name)

    def shell(self) -> "dict[str, str]":
        """What envvars assigns in plain words."""
        if self._shell is None:
            self._shell = _assigned(self.files) if self.path.startswith("/etc/apache2/") else {}
        return self._shell


def find(host: Host, running: "list[Process]", usual: "tuple[tuple[str, str, str], ...]") -> "Iterator[Instance]":
    """Every httpd that runs, or where none does, what lies in the usual places; one for each configuration."""
    seen = set()
    for process in running:
        instance = _running(process, usual)
        key = (instance.files.root, instance.path, instance.namespace, tuple(instance.arguments)) if instance else ()
        if instance is not None and key not in seen:
            seen.add(key)
            yield instance
    for path, root, program in usual if not seen else ():
        if host.exists(path):
            instance = Instance(host, path, root, processes.content(host, program), [])
            instance.arguments = options(("httpd " + instance.shell().get("APACHE_ARGUMENTS", "")).split())
            instance.version = instance.version or _packaged(host, path)
            yield instance


def _running(process: "Process", usual: "tuple[tuple[str, str, str], ...]") -> "Optional[Instance]":
    executable = process.executable or ""
    if "busybox" in executable:
        return None
    program = processes.program(process)
    given = options(process.argv)
    root, path = _built(program, executable, usual)
    root = next((value for option, value in given if option == "d"), root)
    path = next((value for option, value in reversed(given) if option == "f"), path)
    path = path if path.startswith("/") else root.rstrip("/") + "/" + path
    if not process.files.exists(path):
        return None
    kept = [(option, value) for option, value in given if option in "DCc"]
    instance = Instance(process.files, path, root, program, kept)
    instance.process, instance.namespace = process, process.namespace
    return instance


def _built(program: bytes, executable: str, usual: "tuple[tuple[str, str, str], ...]") -> "tuple[str, str]":
    """ServerRoot and configuration that a program was built with, else those usual for its place."""
    root, path = re.search(_BUILT_ROOT, program), re.search(_BUILT_FILE, program)
    if root and path:
        return root.group(1).decode("utf-8", "replace"), path.group(1).decode("utf-8", "replace")
    likely = next((one for one in usual if one[2] == executable), usual[0])
    return likely[1], likely[0]


def options(argv: "list[str]") -> "list[tuple[str, str]]":
    """The options -f, -d, -D, -c and -C of a command line, with their values."""
    found, rest = [], list(argv[1:])
    while rest:
        word = rest.pop(0)
        if len(word) < 2 or word[0] != "-" or word[1] not in "fdDcCkeE":
            continue
        value = word[2:] or (rest.pop(0) if rest else "")
        if word[1] in "fdDcC":
            found.append((word[1], value))
    return found


def _assigned(files: Host) -> "dict[str, str]":
    found = {"APACHE_CONFDIR": "/etc/apache2", "SUFFIX": ""}
    for line in (files.value(ENVVARS) or "").splitlines():
        match = re.match(_EXPORT, line)
        if match is None:
            continue
        value = re.sub(r"\$\{?(\w{1,60})\}?", lambda name: found.get(name.group(1), ""), match.group(2).strip())
        if not re.search(r"[`$]", value):
            found[match.group(1)] = value.strip("\"'")[:LONGEST_VALUE]
    return found


def _packaged(host: Host, path: str) -> "list[int] | None":
    """The version that dpkg says Debian's package has."""
    if not path.startswith("/etc/apache2/"):
        return None
    try:
        status = host.read("/var/lib/dpkg/status", 32 << 20)
    except (OSError, Unreadable):
        return None
    start = status.find(b"\nPackage: apache2-bin\n")
    if start < 0:
        return None
    fields = status[start : start + 4000].split(b"\n\n", 1)[0]
    found = re.search(rb"\nVersion: (?:[0-9]{1,3}:)?([0-9][0-9.]{1,20})", fields)
    return servers.version_of(found.group(1).decode()) if found else None
