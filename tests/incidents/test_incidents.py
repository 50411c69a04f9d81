"""Incidents that people reported: the path as it was fails the rules, the path as they mended it does not.

Each file is one incident of ../shared/facts/incidents.yaml. `fault` and `fixed` are path files, `rules` what the first
must fail, `still` what the second fails for a reason that a comment gives; a `state` is the path at another time.
Where a reporter left a value out, another one stands for it and a comment says so. healthy/ has paths as their vendors
recommend them.
"""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from audit_tcp import profile
from audit_tcp.path import file, judging

HERE = Path(__file__).parent
PROFILE = profile.load("path")
INCIDENTS = {path.stem: tomllib.loads(path.read_text()) for path in sorted(HERE.glob("inc*.toml"))}
HEALTHY = sorted((HERE / "healthy").glob("*.toml"))
FACTS = HERE.parents[2] / "shared" / "facts" / "incidents.yaml"

NEEDED = {"url", "stack", "symptom", "rules", "fault", "fix", "fixed"}
ALLOWED = NEEDED | {"fix_source", "still", "state"}

ORDERINGS = {
    "backend-closes-first", "nginx-pool-outlives-backend", "apache-pool-outlives-backend",
    "envoy-pool-outlives-backend", "gcp-backend-closes-first", "cloudfront-origin-closes-first",
    "client-pool-outlives-server", "pool-outlives-database-session", "idle-flow-forgotten", "ipvs-flow-forgotten",
    "request-outlives-flow",
}  # fmt: skip

RULES_OF = {
    "R01": {"backend-closes-first"},
    "R02": {"client-pool-outlives-server"},
    "R03": {"idle-flow-forgotten", "request-outlives-flow"},
    "R03c": {"keepalive-does-not-cross"},
    "R04": {"pool-outlives-database-session"},
    "R05": {"node-headers-timeout-bug"},
    "R06": {"nginx-pool-outlives-backend", "nginx-pool-by-default"},
    "R12": {"gcp-backend-closes-first"},
    "R13": {"cloudfront-origin-closes-first"},
    "R14": {"apache-pool-outlives-backend"},
    "R15": {"envoy-pool-outlives-backend"},
    "R16": {"ipvs-flow-forgotten"},
    "R17": {"closed-connections-stay-in-pool"},
    "R19": {"config-unit-trap"},
    "R20": {"config-no-effect", "http2-keeps-own-idle", "worker-ignores-keepalive"},
    "R21": {"upload-cut"},
    "R22": {"tunnel-cut", "websocket-cut"},
}
"""What the incidents' own rule numbers are called here; one of each set has to catch."""

STATES = [
    pytest.param(case, state, id=f"{name}-{state['what']}")
    for name, case in INCIDENTS.items()
    for state in case.get("state", ())
]


@pytest.fixture
def failing(tmp_path):
    """Judges a path and gives what fails: rule and severity."""

    def judged(text):
        place = tmp_path / "path.toml"
        place.write_text(text)
        report = judging.report(file.load(str(place)), PROFILE, "2026-11-21T00:00:00Z")
        assert [one for one in report.findings if one.verdict == "error"] == []
        return {(one.rule.id, str(one.rule.severity)) for one in report.findings if one.verdict == "fail"}

    return judged


def ids(failures):
    return {rule for rule, _ in failures}


@pytest.mark.parametrize("case", INCIDENTS.values(), ids=INCIDENTS)
def test_each_incident_says_what_it_is(case):
    assert NEEDED <= case.keys() <= ALLOWED
    assert case.get("fix_source", "documentation") == "documentation"
    assert {*case["rules"], *case.get("still", ())} <= {rule.id for rule in PROFILE.rules}


@pytest.mark.parametrize("case", INCIDENTS.values(), ids=INCIDENTS)
def test_the_path_as_it_was_fails(case, failing):
    assert set(case["rules"]) <= ids(failing(case["fault"]))


@pytest.mark.parametrize("case", INCIDENTS.values(), ids=INCIDENTS)
def test_the_path_as_it_was_mended_does_not(case, failing):
    failures = failing(case["fixed"])
    assert ids(failures) & set(case["rules"]) == set()
    assert {rule for rule, severity in failures if severity != "low"} == set(case.get("still", ()))


@pytest.mark.parametrize(("case", "state"), STATES)
def test_the_path_at_another_time(case, state, failing):
    failures = ids(failing(state["path"]))
    assert set(state.get("fails", ())) <= failures
    assert failures & set(case["rules"]) <= set(state.get("fails", ()))


@pytest.mark.skipif(not FACTS.is_file(), reason="the facts are no part of this tree")
def test_the_incidents_that_can_be_seen_are_here():
    reported = re.split(r"^- id: ", FACTS.read_text(), flags=re.MULTILINE)[1:]
    numbers = {entry.split()[0].lower(): set(re.findall(r"^  - (R\w+)", entry, re.MULTILINE)) for entry in reported}
    assert len(numbers.keys() & INCIDENTS.keys()) >= 23
    for name, case in INCIDENTS.items():
        caught = {*case["rules"], *chain.from_iterable(state.get("fails", ()) for state in case.get("state", ()))}
        assert [number for number in numbers[name] if not RULES_OF[number] & caught] == [], name


def test_there_are_healthy_paths():
    assert len(HEALTHY) >= 8


@pytest.mark.parametrize("path", HEALTHY, ids=[path.stem for path in HEALTHY])
def test_a_healthy_path_passes(path):
    report = judging.report(file.load(str(path)), PROFILE, "2026-11-21T00:00:00Z")
    assert [(one.rule.id, one.subject.name) for one in report.findings if one.verdict in ("fail", "error")] == []
    assert {one.rule.id for one in report.findings if one.verdict == "pass"} & ORDERINGS
