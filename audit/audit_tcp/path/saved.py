"""Saved snapshots as hops take them: filled, their facts checked, and the one server or pool that a hop means."""

from __future__ import annotations

from collections.abc import Sequence

from audit_tcp import defaults, snapshot
from audit_tcp.errors import PathError
from audit_tcp.model import Snapshot, Subject
from audit_tcp.path import hops, reach

NUMBERS = {
    "server": hops.NUMBERS,
    "upstream": hops.NUMBERS,
    "netns": frozenset(("net.core.somaxconn", "net.ipv4.tcp_keepalive_time")),
    "listener": frozenset(("smallest_backlog",)),
}
"""Facts of a snapshot that are reckoned with, by the kind of their subject."""


def filled(path: str) -> Snapshot:
    """A saved snapshot with what it leaves unsaid.

    Raises SnapshotError, and PathError where a fact that hops take is of a type that no probe writes.
    """
    try:
        found = snapshot.load(path)
    except ValueError:  # NUL, or what the locale cannot write
        raise PathError(f"{path!r:.200}: no file can have this name") from None
    for subject in found.subjects:
        for name in subject.facts if subject.kind in NUMBERS else ():
            needed = _needed(subject.kind, name, subject.facts[name].value)
            if needed:
                value = subject.facts[name].value
                raise PathError(f"{path}: {subject!s:.200}: {name}: {needed} is needed, not {value!r:.80}")
    return defaults.fill(found)


def _needed(kind: str, name: str, value: object) -> str:
    """What a fact of a snapshot should have been, empty where it is that."""
    if name in NUMBERS[kind]:
        legal = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if legal and (value == float("inf") or abs(value) < 1 << 63) else "a number"  # type: ignore[arg-type]
    if kind not in ("server", "upstream"):
        return ""
    if name in hops.FLAGS:
        return "" if isinstance(value, bool) else "true or false"
    return "a text" if name in hops.TEXTS and not isinstance(value, str) else ""


def chosen_subject(
    found: Snapshot, side: str, program: str, wanted: str | None, where: str, needed: bool
) -> Subject | None:
    """The `server` or `upstream` of a snapshot that a hop means. Raises PathError with the names to choose from."""
    there = [one for one in found.subjects if one.kind == side and reach.program(one) == program]
    if wanted is not None:
        named = [one for one in there if one.name == wanted]
        if not named:
            names = f"; there are {_names(there)}" if there else "; it has none"
            raise PathError(f"{where}: no {side} named {wanted!r:.200}{names}")
        there = named
    if not there and needed and side == "server":
        others = sorted({reach.program(one) for one in found.subjects if one.kind == side})
        told = f"; it has {', '.join(others)}" if others else "; it has no servers: was it taken by an older version?"
        raise PathError(f"{where}: {found.host} has no {side} of {program}{told}")
    if len({reach.timers(one) for one in there}) > 1:
        raise PathError(
            f"{where}: {found.host} has several {side}s of {program}: say which by take_{side} = {_names(there)}"
        )
    return there[0] if there else None


def _names(there: Sequence[Subject]) -> str:
    told = ", ".join(f'"{one.name:.200}"' for one in there[:20])
    return f"{told} and {len(there) - 20} more" if len(there) > 20 else told
