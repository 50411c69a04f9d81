"""`--format markdown`: GitHub-flavoured, for merge requests, tickets and the summary page of a CI job.

What a host said stands in code spans, where neither HTML nor links, mentions or automatic links are read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from audit_tcp import __version__
from audit_tcp.model import Finding, Report
from audit_tcp.wording import care, printable, prose, shown, worst_first

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {mark: f"\\{mark}" for mark in "\\`*_[]|~$"})
_BREAKS_A_CODE_SPAN = re.compile(r"[`|]|<(?=[A-Za-z/!?])")
_PLAIN_LINK = re.compile(r"https?://[A-Za-z0-9./_~%#?=+-]+")


def render(
    reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
) -> Iterator[str]:
    """A heading a host, a table of what fails, then why and what to do, what is waived and what could not be read."""
    yield f"# TCP connection lifecycle\n\naudit-tcp {__version__}\n"
    for report in reports:
        yield "\n" + "\n".join(_host(report))


def _host(report: Report) -> Iterator[str]:
    snapshot = report.snapshot
    yield f"## {_code(snapshot.host)}\n"
    known = {"": snapshot.os, "kernel ": snapshot.kernel, "profile ": report.profile.name, "taken ": snapshot.taken}
    yield ", ".join(f"{name}{_code(text)}" for name, text in known.items() if text) + "\n"
    if report.failure:
        yield f"**Could not be audited:** {_code(report.failure)}\n"
    failing = worst_first(report.findings)
    if failing:
        yield from _table(failing)
        for _, same in groupby(failing, key=lambda finding: finding.rule.id):
            yield from _details(list(same))
    yield from _list("Waived", report.findings, "waived")
    yield from _list("Could not be judged", report.findings, "error")
    if snapshot.errors:
        yield "### Could not be read\n"
        yield from (f"- {_code(error.where)}: {_code(error.what)}" for error in snapshot.errors)
        yield ""
    if not report.failure:
        counts = Counter(finding.verdict for finding in report.findings)
        yield f"{counts['pass']} checks passed; {counts['absent']} not applicable here (fact absent).\n"


def _table(failing: list[Finding]) -> Iterator[str]:
    yield "| Severity | Rule | Subject | Is | Wanted | Where |\n|---|---|---|---|---|---|"
    for finding in failing:
        cells = (finding.rule.id, str(finding.subject), shown(finding.actual), finding.wanted, finding.origin)
        yield f"| {finding.rule.severity} | {' | '.join(_code(cell) for cell in cells)} |"
    yield ""


def _details(same: list[Finding]) -> Iterator[str]:
    rule = same[0].rule
    yield f"### {_prose(rule.title)} ({rule.severity}, {_code(rule.id)})\n"
    yield f"**Why:** {_prose(rule.why)}\n"
    yield f"**Fix ({care(rule.fix)}):** {_prose(rule.fix.text)}\n"
    if rule.cite or rule.proof:
        sources = [f"<{cite}>" if _PLAIN_LINK.fullmatch(cite) else _prose(cite) for cite in rule.cite]
        yield f"**Sources:** {'; '.join(sources + [f'proof {_prose(proof)}' for proof in rule.proof])}\n"
    notes = [f"- {_code(str(finding.subject))}: {_code(finding.note)}" for finding in same if finding.note]
    if notes:
        yield "\n".join(notes) + "\n"


def _list(heading: str, findings: Iterable[Finding], verdict: str) -> Iterator[str]:
    chosen = [finding for finding in findings if finding.verdict == verdict]
    if not chosen:
        return
    yield f"### {heading}\n"
    for finding in chosen:
        known = "" if finding.actual is None else f" is {_code(shown(finding.actual))},"
        wanted = f"{known} wanted {_code(finding.wanted)}: {_code(finding.note)}"
        yield f"- {_code(finding.rule.id)} on {_code(str(finding.subject))}{wanted}"
    yield ""


def _code(text: str) -> str:
    r"""A code span that no renderer leaves early: a backtick, a pipe and the start of a tag become \x60, \x7c, \x3c."""
    harmless = _BREAKS_A_CODE_SPAN.sub(lambda match: f"\\x{ord(match[0]):02x}", printable(text)).strip()
    return f"`{harmless or '(empty)'}`"


def _prose(text: str) -> str:
    """Our own words, or a user's profile's, with what Markdown would read as markup escaped."""
    return prose(text).translate(_MARKUP)
