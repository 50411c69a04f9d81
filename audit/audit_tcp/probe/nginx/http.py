"""nginx's `http`: servers, the locations that differ from them, and which location passes requests where."""

import re

from ..servers import fact, seconds
from .listen import DEFAULT, Places, grouped
from .values import HTTP, PROTOCOLS, Scope, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from .files import Block, Notes
    from .listen import Listen
    from .syntax import Directive

    Version = Optional[List[int]]
    Found = Iterator[Tuple[str, str, Dict[str, Any]]]
    Passes = List["Pass"]

TIMERS = {
    "keepalive_requests": "max_requests",
    "keepalive_time": "max_age_s",
    "client_body_timeout": "body_timeout_s",
    "send_timeout": "send_timeout_s",
}
"""Directives of a server or location, and the facts that they are."""

OVERRIDES = ("keepalive_timeout", *TIMERS)
"""Directives that make a location a subject of its own."""

OBSOLETE = {
    "http2_idle_timeout": "keepalive_timeout",
    "http2_recv_timeout": "client_header_timeout",
    "http2_max_requests": "keepalive_requests",
}
"""What rules HTTP/2 since 1.19.7, where these three are taken and not looked at."""

WITHOUT_HTTP2_TIMERS = [1, 19, 7]


class Pass:
    """A location that passes requests to a backend: by which protocol, where, and what holds there."""

    def __init__(self, protocol: str, target: Setting, scope: Scope, label: str) -> None:
        self.protocol, self.target, self.scope, self.label = protocol, target, scope, label


class Server:
    """One server block, with what its addresses say."""

    def __init__(self, block: "Block", scope: Scope, listens: "list[Listen]", origin: str) -> None:
        self.block, self.scope, self.listens, self.origin = block, scope, listens, origin
        self.addresses = [one.address for one in listens if one.tcp] or ([] if listens else [DEFAULT])
        self.groups: "List[Tuple[List[str], Dict[str, Any]]]" = []
        self._name = server_names(block)[:1]
        self.label = self.labelled(self.addresses[0] if self.addresses else "udp")
        http2 = scope.find("http2")
        self.http2 = any(one.http2 for one in listens) or bool(http2 and http2.value)

    def labelled(self, address: str) -> str:
        """`*:80 a.example`."""
        return " ".join([address, *self._name])


def server_names(block: "Block") -> "list[str]":
    """The names of a server that are fit to be shown."""
    found = [name for one in block if one.name == "server_name" for name in one.args]
    return [name for name in found if name and name.isprintable()]


class Http:
    """The servers of one http block; `passes` are the locations that lead to backends, once `subjects` has run."""

    def __init__(self, block: "Block", notes: "Notes", version: "Version") -> None:
        self._notes, self._version = notes, version
        self.scope = Scope(block, "http", HTTP, notes)
        self.passes: "Passes" = []
        self._places = Places(notes)
        self._servers = []
        self._obsolete(self.scope)
        for one in block:
            if one.name == "server" and one.block is not None:
                scope = Scope(one.block, "server", HTTP, notes, self.scope)
                self._obsolete(scope)
                self._servers.append(Server(one.block, scope, self._places.add(one.block, scope), one.origin))

    def _obsolete(self, scope: Scope) -> None:
        if self._version is None or self._version < WITHOUT_HTTP2_TIMERS:
            return
        for name, instead in OBSOLETE.items():
            if name in scope.own:
                what = "{} has no effect since nginx 1.19.7: {} holds for HTTP/2 too".format(name, instead)
                self._notes.idle(scope.own[name].origin, what)

    def subjects(self) -> "Found":
        """(name, where, facts) of each server and of each location with timers of its own.

        Addresses of one server of which not the same holds are a subject each, and so are its locations there.
        """
        for server in self._servers:
            server.groups = self._grouped(server)
            self._header_in_vain(server)
            yield from self._each(server, server.scope, "", server.origin)
            yield from self._locations(server, server.block, server.scope, "")

    def _grouped(self, server: Server) -> "List[Tuple[List[str], Dict[str, Any]]]":
        return grouped(server.addresses, lambda address: self._of_address(server, address))

    def _each(self, server: Server, scope: Scope, path: str, where: str) -> "Found":
        for addresses, facts in server.groups:
            yield server.labelled(addresses[0]) + path, where, dict(self._facts(server, scope, addresses), **facts)

    def _locations(self, server: Server, block: "Block", scope: Scope, path: str) -> "Found":
        """The locations of a block, those within them too: nginx bounds neither, the reader of its syntax does."""
        self._passes(scope, server.label + path)
        taken: "set[str]" = set()
        for one in block:
            if one.block is None or one.name not in ("location", "if", "limit_except"):
                continue
            if one.name == "location":
                self._once(one, taken)
            inner = Scope(one.block, one.name, HTTP, self._notes, scope)
            within = " " + _shown(one) if one.name == "location" else path
            if any(setting in inner.own for setting in OVERRIDES):
                yield from self._each(server, inner, within, one.origin)
            yield from self._locations(server, one.block, inner, within)

    def _passes(self, scope: Scope, label: str) -> None:
        for protocol in PROTOCOLS:
            target = scope.own.get(protocol + "_pass")
            if target is not None:
                self.passes.append(Pass(protocol, target, scope, label))

    def _once(self, one: "Directive", taken: "set[str]") -> None:
        """Tells a location that stands twice in one block, which nginx refuses unless it is a regular expression."""
        text = " ".join(one.args)
        found = re.match(r"(=|\^~|~)?\s*", text)
        kind = found.group(1) if found else None
        if kind == "~":
            return
        key = ("= " if kind == "=" else "") + text[found.end() if found else 0 :]
        if key in taken:
            self._notes.fault(one.origin, "a second location of this name in one block, which nginx refuses")
        taken.add(key)

    def _facts(self, server: Server, scope: Scope, addresses: "list[str]") -> "dict[str, Any]":
        """What holds in a scope on each address of its server."""
        facts = {"listen": fact(addresses, server.origin), "mode": fact("http", server.origin)}
        facts.update(_idle(scope))
        for directive, name in TIMERS.items():
            setting = scope.find(directive)
            if setting is not None:
                facts[name] = fact(setting.value, setting.origin)
        facts.update(self._http2(server, scope))
        return facts

    def _of_address(self, server: Server, address: str) -> "dict[str, Any]":
        """What depends on the address: the socket's options, and the timer of a request's header.

        That is the default server's, for nginx does not know yet which one is asked for. With TLS the client names the
        server before, so that its own holds from the second request on.
        """
        facts = self._places.options(address)
        own = self._places.decides(address, server.scope)
        scope = server.scope if own else self._places.default(address)
        header = scope.find("client_header_timeout") if scope is not None else None
        if header is not None:
            facts["header_timeout_s"] = fact(header.value, header.origin)
        return facts

    def _header_in_vain(self, server: Server) -> None:
        own = server.scope.own.get("client_header_timeout")
        if own is None or not server.addresses:
            return
        if not any(self._places.decides(address, server.scope) for address in server.addresses):
            what = "client_header_timeout has no effect: the default server of {} decides".format(server.addresses[0])
            self._notes.idle(own.origin, what)

    def _http2(self, server: Server, scope: Scope) -> "dict[str, Any]":
        """HTTP/2's idle timeout where it is another: before 1.19.7 one of its own, since then the server's."""
        if not server.http2 or self._version is None:
            return {}
        if self._version < WITHOUT_HTTP2_TIMERS:
            old = scope.find("http2_idle_timeout")
            value = old.value if old is not None and old.value is not None else 180
            return {"h2_idle_timeout_s": fact(value, old.origin if old else "default of nginx before 1.19.7")}
        whole, own = server.scope.find("keepalive_timeout"), scope.find("keepalive_timeout")
        if whole is own:
            return {}
        value, origin = (whole.value[0], whole.origin) if whole else (75, "default of nginx")
        return {"h2_idle_timeout_s": fact(value, origin)}


def _idle(scope: Scope) -> "dict[str, Any]":
    """What keepalive_timeout says; with less than two requests a connection, nginx closes after the first as well."""
    facts: "dict[str, Any]" = {}
    idle, requests = scope.find("keepalive_timeout"), scope.find("keepalive_requests")
    if idle is not None:
        facts["idle_timeout_s"] = fact(idle.value[0], idle.origin)
        if idle.value[1] and idle.value[0]:
            facts["advertised_idle_s"] = fact(seconds(idle.value[1]), idle.origin)
    if requests is not None and requests.value < 2:
        facts["idle_timeout_s"] = fact(0, requests.origin)
        facts.pop("advertised_idle_s", None)
    if "idle_timeout_s" in facts and facts["idle_timeout_s"]["value"] == 0:
        facts["keepalive"] = fact(False, facts["idle_timeout_s"]["origin"])
    return facts


_SEGMENT = re.compile(r"[^/\s]+")
_WORD = re.compile(r"[A-Za-z0-9_:+=%~-]+")
_TOKEN = re.compile(r"(?=[^A-Za-z]*[A-Za-z])(?=[^0-9]*[0-9]).{16}|[^:]*:.{16}")
"""What a path holds to prove who asks, as webhooks have it: long, of letters and digits, or long behind a colon."""


def _shown(one: "Directive") -> str:
    """A location's path as it is written, without what looks like a token in it."""
    text = " ".join(one.args)
    if not text.isprintable():
        return "location at line {}".format(one.line)
    parts = _WORD if text.startswith("~") else _SEGMENT
    return parts.sub(lambda found: "…" if _TOKEN.match(found.group()) else found.group(), text)
