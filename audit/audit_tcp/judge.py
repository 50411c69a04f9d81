"""The judge: facts against rules, pure. Nothing here reads a file or knows a rule by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from audit_tcp.model import Condition, Fact, Finding, Profile, Report, Rule, Snapshot, Subject, Value
from audit_tcp.snapshot import origin_of
from audit_tcp.wording import printable, shown

NUMBER = "number"
ANY = "any"
LIST = "list"

READ = "read"
"""The operator of what could not be read: where its list is not empty, there is an error and no verdict."""


def _equal(actual: Any, wanted: Any) -> bool:
    """Raises TypeError where the two can never be equal, because one is a number and the other a text, say."""
    if _kind(actual) is not _kind(wanted):
        raise TypeError
    return bool(actual == wanted)


def _kind(value: Any) -> type:
    return int if type(value) is float else type(value)


def _between(actual: Any, wanted: Any) -> bool:
    return bool(wanted[0] <= actual <= wanted[1])


OPERATORS: Mapping[str, tuple[Callable[[Any, Any], bool], str, str]] = {
    "==": (_equal, ANY, ""),
    "!=": (lambda actual, wanted: not _equal(actual, wanted), ANY, "other than "),
    "<": (lambda actual, wanted: actual < wanted, NUMBER, "< "),
    "<=": (lambda actual, wanted: actual <= wanted, NUMBER, "<= "),
    ">": (lambda actual, wanted: actual > wanted, NUMBER, "> "),
    ">=": (lambda actual, wanted: actual >= wanted, NUMBER, ">= "),
    "in": (lambda actual, wanted: actual in wanted, LIST, "one of "),
    "not in": (lambda actual, wanted: actual not in wanted, LIST, "none of "),
    "between": (_between, LIST, ""),
    READ: (lambda actual, _: actual == (), ANY, "read whole"),
}
"""Operator: (what it computes, the type of the value it needs, how it is written)."""

HOST_PREFIX = "host:"


class _UnknownError(Exception):
    """A fact that a rule needs is not there; the message is its name."""


def judge(snapshot: Snapshot, profile: Profile) -> Report:
    """Every rule of the profile against every subject of its kind, in the order of the profile's rules."""
    of_kind: dict[str, list[Subject]] = defaultdict(list)
    for subject in snapshot.subjects:
        of_kind[subject.kind].append(subject)
    host = _Host(of_kind)
    found = (_finding(rule, subject, host) for rule in profile.rules for subject in of_kind[rule.of])
    return Report(snapshot, profile, tuple(finding for finding in found if finding is not None))


class _Host:
    """What `host:NAME` means: a fact of the host subject, else of the host's own network namespace."""

    def __init__(self, of_kind: Mapping[str, list[Subject]]) -> None:
        own = [s for s in of_kind.get("netns", ()) if "is_host" in s.facts and s.facts["is_host"].value]
        self._subjects = [*of_kind.get("host", ()), *own]

    def fact(self, name: str) -> Fact | None:
        """The fact of that name, without `host:`, or None."""
        return next((subject.facts[name] for subject in self._subjects if name in subject.facts), None)


def _lookup(name: str, subject: Subject, host: _Host) -> Fact:
    of_host = name.startswith(HOST_PREFIX)
    fact = host.fact(name.removeprefix(HOST_PREFIX)) if of_host else subject.facts.get(name)
    if fact is None:
        raise _UnknownError(name)
    return fact


def _finding(rule: Rule, subject: Subject, host: _Host) -> Finding | None:
    """The finding, or None where a condition says that the rule does not speak of this subject."""
    actual: Fact | None = None
    try:
        if not all(_holds(condition, subject, host) for condition in rule.when):
            return None
        actual = _lookup(rule.fact, subject, host)
        limit, wanted = _limit(rule, subject, host)
        passes = OPERATORS[rule.op][0](actual.value, limit)
    except _UnknownError as missing:
        return Finding(rule, subject, "absent", None, "", "", f"{missing} is not there")
    except (TypeError, OverflowError):
        value, origin = (actual.value, actual.origin) if actual else (None, "")
        return Finding(
            rule,
            subject,
            "error",
            value,
            wanted_of(rule),
            origin,
            "the value is not of the type that the rule compares",
        )
    if rule.op == READ and not passes:
        return Finding(rule, subject, "error", actual.value, wanted, actual.origin, shown(actual.value))
    return Finding(rule, subject, "pass" if passes else "fail", actual.value, wanted, actual.origin)


def _holds(condition: Condition, subject: Subject, host: _Host) -> bool:
    actual = _lookup(condition.fact, subject, host).value
    return OPERATORS[condition.op][0](actual, condition.value)


def _limit(rule: Rule, subject: Subject, host: _Host) -> tuple[Any, str]:
    """The value to compare with, and how it is written."""
    if rule.than is None:
        return rule.value, wanted_of(rule)
    other, origin = _lookup(rule.than, subject, host)
    limit: Any = other + rule.plus if rule.plus else other  # type: ignore[operator]  # a TypeError is told
    margin = f" {'-' if rule.plus < 0 else '+'} {abs(rule.plus):g}" if rule.plus else ""
    told = "" if origin == origin_of(rule.than.removeprefix(HOST_PREFIX)) else f", {printable(origin)}"
    return limit, f"{OPERATORS[rule.op][2]}{shown(limit)} ({rule.than}{margin}{told})"


def wanted_of(rule: Rule) -> str:
    """What a rule asks for, as text: `>= 1`, `15 to 60`, `one of 1, 2`, `> net.ipv4.tcp_keepalive_time`."""
    return f"{OPERATORS[rule.op][2]}{rule.than}" if rule.value is None else comparison(rule.op, rule.value)


def comparison(op: str, value: Value) -> str:
    """An operator and its value as text; a tuple that is ordered is a version."""
    if op == READ:
        return OPERATORS[op][2]
    if isinstance(value, tuple) and op == "between":
        return f"{shown(value[0])} to {shown(value[1])}"
    if isinstance(value, tuple) and op in ("in", "not in"):
        return OPERATORS[op][2] + ", ".join(shown(part) for part in value)
    if isinstance(value, tuple) and op not in ("==", "!="):
        return OPERATORS[op][2] + ".".join(shown(part) for part in value)
    return OPERATORS[op][2] + shown(value)


def condition_text(condition: Condition) -> str:
    """A condition as text: `host:kernel.version >= 6.14`."""
    equals = "= " if condition.op == "==" else ""
    return f"{condition.fact} {equals}{comparison(condition.op, condition.value)}"
