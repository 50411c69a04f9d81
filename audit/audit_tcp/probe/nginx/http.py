"""nginx's `http`: servers, the locations that differ from them, and which location passes requests where."""

import re

from ..servers import fact, seconds
from .listen import DEFAULT, Places
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
        self.label = " ".join([self.addresses[0] if self.addresses else "udp", *server_names(block)[:1]])
        self.tls = any(one.tls for one in listens)
        http2 = scope.find("http2")
        self.http2 = any(one.http2 for one in listens) or bool(http2 and http2.value)


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
        """(name, where, facts) of each server and of each location with timers of its own."""
        for server in self._servers:
            if server.addresses:
                yield server.label, server.origin, self._facts(server, server.scope)
            yield from self._locations(server, server.block, server.scope, server.label)

    def _locations(self, server: Server, block: "Block", scope: Scope, label: str) -> "Found":
        """The locations of a block, those within them too: nginx bounds neither, the reader of its syntax does."""
        self._passes(scope, label)
        taken: "set[str]" = set()
        for one in block:
            if one.block is None or one.name not in ("location", "if", "limit_except"):
                continue
            if one.name == "location":
                self._once(one, taken)
            inner = Scope(one.block, one.name, HTTP, self._notes, scope)
            name = "{} {}".format(server.label, _shown(one)) if one.name == "location" else label
            if server.addresses and any(setting in inner.own for setting in OVERRIDES):
                yield name, one.origin, self._facts(server, inner)
            yield from self._locations(server, one.block, inner, name)

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

    def _facts(self, server: Server, scope: Scope) -> "dict[str, Any]":
        facts = {"listen": fact(server.addresses, server.origin), "mode": fact("http", server.origin)}
        facts.update(_idle(scope))
        for directive, name in TIMERS.items():
            setting = scope.find(directive)
            if setting is not None:
                facts[name] = fact(setting.value, setting.origin)
        header = self._header(server)
        if header is not None:
            facts["header_timeout_s"] = fact(header.value, header.origin)
        facts.update(self._http2(server, scope))
        facts.update(self._places.options(server.addresses))
        return facts

    def _header(self, server: Server) -> "Setting | None":
        """The timer of a request's header: the default server's, for nginx does not know yet which one is asked for.

        With TLS the client names the server before, so that its own holds from the second request on.
        """
        own = server.scope.own.get("client_header_timeout")
        defaults = [self._places.default(one) for one in server.addresses]
        if server.tls or server.scope in defaults or not defaults:
            return server.scope.find("client_header_timeout")
        if own is not None:
            what = "client_header_timeout has no effect: the default server of {} decides".format(server.addresses[0])
            self._notes.idle(own.origin, what)
        return (defaults[0] or server.scope).find("client_header_timeout")

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


def _shown(one: "Directive") -> str:
    text = " ".join(one.args)
    return text if text.isprintable() else "location at line {}".format(one.line)
