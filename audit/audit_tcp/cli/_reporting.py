"""How the commands that judge write their reports, and what their exit code says of them."""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audit_tcp import drawing, report, snapshot
from audit_tcp.cli import _options, tell
from audit_tcp.errors import AuditTcpError
from audit_tcp.model import Profile, Report, Snapshot
from audit_tcp.wording import rank, worst_first

if TYPE_CHECKING:
    from audit_tcp.waivers import Waiver


@dataclass
class Tally:
    """What the exit code and the last lines need to know of the reports that went by."""

    failed: bool = False
    judged: bool = False
    worst: int = -1
    used: set[Waiver] = field(default_factory=set)

    def seen(self, one: Report) -> None:
        """Counts one report, and tells where its audit failed as a whole or in part."""
        shortfall = shortfall_of(one)
        if shortfall:
            tell(shortfall)
        self.failed = self.failed or bool(shortfall)
        self.judged = self.judged or _judged(one)
        self.worst = max([self.worst, *(rank(finding) for finding in worst_first(one.findings)[:1])])


def shortfall_of(one: Report) -> str:
    """Why this audit failed, in one line that names the host; empty where all of it was judged."""
    host = one.snapshot.host
    crashed = [error for error in one.snapshot.errors if error.where.startswith(snapshot.CRASH)]
    unjudged = [finding for finding in one.findings if finding.verdict == "error"]
    if one.failure:
        return one.failure
    if crashed:
        return f"{host}: the audit is not complete: {crashed[0].where}: {crashed[0].what}{_others(crashed)}"
    if unjudged:
        first = unjudged[0]
        return f"{host}: could not be judged: {first.rule.id} on {first.subject}: {first.note}{_others(unjudged)}"
    if not drawing.is_path(one.snapshot) and not _judged(one):
        return f"{host}: nothing could be judged: it has none of what profile {one.profile.name} looks at"
    return ""


def _judged(one: Report) -> bool:
    return any(finding.verdict in ("pass", "fail", "waived") for finding in one.findings)


def _others(all_of_them: Sequence[object]) -> str:
    return f" (and {len(all_of_them) - 1} more)" if len(all_of_them) > 1 else ""


def failed(name: str, chosen: Profile, error: AuditTcpError) -> Report:
    """The report of what could not be judged at all."""
    return Report(Snapshot(name, "", "", ""), chosen, failure=str(error))


def internal(name: str, error: Exception) -> AuditTcpError:
    """What to say of one snapshot or path that breaks the program; the others are still judged."""
    if os.environ.get("AUDIT_TCP_DEBUG"):
        raise error
    return AuditTcpError(f"{name}: internal error, please report it: {type(error).__name__}: {error}")


def accepted_by(path: str | None, chosen: Profile) -> tuple[Waiver, ...]:
    """The waivers of `--waivers`, none without it. Raises ProfileError."""
    if not path:
        return ()
    from audit_tcp import waivers

    return waivers.load(path, (rule.id for rule in chosen.rules))


def waived(one: Report, accepted: tuple[Waiver, ...], tally: Tally) -> Report:
    """The report with what is accepted today, told of the tally."""
    if not accepted:
        return one
    from audit_tcp import waivers

    return waivers.apply(one, accepted, datetime.datetime.now(datetime.UTC).date(), tally.used)


def write(reports: Iterable[Report], arguments: argparse.Namespace, accepted: Sequence[Waiver], tally: Tally) -> int:
    """Writes the reports as `--format` and `--output` say while they come; the exit code."""
    render = report.renderer(arguments.format)
    with _options.destination(arguments.output) as file:
        colour = _options.wants_colour(file)
        for chunk in render(reports, fail_on=arguments.fail_on, colour=colour, width=_options.width(file)):
            file.write(chunk)
    for number, waiver in enumerate(accepted, 1):
        if waiver not in tally.used:
            tell(f"{arguments.waivers}: waiver {number} ({waiver.rule}) matched no failing finding: is it needed?")
    if not tally.judged and not tally.failed:
        tell("nothing could be judged: too little is known of the hops; docs/path.md says what may be stated")
        return 1
    if tally.failed:
        return 1
    least = _options.severity_rank(arguments.fail_on)
    return _options.EXIT_FINDINGS if tally.worst >= least else 0
