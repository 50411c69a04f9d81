"""`--format text`: for people at a terminal. The worst first, then what is waived, unread and fine, then what to do.

No line is wider than `width` columns, whatever the host calls its things. rich is loaded only where colour is wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from audit_tcp import __version__, drawing
from audit_tcp.model import SEVERITIES, Finding, Report
from audit_tcp.snapshot import origin_of
from audit_tcp.wording import care, columns, fold, padded, printable, prose, rank, shown, worst_first

SUBJECTS_SHOWN = 5
LINES_OF_NAMES = 3
ERRORS_SHOWN = 10
HOSTS_SHOWN = 20
NARROWEST = 40
WORST_FIRST = tuple(reversed(SEVERITIES))
STYLES = {
    "bold": "bold",
    "failed": "bold red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
    "good": "green",
}

Paint = Callable[[str, str], str]


def render(
    reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
) -> Iterator[str]:
    """A page a host and, after several, a table of the worst. The last lines count what is `fail_on` or worse."""
    page = _Page(_rich if colour else _plain, max(width, NARROWEST), fail_on)
    fleet = _Fleet()
    for report in reports:
        yield ("\n" if fleet.hosts else "") + "\n".join(page.lines(report)) + "\n"
        fleet.add(report)
    if not fleet.hosts:
        yield "No host was audited.\n"
    if fleet.hosts > 1:
        yield "\n" + "\n".join(fleet.lines(page)) + "\n"


class _Page:
    """One report, line by line, in so many columns."""

    def __init__(self, paint: Paint, width: int, fail_on: str) -> None:
        self.paint, self.width, self.fail_on = paint, width, fail_on
        self.profile_file = ""

    def lines(self, report: Report) -> Iterator[str]:
        """The page: what the host is, what fails, what could not be judged, and what to do next."""
        self.profile_file = report.profile.path
        yield from self._head(report)
        failing = worst_first(report.findings)
        yield from self._drawing(report, failing)
        for _, same in groupby(failing, key=lambda finding: finding.rule.id):
            yield ""
            yield from self._rule(list(same))
        yield from self._unjudged(report)
        yield ""
        yield from self._end(report, failing)

    def folded(self, text: str, style: str = "", first: str = "", rest: str = "  ") -> list[str]:
        """The lines of a text in a style of STYLES; `first` stands before it, `rest` before what follows."""
        lines = fold(text, self.width, first, rest)
        return [self.paint(line, style) for line in lines] if style else lines

    def _head(self, report: Report) -> Iterator[str]:
        snapshot = report.snapshot
        system = (
            snapshot.os,
            f"kernel {snapshot.kernel}" if snapshot.kernel else "",
            f"profile {report.profile.name}" if report.profile.name else "",
        )
        about = ", ".join(printable(part) for part in system if part)
        yield from self.folded(about, "bold", first=f"audit-tcp {__version__}  {printable(snapshot.host)}  ")
        if report.failure:
            yield ""
            yield from self.folded(f"FAILED  could not be audited: {printable(report.failure)}", "failed", rest=" " * 8)

    def _drawing(self, report: Report, failing: list[Finding]) -> Iterator[str]:
        if drawing.is_path(report.snapshot):
            yield ""
            wrong = {one.subject.name for one in failing if one.subject.kind == "link" and one.rule.than}
            yield from drawing.lines(report.snapshot, wrong, self.width)

    def _rule(self, same: list[Finding]) -> Iterator[str]:
        rule, indent = same[0].rule, " " * 8
        title = f"{prose(rule.title)} [{printable(rule.id)}]"
        yield from self.folded(title, rule.severity, first=f"{rule.severity.upper():<8}", rest=indent)
        yield from self._subjects(same[:SUBJECTS_SHOWN])
        if same[SUBJECTS_SHOWN:]:
            yield from self.folded(self._more(same[SUBJECTS_SHOWN:]), first="  ", rest="    ")
        yield from self.folded(prose(rule.why), first="  why   ", rest=indent)
        yield from self.folded(f"{prose(rule.fix.text)} ({care(rule.fix)})", first="  fix   ", rest=indent)
        see = f"proof {prose(rule.proof[0])}; more: " if rule.proof else ""
        yield from self.folded(f"{see}{self.explanation(rule.id)}", first="  see   ", rest=indent)

    def explanation(self, rule: str) -> str:
        """The command that explains a rule; what a user's own profile says of it is known only with that file."""
        if not self.profile_file:
            return f"audit-tcp explain {printable(rule)}"
        import shlex

        return f"audit-tcp explain {printable(rule)} --profile {printable(shlex.quote(self.profile_file))}"

    def _subjects(self, same: list[Finding]) -> Iterator[str]:
        names = [f"{printable(str(finding.subject))}:" for finding in same]
        column = min(max(map(columns, names)), 24)
        for name, finding in zip(names, same, strict=True):
            actual, wanted = f"{printable(finding.rule.fact)} = {shown(finding.actual)}", printable(finding.wanted)
            told = "" if finding.origin == origin_of(finding.rule.fact) else f" ({printable(finding.origin)})"
            # where two facts are compared, each stands beside its own place
            facts = f"{actual}{told}, wanted {wanted}" if finding.rule.than else f"{actual}, wanted {wanted}{told}"
            yield from self.folded(facts, first=f"  {padded(name, column)} ", rest="      ")
            if finding.note:
                yield from self.folded(printable(finding.note), first="      ", rest="      ")

    def _more(self, hidden: list[Finding]) -> str:
        """`and 44 more: netns a, b, c`, and how many of them did not find room."""
        text, kind, named = f"and {len(hidden)} more:", "", 0
        room = LINES_OF_NAMES * (self.width - 20)
        for finding in hidden:
            name = printable(finding.subject.name, 40)
            same_kind = finding.subject.kind == kind
            piece = f", {name}" if same_kind else f"{';' if kind else ''} {printable(finding.subject.kind, 20)} {name}"
            if named and columns(text + piece) > room:
                return f"{text} and {len(hidden) - named} not named here"
            text, kind, named = text + piece, finding.subject.kind, named + 1
        return text

    def _unjudged(self, report: Report) -> Iterator[str]:
        told = [
            f"{label}: {printable(finding.rule.id)} on {printable(str(finding.subject))}: {printable(finding.note)}"
            for verdict, label in (("waived", "waived"), ("error", "could not be judged"))
            for finding in report.findings
            if finding.verdict == verdict
        ]
        unread = report.snapshot.errors
        lacking = "not judged" if drawing.is_path(report.snapshot) else "could not be read"
        told.extend(f"{lacking}: {printable(error.where)}: {printable(error.what)}" for error in unread[:ERRORS_SHOWN])
        if unread[ERRORS_SHOWN:]:
            told.append(f"{lacking}: {len(unread) - ERRORS_SHOWN} more, all of them in --format json")
        if told:
            yield ""
        for line in told:
            yield from self.folded(line)

    def _end(self, report: Report, failing: list[Finding]) -> Iterator[str]:
        if report.failure:
            yield from self.folded("Nothing was judged: mend what the reason says and run again.")
            return
        counts = Counter(finding.verdict for finding in report.findings)
        fine = f"{_many(counts['pass'], 'check')} passed; {counts['absent']} not applicable here (fact absent)"
        yield from self.folded(fine)
        if not failing:
            yield from self._nothing_fails(counts, bool(report.snapshot.errors), drawing.is_path(report.snapshot))
            return
        fixes = {finding.rule.id: finding.rule.fix.safe for finding in failing}
        safe = sum(fixes.values())
        grave = ""
        if self.fail_on in SEVERITIES:
            number = sum(rank(finding) >= SEVERITIES.index(self.fail_on) for finding in failing)
            grave = f", {number} at {self.fail_on} or worse"
        advice = f"{_many(len(fixes), 'rule')} to mend: {safe} safely, {len(fixes) - safe} with care."
        yield from self.folded(f"{_many(len(failing), 'finding')} failed{grave}. {advice}")
        kept = "" if drawing.is_path(report.snapshot) else "; --save FILE keeps this state for later comparing"
        yield from self.folded(f"Next: audit-tcp explain RULE{kept}.")

    def _nothing_fails(self, counts: Counter[str], unread: bool, is_path: bool) -> list[str]:
        if not counts["pass"] + counts["waived"]:
            lacking = (
                "too little is known of the hops" if is_path else "the host has none of what this profile looks at"
            )
            return self.folded(f"Nothing could be judged: {lacking}.", "medium")
        if counts["error"] or unread:
            return self.folded("Nothing fails of what could be judged; what could not be stands above.", "medium")
        kept = "" if is_path else " --save FILE keeps this state for later comparing."
        return self.folded(f"Nothing fails.{kept}", "good")


class _Fleet:
    """Counters over the hosts of one run; of the hosts themselves only the worst are kept."""

    def __init__(self) -> None:
        self.hosts = self.failed = 0
        self.thing = "host"
        self.failing: Counter[str] = Counter()
        self.worst: list[tuple[tuple[int, ...], str, str]] = []

    def add(self, report: Report) -> None:
        """Counts one report."""
        found = Counter(finding.rule.severity for finding in report.findings if finding.verdict == "fail")
        self.hosts += 1
        if drawing.is_path(report.snapshot):
            self.thing = "path"
        self.failed += bool(report.failure)
        self.failing += found
        badness = (-bool(report.failure), *(-found[severity] for severity in WORST_FIRST), self.hosts)
        if len(self.worst) < HOSTS_SHOWN or badness < self.worst[-1][0]:
            self.worst.append((badness, printable(report.snapshot.host, 60), printable(report.failure)))
            self.worst = sorted(self.worst)[:HOSTS_SHOWN]

    def lines(self, page: _Page) -> Iterator[str]:
        """The table of the worst hosts, and the totals."""
        column = min(max(columns(host) for _, host, _ in self.worst), page.width - 32)
        yield page.paint(padded(self.thing, column) + "".join(f"{name:>8}" for name in WORST_FIRST), "bold")
        for (_, *found, _), host, failure in self.worst:
            counts = "".join(f"{-count:>8}" for count in found)
            style = next((name for name, count in zip(WORST_FIRST, found, strict=True) if count), "")
            row = padded(fold(host, column)[0], column) + (f"  FAILED: {failure}" if failure else counts)
            yield from page.folded(row, "failed" if failure else style)
        if self.hosts > len(self.worst):
            rest = _many(self.hosts - len(self.worst), self.thing)
            yield from page.folded(f"and {rest} no worse than the last of these")
        totals = ", ".join(f"{self.failing[name]} {name}" for name in WORST_FIRST)
        yield from page.folded(f"{self.hosts} {self.thing}s: {totals}; {self.failed} could not be audited")


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _plain(text: str, _style: str) -> str:
    return text


def _rich(text: str, style: str) -> str:
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(STYLES[style]).render(text, color_system=ColorSystem.STANDARD)
