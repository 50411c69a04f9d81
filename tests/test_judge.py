"""The judge: operators, conditions, comparison with other facts, and what it says where a fact is missing or odd."""

from dataclasses import replace

import pytest

from audit_tcp.judge import judge, wanted_of
from audit_tcp.model import Condition, Fact, Fix, Profile, Rule, Subject
from builders import snapshot, subject

RULE = Rule("r", "t", "netns", "a", "==", "high", "why", ("c",), ("E1",), Fix("do", True), value=1)


def findings(rule, *subjects):
    return judge(snapshot(*subjects), Profile("p", "", (rule,))).findings


def verdict(rule, facts, host=None):
    found = findings(rule, subject("netns", "n", facts), subject("host", "", host or {}))
    return found[0].verdict if found else None


OPERATORS = [
    ("==", 1, 1, 2),
    ("==", (1, 2), [1, 2], [1, 3]),
    ("!=", "x", "y", "x"),
    ("<", 5, 4, 5),
    ("<=", 5, 5, 6),
    (">", 5, 6, 5),
    (">=", (6, 1), [6, 2], [5, 19]),
    ("in", (1, 2), 2, 3),
    ("not in", (1, 2), 3, 2),
    ("between", (15, 60), 60, 61),
]


@pytest.mark.parametrize(("op", "value", "good", "bad"), OPERATORS)
def test_operators(op, value, good, bad):
    rule = replace(RULE, op=op, value=value)
    assert verdict(rule, {"a": good}) == "pass"
    assert verdict(rule, {"a": bad}) == "fail"


def test_another_fact_of_the_subject_or_of_the_host_with_a_margin():
    rule = replace(RULE, op=">=", value=None, than="b", plus=10)
    assert verdict(rule, {"a": 20, "b": 10}) == "pass"
    assert verdict(rule, {"a": 19, "b": 10}) == "fail"
    rule = replace(rule, than="host:b", plus=0)
    assert verdict(rule, {"a": 19}, {"b": 20}) == "fail"


def test_the_hosts_facts_include_its_own_namespace():
    rule = replace(RULE, when=(Condition("host:net.x", "==", 7),))
    own = subject("netns", "host", {"a": 1, "is_host": True, "net.x": 7})
    assert [f.verdict for f in findings(rule, own, subject("netns", "n", {"a": 2, "net.x": 8}))] == ["pass", "fail"]


def test_a_condition_that_does_not_hold_gives_no_finding_and_one_that_cannot_be_known_is_absent():
    rule = replace(RULE, when=(Condition("b", "==", 1),))
    assert verdict(rule, {"a": 2, "b": 0}) is None
    assert verdict(rule, {"a": 2}) == "absent"


@pytest.mark.parametrize("facts", [{}, {"a": 5}])
def test_what_is_missing_is_absent_never_zero(facts):
    rule = replace(RULE, op=">=", value=None, than="b")
    found = findings(rule, subject("netns", "n", facts))[0]
    assert (found.verdict, found.actual) == ("absent", None)


@pytest.mark.parametrize("value", ["many", [1, 2]])
def test_a_value_of_another_type_is_an_error_that_shows_it(value):
    found = findings(replace(RULE, op="<", value=5), subject("netns", "n", {"a": value}))[0]
    assert found.verdict == "error"
    assert found.actual == (tuple(value) if isinstance(value, list) else value)
    assert found.origin == "origin of a"


KINDS = [1, 1.5, "1", True, [1]]


@pytest.mark.parametrize("op", ["==", "!="])
@pytest.mark.parametrize("value", KINDS)
@pytest.mark.parametrize("actual", KINDS)
def test_a_number_a_text_a_truth_and_a_list_are_never_equal_nor_unequal(op, value, actual):
    rule = replace(RULE, op=op, value=tuple(value) if isinstance(value, list) else value)
    same = type(value) is type(actual) or {type(value), type(actual)} == {int, float}
    expected = ("pass" if (value == actual) is (op == "==") else "fail") if same else "error"
    assert verdict(rule, {"a": actual}) == expected
    assert (verdict(replace(rule, value=None, than="b"), {"a": actual, "b": value})) == expected
    when = replace(RULE, fact="c", when=(Condition("a", op, rule.value),))
    assert verdict(when, {"a": actual, "c": 1}) == {"pass": "pass", "fail": None, "error": "error"}[expected]


@pytest.mark.parametrize("other", ["many", [1, 2], 10**400])
def test_a_margin_on_what_is_no_number_is_an_error(other):
    rule = replace(RULE, op=">=", value=None, than="b", plus=0.5)
    assert verdict(rule, {"a": 1, "b": other}) == "error"


OTHERS = [
    ("b", Fact(30, "/etc/sysctl.d/50-x.conf:3"), "< 30 (b, /etc/sysctl.d/50-x.conf:3)"),
    ("b", Fact(30, "a\nb"), "< 30 (b, a\\x0ab)"),
    ("net.x", Fact(30, "/proc/sys/net/x"), "< 30 (net.x)"),
    ("TcpExt.X", Fact(30, "/proc/net/netstat"), "< 30 (TcpExt.X)"),
]


@pytest.mark.parametrize(("name", "fact", "wanted"), OTHERS)
def test_wanted_names_the_place_of_the_other_fact_where_its_name_does_not_tell(name, fact, wanted):
    rule = replace(RULE, op="<", value=None, than=name)
    on = Subject("netns", "n", {"a": Fact(1, "o"), name: fact})
    assert findings(rule, on)[0].wanted == wanted
    host = Subject("host", "", {name: fact})
    with_prefix = findings(replace(rule, than=f"host:{name}"), subject("netns", "n", {"a": 1}), host)[0].wanted
    assert with_prefix == wanted.replace("(", "(host:")


def test_a_finding_names_actual_wanted_and_origin():
    found = findings(replace(RULE, op="<=", value=60), subject("netns", "n", {"a": 90}))[0]
    assert (found.actual, found.wanted, found.origin, str(found.subject)) == (90, "<= 60", "origin of a", "netns n")


WANTED = [
    (replace(RULE, op="between", value=(15, 60)), "15 to 60"),
    (replace(RULE, op="in", value=(1, 2)), "one of 1, 2"),
    (replace(RULE, op="==", value=()), "none"),
    (replace(RULE, op="==", value=True), "yes"),
    (replace(RULE, op=">", value=None, than="b"), "> b"),
]


@pytest.mark.parametrize(("rule", "text"), WANTED)
def test_wanted(rule, text):
    assert wanted_of(rule) == text


def test_rules_speak_only_of_their_kind_and_every_subject_of_it():
    found = findings(
        RULE, subject("netns", "x", {"a": 1}), subject("listener", "y", {"a": 1}), subject("netns", "z", {"a": 2})
    )
    assert [(str(f.subject), f.verdict) for f in found] == [("netns x", "pass"), ("netns z", "fail")]
