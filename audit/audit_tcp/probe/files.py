"""`setting` subjects: each sysctl that any file sets, with its value now, after a boot and after `sysctl --system`."""

import os
import re

from .host import Host, Unreadable
from .namespaces import HOST, find
from .order import CONF, FOLDERS, GLOB, SUFFIX, procps_lines, procps_writes, systemd_lines, systemd_writes
from .settings import MOST_KEYS, MOST_PATTERNS, Kernel, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .order import Line
    from .values import Subjects

BOOTED = "/run/systemd/system"
APPLIER = "/lib/systemd/systemd-sysctl"

PENDING = (("boot", "host after a boot"), ("system", "host after sysctl --system"))
"""What a program would change in the host's namespace is judged like a namespace, under these names."""

LEFTOVER = re.compile(r"~$|\.(bak|old|orig|swp|disabled|rpmnew|rpmorig|rpmsave|(dpkg|ucf)-[a-z]+)$")
"""Names of files that editors and package managers leave, and that nobody expects to be read."""

LARGEST_FILE = 256 << 10
MOST_LINES = 100000
"""Bytes of one file and lines of all; the files of a distribution have some hundred lines."""

MOST_BAD_LINES = 20
"""Lines of one file that are told one by one."""


def collect(host: Host) -> "Subjects":
    """One subject for each key, judged in the host's own namespace, and the host's facts about the files."""
    chosen, ignored = choose(host)
    facts = {
        "sysctl.files": {"value": chosen, "origin": "the order of systemd-sysctl"},
        "boots_with_systemd": {"value": _boots_with_systemd(host), "origin": BOOTED if host.live else APPLIER},
        "sysctl.ignored_files": {"value": ignored, "origin": ignored[0] if ignored else FOLDERS[0]},
    }
    yield "host", "", facts
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
        if kernel.patterns > MOST_PATTERNS:
            host.unread("sysctl files", "more than {} patterns; the rest is not judged".format(MOST_PATTERNS))
        for key, found in settings.facts():
            yield "setting", key, found
        for program, name in PENDING:
            found = settings.pending(program)
            if found:
                found["interfaces"] = {"value": 1, "origin": "assumed of a host that boots"}
                yield "netns", name, found


def _boots_with_systemd(host: Host) -> bool:
    """Whether systemd-sysctl applies the files at a boot: systemd runs here (sd_booted), or the tree has it."""
    return host.exists(BOOTED) if host.live else host.exists(APPLIER)


def choose(host: Host) -> "tuple[list[str], list[str]]":
    """The files in the order of their names, the first folder winning for one name; and those that set sysctls in
    a file that neither program reads because its name does not end in .conf."""
    first: "dict[str, str]" = {}
    ignored: "list[str]" = []
    for folder in FOLDERS:
        if folder == "/lib/sysctl.d" and host.same(folder, "/usr/lib/sysctl.d"):
            continue
        for name in host.entries(folder):
            path = folder + "/" + name
            if name.endswith(SUFFIX):
                first.setdefault(name, path)
            elif not LEFTOVER.search(name) and _sets_something(host, path):
                ignored.append(path)
    return [first[name] for name in sorted(first, key=os.fsencode)], ignored


def _sets_something(host: Host, path: str) -> bool:
    try:
        lines, bad = systemd_lines(path, host.text(path, LARGEST_FILE))
    except (OSError, Unreadable):
        return False
    return bool(lines) and not bad


def _read(host: Host, chosen: "list[str]") -> "tuple[list[Line], list[Line]]":
    """The lines that each program sees, in its order: (systemd-sysctl's, procps')."""
    boot: "list[Line]" = []
    system: "list[Line]" = []
    for path in [*chosen, CONF]:
        text = _text(host, path)
        if text is None:
            continue
        if len(system) + text.count("\n") > MOST_LINES:
            host.unread(path, "more than {} lines in all; it is not judged".format(MOST_LINES))
            continue
        file = host.target(path)
        seen, bad = systemd_lines(file, text)
        if path != CONF and not path.rsplit("/", 1)[1].startswith("."):  # systemd skips hidden files, procps does not
            boot += seen
        seen, wrong = procps_lines(file, text)
        system += seen
        _tell_bad_lines(host, file, sorted(set(bad) | set(wrong)))
    return boot, system


def _text(host: Host, path: str) -> "str | None":
    """What a file says; None for one that is masked, and for one that cannot be read, which is recorded."""
    if host.is_masked(path):
        return None
    try:
        return host.text(path, LARGEST_FILE)
    except FileNotFoundError:
        if path != CONF:
            host.unread(path, "a link to a file that does not exist")
    except Unreadable as error:
        host.unread(path, str(error))
    return None


def _tell_bad_lines(host: Host, file: str, numbers: "list[int]") -> None:
    for number in numbers[:MOST_BAD_LINES]:
        host.unread("{}:{}".format(file, number), "not an assignment; the line has no effect")
    if numbers[MOST_BAD_LINES:]:
        host.unread(file, "{} further lines are no assignments".format(len(numbers) - MOST_BAD_LINES))


def _tell_globs(host: Host, lines: "list[Line]") -> None:
    for file, number in sorted({(line.file, line.number) for line in lines if GLOB.search(line.path)}):
        host.unread("{}:{}".format(file, number), "a pattern; without /proc it is not known what it matches")
