"""Snapshots as documents: load, save, and compare two of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from audit_tcp import tables
from audit_tcp.errors import SnapshotError
from audit_tcp.model import SCHEMA, UNLIMITED, Fact, Snapshot, Subject, Unread, Value

LARGEST = 64 << 20
"""Bytes of a snapshot file; one of a host with 1,000 namespaces has about 30 MB."""

MOST_PARTS = 4_000_000
"""Values in a document: some characters of JSON need a hundred times their size in memory."""

CRASH = "collector "
"""What the probe puts before the name of a collector that failed: its subjects are missing."""

_SCALARS = frozenset((int, float, str, bool))

_COUNTER_ORIGINS = {
    "TcpExt": "/proc/net/netstat",
    "Tcp": "/proc/net/snmp",
    "sockstat": "/proc/net/sockstat",
    "conntrack": "/proc/net/stat/nf_conntrack",
}


class Facts(Mapping[str, Fact]):
    """The facts of a document's subject, each made when asked for: most of a thousand never are."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> Fact:
        raw = self._raw[name]
        value, origin = (raw["value"], raw["origin"]) if type(raw) is dict else (raw, origin_of(name))
        if value == UNLIMITED:
            value = math.inf
        return Fact(tuple(value) if type(value) is list else value, origin)

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def with_added(self, added: Mapping[str, Fact]) -> Facts:
        """These facts and further ones."""
        return Facts({**self._raw, **{name: fact_document(fact) for name, fact in added.items()}})

    def document(self) -> Mapping[str, Any]:
        """The facts as they stand in the document."""
        return self._raw


def origin_of(name: str) -> str:
    """Where a bare value comes from: the table of a counter, else the file of a sysctl."""
    table = _COUNTER_ORIGINS.get(name.partition(".")[0])
    return table or "/proc/sys/" + name.translate({46: "/", 47: "."})


def from_document(document: object, where: str) -> Snapshot:
    """The snapshot that a probe's document describes. Raises SnapshotError naming `where` and the part at fault."""
    if not isinstance(document, dict):
        raise SnapshotError(f"{where}: not a snapshot: a JSON object is needed")
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise SnapshotError(f"{where}: not a snapshot: `schema` is missing")
    if schema > SCHEMA:
        raise SnapshotError(f"{where}: schema {schema} is newer than {SCHEMA}, the newest known here: update audit-tcp")
    host, kernel, os_name, taken = (_text(document, key, where) for key in ("host", "kernel", "os", "taken"))
    subjects = tuple(
        _subject(raw, f"{where}: subjects[{n}]") for n, raw in enumerate(_list(document, "subjects", where))
    )
    errors = tuple(_unread(raw, f"{where}: errors[{n}]") for n, raw in enumerate(_list(document, "errors", where)))
    return Snapshot(host, kernel, os_name, taken, subjects, errors, schema)


def _text(raw: dict[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise SnapshotError(f"{where}: `{key}` must be a string")
    return value


def _list(raw: dict[str, Any], key: str, where: str) -> list[Any]:
    value = raw.get(key)
    if not isinstance(value, list):
        raise SnapshotError(f"{where}: `{key}` must be a list")
    return value


def _subject(raw: object, where: str) -> Subject:
    if not isinstance(raw, dict) or not isinstance(raw.get("facts"), dict):
        raise SnapshotError(f"{where}: an object with `kind`, `name` and `facts` is needed")
    facts = raw["facts"]
    for name, value in facts.items():
        if type(value) not in _SCALARS:
            _check_fact(value, f"{where}.facts[{name!r:.80}]")
    return Subject(_text(raw, "kind", where), _text(raw, "name", where), Facts(facts))


def _check_fact(raw: object, where: str) -> None:
    if type(raw) is dict:
        if not isinstance(raw.get("origin"), str):
            raise SnapshotError(f"{where}: `origin` must be a string")
        raw = raw.get("value")
    parts = raw if type(raw) is list else [raw]
    if not all(type(part) in _SCALARS for part in parts):
        raise SnapshotError(f"{where}: a number, a string, true, false or a list of those is needed")


def _unread(raw: object, where: str) -> Unread:
    if not isinstance(raw, dict):
        raise SnapshotError(f"{where}: an object with `where` and `what` is needed")
    return Unread(_text(raw, "where", where), _text(raw, "what", where))


def parse(data: bytes, where: str) -> Snapshot:
    """The snapshot in the bytes of a JSON document. Raises SnapshotError."""
    import json

    if sum(data.count(mark) for mark in b"[{,") > MOST_PARTS:
        raise SnapshotError(f"{where}: not a snapshot: more than {MOST_PARTS} parts")
    try:
        return from_document(json.loads(data, parse_constant=_refused), where)
    except UnicodeDecodeError as error:
        raise SnapshotError(f"{where}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise SnapshotError(f"{where}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise SnapshotError(f"{where}: not a snapshot: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise SnapshotError(f"{where}: not a snapshot: {error}") from None


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def load(path: str) -> Snapshot:
    """The snapshot in a file. Raises SnapshotError naming the file and what is wrong with it."""
    return parse(tables.bounded(path, LARGEST, SnapshotError), path)


def save(snapshot: Snapshot, path: str) -> None:
    """Writes the snapshot to a file of its own, whole or not at all. Raises SnapshotError."""
    import json

    from audit_tcp import writing

    try:
        with writing.whole(path, 0o600) as file:
            json.dump(document(snapshot), file, separators=(",", ":"))
            file.write("\n")
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from None


def document(snapshot: Snapshot) -> dict[str, Any]:
    """The JSON document of a snapshot, as docs/snapshot.schema.json describes it."""
    return {
        "schema": snapshot.schema,
        "host": snapshot.host,
        "kernel": snapshot.kernel,
        "os": snapshot.os,
        "taken": snapshot.taken,
        "subjects": [{"kind": s.kind, "name": s.name, "facts": _facts_document(s)} for s in snapshot.subjects],
        "errors": [{"where": error.where, "what": error.what} for error in snapshot.errors],
    }


def _facts_document(subject: Subject) -> Mapping[str, Any]:
    if isinstance(subject.facts, Facts):
        return subject.facts.document()
    return {name: fact_document(fact) for name, fact in subject.facts.items()}


def fact_document(fact: Fact) -> dict[str, Any]:
    """A fact as a document has it: JSON knows no infinity."""
    return {"value": UNLIMITED if fact.value == math.inf else fact.value, "origin": fact.origin}


class Change(NamedTuple):
    """One fact that differs between two snapshots; None on the side that does not have it."""

    subject: str
    fact: str
    old: Value | None
    new: Value | None


def compare(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """Every fact that differs, subject by subject in the order of the newer snapshot, then what is gone."""
    before = {(subject.kind, subject.name): subject for subject in old.subjects}
    for subject in new.subjects:
        earlier = before.pop((subject.kind, subject.name), None)
        yield from _changes(str(subject), earlier.facts if earlier else {}, subject.facts)
    for subject in before.values():
        yield from _changes(str(subject), subject.facts, {})


def _changes(subject: str, old: Mapping[str, Fact], new: Mapping[str, Fact]) -> Iterator[Change]:
    for name in [*new, *(name for name in old if name not in new)]:
        was, now = (facts[name].value if name in facts else None for facts in (old, new))
        if was != now:
            yield Change(subject, name, was, now)
