"""What the catalog and the kernel add to a server's facts, and what follows from them."""

import math

import pytest

from audit_tcp import defaults
from audit_tcp.model import Subject
from audit_tcp.snapshot import Facts
from builders import snapshot_of, subject

NODE = {"program": "node", "version": [22, 1, 0]}


def filled(kind, facts, *others):
    return defaults.fill(snapshot_of(subject(kind, "it", facts), *others)).subjects[0].facts


def value(facts, name):
    return facts[name].value if name in facts else None


def test_what_is_unsaid_comes_from_the_version():
    facts = filled("server", NODE)
    assert facts["idle_timeout_s"] == (5, "default of Node.js 22.1.0")
    assert filled("server", {**NODE, "version": [22, 9, 0]})["idle_timeout_s"].value == 6
    assert filled("server", {**NODE, "idle_timeout_s": 65})["idle_timeout_s"] == (65, "origin of idle_timeout_s")


def test_an_unknown_version_leaves_out_what_changed():
    assert "idle_timeout_s" not in filled("server", {"program": "node"})
    assert value(filled("server", {"program": "node"}), "advertised_idle_s") in (5, None)


@pytest.mark.parametrize("facts", [{}, {"program": "unheard-of"}, {"program": 7}, {"program": "../kernel"}])
def test_an_unknown_program_has_no_defaults(facts):
    assert set(filled("server", facts)) == set(facts)


def test_a_document_keeps_its_form():
    raw = Subject(
        "server",
        "it",
        Facts({"program": {"value": "node", "origin": "x"}, "version": {"value": [22, 1, 0], "origin": "x"}}),
    )
    facts = defaults.fill(snapshot_of(raw)).subjects[0].facts
    assert isinstance(facts, Facts)
    assert facts["idle_timeout_s"].value == 5


@pytest.mark.parametrize(
    ("facts", "reuse"),
    [
        ({"pool_size": 0}, False),
        ({"pool_size": 32}, True),
        ({"pool_size": math.inf}, True),
        ({"pool_size": 32, "http_version": 1.0}, False),
        ({"pool_size": 32, "http_version": 1.1}, True),
        ({"pool_size": 32, "http_version": 2, "sends_close": False}, True),
        ({"pool_size": 32, "http_version": 1.1, "sends_close": True}, False),
        ({"sends_close": True}, False),
        ({}, None),
        ({"pool_size": 0, "reuse": True}, True),
    ],
)
def test_whether_a_pool_is_used(facts, reuse):
    assert value(filled("upstream", facts), "reuse") == reuse


@pytest.mark.parametrize(("idle", "keeps"), [(0, False), (0.5, True), (75, True), (math.inf, True)])
def test_keepalive_follows_from_the_idle_timeout(idle, keeps):
    assert filled("server", {"idle_timeout_s": idle})["keepalive"].value is keeps


def test_an_idle_timeout_that_is_stated_as_off_stays_off():
    assert filled("server", {"idle_timeout_s": 5, "keepalive": False})["keepalive"].value is False


SPACES = (
    subject("netns", "host", {"net.ipv4.tcp_keepalive_time": 7200, "net.core.somaxconn": 4096}),
    subject("netns", "web1", {"net.ipv4.tcp_keepalive_time": 120, "net.core.somaxconn": 128}),
)


@pytest.mark.parametrize(
    ("facts", "probe"),
    [
        ({"so_keepalive": True, "netns": "web1"}, 120),
        ({"so_keepalive": True, "netns": "host"}, 7200),
        ({"so_keepalive": True}, 7200),
        ({"so_keepalive": True, "netns": "gone"}, None),
        ({"so_keepalive": True, "keepidle_s": 60}, 60),
        ({"so_keepalive": False, "keepidle_s": 60}, math.inf),
        ({"keepidle_s": 60}, None),
    ],
)
def test_the_first_probe_is_the_namespaces_own(facts, probe):
    assert value(filled("server", facts, *SPACES), "first_probe_s") == probe


def test_backlogs():
    listeners = (
        subject("listener", "web1 0.0.0.0:80", {"port": 80, "smallest_backlog": 100}),
        subject("listener", "web1 [::]:8080", {"port": 8080, "smallest_backlog": 50}),
        subject("listener", "host 0.0.0.0:80", {"port": 80, "smallest_backlog": 7}),
    )
    server = {"netns": "web1", "listen": ["*:80", "[::]:8080", "unix:/run/x", "*:99999999"], "backlog": 511}
    facts = filled("server", server, *SPACES, *listeners)
    assert [facts[name].value for name in ("backlog_in_force", "backlog_expected", "somaxconn")] == [50, 128, 128]
    assert "backlog_in_force" not in filled("server", {**server, "listen": ["*:81"]}, *SPACES, *listeners)
    assert "somaxconn" not in filled("server", {"netns": "web1"}, *SPACES)


@pytest.mark.parametrize(
    ("listens", "running", "in_force"),
    [
        (["127.0.0.1:80"], True, 5),
        (["127.0.0.2:80"], True, None),
        (["*:80"], True, None),
        (["*:81"], True, 9),
        (["0.0.0.0:81"], True, 9),
        (["[::1]:82"], True, 3),
        (["shop.example:80"], True, 5),
        (["*:\u00b2"], True, None),
        (["127.0.0.1:80"], False, None),
    ],
)
def test_a_backlog_is_that_of_the_same_address(listens, running, in_force):
    listeners = [
        subject("listener", f"host {address}:{port}", {"address": address, "port": port, "smallest_backlog": backlog})
        for address, port, backlog in (("127.0.0.1", 80, 5), ("::", 81, 9), ("::1", 82, 3))
    ]
    facts = filled("server", {"listen": listens, "running": running, "backlog": 511}, *listeners)
    assert value(facts, "backlog_in_force") == in_force


def test_what_code_sets_has_no_default():
    facts = filled("server", {**NODE, "set_by_code": ["idle_timeout_s"]})
    assert "idle_timeout_s" not in facts


def test_each_thing_wrong_with_a_configuration_is_a_subject():
    traps = ["/etc/a.conf:3: TimeOut 5m means 5 s", "/etc/b.conf:7: ttl=1m means 1 s"]
    found = defaults.fill(
        snapshot_of(subject("config", "apache", {"program": "apache", "unit_traps": traps, "no_effect": []}))
    ).subjects
    assert [(one.name, {name: fact.value for name, fact in one.facts.items()}) for one in found] == [
        ("apache", {"program": "apache", "no_effect": ()}),
        ("apache /etc/a.conf:3", {"unit_traps": ("TimeOut 5m means 5 s",)}),
        ("apache /etc/b.conf:7", {"unit_traps": ("ttl=1m means 1 s",)}),
    ]
    assert found[1].facts["unit_traps"].origin == "/etc/a.conf:3"


@pytest.mark.parametrize(
    ("facts", "for_ever"),
    [
        ({"response_timeout_s": math.inf}, True),
        ({"response_timeout_s": 86400}, False),
        ({"response_timeout_s": math.inf, "mode": "tcp"}, None),
        ({"response_timeout_s": math.inf, "tunnel_timeout_s": 3600}, None),
        ({}, None),
    ],
)
def test_whether_a_proxy_waits_for_ever(facts, for_ever):
    assert value(filled("upstream", facts), "waits_for_ever") == for_ever


@pytest.mark.parametrize(
    ("facts", "loopback"),
    [
        ({"listen": ["127.0.0.1:80", "[::1]:80"]}, True),
        ({"listen": ["127.0.0.1:80", "*:80"]}, False),
        ({"addresses": ["http://127.0.0.1:80", "unix:/run/x"]}, True),
        ({"addresses": ["10.0.0.1:80"]}, False),
        ({"addresses": []}, None),
        ({"listen": "127.0.0.1"}, None),
    ],
)
def test_what_never_leaves_the_machine(facts, loopback):
    assert value(filled("upstream", facts), "loopback") == loopback


def test_the_place_of_a_derived_fact_is_where_it_was_written():
    facts = filled("server", {"so_keepalive": True, "netns": "web1"}, *SPACES)
    assert facts["first_probe_s"].origin == "origin of so_keepalive; origin of net.ipv4.tcp_keepalive_time"
    facts = filled("upstream", {"pool_size": 8, "http_version": 1.0})
    assert facts["reuse"].origin == "origin of pool_size; origin of http_version"


@pytest.mark.parametrize("wrong", ["x", ("x",), True])
@pytest.mark.parametrize(
    "fact",
    [
        "idle_timeout_s",
        "http_version",
        "pool_size",
        "backlog",
        "so_keepalive",
        "keepidle_s",
        "listen",
        "running",
        "netns",
        "response_timeout_s",
    ],
)
def test_a_fact_of_the_wrong_type_breaks_nothing(fact, wrong):
    for kind in ("server", "upstream"):
        assert filled(kind, {**NODE, "so_keepalive": True, "backlog": 5, "listen": ["*:80"], fact: wrong}, *SPACES)


@pytest.mark.parametrize(("version", "pool"), [([1, 29, 6], False), ([1, 29, 7], True)])
def test_a_pool_that_nobody_configured(version, pool):
    facts = filled("upstream", {"program": "nginx", "version": version})
    if "pool_size" in facts:
        assert facts["pool_by_default"].value is pool
    assert (
        filled("upstream", {"program": "nginx", "version": version, "pool_size": 32})["pool_by_default"].value is False
    )
