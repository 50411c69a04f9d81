"""Tell what changed between two snapshots: settings, findings that appeared or went, counters that moved"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

from audit_tcp import defaults, judge, profile, snapshot
from audit_tcp.cli import _options
from audit_tcp.model import Finding, Report, Value
from audit_tcp.snapshot import Change
from audit_tcp.wording import printable, rank, shown, worst_first

EXAMPLES = """examples:
  audit-tcp host --save monday.json                 now, and again later to another file
  audit-tcp compare monday.json friday.json         exit code 3 where a finding appeared
"""

COUNTERS = ("TcpExt.", "Tcp.", "sockstat.", "conntrack.")
"""Facts that move by themselves."""

MOVING = (
    "fs.file-nr", "net.netfilter.nf_conntrack_count", "conntrack_fill_percent", "open_files_percent", "uptime_s",
    "accept_queue",
)  # fmt: skip
EXIT_FINDINGS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp compare`."""
    parser.add_argument("old", metavar="OLD", help="the earlier snapshot")
    parser.add_argument("new", metavar="NEW", help="the later snapshot")
    _options.add_profile(parser)
    _options.add_fail_on(parser)
    parser.add_argument("--format", default="text", choices=("text", "json"), help="how to report (default: text)")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")


@dataclass(frozen=True)
class Difference:
    """What lies between two reports of one host."""

    old: Report
    new: Report
    settings: tuple[Change, ...]
    counters: tuple[Change, ...]
    appeared: tuple[Finding, ...]
    gone: tuple[Finding, ...]


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
    return EXIT_FINDINGS if any(rank(finding) >= least for finding in difference.appeared) else 0


def between(old: Report, new: Report) -> Difference:
    """Settings and counters that differ, and the failing findings that only one side has."""
    changes = [change for change in snapshot.compare(old.snapshot, new.snapshot) if change.fact not in MOVING]
    counters = tuple(change for change in changes if change.fact.startswith(COUNTERS))
    settings = tuple(change for change in changes if not change.fact.startswith(COUNTERS))
    before, after = ({(f.rule.id, str(f.subject)): f for f in worst_first(r.findings)} for r in (old, new))
    appeared = tuple(finding for key, finding in after.items() if key not in before)
    gone = tuple(finding for key, finding in before.items() if key not in after)
    return Difference(old, new, settings, counters, appeared, gone)


def _text(difference: Difference) -> Iterator[str]:
    old, new = difference.old.snapshot, difference.new.snapshot
    yield f"{printable(new.host)}: {printable(old.taken)} -> {printable(new.taken)}"
    if old.host != new.host:
        yield f"note: two hosts, {printable(old.host)} and {printable(new.host)}"
    sections = (
        ("Findings that appeared", [_finding_line(finding) for finding in difference.appeared]),
        ("Findings that went", [_finding_line(finding) for finding in difference.gone]),
        ("Settings that changed", [_change_line(change) for change in difference.settings]),
        ("Counters that moved", [_change_line(change) for change in difference.counters]),
    )
    for title, lines in sections:
        yield f"\n{title}: {len(lines) or 'none'}"
        yield from lines


def _finding_line(finding: Finding) -> str:
    subject = printable(str(finding.subject))
    return f"  {finding.rule.severity:6} {finding.rule.id}  {subject}: {shown(finding.actual)}, wanted {finding.wanted}"


def _change_line(change: Change) -> str:
    return f"  {printable(change.subject)}  {printable(change.fact)}: {_side(change.old)} -> {_side(change.new)}"


def _side(value: Value | None) -> str:
    return "(not there)" if value is None else shown(value)


def _json(difference: Difference) -> Iterator[str]:
    yield json.dumps(
        {
            "schema": 1,
            "old": {"host": difference.old.snapshot.host, "taken": difference.old.snapshot.taken},
            "new": {"host": difference.new.snapshot.host, "taken": difference.new.snapshot.taken},
            "profile": difference.new.profile.name,
            "appeared": [_finding_object(finding) for finding in difference.appeared],
            "gone": [_finding_object(finding) for finding in difference.gone],
            "settings": [change._asdict() for change in difference.settings],
            "counters": [change._asdict() for change in difference.counters],
        },
        indent=2,
    )


def _finding_object(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule.id,
        "subject": {"kind": finding.subject.kind, "name": finding.subject.name},
        "severity": finding.rule.severity,
        "actual": finding.actual,
        "wanted": finding.wanted,
        "origin": finding.origin,
    }
