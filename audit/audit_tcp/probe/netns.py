"""`netns` subjects: every net.* sysctl and the TCP counters of each network namespace, and what follows from them."""

import os

from . import counters, derived, values
from .host import Host, Unreadable, reason
from .namespaces import HOST, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Facts, Subjects

TREE = "/proc/sys/net"

READABLE = 0o444
"""A file without any of these bits is a trigger such as route.flush, not a setting."""

GLOBAL = "net.core.netdev_max_backlog"
"""A setting of the whole machine, which only the first namespace shows (E10)."""

DEEPEST = 12
"""Parts of a key; the kernel's longest have six."""


def collect(host: Host) -> "Subjects":
    """One subject for each namespace; one that cannot be entered is recorded as unread."""
    spaces = find(host)
    memory = values.memory_bytes(host)
    for space in spaces:
        try:
            with host.inside(space.path):
                facts = _facts(host, "" if space.name == HOST else " in netns " + space.name)
        except (OSError, Unreadable) as error:
            # without the host's own namespace the audit as a whole has failed
            host.unread(("collector netns, " if space.name == HOST else "netns ") + space.name, reason(error))
            continue
        facts["is_host"] = {"value": space.name == HOST, "origin": space.origin}
        facts["is_initial"] = {"value": GLOBAL in facts, "origin": values.path_of(GLOBAL)}
        facts["scope"] = {"value": space.scope, "origin": space.origin}
        facts.update(derived.of_netns(facts, memory))
        yield "netns", space.name, facts


def _facts(host: Host, within: str) -> "Facts":
    facts: "Facts" = {}
    unread: "list[tuple[str, str]]" = []
    if not host.exists(TREE):
        raise Unreadable("there is no " + TREE)
    _walk(host.real(TREE), "net.", facts, unread)
    for path, why in unread:
        host.unread(path[len(host.root) :] + within, why)
    facts.update(counters.read(host))
    return facts


def _walk(folder: str, prefix: str, facts: "Facts", unread: "list[tuple[str, str]]") -> None:
    """Reads a folder of the sysctl tree; `prefix` is its key. This loop is the cost of an audit, so it is bare."""
    if prefix.count(".") > DEEPEST:
        unread.append((folder, "nested too deeply"))
        return
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return  # its interface went away
    except OSError as error:
        unread.append((folder, reason(error)))
        return
    with entries:
        for entry in entries:
            name = entry.name
            key = prefix + (name.replace(".", "/") if "." in name else name)
            if entry.is_dir(follow_symlinks=False):
                _walk(entry.path, key + ".", facts, unread)
            elif name not in values.SECRET and entry.is_file(follow_symlinks=False):
                try:
                    facts[key] = values.parsed(key, values.raw(entry.path))
                except OSError as error:
                    _tell(entry, error, unread)


def _tell(entry: "os.DirEntry[str]", error: OSError, unread: "list[tuple[str, str]]") -> None:
    """Records what could not be read, unless it has gone, or is a trigger that nobody can read."""
    try:
        readable = entry.stat().st_mode & READABLE
    except OSError:
        return
    if readable:
        unread.append((entry.path, reason(error)))
