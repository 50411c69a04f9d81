"""What may be stated of a hop, in which unit, and what each mistake is told to be."""

import math

import pytest

from audit_tcp import catalog
from audit_tcp.catalog import Default, Kind, Setting
from audit_tcp.errors import PathError
from audit_tcp.model import Fact
from audit_tcp.path import hops


def default(value):
    return Default((((0,), value),), "somewhere")


PROXY = Kind(
    "balancer",
    "a balancer",
    "proxy",
    {"server.idle_timeout_s": default(60), "upstream.idle_timeout_s": default(60), "upstream.reuse": default(True)},
    {
        "idle.seconds": Setting(("server.idle_timeout_s", "upstream.idle_timeout_s"), 1.0, (), (1, 4000)),
        "keep.minutes": Setting(("server.max_age_s",), 60.0, (0,), None),
        "probes": Setting(("upstream.so_keepalive",), 1.0, (), None),
    },
    {"debian": {"server.idle_timeout_s": 50}},
)
POOL = Kind(
    "pool",
    "a pool",
    "client",
    {"upstream.idle_timeout_s": default(600)},
    {"maxLifetime": Setting(("upstream.max_age_s",), 0.001, (0,), None, (30, 1800))},
)
GATEWAY = Kind("gateway", "a gateway", "middle", {"middle.idle_timeout_s": default(350)})


def stated(kind, **keys):
    return hops.Stating(kind, "shop.toml:3: hop 2").facts(keys)


@pytest.mark.parametrize(
    ("kind", "keys", "facts"),
    [
        (PROXY, {"idle.seconds": 90}, {"server.idle_timeout_s": 90, "upstream.idle_timeout_s": 90}),
        (PROXY, {"keep.minutes": 2}, {"server.max_age_s": 120}),
        (PROXY, {"keep.minutes": 0}, {"server.max_age_s": math.inf}),
        (PROXY, {"probes": 0}, {"upstream.so_keepalive": False}),
        (PROXY, {"server.idle_timeout_s": 75}, {"server.idle_timeout_s": 75}),
        (PROXY, {"upstream.idle_timeout_s": "unlimited"}, {"upstream.idle_timeout_s": math.inf}),
        (PROXY, {"upstream.idle_timeout_ms": 1500}, {"upstream.idle_timeout_s": 1.5}),
        (POOL, {"idle_timeout_s": 5}, {"upstream.idle_timeout_s": 5}),
        (POOL, {"evicts": False}, {"upstream.evicts": False}),
        (GATEWAY, {"idle_timeout_s": 400}, {"middle.idle_timeout_s": 400}),
        (POOL, {"net.ipv4.tcp_keepalive_time": 120}, {"upstream.tcp_keepalive_time_s": 120}),
    ],
)
def test_what_is_stated(kind, keys, facts):
    found, traps = stated(kind, **keys)
    assert {name: fact.value for name, fact in found.items()} == facts
    assert traps == []


@pytest.mark.parametrize(
    ("kind", "keys", "told"),
    [
        (PROXY, {"idle.seconds": 0}, "idle.seconds: 0 is not between 1 and 4000"),
        (PROXY, {"idle.seconds": 4001}, "is not between 1 and 4000"),
        (PROXY, {"idle.seconds": "60s"}, "not '60s'"),
        (PROXY, {"idle.seconds": True}, "not True"),
        (PROXY, {"idle_timeout_s": 60}, "a balancer has two sides: write server.idle_timeout_s"),
        (PROXY, {"upstream.idle_timout_s": 60}, "did you mean upstream.idle_timeout_s?"),
        (PROXY, {"middle.idle_timeout_s": 60}, "no such setting of a balancer"),
        (PROXY, {"idle.second": 60}, "did you mean idle.seconds?"),
        (
            PROXY,
            {"server.idle_timeout_s": -1},
            'seconds from 0 to 1000000000 or "unlimited", written as a number, not -1',
        ),
        (PROXY, {"idle.seconds": "x"}, "seconds from 1 to 4000"),
        (PROXY, {"server.idle_timeout_s": float("nan")}, "not nan"),
        (PROXY, {"server.idle_timeout_s": 2e9}, "not 2000000000.0"),
        (POOL, {"evicts": 1}, "evicts: true or false is needed, not 1"),
        (POOL, {"mode": ""}, "mode: a text is needed"),
        (POOL, {"server.idle_timeout_s": 5}, "no such setting of a pool"),
    ],
)
def test_what_is_refused(kind, keys, told):
    with pytest.raises(PathError) as caught:
        stated(kind, **keys)
    assert told in str(caught.value)
    assert str(caught.value).startswith("shop.toml:3: hop 2: ")


def test_a_value_that_looks_like_another_unit_is_told():
    found, traps = stated(POOL, maxLifetime=120)
    assert found["upstream.max_age_s"].value == 1800
    assert traps == [
        "shop.toml:3: hop 2: maxLifetime = 120 is in milliseconds: 0.12 s",
        "shop.toml:3: hop 2: maxLifetime: below 30 s a pool takes 1800 s instead",
    ]
    assert stated(POOL, maxLifetime=60000)[0]["upstream.max_age_s"].value == 60
    assert stated(POOL, maxLifetime=30000) == ({"upstream.max_age_s": Fact(30, "shop.toml:3: hop 2")}, [])


def test_what_is_stated_beats_what_is_shipped_beats_the_default():
    own = {"upstream.idle_timeout_s": Fact(7, "shop.toml:5")}
    hop = hops.made("lb", PROXY, own, None, "debian")
    assert {name: (fact.value, fact.origin) for name, fact in hop.facts.items() if "idle" in name} == {
        "server.idle_timeout_s": (50, "as debian ships a balancer"),
        "upstream.idle_timeout_s": (7, "shop.toml:5"),
    }
    assert hops.made("lb", PROXY, {}).facts["server.idle_timeout_s"].origin == "default of a balancer"


@pytest.mark.parametrize(
    ("version", "at"), [((1,), 1), ((2,), 2), ((2, 5), 2), ((2, 9, 7), 3), ((2, 10), 3), (None, None), ((0, 9), None)]
)
def test_a_default_changes_with_the_version(version, at):
    changed = Default((((1,), 1), ((2, 0, 0), 2), ((2, 9, 7), 3)), "somewhere")
    assert changed.at(version) == at


def test_a_default_that_never_changed_needs_no_version():
    assert default(60).at(None) == 60


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.22.1", (1, 22, 1)), ("20", (20,)), ("10.0.0-beta3", (10, 0, 0)), ("2.6.12-1+deb12u4", (2, 6, 12))],
)
def test_versions(text, version):
    assert hops.version_of(text, "here") == version


@pytest.mark.parametrize("text", ["", "latest", 22, None, "v1", "1.24.0junk", "1.2.3.4.5"])
def test_what_is_no_version(text):
    with pytest.raises(PathError, match="here: version"):
        hops.version_of(text, "here")


def test_an_unknown_kind_names_its_neighbours():
    near = next(name for name in catalog.names() if len(name) > 3)
    with pytest.raises(PathError, match=f"did you mean .*{near}"):
        hops.kind_of(f"{near}x", "here")
    with pytest.raises(PathError, match="--kinds` lists them"):
        hops.kind_of("qqqqqqqqqq", "here")
