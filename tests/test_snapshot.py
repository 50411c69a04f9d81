"""Snapshots survive a round, and what is none is refused with file and place."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from audit_tcp import probe, snapshot
from audit_tcp.errors import SnapshotError
from audit_tcp.probe import wire
from audit_tcp.probe.host import Host
from trees import PROC, grow

GOOD = {
    "schema": 1, "host": "h", "kernel": "6.1.0", "os": "Debian", "taken": "2026-11-20T00:00:00Z",
    "subjects": [{"kind": "netns", "name": "host", "facts": {"net.ipv4.tcp_fin_timeout": 60, "x": {"value": [1, 2], "origin": "o"}}}],
    "errors": [{"where": "/a", "what": "b"}],
}  # fmt: skip


def changed(**changes):
    return {**GOOD, **changes}


def test_bare_values_come_from_the_place_that_their_name_tells():
    facts = snapshot.from_document(GOOD, "x").subjects[0].facts
    assert facts["net.ipv4.tcp_fin_timeout"] == (60, "/proc/sys/net/ipv4/tcp_fin_timeout")
    assert facts["x"] == ((1, 2), "o")
    assert snapshot.origin_of("TcpExt.ListenDrops") == "/proc/net/netstat"
    assert snapshot.origin_of("net.ipv4.conf.eth0/100.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"


def test_a_saved_snapshot_is_the_same_when_loaded(tmp_path):
    document = probe.take(Host(str(grow(tmp_path, PROC))), probe.collectors())
    taken = snapshot.from_document(document, "x")
    snapshot.save(taken, str(tmp_path / "s.json"))
    assert snapshot.document(snapshot.load(str(tmp_path / "s.json"))) == document
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".audit")] == []


def test_the_probes_document_is_what_the_schema_describes():
    schema = json.loads((Path(__file__).parent.parent / "docs" / "snapshot.schema.json").read_text())
    document = probe.take(Host(), probe.collectors())
    assert list(Draft202012Validator(schema).iter_errors(document)) == []
    assert list(Draft202012Validator(schema).iter_errors({**document, "subjects": [7]})) != []


REFUSED = [
    (b"", ":1:1: not JSON"),
    (b'{"schema": 1', ":1:13: not JSON"),
    (b"\xff", ": not UTF-8 at byte 0"),
    (b"[" * 100_000, "nested too deeply"),
    (b"[]", "a JSON object is needed"),
    (b"1" * 10_000, "not a snapshot: "),
    (b"[" + b"[]," * 2_000_001 + b"1]", "more than 4000000 parts"),
    (b'{"schema": NaN}', "NaN is no number of JSON"),
    ({}, "`schema` is missing"),
    (changed(schema="1"), "`schema` is missing"),
    (changed(schema=True), "`schema` is missing"),
    (changed(schema=2), "schema 2 is newer than 1, the newest known here: update audit-tcp"),
    (changed(host=7), "`host` must be a string"),
    (changed(subjects={}), "`subjects` must be a list"),
    (changed(subjects=[7]), "subjects[0]: an object with `kind`, `name` and `facts` is needed"),
    (changed(subjects=[{"kind": 1, "name": "", "facts": {}}]), "subjects[0]: `kind` must be a string"),
    (changed(subjects=[{"kind": "k", "name": "", "facts": {"a": None}}]), "subjects[0].facts['a']: a number"),
    (changed(subjects=[{"kind": "k", "name": "", "facts": {"a": [[1]]}}]), "subjects[0].facts['a']: a number"),
    (changed(subjects=[{"kind": "k", "name": "", "facts": {"a": {"value": 1}}}]), "facts['a']: `origin` must be a string"),
    (changed(errors=["x"]), "errors[0]: an object with `where` and `what` is needed"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_refused_with_file_and_place(tmp_path, content, message):
    path = tmp_path / "s.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(SnapshotError) as refusal:
        snapshot.load(str(path))
    assert str(refusal.value).startswith(str(path))
    assert message in str(refusal.value)


def test_a_file_beyond_the_limit_is_refused_without_reading_it_whole(tmp_path):
    path = tmp_path / "s.json"
    with open(path, "wb") as file:
        file.truncate(snapshot.LARGEST + 1)
    with pytest.raises(SnapshotError, match="larger than 64 MiB"):
        snapshot.load(str(path))


def test_a_folder_or_a_missing_file_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(SnapshotError, match=str(path)):
            snapshot.load(str(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
DAMAGED = st.fixed_dictionaries({}, optional={key: st.just(value) | JSON for key, value in GOOD.items()})


def refusal_of(document):
    """What the loader says against a document, or None where it is a snapshot."""
    try:
        snapshot.from_document(document, "x")
    except SnapshotError as refusal:
        return str(refusal)
    return None


@given(DAMAGED | JSON)
def test_any_document_is_a_snapshot_or_is_refused(document):
    refusal = refusal_of(document)
    if refusal is not None:
        assert refusal.startswith("x")
        return
    taken = snapshot.from_document(document, "x")
    assert snapshot.document(taken)["subjects"] == document["subjects"]
    assert sum(len(subject.facts) for subject in taken.subjects) == sum(len(s["facts"]) for s in document["subjects"])


@given(st.binary())
def test_any_bytes_are_a_snapshot_or_are_refused(data):
    with pytest.raises(SnapshotError):
        snapshot.parse(data, "x")


PLAIN = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(PLAIN)
def test_what_crosses_the_wire_is_json_in_ascii(document):
    text = wire.dumps(document)
    assert text.isascii()
    assert json.loads(text) == document


def subject(name, facts):
    return {"kind": "netns", "name": name, "facts": facts}


def test_compare_tells_what_changed_came_and_went():
    old = snapshot.from_document(changed(subjects=[subject("a", {"x": 1, "y": 2}), subject("b", {"z": 3})]), "old")
    new = snapshot.from_document(changed(subjects=[subject("a", {"x": 5, "y": 2}), subject("c", {"z": 3})]), "new")
    assert list(snapshot.compare(old, new)) == [
        ("netns a", "x", 1, 5),
        ("netns c", "z", None, 3),
        ("netns b", "z", 3, None),
    ]
