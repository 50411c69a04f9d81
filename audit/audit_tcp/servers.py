"""Servers and their upstreams: what a configuration leaves unsaid, from the catalog, and what follows from both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
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
    subjects = tuple(one for s in snapshot.subjects for one in _filled(s, kernel))
    return replace(snapshot, subjects=subjects)


def has_servers(snapshot: Snapshot) -> bool:
    """Whether there is anything to fill."""
    return any(subject.kind in (*SIDES, "config") for subject in snapshot.subjects)


def _filled(subject: Subject, kernel: _Kernel) -> Iterator[Subject]:
    if subject.kind in SIDES:
        yield _completed(subject, kernel)
    elif subject.kind == "config":
        yield from _entries(subject)
    else:
        yield subject


LISTS = ("unreadable", "unit_traps", "no_effect")
"""What is wrong with a configuration: lists of `path:line: what`."""


def _entries(subject: Subject) -> Iterator[Subject]:
    """The configuration, and one subject for each thing that is wrong with it: each can be waived by itself."""
    lists = {name: subject.facts[name].value for name in LISTS if name in subject.facts}
    found = {name: entries for name, entries in lists.items() if isinstance(entries, tuple) and entries}
    kept = {name: fact for name, fact in subject.facts.items() if name not in found}
    yield replace(subject, facts=kept) if found else subject
    for name, entries in found.items():
        for entry in map(str, entries):
            place, _, what = entry.partition(": ")
            yield Subject("config", f"{subject.name} {place}", {name: Fact((what or entry,), place)})


class _Kernel:
    """What the network namespaces and listeners of a snapshot say, by their names."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self._spaces: dict[str, Mapping[str, Fact]] = {}
        self._backlogs: dict[tuple[str, Value | None], list[tuple[str, Fact]]] = {}
        for one in subjects:
            if one.kind == "netns":
                self._spaces[one.name] = one.facts
            elif one.kind == "listener" and "port" in one.facts and type(_value(one.facts, "smallest_backlog")) is int:
                address = str(one.facts["address"].value) if "address" in one.facts else ""
                place = (one.name.rpartition(" ")[0], one.facts["port"].value)
                self._backlogs.setdefault(place, []).append((address, one.facts["smallest_backlog"]))

    def sysctl(self, space: str, key: str) -> Fact | None:
        return self._spaces.get(space, {}).get(key)

    def backlog(self, space: str, listens: Value) -> Fact | None:
        """The shortest backlog in force on the addresses that a server listens on."""
        found = [
            fact
            for place in map(str, listens if isinstance(listens, tuple) else ())
            for address, fact in self._backlogs.get((space, _port(place)), ())
            if _same_address(place.rpartition(":")[0], address)
        ]
        return min(found, key=lambda fact: fact.value) if found else None


WILDCARDS = ("*", "", "0.0.0.0", "::", "[::]")  # noqa: S104  # compared with, not bound to


def _same_address(stated: str, listening: str) -> bool:
    """Whether a configuration's address is that of a socket; a name may be any."""
    bare = stated.strip("[]")
    if stated in WILDCARDS:
        return listening in WILDCARDS
    is_name = any("g" <= letter <= "z" for letter in bare.lower())
    return bare == listening or is_name


def _port(address: str) -> int | None:
    text = address.rpartition(":")[2]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _completed(subject: Subject, kernel: _Kernel) -> Subject:
    facts = dict(subject.facts)
    program, version = (facts[name].value if name in facts else None for name in ("program", "version"))
    kind = catalog.kind(str(program))
    given = tuple(part for part in version if isinstance(part, int)) if isinstance(version, tuple) else None
    if kind is not None:
        unsaid = dict(_defaults(kind.name, given, subject.kind))
        by_code = _value(facts, "set_by_code")
        for name in by_code if isinstance(by_code, tuple) else ():
            unsaid.pop(str(name), None)
        if "idle_timeout_s" in facts:  # the collector read what is announced, too: nothing is
            unsaid.pop("advertised_idle_s", None)
        facts = {**unsaid, **facts}
    space = str(facts["netns"].value) if "netns" in facts else "host"
    derive(facts, {name: kernel.sysctl(space, key) for name, key in _SYSCTLS.items()})
    if subject.kind == "server" and "listen" in facts and _value(facts, "running") is not False:
        in_force = kernel.backlog(space, facts["listen"].value)
        if in_force:
            facts.setdefault("backlog_in_force", in_force)
    added = {name: fact for name, fact in facts.items() if name not in subject.facts}
    whole = subject.facts.with_added(added) if isinstance(subject.facts, Facts) else facts
    return replace(subject, facts=whole)


@lru_cache(256)
def _defaults(kind: str, version: tuple[int, ...] | None, side: str) -> Mapping[str, Fact]:
    """`defaults`, remembered: a host has hundreds of servers of few programs."""
    found = catalog.kind(kind)
    return defaults(found, version, side) if found else {}


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


_SYSCTLS = {
    "somaxconn": "net.core.somaxconn",
    "keepalive_time": "net.ipv4.tcp_keepalive_time",
    "retries2": "net.ipv4.tcp_retries2",
}


DERIVED = {
    "reuse": {"pool_size", "http_version", "sends_close"},
    "keepalive": {"idle_timeout_s"},
    "first_probe_s": {"so_keepalive", "keepidle_s", "tcp_keepalive_time_s"},
    "pool_by_default": {"pool_size", "reuse", "http_version", "sends_close"},
}
"""What `derive` makes, and of which facts."""


def derive(facts: dict[str, Fact], sysctls: Mapping[str, Fact | None]) -> None:
    """Adds what follows from the facts: a fact that is there already stays."""
    retries = sysctls.get("retries2")
    if retries is not None and "response_timeout_s" in facts:
        facts.setdefault("tcp_retries2", retries)
    derived = (
        ("pool_by_default", _pool_by_default(facts)),
        ("reuse", _reuse(facts)),
        ("keepalive", _keepalive(facts)),
        ("first_probe_s", _first_probe(facts, sysctls.get("keepalive_time"))),
        ("somaxconn", sysctls.get("somaxconn") if "backlog" in facts else None),
        ("backlog_expected", _expected(facts.get("backlog"), sysctls.get("somaxconn"))),
        ("longest_silence_s", _longest_silence(facts)),
        ("loopback", _loopback(facts)),
        ("waits_for_ever", _waits_for_ever(facts)),
    )
    for name, fact in derived:
        if fact is not None:
            facts.setdefault(name, fact)


def _value(facts: Mapping[str, Fact], name: str) -> Any:
    return facts[name].value if name in facts else None


def _reuse(facts: Mapping[str, Fact]) -> Fact | None:
    """Whether idle connections to the backend are kept: a pool, HTTP/1.1 or later, and no `Connection: close`."""
    pool = facts.get("pool_size")
    version, closes = _value(facts, "http_version"), _value(facts, "sends_close")
    if pool is not None and pool.value == 0:
        return Fact(False, pool.origin)
    if isinstance(version, int | float) and version < 1.1:
        return Fact(False, _both(pool, facts["http_version"]))
    if closes:
        return Fact(False, _both(pool, facts["sends_close"]))
    return Fact(True, pool.origin) if pool is not None and pool.value else None


def _both(first: Fact | None, second: Fact) -> str:
    """The places of two facts that a third follows from."""
    return f"{first.origin}; {second.origin}" if first is not None and first.origin != second.origin else second.origin


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
    own = facts.get("keepidle_s")
    if own is not None:
        return own
    return Fact(kernel.value, _both(probes, kernel)) if kernel else None


TIMERS = ("idle_timeout_s", "tunnel_timeout_s", "body_timeout_s", "response_timeout_s")


def _longest_silence(facts: Mapping[str, Fact]) -> Fact | None:
    """How long a connection may be silent before a timer of this end closes it: only then keepalive has work to do."""
    known = [facts[name] for name in TIMERS if isinstance(_value(facts, name), int | float)]
    return max(known, key=lambda fact: fact.value) if known else None


LOOPBACK = ("127.", "[::1]", "localhost", "unix:", "unix@")


def _loopback(facts: Mapping[str, Fact]) -> Fact | None:
    """Whether nothing of it leaves the machine, so that nothing on the way can forget a flow."""
    places = facts.get("listen") or facts.get("addresses")
    if places is None or not isinstance(places.value, tuple) or not places.value:
        return None
    bare = [str(place).rpartition("//")[2] for place in places.value]
    return Fact(all(place.startswith(LOOPBACK) for place in bare), places.origin)


def _waits_for_ever(facts: Mapping[str, Fact]) -> Fact | None:
    """Whether a proxy waits without end for an answer; what has a timer for tunnels, or is one, does not."""
    timer = facts.get("response_timeout_s")
    if timer is None or "tunnel_timeout_s" in facts or _value(facts, "mode") == "tcp":
        return None
    return Fact(timer.value == math.inf, timer.origin)


def _expected(backlog: Fact | None, limit: Fact | None) -> Fact | None:
    if backlog is None or limit is None or not all(type(fact.value) is int for fact in (backlog, limit)):
        return None
    return min(backlog, limit, key=lambda fact: fact.value)
