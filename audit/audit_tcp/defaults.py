"""Facts that need the catalog: which settings of a namespace were tuned, and what it did not get of the host's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from audit_tcp import servers, tables
from audit_tcp.errors import ProfileError
from audit_tcp.model import Fact, Snapshot, Subject, Value
from audit_tcp.snapshot import Facts
from audit_tcp.wording import shown

CATALOG = os.path.join(os.path.dirname(__file__), "catalog", "kernel.toml")

Defaults = tuple[tuple[str, Value], ...]


@cache
def of_kernel(version: tuple[int, ...]) -> Defaults:
    """The compiled-in defaults of a kernel such as (6, 1, 0); keys that it does not have are left out."""
    found = []
    for key, entry in _catalog().items():
        values = [value for since, value in entry["default"] if version >= tuple(since)]
        if values:
            found.append((key, tables.frozen(values[-1])))
    return tuple(found)


@cache
def _catalog() -> Mapping[str, Any]:
    catalog: Mapping[str, Any] = tables.read(CATALOG, ProfileError)["key"]
    return catalog


def fill(snapshot: Snapshot) -> Snapshot:
    """The snapshot with what its servers leave unsaid, and `host_tuning_missing` on each namespace but the host's own.

    Tuning is what differs from the running kernel's own default. Without a kernel version none is told.
    """
    if servers.has_servers(snapshot):
        snapshot = servers.fill(snapshot)
    version = next((s.facts["kernel.version"].value for s in snapshot.subjects if "kernel.version" in s.facts), None)
    if not isinstance(version, tuple):
        return snapshot
    defaults = of_kernel(tuple(part for part in version if isinstance(part, int)))
    host = next((s for s in snapshot.subjects if s.kind == "netns" and _is_host(s)), None)
    tuned = _tuned(host, defaults) if host else {}
    subjects = tuple(_filled(s, defaults, tuned) if _is_child(s) else s for s in snapshot.subjects)
    return replace(snapshot, subjects=subjects)


def _is_host(subject: Subject) -> bool:
    return "is_host" in subject.facts and subject.facts["is_host"].value is True


def _is_child(subject: Subject) -> bool:
    return subject.kind == "netns" and "is_host" in subject.facts and not _is_host(subject)


def _tuned(subject: Subject, defaults: Defaults) -> dict[str, Value]:
    facts = subject.facts
    return {key: facts[key].value for key, default in defaults if key in facts and facts[key].value != default}


def _filled(subject: Subject, defaults: Defaults, tuned_on_host: Mapping[str, Value]) -> Subject:
    facts, own = subject.facts, _tuned(subject, defaults)
    missing = tuple(
        f"{key} = {shown(facts[key].value)} (host: {shown(value)})"
        for key, value in tuned_on_host.items()
        if key in facts and key not in own
    )
    added = {"host_tuning_missing": Fact(missing, "this namespace beside the host's")}
    return replace(subject, facts=facts.with_added(added) if isinstance(facts, Facts) else {**facts, **added})
