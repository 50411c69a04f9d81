"""Every rule has a subject that passes it and one that fails it; conditions keep it from the others."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from audit_tcp import defaults, judge, probe, profile, snapshot
from audit_tcp.judge import READ
from audit_tcp.model import Profile
from audit_tcp.path import file, hops, links
from audit_tcp.probe.host import Host
from builders import frozen, snapshot_of, subject

HERE = Path(__file__).parent
CASES = tomllib.loads((HERE / "cases.toml").read_text())
RULES = profile.builtin_rules()
TREES = sorted((HERE.parent / "hosts" / "trees").glob("*.json"))

ORDERED = ("<", "<=", ">", ">=", "between")

NOT_ON_THIS_KERNEL = {"net.ipv4.tcp_tw_recycle", "net.ipv4.tcp_tw_reuse_delay"}
"""Facts that only older or newer kernels than those of the trees have."""


def several(facts):
    return facts if isinstance(facts, list) else [facts]


ROWS = [
    pytest.param(rule, verdict, facts, id=f"{rule}-{verdict}-{number}")
    for rule, case in CASES.items()
    for verdict in ("pass", "fail", "skip")
    for number, facts in enumerate(several(case.get(verdict, [])))
]


def verdict_of(rule, facts, host):
    subjects = [subject(rule.of, "it", facts)]
    if rule.of != "host":
        subjects.append(subject("host", "", host))
    report = judge.judge(snapshot_of(*subjects), Profile("one", "", (rule,)))
    assert len(report.findings) <= 1
    return report.findings[0].verdict if report.findings else "skip"


def host_of(rule, verdict):
    case = CASES[rule]
    return case.get("host_of_skip", case.get("host", {})) if verdict == "skip" else case.get("host", {})


def test_each_rule_has_both_cases_and_each_case_a_rule():
    assert set(CASES) == set(RULES)
    assert [rule for rule, case in CASES.items() if not {"pass", "fail"} <= case.keys()] == []


def test_each_condition_is_shown_to_hold_a_rule_back():
    assert {rule.id for rule in RULES.values() if rule.when} == {rule for rule, case in CASES.items() if "skip" in case}


@pytest.mark.parametrize(("rule", "verdict", "facts"), ROWS)
def test_verdict(rule, verdict, facts):
    unread = RULES[rule].op == READ and verdict == "fail"
    assert verdict_of(RULES[rule], facts, host_of(rule, verdict)) == ("error" if unread else verdict)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES.values() if rule.op in ORDERED and rule.value is not None])
def test_the_cases_stand_on_both_sides_of_each_limit(rule):
    fact = RULES[rule].fact
    passing, failing = ({facts[fact] for facts in several(CASES[rule][verdict])} for verdict in ("pass", "fail"))
    steps = {(good, bad) for good in passing for bad in failing if abs(good - bad) == 1}
    assert len(steps) == (2 if RULES[rule].op == "between" else 1)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES.values() if rule.fix.set])
def test_the_values_of_a_fix_make_the_failing_case_pass(rule):
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in RULES[rule].fix.set.items()}
    for facts in several(CASES[rule]["fail"]):
        if RULES[rule].fact in values or any(condition.fact in values for condition in RULES[rule].when):
            assert verdict_of(RULES[rule], {**facts, **values}, host_of(rule, "fail")) in ("pass", "skip")


@pytest.mark.parametrize("rule", RULES)
def test_without_its_fact_a_rule_is_absent_and_never_passes(rule):
    facts = {name: value for name, value in several(CASES[rule]["fail"])[0].items() if name != RULES[rule].fact}
    found = verdict_of(RULES[rule], facts, host_of(rule, "fail"))
    assert found == "absent"


def test_every_rule_is_in_a_profile():
    taken = {rule.id for name in profile.builtin_names() for rule in profile.load(name).rules}
    assert set(RULES) - taken == set()


@pytest.fixture(scope="module")
def facts_of_hosts():
    """The facts of each kind of subject that real hosts have: those of the trees, and this machine."""
    documents = [{**json.loads(path.read_text())["snapshot"], "taken": ""} for path in TREES]
    documents.append(probe.take(Host(), probe.collectors()))
    found = {}
    for document in documents:
        for one in defaults.fill(snapshot.from_document(document, "it")).subjects:
            found.setdefault(one.kind, set()).update(one.facts)
    return found


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_facts_that_a_rule_names_are_those_of_real_hosts(rule, facts_of_hosts):
    own = set(facts_of_hosts.get(rule.of, ()))
    if rule.fact == "host_tuning_missing":
        own.add("host_tuning_missing")
    if rule.of == "listener":
        own = LISTENER
    if rule.of in SERVERS:
        own = SERVERS[rule.of]
    names = {rule.fact, rule.than, *(condition.fact for condition in rule.when)} - {None}
    of_host = {name.removeprefix("host:") for name in names if name.startswith("host:")}
    assert {name for name in names if not name.startswith("host:")} - own - NOT_ON_THIS_KERNEL == set()
    assert of_host <= facts_of_hosts["host"] | facts_of_hosts["netns"]


LISTENER = {"accept_queue", "backlog", "smallest_backlog", "somaxconn", "port", "loopback", "ephemeral_and_unreserved"}
"""`test_netns.py` holds these against listening sockets."""

DERIVED = {"program", "first_probe_s", "somaxconn", "backlog_expected", "backlog_in_force", "pool_by_default"} | {
    "longest_silence_s", "loopback", "waits_for_ever",
}  # fmt: skip
"""What servers.py adds; `tests/test_servers.py` holds it."""

SERVERS = {
    "config": {"unreadable", "unit_traps", "no_effect"},
    "server": hops.FACTS | DERIVED | set(file.ABOUT),
    "upstream": hops.FACTS | DERIVED | set(file.ABOUT) | {"websocket_timeout_s"},
    "link": set(file.ABOUT)
    | {f"{end}_{name}" for end, names in links.COPIED.items() for name in names}
    | {f"{end}_{what}" for end in ("client", "server") for what in ("kind", "role", "idle_s")}
    | {"client_reuses", "client_renews_s", "server_closes", "layer4_kind", "layer4_idle_s", "silence_s", "flow_kept"}
    | {
        "request_silence_s",
        "tunnel_silence_s",
        "first_probe_s",
        "probes",
        "probes_on",
        "conntrack_idle_s",
        "balancer_idle_s",
        "dead_peer_s",
    },
}
"""The tests of the collectors and of paths hold these against real servers and path files."""

WEIGHT = HERE / "weights.txt"


def test_severity_and_safety_of_each_rule_are_those_that_were_agreed():
    """A change of them is a decision of its own: write it to the file too."""
    lines = [f"{rule.id} {rule.severity} {'safe' if rule.fix.safe else 'care'}" for rule in RULES.values()]
    assert WEIGHT.read_text().splitlines() == sorted(lines)


def test_frozen_values_compare_with_lists():
    rule = replace(RULES["setting-refused-by-kernel"], when=())
    assert verdict_of(rule, {"refused": frozen([])}, {}) == "pass"
