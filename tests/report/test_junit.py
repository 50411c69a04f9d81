from __future__ import annotations

import pytest
from junitparser import JUnitXml, TestSuite

from audit_tcp.model import Report
from audit_tcp.report.junit import render
from report.made import EVERYTHING, failed, finding, report


def suites(*reports: Report, fail_on: str = "medium") -> list[TestSuite]:
    return list(JUnitXml.fromstring("".join(render(reports, fail_on=fail_on)).encode()))


def test_a_suite_a_host() -> None:
    made = suites(EVERYTHING, failed())
    assert [(suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) for suite in made] == [
        ("web-1", 9, 3, 1, 2),
        ("db-1", 1, 0, 1, 0),
    ]


def test_the_counts_are_those_of_the_cases() -> None:
    for suite in suites(EVERYTHING, failed()):
        stated = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert stated == (suite.tests, suite.failures, suite.errors, suite.skipped)


@pytest.mark.parametrize(
    ("verdict", "note", "tag", "message"),
    [
        ("fail", "", "failure", "128, wanted >= 4096 (/proc/sys/net/core/somaxconn)"),
        ("waived", "OPS-7", "skipped", "waived: OPS-7; it is 128, wanted >= 4096 (/proc/sys/net/core/somaxconn)"),
        ("absent", "", "skipped", "not applicable: the fact is absent"),
        ("absent", "no such key", "skipped", "no such key"),
        ("error", "not a number", "error", "not a number"),
    ],
)
def test_verdicts(verdict: str, note: str, tag: str, message: str) -> None:
    (case,) = suites(report(finding(verdict=verdict, note=note)))[0]
    assert (case.classname, case.name) == ("netns host", "somaxconn-low")
    assert [(outcome._tag, outcome.message) for outcome in case.result] == [(tag, message)]


def test_a_pass_has_no_result() -> None:
    (case,) = suites(report(finding(verdict="pass")))[0]
    assert case.is_passed


def test_a_failure_explains_itself() -> None:
    (case,) = suites(report(finding(note="waiver expired on 2025-01-31")))[0]
    assert case.result[0].type == "high"
    assert case.result[0].text.splitlines()[:2] == [
        "title: The accept queue is capped below what servers ask for",
        "note: waiver expired on 2025-01-31",
    ]


@pytest.mark.parametrize(("fail_on", "failures"), [("info", 4), ("low", 4), ("medium", 3), ("high", 2), ("never", 0)])
def test_only_what_fails_the_run_fails_here(fail_on: str, failures: int) -> None:
    (suite,) = suites(EVERYTHING, fail_on=fail_on)
    assert suite.failures == failures
    told = sum("below --fail-on" in (case.system_out or "") for case in suite)
    assert told == 4 - failures


def test_a_host_that_could_not_be_audited_is_an_error() -> None:
    (case,) = suites(failed(reason="no route"))[0]
    assert (case.result[0]._tag, case.result[0].message) == ("error", "no route")


def test_what_could_not_be_read_is_on_standard_error() -> None:
    assert "could not be read: /etc/nginx/secret.conf: Permission denied" in "".join(render([EVERYTHING]))
