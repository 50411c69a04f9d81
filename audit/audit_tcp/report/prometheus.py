"""`--format prometheus`: the text exposition format, for a textfile collector or a push gateway.

Metrics hold counts, not sentences: notes, reasons and what could not be read stand in the other formats.
Hosts that give the same name are merged to their disadvantage, since one sample may not be given twice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from audit_tcp.model import SEVERITIES, Report
from audit_tcp.wording import printable


class Family(NamedTuple):
    """A metric: what it counts, its labels, and what two samples with the same labels become."""

    help: str
    labels: tuple[str, ...]
    merged: Callable[[float, float], float]


FAMILIES = {
    "audit_tcp_up": Family("1 where the host could be audited, 0 where not.", ("host",), min),
    "audit_tcp_findings": Family(
        "Judgements by severity of the rule and by verdict.",
        ("host", "profile", "severity", "verdict"),
        operator.add,
    ),
    "audit_tcp_finding": Family(
        "1 for each judgement that fails.", ("host", "rule", "severity", "subject_kind", "subject"), max
    ),
    "audit_tcp_unread": Family("Things on the host that the probe could not read.", ("host",), operator.add),
    "audit_tcp_snapshot_timestamp_seconds": Family("When the snapshot was taken, in Unix time.", ("host",), min),
}

Sample = tuple[str, tuple[str, ...], float]


def render(
    reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
) -> Iterator[str]:
    """All hosts' samples, family by family: the format wants each in one piece, so small tuples wait for the end."""
    samples: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in FAMILIES}
    for report in reports:
        for name, labels, value in _samples(report):
            family = samples[name]
            family[labels] = FAMILIES[name].merged(family[labels], value) if labels in family else value
    for name, (text, labels, _) in FAMILIES.items():
        yield f"# HELP {name} {text}\n# TYPE {name} gauge\n"
        for values, value in samples[name].items():
            pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in zip(labels, values, strict=True))
            yield f"{name}{{{pairs}}} {value:.17g}\n"


def _samples(report: Report) -> Iterator[Sample]:
    host = printable(report.snapshot.host)
    yield "audit_tcp_up", (host,), 0 if report.failure else 1
    yield "audit_tcp_unread", (host,), len(report.snapshot.errors)
    if report.failure:
        return
    taken = _unix_time(report.snapshot.taken)
    if taken is not None:
        yield "audit_tcp_snapshot_timestamp_seconds", (host,), taken
    profile = printable(report.profile.name)
    for severity in SEVERITIES:
        yield "audit_tcp_findings", (host, profile, severity, "fail"), 0
    for finding in report.findings:
        rule, subject = finding.rule, finding.subject
        yield "audit_tcp_findings", (host, profile, rule.severity, finding.verdict), 1
        if finding.verdict == "fail":
            place = (printable(subject.kind), printable(subject.name))
            yield "audit_tcp_finding", (host, printable(rule.id), rule.severity, *place), 1


def _unix_time(taken: str) -> float | None:
    try:
        moment = datetime.fromisoformat(taken)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
