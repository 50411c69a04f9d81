"""Every rule has a subject that passes it and one that fails it; conditions keep it from the others."""

import tomllib
from pathlib import Path

import pytest

from audit_tcp import judge, profile
from audit_tcp.model import Profile
from builders import snapshot, subject

CASES = tomllib.loads((Path(__file__).parent / "cases.toml").read_text())
RULES = profile.builtin_rules()


def verdict_of(rule_id, facts, host):
    rule = RULES[rule_id]
    subjects = [subject(rule.of, "it", facts)]
    if rule.of != "host":
        subjects.append(subject("host", "", host))
    report = judge.judge(snapshot(*subjects), Profile("one", "", (rule,)))
    assert len(report.findings) <= 1
    return report.findings[0].verdict if report.findings else "skip"


def test_each_rule_has_both_cases_and_each_case_a_rule():
    assert set(CASES) == set(RULES)
    incomplete = [rule for rule, case in CASES.items() if not {"pass", "fail"} <= case.keys()]
    assert incomplete == []


def test_each_condition_is_shown_to_hold_a_rule_back():
    conditional = {rule.id for rule in RULES.values() if rule.when}
    assert conditional == {rule for rule, case in CASES.items() if "skip" in case}


@pytest.mark.parametrize(
    ("rule", "verdict"), [(rule, v) for rule, case in CASES.items() for v in ("pass", "fail", "skip") if v in case]
)
def test_verdict(rule, verdict):
    case = CASES[rule]
    host = case.get("host_of_skip", {}) if verdict == "skip" else case.get("host", {})
    assert verdict_of(rule, case[verdict], host) == verdict


@pytest.mark.parametrize("rule", RULES)
def test_without_its_fact_a_rule_is_absent_and_never_passes(rule):
    facts = {name: value for name, value in CASES[rule]["fail"].items() if name != RULES[rule].fact}
    assert verdict_of(rule, facts, CASES[rule].get("host", {})) == "absent"


def test_every_rule_is_in_a_profile():
    taken = {rule.id for name in profile.builtin_names() for rule in profile.load(name).rules}
    assert set(RULES) - taken == set()
