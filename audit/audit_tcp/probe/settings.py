"""What the writes of systemd-sysctl and `sysctl --system` make of each key, on the kernel that runs."""

import fnmatch
import os
import re

from . import derived, legal, values
from .host import Host, Unreadable
from .order import GLOB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple

    from .order import Line
    from .values import Facts, Value

PROC = "/proc/sys/"

CONCERNS = (
    "fs.file-max",
    "fs.nr_open",
    "net.core.netdev_",
    "net.core.rmem_",
    "net.core.somaxconn",
    "net.core.wmem_",
    "net.ipv4.ip_local_",
    "net.ipv4.tcp_",
    "net.netfilter.",
)
"""How keys begin that concern TCP connections; rules on files leave the others alone."""

MOST_PATTERNS = 200
"""Lines with a pattern that are expanded; each walks a part of /proc/sys."""

MOST_KEYS = 10000
"""Keys that files may set; a kernel has about 2,000, so more are somebody's mischief."""

HIDDEN = "(hidden)"
"""Stands for key material."""


def is_secret(path: str) -> bool:
    """Whether a path below /proc/sys is key material."""
    return any(secret in path for secret in values.SECRET)


class Kernel:
    """The running values of /proc/sys, or of the tree's, read when asked for; a tree without /proc has none."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.known = host.exists(PROC)
        self.version = tuple(values.version(host.kernel()) or (99,))[:2]
        self.memory_bytes = values.memory_bytes(host)
        self.patterns = 0
        lowest = self.value("net/ipv4/ip_unprivileged_port_start")
        self.lowest_port = lowest if isinstance(lowest, int) else legal.LOWEST_PORT

    def value(self, path: str) -> "Value | None":
        """The value now, or None where the key does not exist, cannot be read, or is key material."""
        text = self._host.value(PROC + path) if self.exists(path) and not is_secret(path) else None
        return None if text is None else values.parsed(values.key_of(path), text)

    def exists(self, path: str) -> bool:
        """Whether the kernel has the key; a path that climbs out of /proc/sys is none."""
        return ".." not in path.split("/") and self._host.exists(PROC + path)

    def is_read_only(self, path: str) -> bool:
        """Whether nobody may write the key."""
        try:
            return not os.stat(self._host.real(PROC + path)).st_mode & 0o222
        except (OSError, Unreadable):
            return False

    def expand(self, pattern: str) -> "list[str]":
        """The paths that a glob matches, found folder by folder within the host."""
        self.patterns += 1
        if ".." in pattern.split("/") or self.patterns > MOST_PATTERNS:
            return []
        found = [""]
        for part in pattern.replace("[^", "[!").split("/"):
            if GLOB.search(part):
                match = re.compile(fnmatch.translate(part)).match
                found = [base + "/" + name for base in found for name in self._names(base) if match(name)]
            else:
                found = [base + "/" + part for base in found]
        return [path[1:] for path in found if self.exists(path[1:])]

    def _names(self, folder: str) -> "list[str]":
        return [name for name in self._host.entries(PROC + folder) if not name.startswith(".")]


class Settings:
    """What both programs do to each key: the last write that the kernel takes is in force."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._keys: "dict[str, _State]" = {}
        self.too_many = False

    def write(self, program: str, lines: "list[Line]") -> None:
        """Applies the writes of "boot" or "system" in order."""
        for line in lines:
            line = line._replace(value=HIDDEN) if is_secret(line.path) else line
            state = self._keys.get(line.path)
            if state is None and len(self._keys) >= MOST_KEYS:
                self.too_many = True
                continue
            if state is None:
                state = self._keys[line.path] = _State(self._kernel, line.path)
            state.write(program, line)

    def facts(self) -> "Iterator[Tuple[str, Facts]]":
        """(key, facts) for each key that a file sets."""
        for path, state in sorted(self._keys.items()):
            yield values.key_of(path), state.facts()

    def pending(self, program: str) -> "Facts":
        """The values that "boot" or "system" would put in force and that neither run now nor come with a boot."""
        found: "Facts" = {}
        for state in self._keys.values():
            value, place = state.result.get(program, (None, ""))
            known = [state.now, None]
            if program == "system" and "boot" in state.result:
                known.append(state.result["boot"][0])
            if state.exists is not False and value != HIDDEN and value not in known:
                found[state.key] = {"value": value, "origin": place}
        return self._with_derived(found) if found else {}

    def _with_derived(self, changed: "Facts") -> "Facts":
        """The changed values and the derived facts that change with them."""
        now = {key: self._kernel.value(values.below_proc(key)) for key in derived.INPUTS}
        running = {key: value for key, value in now.items() if value is not None}
        after = dict(running)
        after.update((key, fact["value"]) for key, fact in changed.items())
        memory = self._kernel.memory_bytes
        before = derived.of_netns(running, memory)
        facts = {
            name: fact
            for name, fact in derived.of_netns(after, memory).items()
            if fact != before.get(name) or name == derived.LIMIT_OF_KERNEL
        }
        facts.update(changed)
        return facts


class _State:
    """One key while the writes go over it."""

    def __init__(self, kernel: Kernel, path: str) -> None:
        self.key = values.key_of(path)
        self.exists = kernel.exists(path) if kernel.known else None
        self.now = kernel.value(path) if self.exists else None
        self.read_only = bool(self.exists) and kernel.is_read_only(path)
        self.kernel = kernel
        self.lines: "dict[str, list[Line]]" = {"boot": [], "system": []}
        self.result: "dict[str, tuple[Value, str]]" = {}
        self.refused: "list[str]" = []

    def write(self, program: str, line: "Line") -> None:
        self.lines[program].append(line)
        place = "{}:{}".format(line.file, line.number)
        before = self._before(program)
        try:
            if self.read_only:
                raise legal.Refused("the key is read-only")
            value = legal.written(self.key, line.value, before, self.kernel.version, self.kernel.lowest_port)
        except legal.Refused as error:
            note = "{} sets {}: {}".format(place, line.value, error)
            if note not in self.refused:
                self.refused.append(note)
            return
        self.result[program] = (value, place)

    def _before(self, program: str) -> "Value | None":
        """The value that a write meets: an earlier write's, at a boot the kernel's own, else what runs now."""
        for earlier in (program, "boot"):
            if earlier in self.result:
                return self.result[earlier][0]
        return list(legal.DEFAULT_RANGE) if self.key == legal.RANGE_KEY else self.now

    def facts(self) -> "Facts":
        at_boot = self.result.get("boot")
        by_system = self.result.get("system", at_boot)
        last = (self.lines["boot"] or self.lines["system"])[-1]
        place = "{}:{}".format(last.file, last.number)
        facts = {
            "key": {"value": self.key, "origin": place},
            "concerns_connections": {"value": self.key.startswith(CONCERNS), "origin": place},
            "applied_at_boot": {"value": bool(self.lines["boot"]), "origin": place},
            "refused": {"value": self.refused, "origin": place},
            "overridden": {"value": self._overridden(), "origin": place},
        }
        if self.exists is not None:
            facts["exists"] = {"value": self.exists, "origin": place}
        if self.now is not None:
            facts["runtime"] = {"value": self.now, "origin": values.path_of(self.key)}
        if self.exists is not False:
            for name, result in (("at_boot", at_boot), ("by_sysctl_system", by_system)):
                if result:
                    facts[name] = {"value": result[0], "origin": result[1]}
        return facts

    def _overridden(self) -> "list[str]":
        """The administrator's lines that another line of the same program beats with another value."""
        beaten: "list[str]" = []
        for lines in self.lines.values():
            for line in lines[:-1]:
                note = "{}:{} = {}".format(line.file, line.number, line.value)
                differs = line.value.split() != lines[-1].value.split()
                if differs and line.file.startswith("/etc/") and note not in beaten:
                    beaten.append(note)
        return beaten
