"""`listen`: the addresses of nginx's servers, what each asks of its socket, and which server is the default there.

A socket's options hold for every server on its address; they are stated once, and nginx refuses them a second time.
"""

import re

from ..servers import fact
from .values import Refused, duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from .files import Notes
    from .syntax import Directive
    from .values import Scope

    Facts = Dict[str, Any]

DEFAULT = "*:80"
"""Where a server without a listen of its own listens; an nginx without privileges takes *:8000."""

_ADDRESS = re.compile(
    r"(?:(?P<port>[0-9]{1,5}(?:-[0-9]{1,5})?)|(?P<host>\*|\[[0-9A-Fa-f:.%]{2,45}\]|[A-Za-z0-9_.-]{1,255})"
    r"(?::(?P<at>[0-9]{1,5}(?:-[0-9]{1,5})?))?|(?P<unix>unix:[^\s;]{1,200}))$"
)
_SOCKET = re.compile(
    "(?:bind|deferred|reuseport|multipath|(?:setfib|fastopen|backlog|rcvbuf|sndbuf|accept_filter|ipv6only|so_keepalive)"
    "=.*)$"
)
"""Parameters that are the socket's own."""


def address(text: str) -> str:
    """`*:8080` of 8080, `10.0.0.1:80` of 10.0.0.1. Raises Refused."""
    found = _ADDRESS.match(text)
    if found is None:
        raise Refused("an address, a port, or unix: and a path")
    if found.group("unix"):
        return text
    port = found.group("port") or found.group("at") or "80"
    if not all(0 < int(part) < 65536 for part in port.split("-")):
        raise Refused("a port from 1 to 65535")
    host = found.group("host") or "*"
    return "{}:{}".format("*" if host == "0.0.0.0" else host, port)  # noqa: S104  this is what a file says


def keepalive(text: str) -> "dict[str, Any]":
    """The facts of so_keepalive=on, off, or idle:interval:count, of which each may be left out. Raises Refused."""
    if text in ("on", "off"):
        return {"so_keepalive": text == "on"}
    parts = text.split(":")
    facts: "dict[str, Any]" = {"so_keepalive": True}
    legal = "so_keepalive=on, off, or times and a count as in 30m:10s:5"
    if len(parts) > 3 or not re.match("[0-9]{0,9}$", parts[2] if len(parts) == 3 else ""):
        raise Refused(legal)
    for name, part in zip(("keepidle_s", "keepintvl_s"), parts):
        facts[name] = duration(part, whole=True) if part else 0
    facts["keepcnt"] = int(parts[2] or 0) if len(parts) == 3 else 0
    stated = {name: value for name, value in facts.items() if value}
    if len(stated) == 1:
        raise Refused(legal)
    return stated


class Listen:
    """One listen directive. Raises Refused with what is legal."""

    def __init__(self, one: "Directive") -> None:
        self.origin = one.origin
        self.address = address(one.args[0] if one.args else "")
        words = one.args[1:]
        self.default = "default_server" in words or "default" in words
        self.tcp = "quic" not in words and "udp" not in words
        self.tls = "ssl" in words
        self.http2 = "http2" in words
        self.owns_socket = any(_SOCKET.match(word) for word in words)
        self.options: "dict[str, Any]" = {}
        for word in words:
            name, _, value = word.partition("=")
            if name == "backlog":
                if not re.match("[0-9]{1,9}$", value) or int(value) == 0:
                    raise Refused("backlog= and a whole number above 0")
                self.options["backlog"] = int(value)
            elif name == "so_keepalive":
                self.options.update(keepalive(value))


class Place:
    """One address: its default server, the socket's options, and whether it speaks TLS, for all servers if for one."""

    def __init__(self) -> None:
        self.default: "Optional[Scope]" = None
        self.chosen = self.tls = False
        self.socket: "Optional[Listen]" = None


class Places:
    """The addresses of all servers of one `http` or `stream`."""

    def __init__(self, notes: "Notes") -> None:
        self._notes = notes
        self._places: "dict[str, Place]" = {}

    def add(self, block: "list[Directive]", scope: "Scope") -> "list[Listen]":
        """What a server's listen directives say; the faults that nginx refuses are told."""
        found: "dict[str, Listen]" = {}
        directives = [one for one in block if one.name == "listen" and one.block is None]
        for one in directives:
            try:
                listen = Listen(one)
            except Refused as error:
                self._notes.fault(one.origin, "listen is refused; it takes {}".format(error))
                continue
            key = listen.address if listen.tcp else "udp " + listen.address
            if key in found:
                self._notes.fault(
                    one.origin, "a second listen on {} in one server, which nginx refuses".format(listen.address)
                )
                continue
            found[key] = listen
            self._join(self._places.setdefault(key, Place()), listen, scope)
        if not directives:
            self._join_default(scope)
        return list(found.values())

    def _join_default(self, scope: "Scope") -> None:
        place = self._places.setdefault(DEFAULT, Place())
        place.default = place.default or scope

    def _join(self, place: Place, listen: Listen, scope: "Scope") -> None:
        if listen.default and place.chosen:
            self._notes.fault(
                listen.origin, "a second default_server on {}, which nginx refuses".format(listen.address)
            )
        if place.default is None or (listen.default and not place.chosen):
            place.default = scope
        place.chosen = place.chosen or listen.default
        place.tls = place.tls or listen.tls
        if not listen.owns_socket:
            return
        if place.socket is not None:
            what = "a second listen with options of the socket on {}, which nginx refuses".format(listen.address)
            self._notes.fault(listen.origin, what)
        else:
            place.socket = listen

    def default(self, address: str) -> "Scope | None":
        """The scope of the server that an address takes until it knows which one is asked for."""
        place = self._places.get(address)
        return place.default if place else None

    def decides(self, address: str, scope: "Scope") -> bool:
        """Whether a server's own timer of the header holds on an address: it is the default there, or TLS names it."""
        place = self._places.get(address)
        return place is None or place.tls or place.default in (None, scope)

    def options(self, address: str) -> "Facts":
        """The facts of a socket: an address without options of its own is served by the wildcard's socket."""
        host, _, port = address.rpartition(":")
        wildcard = ("[::]:" if host.startswith("[") else "*:") + port
        for key in (address, wildcard):
            place = self._places.get(key)
            if place is not None and place.socket is not None:
                origin = place.socket.origin
                return {name: fact(value, origin) for name, value in place.socket.options.items()}
        return {}


def grouped(addresses: "list[str]", facts: "Callable[[str], Facts]") -> "List[Tuple[List[str], Facts]]":
    """Those addresses together of which the same is said, in the order of the first of each group."""
    found: "Dict[str, Tuple[List[str], Facts]]" = {}
    for one in addresses:
        its = facts(one)
        values = sorted((name, each["value"]) for name, each in its.items())
        found.setdefault(repr(values), ([], its))[0].append(one)
    return list(found.values())
