"""The facts of HAProxy's frontends and backends, each resolved to the line that gives it.

Measured on 2.6: an idle HTTP/1 connection ends at the first of `timeout client` and the keep-alive timer, and never
where no `timeout client` is set, whatever the keep-alive timer says; HTTP/2 takes the keep-alive timer alone. In TCP
mode `timeout tunnel` replaces both sides' timers, else the first of `timeout client` and `timeout server` ends it; a
connection that goes on in HTTP (`switch-mode http`, an HTTP backend) has the idle timer of HTTP. `timeout client`
bounds no header: each byte starts it anew, so that only `timeout http-request` ends one that drips.
"""

from ..servers import UNLIMITED, fact, seconds
from . import values as haproxy_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .proxies import Proxy, Report
    from .settings import Setting

    Facts = Dict[str, Any]
    Timer = Tuple[Any, str]

MOST_ADDRESSES = 200
"""Addresses of one frontend or backend that are listed."""


class Proxies:
    """Every proxy of an instance, to look up who uses whom."""

    def __init__(self, proxies: "List[Proxy]", maxconn: "Optional[Setting]") -> None:
        self.all, self.maxconn = proxies, maxconn
        self._backs: "Dict[str, Proxy]" = {}
        for one in proxies:
            if one.faces_servers:
                self._backs.setdefault(one.name, one)
        self._users: "Dict[str, List[Proxy]]" = {}
        for one in proxies:
            if one.faces_clients:
                for name in _backends(one):
                    self._users.setdefault(name, []).append(one)

    def back(self, front: "Proxy") -> "Optional[Proxy]":
        """The backend that a frontend uses by default; of a listen section itself."""
        if front.kind == "listen" and (front.servers or "default_backend" not in front.settings):
            return front
        chosen = front.settings.get("default_backend")
        return self._backs.get(chosen.value) if chosen else None

    def users(self, back: "Proxy") -> "List[Proxy]":
        """The frontends that name a backend."""
        return self._users.get(back.name, [])

    def upgrades(self, front: "Proxy") -> bool:
        """Whether connections that begin in TCP mode go on in HTTP."""
        back = self.back(front) if front.faces_clients else None
        return front.mode == "tcp" and (front.switches or (back is not None and back.mode == "http"))


def _backends(front: "Proxy") -> "List[str]":
    chosen = front.settings.get("default_backend")
    named = list(dict.fromkeys(front.uses + ([chosen.value] if chosen else [])))
    return [name for name in named if front.kind != "listen" or name != front.name]


def timer(proxy: "Proxy", *names: str) -> "Optional[Timer]":
    """The first of the timers that is set, 0 counts as unset; with its origin."""
    for name in names:
        found = proxy.settings.get("timeout " + name)
        if found is not None and found.value:
            return seconds(found.value / 1000.0), found.where
    return None


def endless(proxy: "Proxy", name: str) -> "Timer":
    """A timer that a proxy must have so that it ends anything."""
    zero = proxy.settings.get("timeout " + name)
    where = zero.where if zero is not None else proxy.where
    return timer(proxy, name) or (UNLIMITED, "{}: no timeout {}".format(where, name))


def _first(*timers: "Optional[Timer]") -> "Optional[Timer]":
    given = [one for one in timers if one is not None]
    ending = [one for one in given if one[0] != UNLIMITED]
    return min(ending, key=lambda one: one[0]) if ending else (given[0] if given else None)


def put(facts: "Facts", name: str, found: "Optional[Timer]") -> None:
    if found is not None:
        facts[name] = fact(found[0], found[1])


def server(front: "Proxy", proxies: Proxies, report: "Report") -> "Facts":
    """What a frontend shows to its clients."""
    mode = front.settings.get("mode")
    facts: "Facts" = {"mode": fact(front.mode, mode.where if mode else "HAProxy's own default")}
    _listens(front, proxies, report, facts)
    client = endless(front, "client")
    if front.mode == "http":
        _http(front, client, facts)
    for name in ("body_timeout_s", "send_timeout_s"):
        put(facts, name, client)
    back = proxies.back(front)
    tunnel = timer(back, "tunnel") if back else None
    put(facts, "tunnel_timeout_s", tunnel)
    if proxies.upgrades(front):
        _idle(front, client, facts)
    elif front.mode == "tcp":
        put(facts, "idle_timeout_s", tunnel or _first(client, timer(back, "server") if back else None))
        if back and not tunnel:
            put(facts, "backend_timeout_s", endless(back, "server"))
    probes(front, "cli", facts)
    return facts


def _idle(front: "Proxy", client: "Timer", facts: "Facts") -> None:
    """When an idle connection ends that speaks HTTP."""
    mode = front.settings.get("http mode")
    waits = None if client[0] == UNLIMITED else timer(front, "http-keep-alive", "http-request")
    idle = _first(client, waits)
    if mode is not None and mode.value == "httpclose":
        facts["idle_timeout_s"] = fact(0, mode.where)
        facts["keepalive"] = fact(False, mode.where)
    else:
        put(facts, "idle_timeout_s", idle)
        if waits and idle and waits[0] != idle[0]:
            put(facts, "h2_idle_timeout_s", waits)
        if mode is not None:
            facts["keepalive"] = fact(True, mode.where)


def _http(front: "Proxy", client: "Timer", facts: "Facts") -> None:
    _idle(front, client, facts)
    request = endless(front, "http-request")
    if client[0] == UNLIMITED:
        put(facts, "header_timeout_s", client)
    elif request[0] == UNLIMITED:
        facts["header_timeout_s"] = fact(UNLIMITED, request[1] + ": a byte now and then keeps it open")
    else:
        put(facts, "header_timeout_s", _first(client, request))
        if buffers(front):
            put(facts, "request_timeout_s", request)


def buffers(proxy: "Proxy") -> bool:
    """Whether it waits for the body of a request, for as long as `timeout http-request`."""
    found = proxy.settings.get("option http-buffer-request")
    return found is not None and bool(found.value)


def _listens(front: "Proxy", proxies: Proxies, report: "Report", facts: "Facts") -> None:
    places: "List[str]" = []
    backlogs: "List[Tuple[int, str]]" = []
    asked = [one for one in map(front.settings.get, ("backlog", "maxconn")) if one is not None and one.value > 0]
    limit = asked[0] if asked else proxies.maxconn
    backlog = front.settings.get("backlog")
    stated = backlog is not None and backlog.value > 0
    for line, words in front.binds:
        where = front.place(line)
        try:
            places.extend(haproxy_values.bound(words[1] if len(words) > 1 else "")[:MOST_ADDRESSES])
            own = _parameter(words, "backlog") or (None if stated else _parameter(words, "maxconn"))
        except haproxy_values.Refused as error:
            report.refuse(where, "bind: {}".format(error))
            continue
        if own:
            backlogs.append((own, where))
        elif limit is not None and limit.value > 0:
            backlogs.append((limit.value, limit.where))
    places = list(dict.fromkeys(places))[:MOST_ADDRESSES]
    if places:
        facts["listen"] = fact(places, front.place(front.binds[0][0]))
    if backlogs:
        put(facts, "backlog", min(backlogs))


def _parameter(words: "List[str]", name: str) -> int:
    if name not in words[2:]:
        return 0
    at = words.index(name, 2)
    return haproxy_values.count(words[at + 1] if at + 1 < len(words) else "")


def probes(proxy: "Proxy", side: str, facts: "Facts") -> None:
    """The facts of TCP keepalive on one side, `cli` or `srv`; a 0 leaves the kernel's value."""
    for name, key in (
        ("keepidle_s", side + "tcpka-idle"),
        ("keepintvl_s", side + "tcpka-intvl"),
        ("keepcnt", side + "tcpka-cnt"),
    ):
        found = proxy.settings.get(key)
        if found is not None and found.value > 0:
            facts[name] = fact(found.value, found.where)
    on = proxy.settings.get("option {}tcpka".format(side))
    if on is not None:
        facts["so_keepalive"] = fact(on.value, on.where)
