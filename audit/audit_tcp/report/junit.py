"""`--format junit`: a test suite a host and a test case a finding, for CI systems.

A finding below `--fail-on` passes, with its text in `system-out`, so that the CI agrees with the exit code.
The root carries no totals: they would be known only after the last host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

from audit_tcp import __version__
from audit_tcp.model import SEVERITIES, Finding, Report, Rule
from audit_tcp.wording import care, printable, prose, rank, shown

COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def render(
    reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
) -> Iterator[str]:
    """An XML document, written suite by suite; `fail_on` that is no severity lets every finding pass."""
    threshold = SEVERITIES.index(fail_on) if fail_on in SEVERITIES else len(SEVERITIES)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="audit-tcp">\n'
    for report in reports:
        yield ET.tostring(_suite(report, threshold), encoding="unicode") + "\n"
    yield "</testsuites>\n"


def _suite(report: Report, threshold: int) -> ET.Element:
    snapshot = report.snapshot
    host = printable(snapshot.host)
    suite = ET.Element("testsuite", name=host, hostname=host, timestamp=printable(snapshot.taken), time="0")
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("kernel", snapshot.kernel),
        ("os", snapshot.os),
        ("profile", report.profile.name),
        ("audit-tcp", __version__),
    ):
        ET.SubElement(properties, "property", name=name, value=printable(value))
    cases = [_case(finding, threshold) for finding in report.findings]
    if report.failure:
        cases.append(_unreachable(host, report.failure))
    suite.extend(cases)
    if snapshot.errors:
        lines = [f"could not be read: {printable(error.where)}: {printable(error.what)}" for error in snapshot.errors]
        ET.SubElement(suite, "system-err").text = "\n".join(lines)
    outcomes = Counter(child.tag for case in cases for child in case)
    suite.set("tests", str(len(cases)))
    for tag, attribute in COUNTED.items():
        suite.set(attribute, str(outcomes[tag]))
    return suite


def _unreachable(host: str, reason: str) -> ET.Element:
    case = ET.Element("testcase", classname=host, name="host-audited", time="0")
    ET.SubElement(case, "error", message=printable(reason), type="unaudited")
    return case


def _case(finding: Finding, threshold: int) -> ET.Element:
    rule = finding.rule
    case = ET.Element("testcase", classname=printable(str(finding.subject)), name=printable(rule.id), time="0")
    origin = f" ({printable(finding.origin)})" if finding.origin else ""
    message = f"{shown(finding.actual)}, wanted {printable(finding.wanted)}{origin}"
    note = printable(finding.note)
    if finding.verdict == "fail" and rank(finding) >= threshold:
        ET.SubElement(case, "failure", message=message, type=rule.severity).text = _body(rule, note)
    elif finding.verdict == "fail":
        ET.SubElement(case, "system-out").text = f"{rule.severity}, below --fail-on: {message}\n{_body(rule, note)}"
    elif finding.verdict == "waived":
        ET.SubElement(case, "skipped", message=f"waived: {note}; it is {message}")
    elif finding.verdict == "absent":
        ET.SubElement(case, "skipped", message=note or "not applicable: the fact is absent")
    elif finding.verdict == "error":
        ET.SubElement(case, "error", message=note or message, type="unjudged")
    return case


def _body(rule: Rule, note: str) -> str:
    rows = {
        "title": rule.title,
        "note": note,
        "why": rule.why,
        "fix": f"{rule.fix.text} ({care(rule.fix)})",
        "source": "; ".join(rule.cite),
        "proof": ", ".join(rule.proof),
    }
    return "\n".join(f"{name}: {prose(text)}" for name, text in rows.items() if text)
