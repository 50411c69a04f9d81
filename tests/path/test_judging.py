"""A path judged: the finding, and the advice that names the product's own setting in its own unit."""

import pytest

from audit_tcp import profile
from audit_tcp.path import file, judging

PROFILE = profile.load("path")

NODE = '[[hop]]\nkind = "node"\nname = "app"\nversion = "22.1.0"\n'


@pytest.fixture
def judge(tmp_path):
    def read(text):
        path = tmp_path / "shop.toml"
        path.write_text(text)
        report = judging.report(file.load(str(path)), PROFILE, "2026-01-01T00:00:00Z")
        return {one.rule.id: one for one in report.findings if one.verdict == "fail"}

    return read


def test_an_inversion_and_its_mending(judge):
    alb = '[[hop]]\nkind = "alb"\n'
    found = judge(alb + NODE)
    assert list(found) == ["backend-closes-first"]
    one = found["backend-closes-first"]
    assert (one.subject.name, one.actual, one.origin) == ("alb -> app", 5, "default of Node.js 22.1.0")
    assert one.wanted == ">= 61 (client_idle_s + 1, default of AWS Application Load Balancer)"
    assert one.note == "set keepAliveTimeout of app to 65000 ms or more"
    assert judge(alb + NODE + "keepAliveTimeout = 65000\n") == {}


def test_both_ends_are_named_where_both_can_change(judge):
    one = judge('[[hop]]\nkind = "alb"\n' + NODE + "keepAliveTimeout = 30000\n")["backend-closes-first"]
    assert one.note == (
        "set keepAliveTimeout of app to 65000 ms or more or set idle_timeout.timeout_seconds of alb to 25 s or less"
    )


def test_what_never_expires_is_to_be_lowered(judge):
    one = judge(
        '[[hop]]\nkind = "client"\nname = "pool"\nreuse = true\nidle_timeout_s = "unlimited"\n'
        + NODE
        + "idle_timeout_s = 30\n"
    )["client-pool-outlives-server"]
    assert one.note == "set the idle timeout of the pool of pool to 25 s or less"


def test_a_mistaken_unit_is_a_finding(judge):
    one = judge('[[hop]]\nkind = "alb"\n' + NODE + "keepAliveTimeout = 65\n")["config-unit-trap"]
    assert "keepAliveTimeout = 65 is in milliseconds: 0.065 s" in one.actual[0]
    assert "shop.toml:7" in one.actual[0]


def test_what_is_said_of_the_path_reaches_each_hop(judge):
    path = 'ping_interval_s = 90\n[[hop]]\nkind = "alb"\n' + NODE + "keepAliveTimeout = 65000\n"
    found = judge(path)
    assert set(found) == {"tunnel-cut"}
    assert found["tunnel-cut"].note == "set idle_timeout.timeout_seconds of alb to 95 s or more"
    assert judge(path.replace("90", "30")) == {}
