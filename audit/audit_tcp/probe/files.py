"""`setting` subjects: each sysctl that any file sets, with its value now, after a boot and after `sysctl --system`."""

from . import legal, values
from .host import Host, Unreadable
from .namespaces import HOST, find
from .order import CONF, FOLDERS, GLOB, SUFFIX, procps_lines, procps_writes, systemd_lines, systemd_writes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple

    from .order import Line
    from .values import Facts, Subjects, Value

PROC = "/proc/sys/"

BOUNDS = ("fs.file-max", "fs.nr_open")
"""Keys outside net.* that bound connections: each socket is an open file."""

MOST_BAD_LINES = 20
"""Lines of one file that are told one by one."""

MOST_KEYS = 10000
"""Keys that files may set; a kernel has about 2,000, so more are somebody's mischief."""

HIDDEN = "(hidden)"
"""Stands for key material."""


def collect(host: Host) -> "Subjects":
    """One subject for each key, judged in the host's own namespace, and the host's facts about the files."""
    chosen, ignored = choose(host)
    yield (
        "host",
        "",
        {
            "sysctl.files": {"value": chosen, "origin": "the order of systemd-sysctl"},
            "sysctl.ignored_files": {"value": ignored, "origin": ", ".join(ignored) or FOLDERS[0]},
        },
    )
    boot, system = _read(host, chosen)
    space = next((space for space in find(host) if space.name == HOST), None)
    with host.inside(space.path if space else None):
        kernel = Kernel(host)
        if not kernel.known:
            _tell_globs(host, boot + system)
        settings = Settings(kernel)
        settings.write("boot", systemd_writes(boot, kernel.expand))
        settings.write("system", procps_writes(system, kernel.expand))
        if settings.too_many:
            host.unread("sysctl files", "more than {} keys are set; the rest is not judged".format(MOST_KEYS))
        for key, facts in settings.facts():
            yield "setting", key, facts


def choose(host: Host) -> "tuple[list[str], list[str]]":
    """The files in the order of their names, the first folder winning for one name; and those that set sysctls in
    a file that neither program reads because its name does not end in .conf."""
    first: "dict[str, str]" = {}
    ignored: "list[str]" = []
    for folder in FOLDERS:
        if folder == "/lib/sysctl.d" and host.same(folder, "/usr/lib/sysctl.d"):
            continue
        try:
            names = host.entries(folder)
        except Unreadable as error:
            host.unread(folder, str(error))
            continue
        for name in names:
            path = folder + "/" + name
            if name.endswith(SUFFIX):
                first.setdefault(name, path)
            elif _sets_something(host, path):
                ignored.append(path)
    return [first[name] for name in sorted(first, key=lambda name: name.encode())], ignored


def _sets_something(host: Host, path: str) -> bool:
    try:
        lines, bad = systemd_lines(path, host.text(path))
    except (OSError, Unreadable):
        return False
    return bool(lines) and not bad


def _read(host: Host, chosen: "list[str]") -> "tuple[list[Line], list[Line]]":
    """The lines that each program sees, in its order: (systemd-sysctl's, procps')."""
    boot: "list[Line]" = []
    system: "list[Line]" = []
    for path in [*chosen, CONF]:
        if host.is_masked(path):
            continue
        try:
            text = host.text(path)
        except FileNotFoundError:
            if path != CONF:
                host.unread(path, "a link to a file that does not exist")
            continue
        except Unreadable as error:
            host.unread(path, str(error))
            continue
        hidden = path.rsplit("/", 1)[1].startswith(".")  # systemd skips hidden files, procps does not
        file = host.target(path)
        lines, bad = systemd_lines(file, text)
        if path != CONF and not hidden:
            boot += lines
        lines, wrong = procps_lines(file, text)
        system += lines
        wrong = sorted(set(bad) | set(wrong))
        for number in wrong[:MOST_BAD_LINES]:
            host.unread("{}:{}".format(file, number), "not an assignment; the line has no effect")
        if wrong[MOST_BAD_LINES:]:
            host.unread(file, "{} further lines are no assignments".format(len(wrong) - MOST_BAD_LINES))
    return boot, system


def _tell_globs(host: Host, lines: "list[Line]") -> None:
    for file, number in sorted({(line.file, line.number) for line in lines if GLOB.search(line.path)}):
        host.unread("{}:{}".format(file, number), "a pattern; without /proc it is not known what it matches")


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
