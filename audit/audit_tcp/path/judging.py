"""A path as subjects: its connections, and the ends of each as the servers and upstreams that they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from audit_tcp.judge import judge
from audit_tcp.model import Fact, Finding, Profile, Report, Snapshot, Subject, Value
from audit_tcp.path import links
from audit_tcp.path.file import Path
from audit_tcp.path.hops import Hop
from audit_tcp.servers import BY_DEFAULT
from audit_tcp.wording import shown


def snapshot_of(path: Path, taken: str) -> Snapshot:
    """The path as a snapshot, whose host is the path. Raises PathError where its hops cannot stand in this order."""
    between = links.between(path.hops, path.where)
    subjects = [*links.subjects(between, path.about), *(one for hop in path.hops for one in _ends(hop, path.about))]
    return Snapshot(path.name, "", "", taken, tuple(subjects))


def _ends(hop: Hop, about: Mapping[str, Fact]) -> Iterator[Subject]:
    program = {"program": Fact(hop.kind.name, "the path")}
    for side in ("server", "upstream"):
        facts = hop.side(side)
        if facts:
            yield Subject(side, hop.name, {**program, **about, **facts})
    if hop.traps:
        yield Subject("config", hop.name, {**program, "unit_traps": Fact(hop.traps, hop.name)})


def report(path: Path, profile: Profile, taken: str) -> Report:
    """The path as a profile judges it; a finding on a connection says which end to change, and to what."""
    found = judge(snapshot_of(path, taken), profile)
    hops = {hop.name: hop for hop in path.hops}
    return replace(found, findings=tuple(_advised(one, hops) for one in found.findings))


ENDS = {
    "server_idle_s": ("server", "server.idle_timeout_s"),
    "client_idle_s": ("client", "upstream.idle_timeout_s"),
    "client_renews_s": ("client", "upstream.max_age_s"),
}
"""Facts of a link that somebody can change: at which end, and the fact there."""

ROOM = 5
"""Seconds of margin that the advice gives: the two ends start their clocks at different moments."""

LEAST = {"client": 4, "proxy": 10}
"""Seconds of the backend's timer below which no advice asks the caller to go lower still, by the caller's role."""


def _advised(finding: Finding, hops: Mapping[str, Hop]) -> Finding:
    if finding.verdict != "fail" or finding.subject.kind != "link" or finding.rule.than not in ENDS:
        return finding
    facts = finding.subject.facts
    raised, lowered = finding.rule.fact, finding.rule.than
    if finding.rule.op in ("<", "<="):
        raised, lowered = lowered, raised
    advice = list(_changes(facts, hops, raised, lowered))
    return replace(finding, note=" or ".join(advice)) if advice else finding


def _changes(facts: Mapping[str, Fact], hops: Mapping[str, Hop], raised: str, lowered: str) -> Iterator[str]:
    """`set keepAliveTimeout of app to 65000 or more`, for each end that can be changed so that the order is right."""
    low: Any = facts[lowered].value
    high: Any = facts[raised].value
    up = _own_name(facts, hops, raised, low + ROOM) if raised in ENDS and _finite(low) else ""
    role = str(facts["client_role"].value)
    lower = lowered in ENDS and _finite(high) and high >= LEAST.get(role, 0)
    down = _own_name(facts, hops, lowered, high - min(ROOM, high / 2)) if lower else ""
    changes = [f"set {up} or more"] if up else []
    changes += [f"set {down} or less"] if down else []
    yield from reversed(changes) if role == "client" else changes


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and value != math.inf


def _own_name(facts: Mapping[str, Fact], hops: Mapping[str, Hop], fact: str, seconds: float) -> str:
    """The product's own name for a timer, with the value in its unit: what an administrator will type.

    Empty where the end cannot take that value: nothing sets the timer, or the value is out of its range.
    """
    end, name = ENDS[fact]
    hop = hops[str(facts[end].value)]
    ignored = hop.kind.defaults.get("server.ignores_keepalive")
    if end == "server" and ignored and ignored.at(hop.version) is True:
        return ""
    for setting, one in hop.kind.settings.items():
        if name in one.sets:
            value = seconds / one.factor
            low, high = one.range or (0, math.inf)
            if not low <= value <= high or (one.floor and seconds < one.floor[0]):
                return ""
            unit = {0.001: " ms", 1.0: " s", 60.0: " min", 3600.0: " h"}.get(one.factor, "")
            side, _, bare = setting.partition("upstream.")
            own = f"{bare} (upstream)" if bare and not side else setting
            return f"{own} of {hop.name} to {shown(_whole(value))}{unit}"
    if name in hop.facts and hop.facts[name].origin.startswith(BY_DEFAULT):
        return ""  # the product has the timer and no way to change it
    what = "the idle timeout" if end == "server" else "the idle timeout of the pool"
    return f"{what} of {hop.name} to {shown(_whole(seconds))} s"


def _whole(number: float) -> Value:
    return int(number) if number == int(number) else round(number, 3)
