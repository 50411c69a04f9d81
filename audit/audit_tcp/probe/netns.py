"""`netns` subjects: every net.* sysctl and the TCP counters of each network namespace, and what follows from them."""

import os

from . import counters, derived, values
from .host import Host, Unreadable, reason
from .namespaces import HOST, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Facts, Subjects

TREE = "/proc/sys/net"

WRITE_ONLY = 0o444
"""A file without any of these bits is a trigger such as route.flush, not a setting."""


def collect(host: Host) -> "Subjects":
    """One subject for each namespace; one that cannot be entered is recorded as unread."""
    spaces = find(host)
    memory = values.memory_bytes(host)
    for space in spaces:
        try:
            with host.inside(space.path):
                facts = _facts(host)
        except (OSError, Unreadable) as error:
            host.unread("netns " + space.name, reason(error))
            continue
        facts["is_host"] = {"value": space.name == HOST, "origin": space.path or "the namespace of process 1"}
        facts["scope"] = {"value": space.scope, "origin": space.path or "the namespace of process 1"}
        facts.update(derived.of_netns(facts, memory))
        yield "netns", space.name, facts


def _facts(host: Host) -> "Facts":
    facts: "Facts" = {}
    unread: "list[tuple[str, str]]" = []
    _walk(host.real(TREE), "net.", facts, unread)
    for path, why in unread:
        host.unread(path[len(host.root) :], why)
    facts.update(counters.read(host))
    return facts


def _walk(folder: str, prefix: str, facts: "Facts", unread: "list[tuple[str, str]]") -> None:
    """Reads a folder of the sysctl tree; `prefix` is its key. This loop is the cost of an audit, so it is bare."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            key = prefix + (name.replace(".", "/") if "." in name else name)
            if entry.is_dir(follow_symlinks=False):
                _walk(entry.path, key + ".", facts, unread)
            elif name not in values.SECRET and entry.is_file(follow_symlinks=False):
                try:
                    facts[key] = values.parsed(key, values.raw(entry.path))
                except OSError as error:
                    if not isinstance(error, PermissionError) or entry.stat().st_mode & WRITE_ONLY:
                        unread.append((entry.path, reason(error)))
