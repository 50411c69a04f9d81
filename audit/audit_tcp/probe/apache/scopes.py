"""The main server and the virtual hosts of an httpd: what each says, what it inherits, and its `server` subject."""

import re

from .. import servers
from . import values as apache_values
from .syntax import MOST_PROBLEMS
from .values import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Optional, Tuple

    from ..servers import Facts
    from .words import Directive, Section

    Address = Tuple[str, Optional[int]]
    Stated = Tuple[Any, str]

MOST_HOSTS = 3000
"""Virtual hosts that are judged; the rest is told as unread."""

TIMEOUT = 60
"""Seconds of TimeOut where nothing is said."""

KEEPALIVE_TIMEOUT = 5
"""Seconds of KeepAliveTimeout where nothing is said."""

_ADDRESS = r"(\[[0-9A-Fa-f:.%]{1,60}\]|[A-Za-z0-9._*-]{1,255}?)(?::([0-9]{1,5}|\*))?$"
_NAME = r"(?:[A-Za-z]{1,10}://)?([A-Za-z0-9._*-]{1,255}|\[[0-9A-Fa-f:.]{1,60}\])(?::[0-9]{1,5})?$"

EVERYWHERE = ("*", "_default_", "0.0.0.0", "[::]")  # noqa: S104 - read, not bound to

TITLES = {
    "keepalive": "KeepAlive",
    "keepalivetimeout": "KeepAliveTimeout",
    "maxkeepaliverequests": "MaxKeepAliveRequests",
    "timeout": "TimeOut",
    "proxytimeout": "ProxyTimeout",
    "requestreadtimeout": "RequestReadTimeout",
    "listenbacklog": "ListenBackLog",
    "listen": "Listen",
}

PARSERS: "dict[str, Callable[[str], Any]]" = {
    "keepalive": apache_values.flag,
    "keepalivetimeout": apache_values.duration,
    "maxkeepaliverequests": apache_values.requests,
    "timeout": apache_values.whole,
    "proxytimeout": apache_values.at_least_one,
    "listenbacklog": apache_values.at_least_one,
}
"""Directives of a server with one value; of KeepAlive's words httpd reads the first alone."""

UNITLESS = ("timeout", "proxytimeout")


def address(word: str) -> "Optional[Address]":
    """Host and port of `*:80`, `[::1]:80`, `www`, or None; an address for all is `*`, every port is None."""
    found = re.match(_ADDRESS, word)
    if found is None:
        return None
    host = "*" if found.group(1).lower() in EVERYWHERE else found.group(1).lower()
    port = found.group(2)
    return host, None if port in (None, "*") else int(port)


def written(place: "Address") -> str:
    """`*:80`."""
    return "{}:{}".format(place[0], "*" if place[1] is None else place[1])


class Scope:
    """One server: what it states itself, over what `main` states."""

    def __init__(self, section: "Optional[Section]", main: "Optional[Scope]") -> None:
        self.section, self.main = section, main
        self.own: "Dict[str, Stated]" = {}
        self.stages: "Dict[str, Tuple[apache_values.Stage, str]]" = {}
        self.environment: "Dict[str, str]" = {}
        self.name = ""
        found = [address(word) for word in section.words] if section else []
        self.addresses: "list[Address]" = [one for one in found if one is not None]

    def stated(self, name: str) -> "Optional[Stated]":
        """The value in force and its place; a 0 in a virtual host stands for the main server's value."""
        own = self.own.get(name)
        if own is not None and not (self.main and own[0] == 0 and name in ("timeout", "keepalivetimeout")):
            return own
        return self.main.own.get(name) if self.main else None

    def stage(self, name: str) -> "Optional[Tuple[apache_values.Stage, str]]":
        """What RequestReadTimeout says of a stage."""
        return self.stages.get(name) or (self.main.stages.get(name) if self.main else None)


class Servers:
    """All servers of one httpd, built from directives in their order."""

    def __init__(self, problem: "Callable[[str, str], None]", reads_timed: str) -> None:
        self._problem = problem
        self._reads_timed = reads_timed
        self.main = Scope(None, None)
        self.hosts: "Dict[int, Scope]" = {}
        self.unit_traps: "list[str]" = []
        self.no_effect: "list[str]" = []
        self._listens: "Dict[Address, str]" = {}
        self._ports: "Dict[Optional[int], list[Address]]" = {}
        self._bases: "Dict[Address, Scope]" = {}

    def scope(self, section: "Optional[Section]") -> "Optional[Scope]":
        """The scope of a virtual host, the main one for None; None for one host too many."""
        return self.main if section is None else self.hosts.get(id(section))

    def trap(self, text: str) -> None:
        """Records a unit that says something else than it seems."""
        if len(self.unit_traps) < MOST_PROBLEMS:
            self.unit_traps.append(text)

    def idle(self, text: str) -> None:
        """Records a setting that does nothing."""
        if len(self.no_effect) < MOST_PROBLEMS:
            self.no_effect.append(text)

    # reading

    def open(self, one: "Directive") -> None:
        """<VirtualHost …>. Raises Refused."""
        section = one.section
        if section is None:
            return None
        if section.parent is not None:
            self._problem(one.place, "<VirtualHost> within another section")
        if len(self.hosts) >= MOST_HOSTS:
            return self._problem(one.place, "more than {} virtual hosts".format(MOST_HOSTS))
        scope = self.hosts[id(section)] = Scope(section, self.main)
        for place in scope.addresses:
            self._bases.setdefault(place, scope)
        if not scope.addresses or len(scope.addresses) < len(section.words):
            raise Refused("has an argument that is no address")
        return None

    def set(self, one: "Directive", scope: Scope) -> None:
        """A directive of a server. Raises Refused."""
        if one.name == "requestreadtimeout":
            for name, stage in apache_values.stages(one.words).items():
                scope.stages[name] = (stage, one.place)
        elif one.name == "servername":
            found = re.match(_NAME, one.words[0]) if one.words else None
            scope.name = found.group(1) if found else ""
        elif one.name == "listen":
            self._listen(one)
        else:
            self._set(one, scope)

    def _set(self, one: "Directive", scope: Scope) -> None:
        if not one.words or one.words[0] == "" or (len(one.words) > 1 and one.name != "keepalive"):
            raise Refused("takes one argument")
        word = one.words[0]
        value = PARSERS[one.name](word)
        scope.own[one.name] = (value, one.place)
        title = TITLES[one.name]
        long = one.name == "keepalivetimeout" and value > apache_values.LONG_KEEPALIVE and word.isdigit()
        if long or (one.name in UNITLESS and apache_values.has_unit(word)):
            self.trap("{}: {} {} means {} s".format(one.place, title, apache_values.shown(word), value))
        if scope.main and value == 0 and one.name in ("timeout", "keepalivetimeout"):
            self.idle("{}: {} 0 has no effect: in a virtual host it means the main server's".format(one.place, title))

    def _listen(self, one: "Directive") -> None:
        word = one.words[0] if one.words else ""
        found = address("*:" + word if word.isdigit() else word)
        if found is None or found[1] is None or not 0 < found[1] < 65536:
            raise Refused("names no port")
        if found not in self._listens:
            self._listens[found] = one.place
            self._ports.setdefault(found[1], []).append(found)

    # subjects

    def subjects(self) -> "Iterator[tuple[str, str, Facts]]":
        """(name, place, facts) of each server that a connection can reach, the main server first."""
        for listen, where in self._listens.items():
            host, port = listen
            if not any(one in self._bases for one in (listen, (host, None), ("*", port), ("*", None))):
                yield (
                    "{} (main server)".format(written(listen)),
                    where,
                    self._facts(self.main, self.main, [listen], where),
                )
        for scope in self.hosts.values():
            if scope.section is None:
                continue
            address = written(scope.addresses[0]) if scope.addresses else "?"
            name = "{} {}".format(address, scope.name).strip()
            place = scope.section.place
            bases = [self._bases[one] for one in scope.addresses] or [scope]
            base = min(bases, key=lambda one: _number(one.stated("keepalivetimeout")))
            yield name, place, self._facts(scope, base, self._listening(scope), place)
        self._useless()

    def _listening(self, scope: Scope) -> "list[Address]":
        found: "Dict[Address, None]" = {}
        for host, port in scope.addresses[:50]:
            ports = self._listens if port is None else self._ports.get(port, ())
            found.update((one, None) for one in ports if host in ("*", one[0]) or one[0] == "*")
        return list(found)[:50] or scope.addresses[:50]

    def _facts(self, scope: Scope, base: Scope, listens: "list[Address]", where: str) -> "Facts":
        facts = {"mode": servers.fact("http", where)}
        if listens:
            facts["listen"] = servers.fact([written(one) for one in listens], where)
        facts.update(_keepalive(scope, base))
        for fact, name in (("max_requests", "maxkeepaliverequests"), ("send_timeout_s", "timeout")):
            stated = scope.stated(name)
            if stated:
                facts[fact] = servers.fact(*stated)
        backlog = self.main.own.get("listenbacklog")
        if backlog:
            facts["backlog"] = servers.fact(*backlog)
        facts.update(self._reading(scope, base))
        return facts

    def _reading(self, scope: Scope, base: Scope) -> "Facts":
        """How long a silent client is waited for; RequestReadTimeout and TimeOut both bound it, the shorter one first.

        The former, and the header's TimeOut, are those of the address's first virtual host: the others are not known
        until the header is read.
        """
        facts = {}
        for stage, timeout in (("header", base.stated("timeout")), ("body", scope.stated("timeout"))):
            stated = base.stage(stage) if self._reads_timed else None
            if stated is None and self._reads_timed:
                stated = (apache_values.DEFAULT_STAGES[stage], self._reads_timed)
            bounds = [timeout] if timeout else []
            if stated and stated[0].first and stated[0].first < (timeout[0] if timeout else TIMEOUT):
                bounds = [(stated[0].first, stated[1])]
            if bounds:
                facts[stage + "_timeout_s"] = servers.fact(*bounds[0])
            if stage == "body" and stated and stated[0].last:
                facts["request_timeout_s"] = servers.fact(stated[0].last, stated[1])
        return facts

    def _useless(self) -> None:
        """What keep-alive settings do nothing because KeepAlive is Off where they stand."""
        kept = any(_is_kept(one) for one in self.hosts.values())
        leads = {
            id(self._bases[place])
            for one in self.hosts.values()
            for place in one.addresses
            if self._bases[place] is not one
        }
        for scope in [self.main, *self.hosts.values()]:
            if _is_kept(scope) or (scope is self.main and kept):
                continue
            for name in ("keepalivetimeout", "maxkeepaliverequests"):
                if name in scope.own and not (name == "keepalivetimeout" and id(scope) in leads):
                    self.idle("{}: {} has no effect: KeepAlive is Off".format(scope.own[name][1], TITLES[name]))


def _number(stated: "Optional[Stated]") -> float:
    return float(stated[0] if stated else KEEPALIVE_TIMEOUT)


def _is_kept(scope: Scope) -> bool:
    stated = scope.stated("keepalive")
    return stated is None or bool(stated[0])


def _keepalive(scope: Scope, base: Scope) -> "Facts":
    """The idle timer of a server and what it tells clients.

    A virtual host that has no KeepAliveTimeout of its own closes by that of the first one on its address, and still
    announces the one that it inherits from the main server.
    """
    facts = {}
    on, told = scope.stated("keepalive"), scope.stated("keepalivetimeout")
    if on:
        facts["keepalive"] = servers.fact(*on)
    if on and not on[0]:
        facts["idle_timeout_s"] = servers.fact(0, on[1])
    elif told and not told[0]:
        facts["idle_timeout_s"] = servers.fact(0, told[1])
        facts["keepalive"] = servers.fact(False, told[1])
    else:
        idle = told if "keepalivetimeout" in scope.own else base.stated("keepalivetimeout")
        if idle:
            facts["idle_timeout_s"] = servers.fact(*idle)
        seconds, where = told or (KEEPALIVE_TIMEOUT, "default of KeepAliveTimeout")
        facts["advertised_idle_s"] = servers.fact(int(seconds), where)
    return facts
