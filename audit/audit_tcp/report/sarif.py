"""`--format sarif`: SARIF 2.1.0, one run a host, for code scanning and other viewers.

A pass is left out. An absent fact is a result of kind `notApplicable`, one that could not be judged of kind `open`.
What could not be read, and a host that could not be audited, are notifications of the run's invocation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from audit_tcp import __version__
from audit_tcp.model import Finding, Report, Rule
from audit_tcp.wording import care, printable, prose, shown

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"high": "error", "medium": "warning", "low": "note", "info": "note"}
KINDS = {"fail": "fail", "waived": "fail", "absent": "notApplicable", "error": "open"}
LONGEST_MESSAGE = 8000
LONGEST_PATH = 4096
_FILE = re.compile(r"(?P<path>/.*):(?P<line>[1-9][0-9]{0,8})|(?P<bare>/\S*)", re.DOTALL)
_LINK = re.compile(r"https?://[A-Za-z0-9./_~%#?=&+-]+")

Json = dict[str, object]


def render(
    reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
) -> Iterator[str]:
    """A log whose runs are written as the reports come."""
    yield f'{{"$schema": "{SCHEMA_URI}", "version": "2.1.0", "runs": ['
    separator = "\n"
    for report in reports:
        yield separator + json.dumps(_run(report))
        separator = ",\n"
    yield "\n]}\n"


def _run(report: Report) -> Json:
    snapshot = report.snapshot
    told = [finding for finding in report.findings if finding.verdict in KINDS]
    rules = {finding.rule.id: finding.rule for finding in told}
    places = {rule_id: place for place, rule_id in enumerate(rules)}
    host = printable(snapshot.host)
    driver = {"name": "audit-tcp", "version": __version__, "rules": [_descriptor(rule) for rule in rules.values()]}
    about = {"host": host, "kernel": snapshot.kernel, "os": snapshot.os, "taken": snapshot.taken}
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"audit-tcp/{quote(host, safe='')}/"},
        "invocations": [_invocation(report)],
        "results": [_result(finding, snapshot.host, places[finding.rule.id]) for finding in told],
        "properties": {name: printable(text) for name, text in (about | {"profile": report.profile.name}).items()},
    }


def _invocation(report: Report) -> Json:
    told = [("error", f"the host could not be audited: {printable(report.failure)}")] if report.failure else []
    told.extend(
        ("warning", f"could not be read: {printable(error.where)}: {printable(error.what)}")
        for error in report.snapshot.errors
    )
    return {
        "executionSuccessful": not report.failure,
        "toolExecutionNotifications": [{"level": level, "message": _message(text)} for level, text in told],
    }


def _descriptor(rule: Rule) -> Json:
    links = [cite for cite in rule.cite if _LINK.fullmatch(cite)]
    return {
        "id": printable(rule.id),
        "name": "".join(word.capitalize() for word in re.findall("[A-Za-z0-9]+", rule.id)),
        "shortDescription": _message(rule.title),
        "fullDescription": _message(rule.why),
        "help": _message(f"Fix ({care(rule.fix)}): {rule.fix.text}"),
        **({"helpUri": links[0]} if links else {}),
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "tags": ["tcp", printable(rule.of)],
            "severity": rule.severity,
            "cite": [printable(cite) for cite in rule.cite],
            "proof": [printable(proof) for proof in rule.proof],
            "fixIsSafe": rule.fix.safe,
            "sysctls": {printable(name): shown(value) for name, value in rule.fix.set.items()},
        },
    }


def _result(finding: Finding, host: str, rule_index: int) -> Json:
    kind = KINDS[finding.verdict]
    note = f" {printable(finding.note)}." if finding.note else ""
    origin = f" ({printable(finding.origin)})" if finding.origin else ""
    actual, wanted = shown(finding.actual), printable(finding.wanted)
    subject = printable(str(finding.subject))
    suppression = {"kind": "external", "status": "accepted", "justification": printable(finding.note)}
    return {
        "ruleId": printable(finding.rule.id),
        "ruleIndex": rule_index,
        "kind": kind,
        "level": LEVELS[finding.rule.severity] if kind == "fail" else "none",
        "message": _message(f"{finding.rule.title}: {subject} has {actual}, wanted {wanted}{origin}.{note}"),
        "locations": [_location(finding)],
        "partialFingerprints": {"auditTcpFinding/v1": _fingerprint(finding, host)},
        **({"suppressions": [suppression]} if finding.verdict == "waived" else {}),
    }


def _location(finding: Finding) -> Json:
    subject = {"name": printable(str(finding.subject)), "kind": printable(finding.subject.kind)}
    location: Json = {"logicalLocations": [subject]}
    file = _FILE.fullmatch(finding.origin)
    if file and len(finding.origin) <= LONGEST_PATH:
        path = quote(file["path"] or file["bare"], errors="replace")
        location["physicalLocation"] = {
            "artifactLocation": {"uri": f"file://{path}"},
            **({"region": {"startLine": int(file["line"])}} if file["line"] else {}),
        }
    return location


def _fingerprint(finding: Finding, host: str) -> str:
    """The same from run to run while host, rule and subject are."""
    identity = json.dumps([host, finding.rule.id, finding.subject.kind, finding.subject.name])
    return hashlib.sha256(identity.encode()).hexdigest()


def _message(text: str) -> Json:
    """A text without placeholders and links: SARIF 3.11.5 has braces doubled, by 3.11.6 `](` would make a link."""
    line = prose(text, LONGEST_MESSAGE)
    return {"text": line.replace("{", "{{").replace("}", "}}").replace("](", "] (")}
