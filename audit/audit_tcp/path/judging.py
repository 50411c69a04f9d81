"""A path as subjects: its connections, and the ends of each as the servers and upstreams that they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from audit_tcp.judge import judge
from audit_tcp.model import Fact, Profile, Report, Snapshot, Subject, Unread
from audit_tcp.path import advice, links
from audit_tcp.path.file import Path
from audit_tcp.path.hops import Hop


def snapshot_of(path: Path, taken: str) -> Snapshot:
    """The path as a snapshot, whose host is the path. Raises PathError where its hops cannot stand in this order."""
    between = links.between(path.hops, path.where, path.places)
    subjects = [*links.subjects(between, path.about), *(one for hop in path.hops for one in _ends(hop, path.about))]
    return Snapshot(path.name, "", "", taken, tuple(subjects))


def _ends(hop: Hop, about: Mapping[str, Fact]) -> Iterator[Subject]:
    program = {"program": Fact(hop.kind.name, "the path")}
    for side in ("server", "upstream"):
        facts = hop.side(side)
        if facts:
            yield Subject(side, hop.name, {**program, **about, **facts, **_websocket(hop, side)})
    if hop.traps:
        yield Subject("config", hop.name, {**program, "unit_traps": Fact(hop.traps, hop.name)})


def _websocket(hop: Hop, side: str) -> dict[str, Fact]:
    """How long a proxy waits on a silent websocket: a timer for tunnels supersedes the one for answers."""
    facts = hop.side(side)
    if side != "upstream" or "server.tunnel_timeout_s" in hop.facts:
        return {}
    timer = facts.get("tunnel_timeout_s") or facts.get("response_timeout_s")
    return {"websocket_timeout_s": timer} if timer else {}


def report(path: Path, profile: Profile, taken: str) -> Report:
    """The path as a profile judges it; a finding says which end to change, and to what.

    A connection whose order could not be judged stands in the snapshot's errors: a path is not in order because
    nothing is known of it.
    """
    found = judge(snapshot_of(path, taken), profile)
    unknown = tuple(_unjudged(found))
    snapshot = replace(found.snapshot, errors=unknown)
    hops = {hop.name: hop for hop in path.hops}
    return replace(found, snapshot=snapshot, findings=tuple(advice.advised(one, hops) for one in found.findings))


NEEDED = {
    "client_reuses": "whether {client} keeps idle connections is not known: state reuse or idle_timeout_s",
    "client_idle_s": "when {client} gives an idle connection up is not known: state idle_timeout_s or its own setting",
    "server_idle_s": "when {server} closes an idle connection is not known: state its version, idle_timeout_s or its "
    "own setting",
}
"""What the order of two ends needs to be known, in words."""


def _unjudged(found: Report) -> Iterator[Unread]:
    """The connections whose order no rule could judge, and what is to be stated."""
    for subject in found.snapshot.subjects:
        facts = subject.facts
        if subject.kind != "link" or facts["client_kind"].value in UNKNOWABLE or _closes_each(facts):
            continue
        missing = [fact for fact in NEEDED if fact not in facts]
        if missing:
            ends = {end: facts[end].value for end in ("client", "server")}
            yield Unread(f"link {subject.name}", NEEDED[missing[-1]].format(**ends))


def _closes_each(facts: Mapping[str, Fact]) -> bool:
    """Whether no idle connection is kept, because one of the ends is known not to."""
    return any(name in facts and not facts[name].value for name in ("client_reuses", "server_keepalive"))


UNKNOWABLE = ("browser", "client")
"""Kinds of which nothing is known on purpose: a path may begin with them."""
