"""The connections of a path: for each pair of ends the timers that meet on it, as `link` subjects.

A connection reaches from one end to the next; what forwards its segments in between (NAT gateways, layer 4 balancers,
firewalls, connection tracking) has a timer for its silence alone. Keepalive probes and timers of one connection say
nothing about the next one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit_tcp.errors import PathError
from audit_tcp.model import Fact, Subject
from audit_tcp.path.hops import Hop

KERNEL_KEEPALIVE = Fact(7200, "the kernel's default of net.ipv4.tcp_keepalive_time")
KERNEL_RETRIES = Fact(15, "the kernel's default")
NO_PROBES = "no SO_KEEPALIVE is stated, and the kernel's default is none"


@dataclass(frozen=True, slots=True)
class Link:
    """One connection: its two ends and the layer 4 hops between them."""

    client: Hop
    middles: tuple[Hop, ...]
    server: Hop

    @property
    def name(self) -> str:
        """`alb -> app`."""
        return f"{self.client.name} -> {self.server.name}"


def between(hops: Sequence[Hop], where: str) -> list[Link]:
    """The connections of a path, in order. Raises PathError where the hops cannot stand in this order."""
    links: list[Link] = []
    client: Hop | None = None
    middles: list[Hop] = []
    for number, hop in enumerate(hops, 1):
        here = f"{where}: hop {number} ({hop.name})"
        if not hop.ends_connections:
            if client is None:
                raise PathError(f"{here}: a path begins with what opens connections; put a client or a proxy before it")
            middles.append(hop)
            continue
        if client is not None:
            if not hop.serves:
                raise PathError(f"{here}: a client accepts no connections: it can only be the first hop")
            links.append(Link(client, tuple(middles), hop))
        middles = []
        client = hop
        if not hop.calls and number < len(hops):
            raise PathError(f"{here}: a {hop.kind.role} opens no connections: it can only be the last hop")
    if middles:
        raise PathError(f"{where}: hop {len(hops)} ({hops[-1].name}): a path ends with a server, a proxy or a database")
    return links


def subjects(links: Sequence[Link], about: Mapping[str, Fact]) -> Iterator[Subject]:
    """One `link` subject a connection; `about` are facts of the path as a whole, which each of them shares."""
    for link in links:
        facts = _facts(link, about)
        probes_elsewhere = [other.name for other in links if other is not link and _probes(other) < math.inf]
        if link.middles and probes_elsewhere:
            facts["probes_on"] = Fact(tuple(probes_elsewhere), "the other connections of this path")
        yield Subject("link", link.name, facts)


def _probes(link: Link) -> float:
    first: float = min(_number(_probe(link.client.side("upstream"))), _number(_probe(link.server.side("server"))))
    return first


def _facts(link: Link, about: Mapping[str, Fact]) -> dict[str, Fact]:
    up, down = link.client.side("upstream"), link.server.side("server")
    facts: dict[str, Fact] = {
        "client": Fact(link.client.name, "the path"),
        "client_kind": Fact(link.client.kind.name, "the path"),
        "client_role": Fact(link.client.kind.role, "the path"),
        "server": Fact(link.server.name, "the path"),
        "server_kind": Fact(link.server.kind.name, "the path"),
        "server_role": Fact(link.server.kind.role, "the path"),
        "layer4": Fact(tuple(hop.name for hop in link.middles), "the path"),
        **about,
    }
    facts |= dict(_named(up, down))
    facts.setdefault("client_validates_before_reuse", Fact(False, "nothing else is known"))
    _add_idle(facts, up, down)
    if link.middles and "answer_within_s" in about:
        facts["dead_peer_s"] = _dead_peer(up)
    if link.middles:
        _add_layer4(facts, link, _probe(up), _probe(down))
    return facts


COPIED = {
    "client": (
        "max_age_s", "evicts", "ping_interval_s", "ping_without_stream", "pings_in_request", "response_timeout_s",
        "tunnel_timeout_s", "pool_size", "validates_before_reuse",
    ),
    "server": (
        "keepalive", "min_ping_interval_s", "permit_ping_without_stream", "max_age_s", "tunnel_timeout_s",
        "request_timeout_s",
    ),
}  # fmt: skip
"""Facts of an end that a link has under the name of that end: `client_max_age_s`."""


def _named(up: Mapping[str, Fact], down: Mapping[str, Fact]) -> Iterator[tuple[str, Fact]]:
    for end, side in (("client", up), ("server", down)):
        for name in COPIED[end]:
            if name in side:
                yield f"{end}_{name}", side[name]


def _add_idle(facts: dict[str, Fact], up: Mapping[str, Fact], down: Mapping[str, Fact]) -> None:
    """How long each end keeps an idle connection, whether it does so at all, and when a pool renews it."""
    idle, server_idle = _client_idle(up, down), _server_idle(down, facts)
    reuse = up.get("reuse") or (Fact(idle.value != 0, idle.origin) if idle else None)
    if reuse:
        facts["client_reuses"] = reuse
    if idle and (reuse is None or reuse.value):
        facts["client_idle_s"] = idle
    if server_idle:
        facts["server_idle_s"] = server_idle
        keeps = facts.get("server_keepalive", Fact(server_idle.value != 0, server_idle.origin))
        facts["server_keepalive"] = keeps
        facts["server_closes"] = Fact(bool(keeps.value) and server_idle.value != math.inf, server_idle.origin)
    renewed = _least(up.get("max_age_s"), up.get("ping_interval_s"))
    if renewed:
        facts["client_renews_s"] = renewed
    if "client_idle_s" in facts and server_idle:
        ordered = _number(server_idle) > _number(facts["client_idle_s"])
        facts["idle_ordered"] = Fact(ordered, "server_idle_s > client_idle_s")


def _client_idle(up: Mapping[str, Fact], down: Mapping[str, Fact]) -> Fact | None:
    """When the client's pool gives an idle connection up; a client that obeys the server's hint does it before that."""
    idle, told = up.get("idle_timeout_s"), down.get("advertised_idle_s")
    if told is None or "honours_hint" not in up or not up["honours_hint"].value:
        return idle
    buffer = _number(up["hint_buffer_s"]) if "hint_buffer_s" in up else 0
    hint = Fact(max(_number(told) - buffer, 0), f"the server's Keep-Alive header, {told.origin}")
    if "hint_replaces" in up and up["hint_replaces"].value:
        return _least(hint, up.get("hint_max_s"))
    return _least(idle, hint)


def _server_idle(down: Mapping[str, Fact], facts: Mapping[str, Fact]) -> Fact | None:
    """HTTP/2 has a timer of its own in some servers; a path says `http2 = true` of such a hop."""
    if "http2" in down and down["http2"].value and "h2_idle_timeout_s" in down:
        return down["h2_idle_timeout_s"]
    return down.get("idle_timeout_s")


def _probe(side: Mapping[str, Fact]) -> Fact:
    """When one end sends its first keepalive probe on an idle connection."""
    if "first_probe_s" in side:
        return side["first_probe_s"]
    if "so_keepalive" not in side:
        return Fact(math.inf, NO_PROBES)
    if not side["so_keepalive"].value:
        return Fact(math.inf, side["so_keepalive"].origin)
    return side.get("keepidle_s") or KERNEL_KEEPALIVE


def _add_layer4(facts: dict[str, Fact], link: Link, *probes: Fact) -> None:
    known = "middle.idle_timeout_s"
    timers = [(hop, hop.facts[known]) for hop in link.middles if known in hop.facts]
    if not timers:
        return
    shortest, limit = min(timers, key=lambda one: _number(one[1]))
    facts["layer4_idle_s"] = Fact(limit.value, f"{shortest.name}, {limit.origin}")
    facts["layer4_kind"] = Fact(shortest.kind.name, "the path")
    facts["layer4_timers_s"] = Fact(tuple(_number(fact) for _, fact in timers), "the path")
    facts["layer4_timed"] = Fact(tuple(hop.name for hop, _ in timers), "the path")
    _add_conntrack(facts, timers)
    probe = _least(*probes)
    assert probe is not None
    facts["first_probe_s"] = probe
    facts["probes"] = Fact(probe.value != math.inf, probe.origin)
    idle = facts.get("client_idle_s") if _true(facts, "client_reuses", True) else None
    server_idle = facts.get("server_idle_s") if _true(facts, "server_keepalive", True) else None
    retired = facts.get("client_max_age_s") if _true(facts, "client_evicts", False) else None
    pings = facts.get("client_ping_interval_s") if _true(facts, "client_ping_without_stream", True) else None
    quiet = _least(probe, idle, server_idle, retired, pings)
    certain = "client_idle_s" in facts or not _true(facts, "client_reuses", True)
    if quiet and (certain or _number(quiet) < _number(limit)):
        facts["silence_s"] = quiet
    if "silence_s" in facts:
        facts["flow_kept"] = Fact(_number(facts["silence_s"]) < _number(limit), facts["silence_s"].origin)
    if "slowest_response_s" in facts:
        pings = facts.get("client_ping_interval_s") if _true(facts, "client_pings_in_request", True) else None
        waits = _least(probe, facts["slowest_response_s"], pings)
        facts["request_silence_s"] = waits or facts["slowest_response_s"]


def _dead_peer(up: Mapping[str, Fact]) -> Fact:
    """When a write into a connection that nobody answers fails: by the client's own timers, else by tcp_retries2."""
    retries = up.get("tcp_retries2", KERNEL_RETRIES)
    lasting = sum(min(0.2 * 2**number, 120) for number in range(min(int(_number(retries)), 100) + 1))
    own = _least(up.get("user_timeout_s"), up.get("response_timeout_s"))
    kernel = Fact(round(lasting, 1), f"tcp_retries2 = {_number(retries)}, {retries.origin}")
    return min(own or kernel, kernel, key=_number)


def _add_conntrack(facts: dict[str, Fact], timers: Iterable[tuple[Hop, Fact]]) -> None:
    """The timers of a layer 4 balancer and of the connection tracking of the instance behind it."""
    for hop, fact in timers:
        kind = hop.facts.get("middle.kind_of")
        if kind and kind.value in ("balancer", "conntrack"):
            facts.setdefault(f"{kind.value}_idle_s", fact)


def _true(facts: Mapping[str, Fact], name: str, otherwise: bool) -> bool:
    return bool(facts[name].value) if name in facts else otherwise


def _number(fact: Fact) -> Any:
    return fact.value


def _least(*facts: Fact | None) -> Fact | None:
    known = [fact for fact in facts if fact is not None]
    return min(known, key=_number) if known else None
