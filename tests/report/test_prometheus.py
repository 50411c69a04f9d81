from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from audit_tcp.model import Report
from audit_tcp.report.prometheus import render
from report.made import EVERYTHING, failed, finding, report

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(*reports: Report) -> Samples:
    page = "".join(render(reports))
    made = [
        ((sample.name, frozenset(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]
    assert not [key for key, count in Counter(key for key, _ in made).items() if count > 1]
    return dict(made)


def value(made: Samples, name: str, **labels: str) -> float | None:
    return made.get((f"audit_tcp_{name}", frozenset(labels.items())))


def test_a_fleet() -> None:
    made = samples(EVERYTHING, failed())
    assert value(made, "up", host="web-1") == 1
    assert value(made, "up", host="db-1") == 0
    assert value(made, "unread", host="web-1") == 2
    assert value(made, "snapshot_timestamp_seconds", host="web-1") == 1740830400
    assert value(made, "snapshot_timestamp_seconds", host="db-1") is None
    about = {"host": "web-1", "rule": "reuse-off", "severity": "medium"}
    assert value(made, "finding", **about, subject_kind="netns", subject="docker:api") == 1


@pytest.mark.parametrize(
    ("severity", "verdict", "count"),
    [("high", "fail", 2), ("info", "fail", 0), ("low", "waived", 1), ("high", "pass", 1), ("high", "waived", None)],
)
def test_counts(severity: str, verdict: str, count: int | None) -> None:
    made = samples(EVERYTHING)
    assert value(made, "findings", host="web-1", profile="web", severity=severity, verdict=verdict) == count


def test_a_family_is_headed_once_and_stands_together() -> None:
    lines = "".join(render([EVERYTHING, failed(), report(finding(), host="web-2")])).splitlines()
    names = [line.split()[2] if line.startswith("#") else line.partition("{")[0] for line in lines]
    runs = [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]
    assert len(runs) == len(set(runs)) == 5
    assert sum(line.startswith("# TYPE") for line in lines) == 5


def test_hosts_of_one_name_are_merged_to_their_disadvantage() -> None:
    early = report(finding(), taken="2025-01-01T00:00:00Z")
    made = samples(EVERYTHING, early, failed("web-1"))
    assert value(made, "up", host="web-1") == 0
    assert value(made, "findings", host="web-1", profile="web", severity="high", verdict="fail") == 3
    assert value(made, "snapshot_timestamp_seconds", host="web-1") == 1735689600


def test_names_that_are_cut_alike_are_one_sample() -> None:
    made = samples(report(finding(name="x" * 1000 + "1"), finding(name="x" * 1000 + "2")))
    assert sum(name == "audit_tcp_finding" for name, _ in made) == 1


@pytest.mark.parametrize(
    ("taken", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T01:01:00+01:00", 60),
        ("1970-01-01T00:01:00", 60),
        ("0001-01-01T00:00:00+14:00", -62135647200),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_the_snapshot(taken: str, seconds: float | None) -> None:
    assert value(samples(report(taken=taken)), "snapshot_timestamp_seconds", host="web-1") == seconds


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "end\\", "\\n", "{}", "a,b=c", 'x"} 1'])
def test_labels_come_back(name: str) -> None:
    made = samples(report(finding(name=name)))
    (labels,) = [dict(labels) for metric, labels in made if metric == "audit_tcp_finding"]
    assert labels["subject"] == name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=4))
def test_no_sample_comes_twice(names: list[str]) -> None:
    samples(*[report(*[finding(name=name) for name in names], host=host) for host in names])
