"""`--format json`: everything that was judged, as data; docs/report.schema.json describes it.

One report is one object, several are an array. Strings stay what the host said: JSON escapes make them safe to print.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator

from audit_tcp import __version__
from audit_tcp.model import SCHEMA, SEVERITIES, UNLIMITED, VERDICTS, Finding, Report, Value

Native = int | float | str | bool | list["int | float | str | bool"] | None


def render(
    reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
) -> Iterator[str]:
    """One JSON object for one report, an array for none or several; a line a finding, an element written at a time."""
    rest = iter(reports)
    first, second = next(rest, None), next(rest, None)
    if first is None:
        yield "[]\n"
        return
    if second is None:
        yield from _document(first)
        yield "\n"
        return
    yield "[\n"
    yield from _document(first)
    yield ",\n"
    yield from _document(second)
    for report in rest:
        yield ",\n"
        yield from _document(report)
    yield "\n]\n"


def _document(report: Report) -> Iterator[str]:
    head = json.dumps(_head(report), allow_nan=False)
    yield f'{head[:-1]}, "findings": ['
    separator = "\n"
    for finding in report.findings:
        yield separator + json.dumps(_finding(finding), allow_nan=False)
        separator = ",\n"
    yield "\n]}" if report.findings else "]}"


def _head(report: Report) -> dict[str, object]:
    snapshot = report.snapshot
    return {
        "schema": SCHEMA,
        "tool": {"name": "audit-tcp", "version": __version__},
        "host": snapshot.host,
        "kernel": snapshot.kernel,
        "os": snapshot.os,
        "taken": snapshot.taken,
        "profile": report.profile.name,
        **({"failure": report.failure} if report.failure else {}),
        "errors": [{"where": error.where, "what": error.what} for error in snapshot.errors],
        "summary": _summary(report.findings),
    }


def _summary(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    counts = Counter((finding.verdict, finding.rule.severity) for finding in findings)
    return {
        "verdicts": {verdict: sum(counts[verdict, severity] for severity in SEVERITIES) for verdict in VERDICTS},
        "failing": {severity: counts["fail", severity] for severity in reversed(SEVERITIES)},
    }


def _finding(finding: Finding) -> dict[str, object]:
    rule = finding.rule
    return {
        "rule": rule.id,
        "title": rule.title,
        "subject": {"kind": finding.subject.kind, "name": finding.subject.name},
        "verdict": finding.verdict,
        "severity": rule.severity,
        "actual": native(finding.actual),
        "wanted": finding.wanted,
        "origin": finding.origin,
        "why": rule.why,
        "cite": list(rule.cite),
        "proof": list(rule.proof),
        "fix": {
            "text": rule.fix.text,
            "safe": rule.fix.safe,
            "set": {name: native(value) for name, value in rule.fix.set.items()},
        },
        **({"note": finding.note} if finding.note else {}),
    }


def native(value: Value | None) -> Native:
    """JSON has no infinity and no NaN: a timer that never ends is the word for it."""
    if isinstance(value, tuple):
        return [_finite(part) for part in value]
    return None if value is None else _finite(value)


def _finite(value: int | float | str | bool) -> int | float | str | bool:
    if isinstance(value, float) and not math.isfinite(value):
        return UNLIMITED if value == math.inf else str(value)
    return value
