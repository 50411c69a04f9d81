"""What to do about a finding of a path: which end to change, by the name that its product has, to what value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from audit_tcp.catalog import Setting
from audit_tcp.model import Fact, Finding
from audit_tcp.path import links
from audit_tcp.path.hops import Hop
from audit_tcp.servers import BY_DEFAULT

ENDS = {
    "server_idle_s": ("server", "server.idle_timeout_s", "the idle timeout"),
    "client_idle_s": ("client", "upstream.idle_timeout_s", "the idle timeout of the pool"),
    "client_renews_s": ("client", "upstream.max_age_s", "the lifetime in the pool"),
    "client_ping_interval_s": ("client", "upstream.ping_interval_s", "the interval of pings"),
    "server_min_ping_interval_s": ("server", "server.min_ping_interval_s", "the shortest interval of pings"),
}
"""Facts of a link that somebody can change: at which end, the fact there, and what to call it."""

SILENT = ("silence_s", "request_silence_s", "tunnel_silence_s", "first_probe_s")
"""Facts of a link that keepalive probes shorten."""

ROOM = 5
"""Seconds of margin that the advice gives: the two ends start their clocks at different moments."""

LEAST = {"client": 4, "proxy": 10}
"""Seconds of the backend's timer below which no advice asks the caller to go lower still, by the caller's role."""

UNITS = {0.001: " ms", 1.0: " s", 60.0: " min", 3600.0: " h"}


def advised(finding: Finding, hops: Mapping[str, Hop]) -> Finding:
    """The finding with a note that says what to set, where something can be named."""
    if finding.verdict != "fail":
        return finding
    changes = list(_of_link(finding, hops) if finding.subject.kind == "link" else _of_end(finding, hops))
    return replace(finding, note=" or ".join(changes)) if changes else finding


def _of_link(finding: Finding, hops: Mapping[str, Hop]) -> Iterator[str]:
    rule, facts = finding.rule, finding.subject.facts
    if rule.fact in SILENT:
        yield from _probes(facts, hops)
    elif rule.than in ENDS and rule.fact in ENDS:
        raised, lowered = (rule.than, rule.fact) if rule.op in ("<", "<=") else (rule.fact, rule.than)
        yield from _order(facts, hops, raised, lowered)


def _order(facts: Mapping[str, Fact], hops: Mapping[str, Hop], raised: str, lowered: str) -> Iterator[str]:
    """For each end that can be changed so that the order is right; of a client library's two ends its own first."""
    low, high = _number(facts[lowered]), _number(facts[raised])
    role = str(facts["client_role"].value)
    up = _own(facts, hops, raised, low + ROOM, math.ceil) if low != math.inf else ""
    follows = facts[lowered].origin.startswith(links.HINT)  # the client has no timer of its own to lower
    down = ""
    if high != math.inf and high >= LEAST.get(role, 0) and not follows:
        down = _own(facts, hops, lowered, high - min(ROOM, high / 2), math.floor)
    changes = [f"set {up} or more"] if up else []
    changes += [f"set {down} or less"] if down else []
    yield from reversed(changes) if role == "client" else changes


def _own(facts: Mapping[str, Fact], hops: Mapping[str, Hop], fact: str, seconds: float, rounded: Any) -> str:
    """`keepAliveTimeout of app to 65000 ms`; empty where that end cannot take the value."""
    end, name, what = ENDS[fact]
    hop = hops[str(facts[end].value)]
    ignored = hop.kind.defaults.get("server.ignores_keepalive")
    if end == "server" and ignored and ignored.at(hop.version) is True:
        return ""
    if name == "server.idle_timeout_s":
        name = f"server.{links.idle_fact(links.Link(hops[str(facts['client'].value)], (), hop))}"
    settings = [(key, one) for key, one in hop.kind.settings.items() if name in one.sets]
    if settings:
        return next((told for key, one in settings if (told := _setting(hop, key, one, seconds, rounded))), "")
    if name in hop.facts and hop.facts[name].origin.startswith(BY_DEFAULT):
        return ""  # the product has the timer and no way to change it
    return f"{what} of {hop.name} to {rounded(seconds)} s"


def _setting(hop: Hop, key: str, one: Setting, seconds: float, rounded: Any) -> str:
    """The setting with the value in its unit, or nothing where that is not legal or too coarse a unit."""
    value = rounded(round(seconds / one.factor, 6))
    low, high = one.range or (0, math.inf)
    if not low <= value <= high or value <= 0 or (one.floor and seconds < one.floor[0]):
        return ""
    side, _, bare = key.partition("upstream.")
    own = f"{bare} (upstream)" if bare and not side else key
    return f"{own} of {hop.name} to {value}{UNITS.get(one.factor, '')}"


def _probes(facts: Mapping[str, Fact], hops: Mapping[str, Hop]) -> Iterator[str]:
    """A first probe at half of the shortest memory on the way, at the end where it can be set."""
    half = _number(facts["layer4_idle_s"]) / 2
    found = False
    for end, side in (("client", "upstream"), ("server", "server")):
        hop = hops[str(facts[end].value)]
        for key, one in hop.kind.settings.items():
            if f"{side}.keepidle_s" in one.sets and (told := _setting(hop, key, one, half, math.floor)):
                found = True
                yield f"set {told} or less"
    if not found:
        ends = f"{facts['client'].value} or {facts['server'].value}"
        yield f"switch SO_KEEPALIVE on at {ends}, with the first probe after {math.floor(half)} s or less"


def _of_end(finding: Finding, hops: Mapping[str, Hop]) -> Iterator[str]:
    """A timer of one hop that is to outlast what the path says of itself."""
    rule, facts = finding.rule, finding.subject.facts
    hop = hops.get(finding.subject.name)
    if hop is None or rule.op not in (">", ">=") or rule.than is None or rule.than not in facts:
        return
    wanted = _number(facts[rule.than])
    if wanted == math.inf:
        return
    names = (
        [f"{rule.of}.{fact}" for fact in WEBSOCKET]
        if rule.fact == "websocket_timeout_s"
        else [f"{rule.of}.{rule.fact}"]
    )
    for name in names:
        for key, one in hop.kind.settings.items():
            if name in one.sets and name in hop.facts and (told := _setting(hop, key, one, wanted + ROOM, math.ceil)):
                yield f"set {told} or more"
                return


WEBSOCKET = ("tunnel_timeout_s", "response_timeout_s")
"""What `websocket_timeout_s` comes from, the first that is there."""


def _number(fact: Fact) -> Any:
    return fact.value
