"""Servers and their upstreams: what a configuration leaves unsaid, from the catalog, and what follows from both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from audit_tcp import catalog
from audit_tcp.catalog import Kind
from audit_tcp.model import Fact, Snapshot, Subject, Value
from audit_tcp.snapshot import Facts

SIDES = ("server", "upstream")

BY_DEFAULT = "default of "
"""How the origin of a fact begins that no configuration states."""


def fill(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the facts of its `server` and `upstream` subjects completed."""
    kernel = _Kernel(snapshot.subjects)
    subjects = tuple(_completed(s, kernel) if s.kind in SIDES else s for s in snapshot.subjects)
    return replace(snapshot, subjects=subjects)


def has_servers(snapshot: Snapshot) -> bool:
    """Whether there is anything to fill."""
    return any(subject.kind in SIDES for subject in snapshot.subjects)


class _Kernel:
    """What the network namespaces and listeners of a snapshot say, by their names."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self._spaces: dict[str, Mapping[str, Fact]] = {}
        self._backlogs: dict[tuple[str, Value | None], list[Fact]] = {}
        for one in subjects:
            if one.kind == "netns":
                self._spaces[one.name] = one.facts
            elif one.kind == "listener" and "port" in one.facts and "smallest_backlog" in one.facts:
                place = (one.name.rpartition(" ")[0], one.facts["port"].value)
                self._backlogs.setdefault(place, []).append(one.facts["smallest_backlog"])

    def sysctl(self, space: str, key: str) -> Fact | None:
        return self._spaces.get(space, {}).get(key)

    def backlog(self, space: str, listens: Value) -> Fact | None:
        """The shortest backlog in force on the ports that a server listens on."""
        found = [
            fact
            for address in (listens if isinstance(listens, tuple) else ())
            for fact in self._backlogs.get((space, _port(str(address))), ())
        ]
        return min(found, key=lambda fact: fact.value) if found else None


def _port(address: str) -> int | None:
    text = address.rpartition(":")[2]
    return int(text) if text.isdigit() and len(text) < 6 else None


def _completed(subject: Subject, kernel: _Kernel) -> Subject:
    facts = dict(subject.facts)
    program, version = (facts[name].value if name in facts else None for name in ("program", "version"))
    kind = catalog.kind(str(program))
    given = tuple(part for part in version if isinstance(part, int)) if isinstance(version, tuple) else None
    if kind is not None:
        facts = {**defaults(kind, given, subject.kind), **facts}
    space = str(facts["netns"].value) if "netns" in facts else "host"
    derive(facts, {name: kernel.sysctl(space, key) for name, key in _SYSCTLS.items()})
    if subject.kind == "server" and "listen" in facts:
        in_force = kernel.backlog(space, facts["listen"].value)
        if in_force:
            facts.setdefault("backlog_in_force", in_force)
    added = {name: fact for name, fact in facts.items() if name not in subject.facts}
    whole = subject.facts.with_added(added) if isinstance(subject.facts, Facts) else facts
    return replace(subject, facts=whole)


def defaults(kind: Kind, version: tuple[int, ...] | None, side: str) -> dict[str, Fact]:
    """What holds on one side of a kind of hop where nothing is said, with an origin that says so."""
    what = kind.title + (" " + ".".join(map(str, version)) if version else "")
    found = {}
    for name, default in kind.defaults.items():
        at, _, fact = name.partition(".")
        value = default.at(version) if at == side else None
        if value is not None:
            found[fact] = Fact(value, f"{BY_DEFAULT}{what}")
    return found


_SYSCTLS = {"somaxconn": "net.core.somaxconn", "keepalive_time": "net.ipv4.tcp_keepalive_time"}


def derive(facts: dict[str, Fact], sysctls: Mapping[str, Fact | None]) -> None:
    """Adds what follows from the facts: a fact that is there already stays."""
    derived = (
        ("pool_by_default", _pool_by_default(facts)),
        ("reuse", _reuse(facts)),
        ("keepalive", _keepalive(facts)),
        ("first_probe_s", _first_probe(facts, sysctls.get("keepalive_time"))),
        ("somaxconn", sysctls.get("somaxconn") if "backlog" in facts else None),
        ("backlog_expected", _expected(facts.get("backlog"), sysctls.get("somaxconn"))),
    )
    for name, fact in derived:
        if fact is not None:
            facts.setdefault(name, fact)


def _value(facts: Mapping[str, Fact], name: str) -> Any:
    return facts[name].value if name in facts else None


def _reuse(facts: Mapping[str, Fact]) -> Fact | None:
    """Whether idle connections to the backend are kept: a pool, HTTP/1.1 or later, and no `Connection: close`."""
    size, version, closes = (_value(facts, name) for name in ("pool_size", "http_version", "sends_close"))
    if size == 0:
        return Fact(False, facts["pool_size"].origin)
    if version is not None and version < 1.1:
        return Fact(False, facts["http_version"].origin)
    if closes:
        return Fact(False, facts["sends_close"].origin)
    return Fact(True, facts["pool_size"].origin) if size else None


def _pool_by_default(facts: Mapping[str, Fact]) -> Fact | None:
    """Whether a pool is there that no configuration asks for."""
    size = facts.get("pool_size")
    if size is None:
        return None
    unused = facts.get("reuse") or _reuse(facts)
    if unused is not None and not unused.value:
        return Fact(False, unused.origin)
    return Fact(bool(size.value) and size.origin.startswith(BY_DEFAULT), size.origin)


def _keepalive(facts: Mapping[str, Fact]) -> Fact | None:
    idle = facts.get("idle_timeout_s")
    return Fact(idle.value != 0, idle.origin) if idle else None


def _first_probe(facts: Mapping[str, Fact], kernel: Fact | None) -> Fact | None:
    """When an idle connection sees its first keepalive probe; without SO_KEEPALIVE it never does."""
    probes = facts.get("so_keepalive")
    if probes is None:
        return None
    if not probes.value:
        return Fact(math.inf, probes.origin)
    return facts.get("keepidle_s") or kernel


def _expected(backlog: Fact | None, limit: Fact | None) -> Fact | None:
    if backlog is None or limit is None:
        return None
    return min(backlog, limit, key=lambda fact: fact.value)
