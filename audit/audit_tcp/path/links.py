"""The connections of a path: for each pair of ends the timers that meet on it, as `link` subjects.

A connection reaches from one end to the next; what forwards its segments in between (NAT gateways, layer 4 balancers,
firewalls, connection tracking) has a timer for its silence alone. Keepalive probes and timers of one connection say
nothing about the next one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit_tcp import servers
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


def between(hops: Sequence[Hop], where: str, places: Sequence[str] = ()) -> list[Link]:
    """The connections of a path, in order. Raises PathError where the hops cannot stand in this order."""
    links: list[Link] = []
    client: Hop | None = None
    middles: list[Hop] = []
    for number, hop in enumerate(hops, 1):
        here = f"{places[number - 1] if places else where}: hop {number} ({hop.name})"
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
        raise PathError(f"{here}: a path ends with a server, a proxy or a database")
    return links


def subjects(links: Sequence[Link], about: Mapping[str, Fact]) -> Iterator[Subject]:
    """One `link` subject a connection; `about` are facts of the path as a whole, which each of them shares."""
    for link in links:
        facts = _facts(link, about)
        probing = [other.name for other in links if other is not link and _number(_first_probe(other)) < math.inf]
        if link.middles and probing:
            facts["probes_on"] = Fact(tuple(probing), "the other connections of this path")
        yield Subject("link", link.name, facts)


def _facts(link: Link, about: Mapping[str, Fact]) -> dict[str, Fact]:
    up, down = link.client.side("upstream"), link.server.side("server")
    facts: dict[str, Fact] = {
        "client": Fact(link.client.name, HERE),
        "client_kind": Fact(link.client.kind.name, HERE),
        "client_role": Fact(link.client.kind.role, HERE),
        "server": Fact(link.server.name, HERE),
        "server_kind": Fact(link.server.kind.name, HERE),
        "server_role": Fact(link.server.kind.role, HERE),
        "layer4": Fact(tuple(hop.name for hop in link.middles), HERE),
        **about,
    }
    facts |= {f"client_{name}": Fact(False, UNSTATED) for name in ASSUMED if name not in up}
    facts |= {f"client_{name}": up[name] for name in COPIED["client"] if name in up}
    facts |= {f"server_{name}": down[name] for name in COPIED["server"] if name in down}
    _add_client(facts, up, down)
    _add_server(facts, link, down)
    timers = [(hop, hop.facts[MEMORY]) for hop in link.middles if MEMORY in hop.facts]
    if timers:
        _add_memory(facts, timers)
        _add_silence(facts, _first_probe(link))
    if link.middles and "answer_within_s" in about:
        facts["dead_peer_s"] = _dead_peer(up)
    return facts


HERE = "the path"

UNSTATED = "nothing else is known"

MEMORY = "middle.idle_timeout_s"
"""How long a layer 4 hop remembers a silent flow."""

ASSUMED = ("validates_before_reuse", "pings_before_reuse")
"""What no client does unless it is known of it."""

COPIED = {
    "client": (
        "max_age_s", "evicts", "ping_interval_s", "ping_without_stream", "pings_in_request", "response_timeout_s",
        *ASSUMED,
    ),
    "server": (
        "keepalive", "min_ping_interval_s", "permit_ping_without_stream", "tunnel_timeout_s", "request_timeout_s",
    ),
}  # fmt: skip
"""Facts of an end that a link has under the name of that end: `client_max_age_s`."""


def _add_client(facts: dict[str, Fact], up: Mapping[str, Fact], down: Mapping[str, Fact]) -> None:
    """How long the client keeps an idle connection, whether it does so at all, and when it renews one."""
    idle = _client_idle(up, down)
    reuse = up.get("reuse") or (Fact(idle.value != 0, idle.origin) if idle else None)
    if reuse:
        facts["client_reuses"] = reuse
    if idle and (reuse is None or reuse.value):
        facts["client_idle_s"] = idle
    renewed = _least(up.get("max_age_s"), up.get("ping_interval_s"), facts.get("client_idle_s"))
    if renewed:
        facts["client_renews_s"] = renewed


HINT = "the server's Keep-Alive header"
"""How the origin of a client's timer begins that the server decides."""


def _client_idle(up: Mapping[str, Fact], down: Mapping[str, Fact]) -> Fact | None:
    """When the client's pool gives an idle connection up; a client that obeys the server's hint does it by that."""
    idle, told = up.get("idle_timeout_s"), down.get("advertised_idle_s")
    if told is None or "honours_hint" not in up or not up["honours_hint"].value:
        return idle
    buffer = _number(up["hint_buffer_s"]) if "hint_buffer_s" in up else 0
    hint = Fact(max(_number(told) - buffer, 0), f"{HINT}, {told.origin}")
    if "hint_replaces" in up and up["hint_replaces"].value:
        return _least(hint, up.get("hint_max_s"))
    return _least(idle, hint)


def _add_server(facts: dict[str, Fact], link: Link, down: Mapping[str, Fact]) -> None:
    """How long the server keeps an idle connection, and whether it is the one that closes."""
    idle = down.get(idle_fact(link)) or _either(link.server, facts)
    if idle is None:
        return
    facts["server_idle_s"] = idle
    keeps = facts.setdefault("server_keepalive", Fact(idle.value != 0, idle.origin))
    facts["server_closes"] = Fact(bool(keeps.value) and idle.value != math.inf, idle.origin)


def idle_fact(link: Link) -> str:
    """The fact that says how long the server keeps this connection: HTTP/2 has a timer of its own in some."""
    up, down = link.client.side("upstream"), link.server.side("server")
    spoken = up["http_version"].value if "http_version" in up else math.inf
    speaks_http2 = "http2" in down and bool(down["http2"].value) and isinstance(spoken, int | float) and spoken >= 2
    return "h2_idle_timeout_s" if speaks_http2 and "h2_idle_timeout_s" in down else "idle_timeout_s"


def _either(server: Hop, facts: Mapping[str, Fact]) -> Fact | None:
    """A default that changed with a version that is not known, where every value leads to the same order."""
    default = server.kind.defaults.get("server.idle_timeout_s")
    if default is None or server.version is not None or "client_idle_s" not in facts:
        return None
    values: list[Any] = [value for _, value in default.values]
    late = _number(facts["client_idle_s"]) + MARGIN_S
    if (min(values) >= late) != (max(values) >= late):
        return None
    either = " or ".join(f"{value:g}" for value in sorted(set(values)))
    origin = f"{servers.BY_DEFAULT}{server.kind.title} of any version: {either}"
    return Fact(max(values), origin)


MARGIN_S = 1
"""What rules/ordering.toml adds to the client's timer."""


def _first_probe(link: Link) -> Fact:
    """When either end sends its first keepalive probe on an idle connection."""
    return min(_probe(link.client.side("upstream")), _probe(link.server.side("server")), key=_number)


def _probe(side: Mapping[str, Fact]) -> Fact:
    if "first_probe_s" in side:
        return side["first_probe_s"]
    if "so_keepalive" not in side:
        stated = side.get("keepidle_s")
        return stated if stated and not stated.origin.startswith(servers.BY_DEFAULT) else Fact(math.inf, NO_PROBES)
    if not side["so_keepalive"].value:
        return Fact(math.inf, side["so_keepalive"].origin)
    return side.get("keepidle_s") or KERNEL_KEEPALIVE


def _add_memory(facts: dict[str, Fact], timers: Sequence[tuple[Hop, Fact]]) -> None:
    """How long the hops of layer 4 remember a silent flow: each, the shortest, and a balancer beside what tracks it."""
    shortest, limit = min(timers, key=lambda one: _number(one[1]))
    facts["layer4_idle_s"] = Fact(limit.value, f"{shortest.name}, {limit.origin}")
    facts["layer4_kind"] = Fact(shortest.kind.name, HERE)
    facts["layer4_timers_s"] = Fact(tuple(_number(fact) for _, fact in timers), HERE)
    facts["layer4_timed"] = Fact(tuple(hop.name for hop, _ in timers), HERE)
    behind: list[Fact] = []
    for hop, fact in timers:
        kind = hop.facts["middle.kind_of"].value if "middle.kind_of" in hop.facts else ""
        if kind == "balancer":
            facts["balancer_idle_s"], behind = fact, []
        elif kind == "conntrack" and "balancer_idle_s" in facts:
            behind.append(fact)
    if behind:
        facts["conntrack_idle_s"] = min(behind, key=_number)


def _add_silence(facts: dict[str, Fact], probe: Fact) -> None:
    """How long nothing flows: on an idle connection, in a request, and in a tunnel."""
    facts["first_probe_s"] = probe
    facts["probes"] = Fact(probe.value != math.inf, probe.origin)
    retired = facts.get("client_max_age_s") if _true(facts, "client_evicts", False) else None
    pings = facts.get("client_ping_interval_s") if _true(facts, "client_ping_without_stream", True) else None
    quiet = _least(probe, facts.get("client_idle_s"), facts.get("server_idle_s"), retired, pings)
    limit = _number(facts["layer4_idle_s"])
    kept = _true(facts, "client_reuses", True) and _true(facts, "server_keepalive", True)
    if quiet and kept and ("client_idle_s" in facts or _number(quiet) < limit):
        facts["silence_s"] = quiet
        facts["flow_kept"] = Fact(_number(quiet) < limit, quiet.origin)
    if "slowest_response_s" in facts:
        pings = facts.get("client_ping_interval_s") if _true(facts, "client_pings_in_request", True) else None
        facts["request_silence_s"] = _least(probe, facts["slowest_response_s"], pings) or probe
    if "ping_interval_s" in facts:
        facts["tunnel_silence_s"] = _least(probe, facts["ping_interval_s"]) or probe


def _dead_peer(up: Mapping[str, Fact]) -> Fact:
    """When a write into a connection that nobody answers fails: by TCP_USER_TIMEOUT, which replaces tcp_retries2, or by
    that; the client's own timer for the answer ends it before. A TCP_USER_TIMEOUT of 0 is none."""
    retries = up.get("tcp_retries2", KERNEL_RETRIES)
    number = int(min(_number(retries), MOST_RETRIES))
    lasting = sum(min(0.2 * 2**count, 120) for count in range(number + 1))
    given_up = Fact(round(lasting, 1), f"tcp_retries2 = {_number(retries)}, {retries.origin}")
    if "user_timeout_s" in up and up["user_timeout_s"].value not in (0, math.inf):
        given_up = up["user_timeout_s"]
    return _least(given_up, up.get("response_timeout_s")) or given_up


MOST_RETRIES = 255
"""The kernel's own limit of tcp_retries2."""


def _true(facts: Mapping[str, Fact], name: str, otherwise: bool) -> bool:
    return bool(facts[name].value) if name in facts else otherwise


def _number(fact: Fact) -> Any:
    return fact.value


def _least(*facts: Fact | None) -> Fact | None:
    known = [fact for fact in facts if fact is not None]
    return min(known, key=_number) if known else None
