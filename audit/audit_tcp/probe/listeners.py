"""`listener` subjects: each listening TCP socket, its backlog in force, and whether connect() could take its port."""

import socket

from . import sock_diag, values
from .host import Host, Unreadable, reason
from .namespaces import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .values import Facts, Subjects

LOOPBACK = ("127.", "::1", "::ffff:127.")

ORIGIN = "sock_diag (ss -ltn)"


def collect(host: Host) -> "Subjects":
    """One subject for each namespace, address and port; sockets that share a port by SO_REUSEPORT are one."""
    if not host.live:
        return
    for space in find(host):
        try:
            with host.inside(space.path):
                found = sock_diag.listening(socket.AF_INET) + sock_diag.listening(socket.AF_INET6)
                limits = _limits(host) if found else {}
        except (OSError, Unreadable) as error:
            host.unread("netns " + space.name, reason(error))
            continue
        for place, sockets in _by_place(found).items():
            yield "listener", "{} {}".format(space.name, place), _facts(sockets, limits)


def _by_place(found: "list[sock_diag.Socket]") -> "dict[str, list[sock_diag.Socket]]":
    places: "dict[str, list[sock_diag.Socket]]" = {}
    for one in found:
        text = "[{}]:{}" if one.family == socket.AF_INET6 else "{}:{}"
        places.setdefault(text.format(one.address, one.port), []).append(one)
    return places


def _limits(host: Host) -> "dict[str, Any]":
    texts = {
        "somaxconn": host.value(values.path_of("net.core.somaxconn")),
        "range": host.value(values.path_of("net.ipv4.ip_local_port_range")),
        "reserved": host.value(values.path_of("net.ipv4.ip_local_reserved_ports")),
    }
    limits: "dict[str, Any]" = {}
    if texts["somaxconn"]:
        limits["somaxconn"] = int(texts["somaxconn"])
    if texts["range"]:
        limits["range"] = tuple(int(field) for field in texts["range"].split())
    if texts["reserved"] is not None:
        limits["reserved"] = values.ports(texts["reserved"])
    return limits


def _facts(sockets: "list[sock_diag.Socket]", limits: "dict[str, Any]") -> "Facts":
    port, address = sockets[0].port, sockets[0].address
    fullest = max(sockets, key=lambda one: one.queue - one.backlog)
    facts: "Facts" = {
        "address": address,
        "port": port,
        "loopback": address.startswith(LOOPBACK),
        "sockets": len(sockets),
        "accept_queue": fullest.queue,
        "backlog": fullest.backlog,
        "smallest_backlog": min(one.backlog for one in sockets),
    }
    if "somaxconn" in limits:
        facts["somaxconn"] = limits["somaxconn"]
    facts = {name: {"value": value, "origin": ORIGIN} for name, value in facts.items()}
    if "range" in limits and "reserved" in limits:
        low, high = limits["range"]
        reserved = any(first <= port <= last for first, last in limits["reserved"])
        how = "port {}, ip_local_port_range {} {}{}".format(port, low, high, ", reserved" if reserved else "")
        facts["ephemeral_and_unreserved"] = {"value": low <= port <= high and not reserved, "origin": how}
    return facts
