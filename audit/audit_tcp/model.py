"""The few types that everything else passes around: plain, frozen values without I/O.

Units stand in the names (`idle_timeout_s`, `age_ms`), values are numbers, and an unknown is absent, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

SCHEMA = 1
"""The version of the snapshot document and of the JSON report."""

Value = int | float | str | bool | tuple["int | float | str | bool", ...]
"""What a fact may be. A tuple is a sysctl with several fields, a version, or a list of places. A timer that never
ends is infinite, and `UNLIMITED` in a document."""

UNLIMITED = "unlimited"
"""How documents, catalogs and reports write an infinite timer."""

KINDS = ("host", "netns", "setting", "listener", "config", "server", "upstream", "holder", "destination", "link")
"""What a rule may speak of: the kinds of subjects."""

SEVERITIES = ("info", "low", "medium", "high")
"""From least to worst: the order of `--fail-on`."""

VERDICTS = ("pass", "fail", "absent", "error", "waived")


class Fact(NamedTuple):
    """One measured or read value, and where it comes from.

    A tuple and not a dataclass: one host has a thousand of them, and judging ten thousand hosts builds them all.
    """

    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that can be judged: a host, a network namespace, a sysctl that a file sets, a listening socket."""

    kind: str
    name: str
    facts: Mapping[str, Fact]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that the probe could not read: a path or a thing, and why."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A host at a moment. `taken` is ISO 8601 in UTC; `errors` holds what could not be read."""

    host: str
    kernel: str
    os: str
    taken: str
    subjects: tuple[Subject, ...] = ()
    errors: tuple[Unread, ...] = ()
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Condition:
    """`fact op value`; `fact` may be of the host when written `host:NAME`."""

    fact: str
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do about a finding. `safe` may be applied unseen; otherwise a person decides. `set` are sysctls."""

    text: str
    safe: bool
    set: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One comparison, as data: it passes where `fact op (value or than) + plus` holds and every `when` applies.

    `cite` names sources, `proof` the experiments (E1..E13, docs/experiments.md) or source lines that show it.
    """

    id: str
    title: str
    of: str
    fact: str
    op: str
    severity: str
    why: str
    cite: tuple[str, ...]
    proof: tuple[str, ...]
    fix: Fix
    value: Value | None = None
    than: str | None = None
    plus: int | float = 0
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of host should look like: the rules it takes, with their values and severities resolved.

    `path` is the user's own file, as it was given; a shipped profile has none.
    """

    name: str
    summary: str
    rules: tuple[Rule, ...]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement. `wanted` is operator and value; `note` tells of a waiver, or why there is no verdict."""

    rule: Rule
    subject: Subject
    verdict: str
    actual: Value | None
    wanted: str
    origin: str
    note: str = ""

    def with_verdict(self, verdict: str, note: str) -> Finding:
        """The same finding under another verdict, saying why."""
        return replace(self, verdict=verdict, note=note)


@dataclass(frozen=True, slots=True)
class Report:
    """What formats render: a snapshot as one profile judges it. `failure` says why there is no snapshot to judge."""

    snapshot: Snapshot
    profile: Profile
    findings: tuple[Finding, ...] = ()
    failure: str = ""
