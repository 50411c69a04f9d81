"""Servers that are Python programs: found by their command lines, their versions beside their interpreters."""

import re
import weakref

from .host import Host, Unreadable, reason
from .instances import absolute
from .processes import running
from .servers import version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional, Tuple

    from .instances import Instance
    from .processes import Process

    Options = Dict[str, List[str]]

PROGRAMS = ("gunicorn", "uvicorn", "hypercorn")

_COMM = re.compile(r"(?:python|pypy|gunicorn|uvicorn|hypercorn)")
_INTERPRETER = re.compile(r"(?:python|pypy)[0-9.]*\Z")
_SCRIPT = re.compile(r"(gunicorn|uvicorn|hypercorn)[-0-9.]*\Z")
_MODULE = re.compile(r"(gunicorn|uvicorn|hypercorn)(?:\.|\Z)")
_TITLE = re.compile(r"gunicorn: [a-z]+ \[")

MOST_ARGUMENTS = 2000
MOST_FOLDERS = 100


class Command:
    """A process that runs one of the servers: its arguments, and the script that was started, if one was."""

    def __init__(self, process: "Process", program: str, arguments: "Optional[List[str]]", paths: "List[str]") -> None:
        self.process, self.program, self.paths = process, program, paths
        self.arguments = arguments
        """None where the process hides them behind a title of its own."""

    @property
    def directory(self) -> str:
        return self.process.directory

    def key(self) -> object:
        """What is the same for two processes with one configuration."""
        return self.process.namespace, self.process.files.prefix, self.directory, tuple(self.arguments or ())


_FOUND: "weakref.WeakKeyDictionary[Host, Dict[str, List[Command]]]" = weakref.WeakKeyDictionary()


def commands(host: Host, program: str) -> "List[Command]":
    """The processes that run `program`, without those that one of them started; looked for once for all programs."""
    found = _FOUND.get(host)
    if found is None:
        found = {name: [] for name in PROGRAMS}
        for process in running(host):
            command = _command(process) if _COMM.match(process.comm) else None
            if command is not None:
                found[command.program].append(command)
        for name, those in found.items():
            numbers = {one.process.pid for one in those}
            found[name] = [one for one in those if one.process.parent not in numbers]
        _FOUND[host] = found
    return found[program]


def _command(process: "Process") -> "Optional[Command]":
    argv = process.argv[:MOST_ARGUMENTS]
    if not argv:
        return None
    if _TITLE.match(argv[0]):
        return Command(process, "gunicorn", None, [])
    name = argv[0].rpartition("/")[2]
    direct = _SCRIPT.match(name)
    if direct:
        return Command(process, direct.group(1), argv[1:], [argv[0]])
    return _interpreted(process, argv) if _INTERPRETER.match(name) else None


def _interpreted(process: "Process", argv: "List[str]") -> "Optional[Command]":
    """`python [options] script …` or `python [options] -m module …`."""
    at = 1
    while at < len(argv) and argv[at].startswith("-"):
        option = argv[at]
        if option == "-m" or (option.endswith("m") and option[1:].isalpha() and len(option) < 6):
            module = _MODULE.match(argv[at + 1]) if at + 1 < len(argv) else None
            return Command(process, module.group(1), argv[at + 2 :], [argv[0]]) if module else None
        if option in ("-c", "-", "--"):
            return None
        at += 2 if option in ("-W", "-X") else 1
    script = _SCRIPT.match(argv[at].rpartition("/")[2]) if at < len(argv) else None
    return Command(process, script.group(1), argv[at + 1 :], [argv[at], argv[0]]) if script else None


def options(arguments: "List[str]", table: "Mapping[str, str]") -> "Options":
    """The values of the options that the table names, by what it calls them, in order: --name value, --name=value,
    -n value and -nvalue. No other option is looked at, its value may be a secret."""
    found: "Options" = {}
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        at += 1
        name, equals, value = argument.partition("=")
        if argument.startswith("--") and equals and name in table:
            found.setdefault(table[name], []).append(value)
        elif argument in table and at < len(arguments):
            found.setdefault(table[argument], []).append(arguments[at])
            at += 1
        elif len(argument) > 2 and argument[1] != "-" and argument[:2] in table:
            found.setdefault(table[argument[:2]], []).append(argument[2:].lstrip("="))
    return found


_LIBRARY = re.compile(r"(?:python|pypy)3?(?:\.[0-9]+)?\Z")


def version(command: Command, distribution: str) -> "Optional[Tuple[List[int], str]]":
    """The version of a distribution in the environment of a command, and the folder that tells it."""
    pattern = re.compile(
        re.escape(distribution).replace(r"\-", "[-_]") + r"-([0-9][0-9.]*)[^/]*\.(?:dist|egg)-info\Z", re.I
    )
    files = command.process.files
    for root in _prefixes(command):
        for name in files.entries(root + "/lib"):
            if not _LIBRARY.match(name):
                continue
            for kind in ("site-packages", "dist-packages"):
                folder = "{}/lib/{}/{}".format(root, name, kind)
                for entry in files.entries(folder):
                    found = pattern.match(entry)
                    parts = version_of(found.group(1)) if found else None
                    if parts:
                        return parts, "{}/{}".format(folder, entry)
    return None


def _prefixes(command: Command) -> "List[str]":
    """Where the libraries of a command may be: beside its script, its interpreter, and in its environment."""
    process = command.process
    places = [absolute(command.directory, path) for path in command.paths if "/" in path]
    roots = [path.rpartition("/")[0].rpartition("/")[0] for path in places if path.count("/") > 1]
    roots += [value for value in process.environment(["VIRTUAL_ENV"]).values() if value.startswith("/")]
    roots += _on_path(command)
    executable = process.executable
    if executable and executable.count("/") > 1:
        roots.append(executable.rpartition("/")[0].rpartition("/")[0])
    return list(dict.fromkeys([*roots, "/usr", "/usr/local"]))


def _on_path(command: Command) -> "List[str]":
    """The environment of a `python` that was found by PATH: its program is a link that leads out of it."""
    name = command.process.argv[:1]
    if not name or "/" in name[0]:
        return []
    folders = command.process.environment(["PATH"]).get("PATH", "").split(":")[:MOST_FOLDERS]
    found = (folder.rstrip("/") for folder in folders if folder.count("/") > 1)
    first = next((one for one in found if command.process.files.exists(one + "/" + name[0])), "")
    return [first.rpartition("/")[0]] if first else []


def configuration(instance: "Instance", path: str) -> "Optional[str]":
    """The text of a configuration file, empty for /dev/null; None where it cannot be read, which is told."""
    instance.path = path
    if path == "/dev/null":
        return ""
    try:
        text = instance.files.text(path)
        if "\0" in text:
            raise Unreadable("not a text file")
    except (OSError, Unreadable) as error:
        instance.refuse(path, reason(error))
        return None
    instance.count += 1
    return text


ANY = "0.0.0.0"  # noqa: S104 - what an empty host means

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.%]{2,60}\]|[A-Za-z0-9_.*-]{0,255}):[0-9]{1,5}\Z")


def listens(bind: str, port: int = 8000) -> "Optional[str]":
    """`127.0.0.1:8000` or `unix:/path` of a bind; None for an inherited socket, and where it is no address."""
    if bind.startswith("unix:"):
        return bind.replace("unix://", "unix:", 1)[:200]
    bare = bind[len("tcp://") :] if bind.startswith("tcp://") else bind
    if bare.startswith("fd://"):
        return None
    if not _ADDRESS.match(bare):
        bare = "[{}]:{}".format(bare, port) if bare.count(":") > 1 and "]" not in bare else "{}:{}".format(bare, port)
    if not _ADDRESS.match(bare):
        return None
    return ANY + bare if bare.startswith(":") else bare


def whole(text: str) -> "Optional[int]":
    """A count or a number of seconds, None where it is none."""
    found = re.match(r"\s*([+-]?[0-9]{1,9})\s*\Z", text)
    return int(found.group(1)) if found else None
