"""nginx's upstreams: the pool that an `upstream` block states, and what the locations that pass to it say of the way.

Where such locations differ, each variant is a subject of its own: a pool may serve one of them and not the other.
"""

import re

from ..servers import address_of, fact
from .values import UPSTREAM, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from .files import Block, Notes
    from .http import Pass

    Facts = Dict[str, Any]
    Found = Iterator[Tuple[str, str, Facts]]

POOLED_BY_DEFAULT = [1, 29, 7]
"""Since when every upstream block has a pool, whether it states one or not."""

METHODS = ("hash", "ip_hash", "least_conn", "least_time", "random")
"""Ways to choose a backend; before 1.29.7 one that stands behind `keepalive` takes the pool away."""

POOL = {"keepalive_timeout": "idle_timeout_s", "keepalive_requests": "max_requests", "keepalive_time": "max_age_s"}

WAY = {"connect_timeout": "connect_timeout_s", "read_timeout": "response_timeout_s", "socket_keepalive": "so_keepalive"}
"""Directives behind `proxy_`, `fastcgi_` and the others, and the facts that they are."""

MODES = {"proxy": "http"}
"""The facts' names of protocols that are not nginx's."""

NO_HTTP = "nginx-fastcgi"
"""The kind of the catalog for protocols that have no version of HTTP and no Connection header."""

_URL = re.compile(
    r"(?:[a-z]+://|(?![a-z]+://))(?:(unix:[^\s:;$]{1,200})(?::|$)|([^/?#$\s]*)(?:[/?#]|$|\$(?:request_)?uri\b))",
    re.IGNORECASE,
)
"""A URL, or an address alone: its host and port end where a path, or nothing, or a variable with a path begins."""

_SHOWN = re.compile(r"(?:[A-Za-z]+://)?(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?::[0-9]{1,5})?$")


class Upstream:
    """One upstream block. `pooled`: whether a block without `keepalive` has a pool; None where that is unknown."""

    def __init__(self, one: "Any", notes: "Notes", version: "Optional[List[int]]") -> None:
        self.name, self.origin = one.args[0] if one.args else "", one.origin
        self.addresses = addresses(one.block)
        self.facts: "Facts" = {"addresses": fact(self.addresses, self.origin)}
        pooled = None if version is None else version >= POOLED_BY_DEFAULT
        scope = Scope(one.block, "upstream", UPSTREAM, notes)
        size = scope.own.get("keepalive")
        if size is not None:
            self._pool(size, one.block, pooled, notes)
        for name, known in POOL.items():
            if name in scope.own:
                self.facts[known] = fact(scope.own[name].value, scope.own[name].origin)
                without = (size is None and pooled is False) or (size is not None and size.value == 0)
                if without:
                    notes.idle(scope.own[name].origin, "{} has no effect: this upstream has no pool".format(name))

    def _pool(self, size: "Any", block: "Block", pooled: "Optional[bool]", notes: "Notes") -> None:
        self.facts["pool_size"] = fact(size.value, size.origin)
        if pooled is not False:
            return
        if size.value == 0:
            notes.fault(size.origin, "keepalive 0 is refused before nginx 1.29.7; it takes a number above 0")
        behind = False
        for one in block:
            behind = behind or one.name == "keepalive"
            if behind and one.name in METHODS:
                what = "keepalive has no effect: {} stands behind it and takes its place".format(one.name)
                notes.idle(size.origin, what)
                self.facts["pool_size"] = fact(0, one.origin)


def addresses(block: "Block") -> "list[str]":
    """The backends of an upstream block."""
    stated = [bare(one.args[0]) for one in block if one.name == "server" and one.block is None and one.args]
    return [one for one in stated if one]


def bare(url: str) -> str:
    """What may be told of a backend's address: unix: and a path, else what `address_of` leaves."""
    found = _URL.match(url)
    if found and found.group(1):
        return found.group(1) if found.group(1).isprintable() else ""
    text = address_of(url)
    return text if len(text) <= 300 and _SHOWN.match(text) else ""


class Ways:
    """How locations pass requests on: the facts that the way to a backend has."""

    def __init__(self, maps: "dict[str, str]", notes: "Notes") -> None:
        self._maps, self._notes = maps, notes

    def facts(self, protocol: str, scope: Scope) -> "Facts":
        """What a scope says of the way to a backend by a protocol."""
        found: "Facts" = {}
        for name, known in WAY.items():
            setting = scope.find("{}_{}".format(protocol, name))
            if setting is not None:
                found[known] = fact(setting.value, setting.origin)
        of_protocol = {"proxy": self._proxy, "fastcgi": self._fastcgi}.get(protocol)
        if of_protocol is not None:
            found.update(of_protocol(scope))
        elif protocol == "grpc":
            found["http_version"] = fact(2, "grpc_pass speaks HTTP/2")
            found["sends_close"] = fact(False, "grpc_pass speaks HTTP/2")
        elif protocol != "memcached":
            found["reuse"] = fact(False, "{} closes after each response".format(protocol))
        if protocol not in ("proxy", "grpc"):
            found["program"] = fact(NO_HTTP, protocol + "_pass")
        return found

    def _proxy(self, scope: Scope) -> "Facts":
        found: "Facts" = {}
        closes = False
        version = scope.find("proxy_http_version")
        if version is not None:
            found["http_version"] = fact(version.value, version.origin)
        for setting in scope.headers_set():
            name, value = setting.value
            if name == "connection" and not closes:
                found["sends_close"] = self._closes(value, setting.origin)
                closes = found["sends_close"]["value"]
            elif name == "upgrade" and value:
                read = scope.find("proxy_read_timeout")
                found["tunnel_timeout_s"] = (
                    fact(read.value, read.origin) if read else fact(60, "default of proxy_read_timeout")
                )
        if version is not None and version.value == 2:
            found["sends_close"] = fact(False, version.origin)
        return found

    def _closes(self, value: str, origin: str) -> "dict[str, Any]":
        """Whether a Connection header closes. A variable counts by what its map says of a request that is no upgrade;
        any other may be anything, so that the pool does serve some of the requests."""
        if value.startswith("$"):
            name = value.strip("${}")
            if name in self._maps:
                return fact(self._maps[name].lower() == "close", "{}, by the map of ${}".format(origin, name))
            return fact(False, "{}, a variable".format(origin))
        return fact(value.strip().lower() == "close", origin)

    @staticmethod
    def _fastcgi(scope: Scope) -> "Facts":
        keeps = scope.find("fastcgi_keep_conn")
        if keeps is None:
            return {"reuse": fact(False, "fastcgi_keep_conn is off by default")}
        return {} if keeps.value else {"reuse": fact(False, keeps.origin)}


def maps_of(block: "Block") -> "dict[str, str]":
    """For each variable that a map makes of $http_upgrade: its value for a request without that header."""
    found = {}
    for one in block:
        if one.name == "map" and one.block and len(one.args) == 2 and one.args[0] == "$http_upgrade":
            values = {entry.name: entry.args[0] for entry in one.block if entry.block is None and len(entry.args) == 1}
            found[one.args[1].strip("${}")] = values.get("", values.get("default", ""))
    return found


class Upstreams:
    """The upstreams of one http block: those that it defines, and those that a *_pass implies."""

    def __init__(self, block: "Block", notes: "Notes", version: "Optional[List[int]]") -> None:
        self._notes, self._version = notes, version
        self._ways = Ways(maps_of(block), notes)
        self._defined: "dict[str, Upstream]" = {}
        for one in block:
            if one.name == "upstream" and one.block is not None:
                made = Upstream(one, notes, version)
                if made.name.lower() in self._defined:
                    notes.fault(one.origin, "a second upstream of this name, which nginx refuses")
                self._defined.setdefault(made.name.lower(), made)

    def subjects(self, passes: "list[Pass]", scope: Scope) -> "Found":
        """(name, where, facts) of each upstream and of each variant of the way to it."""
        used, implied, unknown = self._sorted(passes)
        for name, upstream in self._defined.items():
            shown = upstream.name if upstream.name.isprintable() else "upstream"
            ways = self._variants(used.get(name) or unknown)
            if name not in used and len(ways) != 1:
                ways = [(self._ways.facts("proxy", scope), "")]
            for number, (way, label) in enumerate(ways):
                variant = "{} from {}".format(shown, label) if number else shown
                yield variant, upstream.origin, dict(way, **upstream.facts)
        for address, its in implied.items():
            for number, (way, label) in enumerate(self._variants(its)):
                origin = its[0].target.origin
                facts = dict(way, pool_size=fact(0, "an implicit upstream has no pool"))
                facts["addresses"] = fact([address] if address else [], origin)
                shown = address or "upstream"
                yield "{} from {}".format(shown, label) if number else shown, origin, facts

    def _sorted(self, passes: "list[Pass]") -> "tuple[dict[str, list[Pass]], dict[str, list[Pass]], list[Pass]]":
        """The passes by the upstream that they name, by the address that they imply, and those to a variable."""
        used: "dict[str, list[Pass]]" = {}
        implied: "dict[str, list[Pass]]" = {}
        unknown = []
        for one in passes:
            found = _URL.match(one.target.value)
            host = (found.group(1) or found.group(2)).lower() if found else ""
            if not host:
                unknown.append(one)
            elif host in self._defined:
                used.setdefault(host, []).append(one)
            else:
                implied.setdefault(bare(one.target.value), []).append(one)
                self._in_vain(one)
        return used, implied, unknown

    def _in_vain(self, one: "Pass") -> None:
        """Tells a location that asks for a connection that is kept, toward a backend without a pool."""
        version = one.scope.own.get("proxy_http_version")
        if one.protocol != "proxy" or version is None or (self._version or [0]) >= POOLED_BY_DEFAULT:
            return
        stated = [setting for setting in one.scope.headers if setting.value[0] == "connection"]
        if stated and all(setting.value[1] == "" for setting in stated):
            what = 'proxy_set_header Connection "" keeps none: proxy_pass names no upstream block, so there is no pool'
            self._notes.idle(stated[0].origin, what)

    def _variants(self, passes: "list[Pass]") -> "list[tuple[Facts, str]]":
        """The ways that differ in what they say, each with the first location that takes it."""
        found: "dict[str, tuple[Facts, str]]" = {}
        for one in passes:
            facts = self._ways.facts(one.protocol, one.scope)
            facts["mode"] = fact(MODES.get(one.protocol, one.protocol), one.target.origin)
            values = {name: each["value"] for name, each in facts.items()}
            found.setdefault(repr(sorted(values.items())), (facts, one.label))
        return list(found.values())
