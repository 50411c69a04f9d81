"""The schema in tests/data is the one of SARIF 2.1.0 (rtm.5), from the npm package @microsoft/jest-sarif 1.0.0-beta.0.

Its path there is lib/schemas/sarif-2.1.0-rtm.5.json, the package is under the MIT licence; descriptions are left out.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from audit_tcp.model import Finding, Report
from audit_tcp.report.sarif import render
from report.made import BACKLOG, EVERYTHING, failed, finding, report

SCHEMA = Draft4Validator(json.loads((Path(__file__).parents[1] / "data" / "sarif-2.1.0.schema.json").read_text()))


def log(*reports: Report) -> Any:
    made = json.loads("".join(render(reports)))
    SCHEMA.validate(made)
    return made


def result(found: Finding) -> Any:
    return log(report(found))["runs"][0]["results"][0]


@pytest.mark.parametrize("reports", [[], [EVERYTHING], [failed()], [EVERYTHING, failed(), EVERYTHING]])
def test_a_run_a_host(reports: list[Report]) -> None:
    assert len(log(*reports)["runs"]) == len(reports)


def test_the_schema_refuses_what_is_wrong() -> None:
    assert not SCHEMA.is_valid({"version": "2.1.0", "runs": [{"results": []}]})


@pytest.mark.parametrize(
    ("verdict", "severity", "kind", "level"),
    [
        ("fail", "high", "fail", "error"),
        ("fail", "medium", "fail", "warning"),
        ("fail", "low", "fail", "note"),
        ("fail", "info", "fail", "note"),
        ("waived", "high", "fail", "error"),
        ("absent", "high", "notApplicable", "none"),
        ("error", "high", "open", "none"),
    ],
)
def test_kind_and_level(verdict: str, severity: str, kind: str, level: str) -> None:
    made = result(finding(dataclasses.replace(BACKLOG, severity=severity), verdict, note="because"))
    assert (made["kind"], made["level"]) == (kind, level)
    assert ("suppressions" in made) == (verdict == "waived")


def test_a_waiver_is_a_suppression_with_its_reason() -> None:
    made = result(finding(verdict="waived", note="waived until 2026-01-01: OPS-7"))
    assert made["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "waived until 2026-01-01: OPS-7"}
    ]


def test_a_pass_is_left_out() -> None:
    assert log(report(finding(verdict="pass")))["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("origin", "path", "line"),
    [
        ("/etc/nginx/nginx.conf:31", "/etc/nginx/nginx.conf", 31),
        ("/etc/my dir/a#b?c%d.conf:7", "/etc/my dir/a#b?c%d.conf", 7),
        ("/etc/é.conf:1", "/etc/é.conf", 1),
        ("/proc/sys/net/core/somaxconn", "/proc/sys/net/core/somaxconn", None),
        ("/etc/x:0", "/etc/x:0", None),
        ("default of nginx 1.22.1", None, None),
        ("", None, None),
    ],
)
def test_locations(origin: str, path: str | None, line: int | None) -> None:
    location = result(finding(name="docker:api", origin=origin))["locations"][0]
    assert location["logicalLocations"] == [{"name": "netns docker:api", "kind": "netns"}]
    physical = location.get("physicalLocation", {})
    uri = urlsplit(physical.get("artifactLocation", {}).get("uri", ""))
    assert unquote(uri.path) == (path or "")
    assert uri.scheme == ("file" if path else "")
    assert physical.get("region", {}).get("startLine") == line


def test_rules_are_described_once_and_referred_to() -> None:
    run = log(EVERYTHING)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["reuse-off", "somaxconn-low", "retries2"]
    assert all(rules[made["ruleIndex"]]["id"] == made["ruleId"] for made in run["results"])
    assert rules[1]["name"] == "SomaxconnLow"
    assert rules[1]["helpUri"] == "https://docs.kernel.org/networking/ip-sysctl.html"
    assert rules[1]["help"]["text"].startswith("Fix (safe): Set net.core.somaxconn")
    assert rules[1]["defaultConfiguration"] == {"level": "error"}


def test_a_rule_without_a_link_has_no_help_uri() -> None:
    bare = dataclasses.replace(BACKLOG, cite=("net/socket.c", "javascript:alert(1)"))
    assert "helpUri" not in log(report(finding(bare)))["runs"][0]["tool"]["driver"]["rules"][0]


def test_a_failure_is_an_unsuccessful_invocation() -> None:
    assert log(failed(reason="no route"))["runs"][0]["invocations"] == [
        {
            "executionSuccessful": False,
            "toolExecutionNotifications": [
                {"level": "error", "message": {"text": "the host could not be audited: no route"}}
            ],
        }
    ]


def test_what_could_not_be_read_is_a_notification() -> None:
    (invocation,) = log(EVERYTHING)["runs"][0]["invocations"]
    assert invocation["executionSuccessful"]
    assert [told["message"]["text"] for told in invocation["toolExecutionNotifications"]] == [
        "could not be read: /etc/nginx/secret.conf: Permission denied",
        "could not be read: netns of pid 77: No such process",
    ]


def fingerprint(found: Finding, host: str = "web-1") -> str:
    (made,) = log(report(found, host=host))["runs"][0]["results"]
    return str(made["partialFingerprints"]["auditTcpFinding/v1"])


def test_a_fingerprint_outlives_values_and_tells_subjects_apart() -> None:
    usual = fingerprint(finding())
    assert usual == fingerprint(finding(actual=64, origin="/elsewhere:1", note="expired"))
    others = {
        fingerprint(finding(), host="web-2"),
        fingerprint(finding(name="docker:api")),
        fingerprint(finding(kind="server")),
        fingerprint(finding(dataclasses.replace(BACKLOG, id="other"))),
    }
    assert len(others | {usual}) == 5


def test_runs_of_one_file_are_told_apart_by_their_host() -> None:
    made = log(EVERYTHING, failed("rack/db 1"))
    assert [run["automationDetails"]["id"] for run in made["runs"]] == ["audit-tcp/web-1/", "audit-tcp/rack%2Fdb%201/"]


def test_a_message_has_no_placeholder_and_no_link() -> None:
    text = result(finding(name="{0} [click](http://evil.example)"))["message"]["text"]
    assert "{{0}} [click] (http://evil.example)" in text


@pytest.mark.parametrize("field", ["kind", "name", "actual", "wanted", "origin"])
def test_a_long_word_does_not_crowd_out_the_rest(field: str) -> None:
    text = result(finding(**{"note": "waiver expired", field: "x" * 1_000_000}))["message"]["text"]
    assert text.endswith(" waiver expired.")


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_valid(text: str) -> None:
    log(report(finding(name=text, kind=text, origin=f"/{text}:1", actual=text, note=text), host=text))
