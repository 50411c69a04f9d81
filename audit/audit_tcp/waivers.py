"""Waivers: findings that somebody has accepted, for a reason and until a day. Afterwards they fail again and say so."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from audit_tcp import tables
from audit_tcp.errors import ProfileError
from audit_tcp.model import Finding, Report
from audit_tcp.profile import builtin_rules, unknown_rule

KEYS = {"rule": str, "subject": str, "host": str, "reason": str, "expires": datetime.date}


@dataclass(frozen=True, slots=True)
class Waiver:
    """`subject` is a pattern over `KIND NAME` and `host` one over host names, both as in a shell."""

    rule: str
    subject: str
    reason: str
    expires: datetime.date
    host: str = "*"

    def covers(self, finding: Finding, host: str) -> bool:
        """Whether the waiver speaks of this finding, expired or not."""
        return (
            finding.rule.id == self.rule
            and fnmatchcase(str(finding.subject), self.subject)
            and fnmatchcase(host, self.host)
        )


def load(path: str, rules: Iterable[str] = ()) -> tuple[Waiver, ...]:
    """The waivers of a TOML file of [[waiver]] entries; `rules` are ids that exist beside the shipped ones.

    Raises ProfileError naming file, entry and key.
    """
    table = tables.check(tables.read(path, ProfileError), {"waiver": list}, path, ProfileError)
    known = {*builtin_rules(), *rules}
    found = []
    for number, entry in enumerate(table.get("waiver", []), 1):
        where = f"{path}: waiver {number}"
        needed = ("rule", "subject", "reason", "expires")
        waiver = Waiver(**tables.check(entry, KEYS, where, ProfileError, needed=needed))
        if isinstance(waiver.expires, datetime.datetime):
            raise ProfileError(f"{where}: expires: a day without a time is needed, not {waiver.expires}")
        if waiver.rule not in known:
            raise ProfileError(f"{where}: rule: {unknown_rule(waiver.rule, known)}")
        if not waiver.reason.strip():
            raise ProfileError(f"{where}: reason: a text is needed: why is this accepted?")
        found.append(waiver)
    return tuple(found)


def apply(report: Report, waivers: Iterable[Waiver], today: datetime.date, used: set[Waiver] | None = None) -> Report:
    """The report with its failing findings waived where a waiver covers them and has not expired on `today`.

    Every waiver that covers a finding, expired or not, is added to `used`.
    """
    listed, seen = tuple(waivers), set() if used is None else used
    findings = tuple(_waived(finding, report.snapshot.host, listed, today, seen) for finding in report.findings)
    return replace(report, findings=findings)


def _waived(
    finding: Finding, host: str, waivers: tuple[Waiver, ...], today: datetime.date, used: set[Waiver]
) -> Finding:
    if finding.verdict != "fail":
        return finding
    covering = [waiver for waiver in waivers if waiver.covers(finding, host)]
    used.update(covering)
    if not covering:
        return finding
    waiver = max(covering, key=lambda one: one.expires)
    if waiver.expires < today:
        return finding.with_verdict("fail", f"the waiver expired on {waiver.expires}: {waiver.reason}")
    return finding.with_verdict("waived", f"{waiver.reason} (until {waiver.expires})")
