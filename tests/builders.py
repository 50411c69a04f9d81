"""Snapshots and subjects made from plain values, for tests."""

from audit_tcp.model import Fact, Snapshot, Subject


def frozen(value):
    return tuple(value) if isinstance(value, list) else value


def subject(kind, name, facts):
    return Subject(kind, name, {key: Fact(frozen(value), f"origin of {key}") for key, value in facts.items()})


def snapshot_of(*subjects, host="h", errors=()):
    return Snapshot(host, "6.1.0", "Debian", "2026-11-20T00:00:00Z", subjects, tuple(errors))


snapshot = snapshot_of
