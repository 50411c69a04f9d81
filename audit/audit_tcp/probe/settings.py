"""What the writes of systemd-sysctl and `sysctl --system` make of each key, on the kernel that runs."""

from . import legal, values
from .host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple

    from .order import Line
    from .values import Facts, Value

PROC = "/proc/sys/"

BOUNDS = ("fs.file-max", "fs.nr_open")
"""Keys outside net.* that bound connections: each socket is an open file."""

MOST_KEYS = 10000
"""Keys that files may set; a kernel has about 2,000, so more are somebody's mischief."""

HIDDEN = "(hidden)"
"""Stands for key material."""


def is_secret(path: str) -> bool:
    """Whether a path below /proc/sys is key material."""
    return path.rsplit("/", 1)[-1] in values.SECRET


class Kernel:
    """The running values of /proc/sys, or of the tree's, read when asked for; a tree without /proc has none."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.known = host.exists(PROC)
        version = host.kernel().split("-")[0].split(".")
        self.version = tuple(int(part) for part in version[:2] if part.isdigit()) or (99,)
        lowest = self.value("net/ipv4/ip_unprivileged_port_start")
        self.lowest_port = lowest if isinstance(lowest, int) else legal.LOWEST_PORT

    def value(self, path: str) -> "Value | None":
        """The value now, or None where the key does not exist, cannot be read, or is key material."""
        text = self._host.value(PROC + path) if self.exists(path) and not is_secret(path) else None
        return None if text is None else values.parsed(values.key_of(path), text)

    def exists(self, path: str) -> bool:
        """Whether the kernel has the key; a path that climbs out of /proc/sys is none."""
        return ".." not in path.split("/") and self._host.exists(PROC + path)

    def expand(self, pattern: str) -> "list[str]":
        """The paths that a glob matches."""
        import glob

        if ".." in pattern.split("/"):
            return []
        base = self._host.real(PROC.rstrip("/")) + "/"
        found = glob.glob(glob.escape(base) + pattern.replace("[^", "[!"))
        return sorted(path[len(base) :] for path in found)


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


class _State:
    """One key while the writes go over it."""

    def __init__(self, kernel: Kernel, path: str) -> None:
        self.key = values.key_of(path)
        self.exists = kernel.exists(path) if kernel.known else None
        self.now = kernel.value(path) if self.exists else None
        self.kernel = kernel
        self.lines: "dict[str, list[Line]]" = {"boot": [], "system": []}
        self.result: "dict[str, tuple[Value, str]]" = {}
        self.refused: "list[str]" = []

    def write(self, program: str, line: "Line") -> None:
        self.lines[program].append(line)
        place = "{}:{}".format(line.file, line.number)
        before = self.result.get(program, self.result.get("boot", (self.now, "")))[0]
        try:
            value = legal.written(self.key, line.value, before, self.kernel.version, self.kernel.lowest_port)
        except legal.Refused as error:
            note = "{} sets {}: {}".format(place, line.value, error)
            if note not in self.refused:
                self.refused.append(note)
            return
        self.result[program] = (value, place)

    def facts(self) -> "Facts":
        at_boot = self.result.get("boot")
        by_system = self.result.get("system", at_boot)
        last = (self.lines["boot"] or self.lines["system"])[-1]
        place = "{}:{}".format(last.file, last.number)
        facts = {
            "key": {"value": self.key, "origin": place},
            "bounds_connections": {"value": self.key.startswith("net.") or self.key in BOUNDS, "origin": place},
            "applied_at_boot": {"value": bool(self.lines["boot"]), "origin": place},
            "applied_by_sysctl_system": {"value": bool(self.lines["system"]), "origin": place},
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
