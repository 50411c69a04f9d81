"""A path file: TOML read and checked, each hop made from what it states, a snapshot, a plan, and the catalog."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audit_tcp import catalog, tables
from audit_tcp.catalog import Kind
from audit_tcp.errors import PathError, SnapshotError
from audit_tcp.model import Fact, Snapshot, Subject
from audit_tcp.path import hops, saved
from audit_tcp.path.hops import Hop, Stating
from audit_tcp.path.places import MOST_PARTS, Places

LARGEST = 1 << 20
"""Bytes of a path file."""

MOST_HOPS = 50
MOST_KEYS = 200
"""Of a hop."""

LONGEST_KEY = 200
LONGEST_TEXT = 4096
"""Characters."""

ABOUT = {
    "slowest_response_s": "the longest silence inside one request",
    "longest_upload_s": "how long the slowest upload takes",
    "ping_interval_s": "how often an open websocket or tunnel carries something",
    "answer_within_s": "how soon a dead peer must be noticed",
}
"""What may be said of the path as a whole."""

KEYS = {"name": str, "hop": list, **dict.fromkeys(ABOUT, object)}
OWN = {
    "kind": str, "name": str, "version": object, "snapshot": str, "take_server": str, "take_upstream": str,
    "shipped": str, "terraform": str,
}  # fmt: skip
"""Keys of a hop that are no facts."""

TOLD_BY = {
    "snapshot": ("version", "shipped"),
    "terraform": ("snapshot", "version", "shipped", "take_server", "take_upstream"),
}
"""Keys that a hop cannot have beside another, which tells it what they would."""


@dataclass(frozen=True, slots=True)
class Path:
    """The hops of a path and what is said of it as a whole."""

    name: str
    hops: tuple[Hop, ...]
    about: Mapping[str, Fact]
    where: str
    places: tuple[str, ...] = ()
    """File and line of each hop, of a path that a file states."""


Planned = Callable[[str, str], Hop]
"""Makes a hop of a Terraform resource: its address, and where the path names it."""


def load(path: str, planned: Planned | None = None) -> Path:
    """The path in a file. Raises PathError, and SnapshotError for a snapshot that it names, with file and line."""
    data = tables.bounded(path, LARGEST, PathError)
    places = Places(path, data.decode(errors="replace"))
    table = tables.parse(data, path, PathError)
    for key in table:
        tables.check({key: table[key]}, KEYS, places.of(0, key), PathError)
    tables.check(table, KEYS, path, PathError, needed=("hop",))
    about = {key: _about(key, table[key], places.of(0, key)) for key in ABOUT if key in table}
    raw = table["hop"]
    if not 2 <= len(raw) <= MOST_HOPS:
        where = places.of(min(len(raw), MOST_HOPS + 1)) if raw else places.of(0, "hop")
        raise PathError(f"{where}: hop: a path has 2 to {MOST_HOPS} hops, written as [[hop]], not {len(raw)}")
    reader = _Reader(path, places, planned)
    found = [reader.hop(number, one) for number, one in enumerate(raw, 1)]
    name = table.get("name") or os.path.basename(path).removesuffix(".toml")
    return Path(name, tuple(told_apart(found)), about, path, tuple(places.of(number + 1) for number in range(len(raw))))


def told_apart(found: Sequence[Hop]) -> list[Hop]:
    """The hops, each under a name of its own: the second nginx is `nginx 2`, unless another hop is called that."""
    free = {hop.name for hop in found}
    taken: set[str] = set()
    apart = []
    for hop in found:
        name, number = hop.name, 1
        while name in taken or (number > 1 and name in free):
            number += 1
            name = f"{hop.name} {number}"
        taken.add(name)
        apart.append(hop if number == 1 else replace(hop, name=name))
    return apart


def _about(key: str, raw: object, where: str) -> Fact:
    unlimited = raw == "unlimited" and key == "ping_interval_s"
    if not unlimited and (isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= hops.LARGEST):
        raise PathError(f"{where}: {key}: seconds above 0 are needed ({ABOUT[key]}), not {raw!r:.80}")
    return Fact(float("inf") if unlimited else raw, where)  # type: ignore[arg-type]


class _Reader:
    """Makes the hops of one file; a snapshot that several hops name is read once."""

    def __init__(self, path: str, places: Places, planned: Planned | None) -> None:
        self._path, self._places, self._planned = path, places, planned
        self._snapshots: dict[str, Snapshot] = {}

    def hop(self, number: int, raw: object) -> Hop:
        """The hop of one [[hop]] table."""
        where = f"{self._places.of(number)}: hop {number}"
        if not isinstance(raw, dict):
            raise PathError(f"{where}: a table is needed, not {raw!r:.80}")
        own = {key: raw[key] for key in OWN if key in raw}
        self._check(number, own)
        if "terraform" in own:
            return self._of_plan(number, own, raw, where)
        if "kind" not in own:
            raise PathError(f"{where}: kind: missing; `audit-tcp path --kinds` lists them")
        kind = hops.kind_of(own["kind"], self._places.of(number, "kind"))
        stated, traps = self._stating(kind, number, where, raw)
        name = own.get("name", kind.name)
        if "snapshot" in own:
            return self._of_snapshot(number, own, kind, stated, name, tuple(traps))
        for key in ("take_server", "take_upstream"):
            if key in own:
                raise PathError(f"{self._places.of(number, key)}: {key}: only of a `snapshot`")
        if own.get("shipped", "") not in ("", *kind.shipped):
            told = ", ".join(kind.shipped) or "none"
            place = self._places.of(number, "shipped")
            raise PathError(f"{place}: shipped: {kind.title} is known as shipped by: {told}")
        version = hops.version_of(own["version"], self._places.of(number, "version")) if "version" in own else None
        return hops.made(name, kind, stated, version, own.get("shipped", ""), tuple(traps))

    def _check(self, number: int, own: Mapping[str, Any]) -> None:
        """Refuses keys that are no facts where they are of a wrong type, too long, or do not go together."""
        for key, value in own.items():
            place = self._places.of(number, key)
            tables.check({key: value}, OWN, place, PathError)
            if key == "version" and isinstance(value, int | float):
                raise PathError(f'{place}: version: a text is needed, such as version = "1.24", not {value!r:.80}')
            if isinstance(value, str) and len(value) > LONGEST_TEXT:
                raise PathError(f"{place}: {key}: a text of at most {LONGEST_TEXT} characters is needed")
        for teller, keys in TOLD_BY.items():
            for key in keys:
                if teller in own and key in own:
                    raise PathError(f"{self._places.of(number, key)}: {key}: not beside `{teller}`, which tells it")

    def _stating(
        self, kind: Kind, number: int, where: str, raw: Mapping[str, Any]
    ) -> tuple[dict[str, Fact], list[str]]:
        table = {key: value for key, value in raw.items() if key not in OWN}
        self._bound(number, where, table)
        said: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for key, value in hops.flat(table):
            origins[key] = self._places.of(number, key)
            if key in said:
                raise PathError(f"{origins[key]}: {key}: stated twice, with and without quotation marks")
            said[key] = value
        return Stating(kind, where, origins).facts(said)

    def _bound(self, number: int, where: str, table: Mapping[str, Any]) -> None:
        """Refuses more and longer keys than a person writes, before anything is compared with them."""
        waiting = [("", table)]
        count = 0
        for before, inner in waiting:
            count += len(inner)
            if count > MOST_KEYS:
                raise PathError(f"{where}: more than {MOST_KEYS} keys")
            for key, value in inner.items():
                whole = before + key
                if len(whole) > LONGEST_KEY or whole.count(".") >= MOST_PARTS:
                    raise PathError(
                        f"{self._places.of(number, whole)}: {whole:.60}…: a key of at most {LONGEST_KEY} characters "
                        f"and {MOST_PARTS} parts is needed"
                    )
                if isinstance(value, dict):
                    waiting.append((f"{whole}.", value))

    def _of_plan(self, number: int, own: Mapping[str, str], raw: Mapping[str, Any], where: str) -> Hop:
        place = self._places.of(number, "terraform")
        if self._planned is None:
            raise PathError(f"{place}: terraform: needs `--terraform plan.json` beside this file")
        hop = self._planned(own["terraform"], place)
        if own.get("kind", hop.kind.name) != hop.kind.name:
            raise PathError(f"{self._places.of(number, 'kind')}: kind: the plan tells that this is {hop.kind.name}")
        stated, traps = self._stating(hop.kind, number, where, raw)
        whole = {**hop.facts, **stated}
        return hops.made(own.get("name", hop.name), hop.kind, whole, None, "", (*hop.traps, *traps))

    def _of_snapshot(
        self,
        number: int,
        own: Mapping[str, str],
        kind: Kind,
        stated: hops.Stated,
        name: str,
        traps: tuple[str, ...],
    ) -> Hop:
        place = self._places.of(number, "snapshot")
        found = self._snapshot(os.path.join(os.path.dirname(self._path), own["snapshot"]), place)
        chosen: dict[str, Subject | None] = {"server": None, "upstream": None}
        for side in chosen:
            wanted = own.get(f"take_{side}")
            needed = side in catalog.sides_of(kind.role)
            if needed or wanted is not None:
                where = self._places.of(number, f"take_{side}") if wanted is not None else place
                chosen[side] = saved.chosen_subject(found, side, kind.name, wanted, where, needed)
        return hops.of_subjects(name, kind, chosen["server"], chosen["upstream"], stated, traps)

    def _snapshot(self, path: str, place: str) -> Snapshot:
        if path not in self._snapshots:
            try:
                self._snapshots[path] = saved.filled(path)
            except (PathError, SnapshotError) as error:
                raise type(error)(f"{place}: snapshot: {error}") from None
        return self._snapshots[path]
