from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from audit_tcp.model import Report, Value
from audit_tcp.report.json import render
from report.made import EVERYTHING, failed, finding, report

DOCS = Path(__file__).parents[2] / "docs"
REPORT = Draft202012Validator(json.loads((DOCS / "report.schema.json").read_text()))
SNAPSHOT = Draft202012Validator(json.loads((DOCS / "snapshot.schema.json").read_text()))


def document(*reports: Report) -> Any:
    return json.loads("".join(render(reports)))


@pytest.mark.parametrize("validator", [REPORT, SNAPSHOT], ids=["report", "snapshot"])
def test_the_schemas_are_schemas(validator: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(validator.schema)


@pytest.mark.parametrize("reports", [[], [EVERYTHING], [failed()], [EVERYTHING, failed()], [failed()] * 3])
def test_one_report_is_an_object_and_several_are_an_array(reports: list[Report]) -> None:
    made = document(*reports)
    REPORT.validate(made)
    assert isinstance(made, dict) == (len(reports) == 1)
    assert isinstance(made, dict) or len(made) == len(reports)


def test_a_report() -> None:
    made = document(EVERYTHING)
    assert made["summary"] == {
        "verdicts": {"pass": 2, "fail": 4, "absent": 1, "error": 1, "waived": 1},
        "failing": {"high": 2, "medium": 1, "low": 1, "info": 0},
    }
    assert made["tool"] == {"name": "audit-tcp", "version": "0.1.0"}
    assert made["errors"][0] == {"where": "/etc/nginx/secret.conf", "what": "Permission denied"}
    assert "failure" not in made
    assert made["findings"][2] == {
        "rule": "somaxconn-low",
        "title": "The accept queue is capped below what servers ask for",
        "subject": {"kind": "netns", "name": "docker:nginx"},
        "verdict": "fail",
        "severity": "high",
        "actual": 128,
        "wanted": ">= 4096",
        "origin": "/etc/sysctl.d/60-web.conf:12",
        "why": EVERYTHING.findings[2].rule.why,
        "cite": ["https://docs.kernel.org/networking/ip-sysctl.html", "net/socket.c __sys_listen"],
        "proof": ["E5"],
        "fix": {
            "text": "Set net.core.somaxconn to 4096 and restart the servers.",
            "safe": True,
            "set": {"net.core.somaxconn": 4096},
        },
    }


def test_a_failure() -> None:
    made = document(failed(reason="no route"))
    assert (made["host"], made["failure"], made["findings"]) == ("db-1", "no route", [])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (0, 0),
        (False, False),
        (1.5, 1.5),
        ("on", "on"),
        ((1024, 65535), [1024, 65535]),
        ((), []),
        (float("nan"), "nan"),
        ((float("inf"),), ["unlimited"]),
    ],
)
def test_values_keep_their_type(value: Value | None, written: object) -> None:
    made = document(report(finding(actual=value)))
    REPORT.validate(made)
    assert made["findings"][0]["actual"] == written
    assert type(made["findings"][0]["actual"]) is type(written)


@given(st.text(st.characters(exclude_categories=())))
def test_strings_come_back_as_the_host_said_them(text: str) -> None:
    page = "".join(render([report(finding(name=text, actual=text), host=text)]))
    made = json.loads(page)
    REPORT.validate(made)
    assert page.isascii()
    subject = made["findings"][0]["subject"]["name"]
    assert [made["host"], subject, made["findings"][0]["actual"]] == [json.loads(json.dumps(text))] * 3


def snapshot(**more: Any) -> dict[str, Any]:
    said = {"schema": 1, "host": "h", "kernel": "6.1", "os": "Debian", "taken": "2025-03-01T12:00:00Z"}
    return said | {"subjects": [], "errors": []} | more


def facts(**values: Any) -> dict[str, Any]:
    return snapshot(subjects=[{"kind": "netns", "name": "host", "facts": values}])


@pytest.mark.parametrize(
    "document",
    [
        snapshot(),
        snapshot(taken="2025-03-01T12:00:00.123456+00:00"),
        snapshot(errors=[{"where": "/etc/x", "what": "denied"}]),
        facts(a=1, b=1.5, c="on", d=True, e=[4096, 87380], f=[]),
        facts(a={"value": 1, "origin": "/etc/x:1"}, b={"value": [1, 2], "origin": ""}),
    ],
)
def test_snapshots(document: dict[str, Any]) -> None:
    SNAPSHOT.validate(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        snapshot(schema=2),
        snapshot(more=1),
        snapshot(taken="yesterday"),
        snapshot(taken="2025-03-01T12:00:00+02:00"),
        snapshot(errors=[{"where": "/etc/x"}]),
        {key: value for key, value in snapshot().items() if key != "host"},
        facts(a=None),
        facts(a={"value": 1}),
        facts(a={"value": {"b": 1}, "origin": ""}),
        facts(a=[[1]]),
    ],
)
def test_what_is_no_snapshot(document: object) -> None:
    assert not SNAPSHOT.is_valid(document)
