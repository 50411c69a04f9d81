"""A path file: TOML read and checked, each hop made from what it states, a snapshot, a plan, and the catalog."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit_tcp import defaults, snapshot, tables
from audit_tcp.catalog import Kind
from audit_tcp.errors import PathError
from audit_tcp.model import Fact, Snapshot, Subject
from audit_tcp.path import hops
from audit_tcp.path.hops import Hop, Stating

MOST_HOPS = 50

ABOUT = {
    "slowest_response_s": "the longest silence inside one request",
    "longest_upload_s": "how long the slowest upload takes",
    "ping_interval_s": "how often an open websocket or tunnel carries something",
    "answer_within_s": "how soon a dead peer must be noticed",
}
"""What may be said of the path as a whole."""

KEYS = {"name": str, "hop": list, **dict.fromkeys(ABOUT, object)}
OWN = {
    "kind": str, "name": str, "version": str, "snapshot": str, "take_server": str, "take_upstream": str,
    "shipped": str, "terraform": str,
}  # fmt: skip
"""Keys of a hop that are no facts."""


@dataclass(frozen=True, slots=True)
class Path:
    """The hops of a path and what is said of it as a whole."""

    name: str
    hops: tuple[Hop, ...]
    about: Mapping[str, Fact]
    where: str


Planned = Callable[[str, str], Hop]
"""Makes a hop of a Terraform resource: its address, and where the path names it."""


def load(path: str, planned: Planned | None = None) -> Path:
    """The path in a file. Raises PathError naming file and line, and SnapshotError for a snapshot that it names."""
    table = tables.read(path, PathError)
    text = tables.bounded(path, tables.LARGEST, PathError).decode()
    tables.check(table, KEYS, path, PathError, needed=("hop",))
    lines = _Lines(path, text)
    about = {key: _about(key, table[key], lines) for key in ABOUT if key in table}
    raw = table["hop"]
    if not 2 <= len(raw) <= MOST_HOPS:
        raise PathError(f"{path}: hop: a path has 2 to {MOST_HOPS} hops, written as [[hop]], not {len(raw)}")
    reader = _Reader(path, lines, planned)
    found = [reader.hop(number, one) for number, one in enumerate(raw, 1)]
    name = table.get("name") or os.path.basename(path).removesuffix(".toml")
    return Path(name, tuple(told_apart(found)), about, path)


def told_apart(found: Sequence[Hop]) -> list[Hop]:
    """The hops, each under a name of its own: the second nginx is `nginx 2`."""
    from dataclasses import replace

    taken: dict[str, int] = {}
    apart = []
    for hop in found:
        taken[hop.name] = taken.get(hop.name, 0) + 1
        number = taken[hop.name]
        apart.append(hop if number == 1 else replace(hop, name=f"{hop.name} {number}"))
    return apart


def _about(key: str, raw: object, lines: _Lines) -> Fact:
    where = lines.place(0, key)
    unlimited = raw == "unlimited" and key == "ping_interval_s"
    if not unlimited and (isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= hops.LARGEST):
        raise PathError(f"{where}: {key}: seconds above 0 are needed ({ABOUT[key]}), not {raw!r:.80}")
    return Fact(float("inf") if unlimited else raw, where)  # type: ignore[arg-type]


class _Lines:
    """Where a key stands in the file, which the TOML reader does not tell."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._hops: list[list[tuple[int, str]]] = [[]]
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"\s*\[\[\s*hop\s*\]\]", line):
                self._hops.append([])
            self._hops[-1].append((number, line))

    def place(self, hop: int, key: str = "") -> str:
        """`shop.toml:12`, of a key of the hop of that number, else of the hop's own first line."""
        block = self._hops[hop] if hop < len(self._hops) else []
        last = re.escape(key.rpartition(".")[2])
        for number, line in block:
            if key and re.match(rf'\s*(?:"?{re.escape(key)}"?|[\w."-]*"?{last}"?)\s*=', line):
                return f"{self._path}:{number}"
        return f"{self._path}:{block[0][0]}" if block and hop else self._path


class _Reader:
    """Makes the hops of one file; a snapshot that several hops name is read once."""

    def __init__(self, path: str, lines: _Lines, planned: Planned | None) -> None:
        self._path, self._lines, self._planned = path, lines, planned
        self._snapshots: dict[str, Snapshot] = {}

    def hop(self, number: int, raw: object) -> Hop:
        """The hop of one [[hop]] table."""
        where = f"{self._lines.place(number)}: hop {number}"
        if not isinstance(raw, dict):
            raise PathError(f"{where}: a table is needed, not {raw!r:.80}")
        own = {key: raw[key] for key in OWN if key in raw}
        tables.check(own, OWN, where, PathError)
        if "terraform" in own:
            return self._of_plan(number, own, raw, where)
        if "kind" not in own:
            raise PathError(f"{where}: kind: missing; `audit-tcp path --kinds` lists them")
        kind = hops.kind_of(own["kind"], self._lines.place(number, "kind"))
        stated, traps = self._stating(kind, number, where, raw)
        name = own.get("name", kind.name)
        if "snapshot" in own:
            return self._of_snapshot(number, own, kind, stated, name)
        for key in ("take_server", "take_upstream"):
            if key in own:
                raise PathError(f"{self._lines.place(number, key)}: {key}: only of a `snapshot`")
        if own.get("shipped", "") not in ("", *kind.shipped):
            told = ", ".join(kind.shipped) or "none"
            place = self._lines.place(number, "shipped")
            raise PathError(f"{place}: shipped: {kind.title} is known as shipped by: {told}")
        version = hops.version_of(own["version"], self._lines.place(number, "version")) if "version" in own else None
        return hops.made(name, kind, stated, version, own.get("shipped", ""), tuple(traps))

    def _stating(
        self, kind: Kind, number: int, where: str, raw: Mapping[str, Any]
    ) -> tuple[dict[str, Fact], list[str]]:
        said = dict(hops.flat({key: value for key, value in raw.items() if key not in OWN}))
        origins = {key: self._lines.place(number, key) for key in said}
        return Stating(kind, where, origins).facts(said)

    def _of_plan(self, number: int, own: Mapping[str, str], raw: Mapping[str, Any], where: str) -> Hop:
        place = self._lines.place(number, "terraform")
        if self._planned is None:
            raise PathError(f"{place}: terraform: needs `--terraform plan.json` beside this file")
        hop = self._planned(own["terraform"], place)
        stated, traps = self._stating(hop.kind, number, where, raw)
        return hops.made(own.get("name", hop.name), hop.kind, {**hop.facts, **stated}, None, "", tuple(traps))

    def _of_snapshot(self, number: int, own: Mapping[str, str], kind: Kind, stated: hops.Stated, name: str) -> Hop:
        place = self._lines.place(number, "snapshot")
        found = self._snapshot(os.path.join(os.path.dirname(self._path), own["snapshot"]))
        chosen: dict[str, Subject | None] = {"server": None, "upstream": None}
        for side in chosen:
            wanted = own.get(f"take_{side}")
            needed = side in {"client": ("upstream",), "proxy": ("server", "upstream")}.get(kind.role, ("server",))
            if needed or wanted:
                where = self._lines.place(number, f"take_{side}") if wanted else place
                chosen[side] = chosen_subject(found, side, kind.name, wanted, where, needed)
        return hops.of_subjects(name, kind, chosen["server"], chosen["upstream"], stated)

    def _snapshot(self, path: str) -> Snapshot:
        if path not in self._snapshots:
            self._snapshots[path] = defaults.fill(snapshot.load(path))
        return self._snapshots[path]


def chosen_subject(
    found: Snapshot, side: str, program: str, wanted: str | None, where: str, needed: bool
) -> Subject | None:
    """The `server` or `upstream` of a snapshot that a hop means. Raises PathError with the names to choose from."""
    there = [one for one in found.subjects if one.kind == side and _program(one) == program]
    if wanted is not None:
        there = [one for one in there if one.name == wanted] or _none(where, f"no {side} named {wanted!r}", there)
    if not there and needed and side == "server":
        others = sorted({_program(one) for one in found.subjects if one.kind == side})
        told = f"; it has {', '.join(others)}" if others else "; it has no servers: was it taken by an older version?"
        raise PathError(f"{where}: {found.host} has no {side} of {program}{told}")
    if len({_timers(one) for one in there}) > 1:
        _none(where, f"{found.host} has several {side}s of {program}: say which by take_{side} = ", there)
    return there[0] if there else None


def _none(where: str, what: str, there: Iterable[Subject]) -> list[Subject]:
    names = ", ".join(f'"{one.name}"' for one in list(there)[:20])
    raise PathError(f"{where}: {what}{names if names else '; it has none'}")


def _program(subject: Subject) -> str:
    return str(subject.facts["program"].value) if "program" in subject.facts else ""


def _timers(subject: Subject) -> tuple[tuple[str, object], ...]:
    """What distinguishes two servers for a path: where all of this is equal it does not matter which is meant."""
    return tuple((name, subject.facts[name].value) for name in sorted(hops.FACTS) if name in subject.facts)
