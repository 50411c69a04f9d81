"""Tell what changed between two snapshots: settings, findings that appeared or went, counters that moved"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

from audit_tcp import defaults, judge, profile, snapshot
from audit_tcp.cli import _options
from audit_tcp.model import Finding, Report, Snapshot, Subject, Unread, Value
from audit_tcp.report.json import native
from audit_tcp.snapshot import Change
from audit_tcp.wording import fold, printable, rank, shown, worst_first

EXAMPLES = """examples:
  audit-tcp host --save monday.json           now; later to another file
  audit-tcp compare monday.json friday.json   exit code 3: a finding appeared
"""

COUNTERS = ("TcpExt.", "Tcp.", "sockstat.", "conntrack.")
"""Facts that move by themselves."""

MOVING = (
    "fs.file-nr", "net.netfilter.nf_conntrack_count", "conntrack_fill_percent", "open_files_percent", "uptime_s",
    "accept_queue",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp compare`."""
    parser.add_argument("old", metavar="OLD", help="the earlier snapshot")
    parser.add_argument("new", metavar="NEW", help="the later snapshot")
    _options.add_profile(parser)
    _options.add_fail_on(parser)
    parser.add_argument("--format", default="text", choices=("text", "json"), help="how to report (default: text)")
    _options.add_output(parser)


Key = tuple[str, str, str]


@dataclass(frozen=True)
class Difference:
    """What lies between two reports of one host. `unjudged` failed before, and nobody knows whether it still does."""

    old: Report
    new: Report
    appeared: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    unjudged: tuple[Finding, ...]
    came: tuple[Subject, ...]
    went: tuple[Subject, ...]
    settings: tuple[Change, ...]
    counters: tuple[Change, ...]
    unread: tuple[Unread, ...]
    readable: tuple[Unread, ...]


def run(arguments: argparse.Namespace) -> int:
    """Compares, prints, and returns 3 where a finding at or above --fail-on appeared."""
    chosen = profile.load(arguments.profile)
    snapshots = [snapshot.load(path) for path in (arguments.old, arguments.new)]
    old, new = (judge.judge(defaults.fill(one), chosen) for one in snapshots)
    difference = between(old, new)
    lines = _json(difference) if arguments.format == "json" else _text(difference)
    with _options.destination(arguments.output) as file:
        file.writelines(f"{line}\n" for line in lines)
    least = _options.severity_rank(arguments.fail_on)
    return _options.EXIT_FINDINGS if any(rank(finding) >= least for finding in difference.appeared) else 0


def between(old: Report, new: Report) -> Difference:
    """What appeared, went and changed; of a subject that only one side has no single fact is told."""
    before, after = ({_key(finding): finding for finding in worst_first(one.findings)} for one in (old, new))
    judged = {_key(finding) for finding in new.findings if finding.verdict in ("pass", "fail", "waived")}
    lost = [finding for key, finding in before.items() if key not in after]
    came, went = _only(new.snapshot, old.snapshot), _only(old.snapshot, new.snapshot)
    alone = {str(subject) for subject in (*came, *went)}
    changes = [
        change
        for change in snapshot.compare(old.snapshot, new.snapshot)
        if change.fact not in MOVING and change.subject not in alone
    ]
    return Difference(
        old,
        new,
        appeared=tuple(finding for key, finding in after.items() if key not in before),
        gone=tuple(finding for finding in lost if _key(finding) in judged),
        unjudged=tuple(finding for finding in lost if _key(finding) not in judged),
        came=came,
        went=went,
        settings=tuple(change for change in changes if not change.fact.startswith(COUNTERS)),
        counters=tuple(change for change in changes if change.fact.startswith(COUNTERS)),
        unread=_unread_only(new.snapshot, old.snapshot),
        readable=_unread_only(old.snapshot, new.snapshot),
    )


def _key(finding: Finding) -> Key:
    return finding.rule.id, finding.subject.kind, finding.subject.name


def _only(here: Snapshot, there: Snapshot) -> tuple[Subject, ...]:
    """The subjects that the other side does not have."""
    known = {(subject.kind, subject.name) for subject in there.subjects}
    return tuple(subject for subject in here.subjects if (subject.kind, subject.name) not in known)


def _unread_only(here: Snapshot, there: Snapshot) -> tuple[Unread, ...]:
    known = set(there.errors)
    return tuple(error for error in here.errors if error not in known)


def _text(difference: Difference) -> Iterator[str]:
    old, new = difference.old.snapshot, difference.new.snapshot
    yield from fold(f"{printable(new.host)}: {printable(old.taken)} -> {printable(new.taken)}")
    if old.host != new.host:
        yield from fold(f"note: two hosts, {printable(old.host)} and {printable(new.host)}")
    always: dict[str, list[str]] = {
        "Findings that appeared": [_finding_line(finding) for finding in difference.appeared],
        "Findings that went": [_finding_line(finding) for finding in difference.gone],
        "Settings that changed": [_change_line(change) for change in difference.settings],
        "Counters that moved": [_change_line(change) for change in difference.counters],
    }
    if_any = {
        "No longer judged, so nobody knows": [_finding_line(finding) for finding in difference.unjudged],
        "Subjects that appeared": [_subject_line(subject) for subject in difference.came],
        "Subjects that vanished": [_subject_line(subject) for subject in difference.went],
        "Could not be read, only now": [_unread_line(error) for error in difference.unread],
        "Could not be read, only before": [_unread_line(error) for error in difference.readable],
    }
    for title, lines in {**always, **if_any}.items():
        if lines or title in always:
            yield f"\n{title}: {len(lines) or 'none'}"
        for line in lines:
            yield from fold(line, first="  ", rest="      ")


def _finding_line(finding: Finding) -> str:
    subject, severity = printable(str(finding.subject)), finding.rule.severity
    is_and_wanted = f"{shown(finding.actual)}, wanted {printable(finding.wanted)}"
    return f"{severity:6} {printable(finding.rule.id)}  {subject}: {is_and_wanted}"


def _change_line(change: Change) -> str:
    return f"{printable(change.subject)}  {printable(change.fact)}: {_side(change.old)} -> {_side(change.new)}"


def _subject_line(subject: Subject) -> str:
    return f"{printable(str(subject))}  ({len(subject.facts)} facts)"


def _unread_line(error: Unread) -> str:
    return f"{printable(error.where)}: {printable(error.what)}"


def _side(value: Value | None) -> str:
    return "(not there)" if value is None else shown(value)


def _json(difference: Difference) -> Iterator[str]:
    old, new = difference.old.snapshot, difference.new.snapshot
    document = {
        "schema": 1,
        "old": {"host": old.host, "taken": old.taken},
        "new": {"host": new.host, "taken": new.taken},
        "profile": difference.new.profile.name,
        "appeared": [_finding_object(finding) for finding in difference.appeared],
        "gone": [_finding_object(finding) for finding in difference.gone],
        "unjudged": [_finding_object(finding) for finding in difference.unjudged],
        "subjects_appeared": [_subject_object(subject) for subject in difference.came],
        "subjects_vanished": [_subject_object(subject) for subject in difference.went],
        "settings": [_change_object(change) for change in difference.settings],
        "counters": [_change_object(change) for change in difference.counters],
        "unread_now": [{"where": error.where, "what": error.what} for error in difference.unread],
        "unread_before": [{"where": error.where, "what": error.what} for error in difference.readable],
    }
    yield json.dumps(document, indent=2, allow_nan=False)


def _finding_object(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule.id,
        "subject": _subject_object(finding.subject),
        "severity": finding.rule.severity,
        "actual": native(finding.actual),
        "wanted": finding.wanted,
        "origin": finding.origin,
    }


def _subject_object(subject: Subject) -> dict[str, object]:
    return {"kind": subject.kind, "name": subject.name}


def _change_object(change: Change) -> dict[str, object]:
    return change._asdict() | {"old": native(change.old), "new": native(change.new)}
