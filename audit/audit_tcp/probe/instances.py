"""One running or configured server: what its collector tells of it, and what all of its subjects have in common."""

import collections

from . import packages
from .host import Host
from .namespaces import HOST
from .servers import Names, fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .processes import Process

    Facts = Dict[str, Any]
    ByKind = Dict[str, Names]

MOST_TEXTS = 200
"""Texts of one kind that an instance tells one by one."""


class Instance:
    """A program with one configuration; `process` is None where it does not run."""

    def __init__(self, program: str, files: Host, process: "Optional[Process]" = None) -> None:
        self.program, self.files = program, files
        self.running = process is not None
        self.netns = process.namespace if process else HOST
        self.version: "Optional[List[int]]" = None
        self.version_origin = ""
        self.path = ""
        self.count = 0
        self.unreadable: "List[str]" = []
        self.no_effect: "List[str]" = []
        self.unit_traps: "List[str]" = []

    def refuse(self, where: str, what: str) -> None:
        """Something of the configuration that cannot be read: told as a fact and as an error of the snapshot."""
        text = "{}: {}".format(where, what)
        if text in self.unreadable:
            return
        if len(self.unreadable) < MOST_TEXTS:
            self.unreadable.append(text)
        self.files.unread(where, what)

    def useless(self, where: str, what: str) -> None:
        """A setting that parses and does nothing where it stands."""
        text = "{}: {}".format(where, what)
        if len(self.no_effect) < MOST_TEXTS and text not in self.no_effect:
            self.no_effect.append(text)

    def shared(self) -> "Facts":
        """The facts that every subject of the instance has."""
        origin = "the process" if self.running else "the files"
        facts = {"program": fact(self.program, origin), "running": fact(self.running, origin)}
        if self.version:
            facts["version"] = fact(self.version, self.version_origin)
        return facts

    def config(self) -> "Facts":
        """The facts of the `config` subject."""
        facts = self.shared()
        origin = self.path or ("the command line" if self.running else "the files")
        if self.path:
            facts["path"] = fact(self.path, origin)
        facts["files"] = fact(self.count, origin)
        for name in ("unreadable", "unit_traps", "no_effect"):
            facts[name] = fact(getattr(self, name), origin)
        return facts

    def subject(self, facts: "Facts") -> "Facts":
        """The facts of a `server` or `upstream` subject, completed."""
        whole = self.shared()
        whole["netns"] = fact(self.netns, "the process" if self.running else "no process: the host's")
        whole.update(facts)
        return whole

    def named(self, names: Names, name: str, where: str = "") -> str:
        """`name` in the network namespace of the instance, unique."""
        if self.netns != HOST:
            name = "{} ({})".format(name, self.netns)
        return names.unique(name, where or self.path or self.netns)


def naming() -> "ByKind":
    """Unique names for each kind of subject: a `config` and a `server` may share one."""
    return collections.defaultdict(Names)


def absolute(directory: str, path: str) -> str:
    """A path as a process with that working directory means it, without `.` and `..`."""
    parts: "List[str]" = []
    whole = path if path.startswith("/") else directory + "/" + path
    for part in whole.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def packaged(program: str, process: "Process") -> Instance:
    """The instance of a process, with the version of its package where that is what runs."""
    instance = Instance(program, process.files, process)
    told = packages.version(process.files, program) if (process.executable or "").startswith("/usr/bin/") else None
    if told:
        instance.version, instance.version_origin = told
    return instance
