"""What is known of a server as lines of a path file: values with their places, and names; all of it legal TOML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from audit_tcp import servers
from audit_tcp.catalog import Kind
from audit_tcp.errors import PathError
from audit_tcp.model import UNLIMITED, Fact, Subject, Value
from audit_tcp.path import hops, reach
from audit_tcp.wording import columns, printable, shown

WIDTH = 100
"""Columns of the file."""

LONGEST_NAME = 60
WORTH_TELLING = ("idle_timeout_s", "max_age_s", "pool_size", "response_timeout_s", "tunnel_timeout_s")
"""Defaults that are named in a comment."""

KEEPALIVE_TIME = "net.ipv4.tcp_keepalive_time"


def values(kind: Kind, side: str, subject: Subject) -> Iterator[str]:
    """What the configuration states of one side; neither defaults nor what follows from other values."""
    own = {
        name: fact
        for name, fact in subject.facts.items()
        if name in hops.FACTS and not fact.origin.startswith(servers.BY_DEFAULT)
    }
    derived = {name: fact for name, fact in own.items() if name not in ("reuse", "keepalive")}
    servers.derive(derived, {})
    for name, fact in sorted(own.items()):
        follows = name in ("reuse", "keepalive") and name in derived and derived[name].value == fact.value
        if follows or not _is_legal(kind, f"{side}.{name}", fact.value):
            continue
        line = f"{side}.{name} = {_literal(fact.value)}"
        room = WIDTH - columns(line) - len("  # ")
        yield f"{line}  # {ending(fact.origin, room)}" if room >= LONGEST_NAME // 3 else line


def probing(sides: Iterable[tuple[str, Subject]], kernel: Mapping[str, Mapping[str, Fact]]) -> Iterator[str]:
    """When the kernel probes, where a side asks for keepalive and leaves the time to it."""
    for _, subject in sides:
        facts = subject.facts
        space = kernel.get(next(iter(reach.texts(subject, "netns")), "host"), {})
        asks = "so_keepalive" in facts and facts["so_keepalive"].value is True and "keepidle_s" not in facts
        value = space[KEEPALIVE_TIME].value if KEEPALIVE_TIME in space else None
        if asks and isinstance(value, int) and 0 < value <= hops.LARGEST:
            yield f"{KEEPALIVE_TIME} = {value}  # seconds; the running kernel"
            return


def left_out(side: str, subject: Subject) -> Iterator[str]:
    """The most important defaults of one side, for a comment."""
    for name in WORTH_TELLING:
        fact = subject.facts.get(name)
        if fact is not None and fact.origin.startswith(servers.BY_DEFAULT):
            yield f"{side}.{name} {shown(fact.value)}"


def name_of(text: str) -> str:
    """A name as TOML writes it, cut to what a report shows of it."""
    told = printable(text, LONGEST_NAME)
    while columns(string(told)) > WIDTH - LONGEST_NAME // 2:
        told = told[:-2] + "…"
    return string(told)


def string(text: str) -> str:
    """A text as TOML writes it; what cannot be seen is escaped."""
    escaped = {ord(mark): f"\\{mark}" for mark in '"\\'}
    return '"' + printable(text, len(text)).translate(escaped) + '"'


def ending(text: str, room: int) -> str:
    """The text, printable; of a longer one the end, which tells more of a path."""
    told = printable(text)
    while columns(told) > room:
        told = "…" + told[2:]
    return told


def _is_legal(kind: Kind, key: str, value: Value) -> bool:
    """Whether a path file may say it: a snapshot can hold anything."""
    try:
        hops.Stating(kind, "").facts({key: value if value != math.inf else UNLIMITED})
    except PathError:
        return False
    return not isinstance(value, str) or columns(value) <= LONGEST_NAME


def _literal(value: Value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) or value == math.inf:
        return string(str(value) if value != math.inf else UNLIMITED)
    return str(value)
