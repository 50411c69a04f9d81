"""What meets on a connection: the order of hops, and each fact of a link from the facts of its ends."""

import math

import pytest

from audit_tcp.catalog import Default, Kind
from audit_tcp.errors import PathError
from audit_tcp.model import Fact
from audit_tcp.path import links
from audit_tcp.path.hops import Hop

SIDES = {"client": ("upstream",), "proxy": ("server", "upstream"), "middle": ("middle",)}


def hop(role, name=None, **facts):
    """A hop of one role; `up_x` is a fact toward the next hop, `down_x` one toward its clients, others its only side."""
    side = SIDES.get(role, ("server",))[0]
    places = {"up_": "upstream.", "down_": "server."}
    named = {}
    for key, value in facts.items():
        before = next((place for place in places if key.startswith(place)), None)
        named[places[before] + key.removeprefix(before) if before else f"{side}.{key}"] = Fact(
            value, f"origin of {key}"
        )
    return Hop(name or role, Kind(role, role, role, {}), named)


def facts_of(*hops, **about):
    said = {key: Fact(value, "the file") for key, value in about.items()}
    found = list(links.subjects(links.between(hops, "p.toml"), said))
    return {name: fact.value for name, fact in found[0].facts.items()}


@pytest.mark.parametrize(
    ("roles", "names"),
    [
        (("client", "server"), ["client -> server"]),
        (("client", "middle", "server"), ["client -> server"]),
        (("proxy", "server"), ["proxy -> server"]),
        (("client", "proxy", "middle", "middle", "database"), ["client -> proxy", "proxy -> database"]),
        (("client", "proxy"), ["client -> proxy"]),
    ],
)
def test_connections_reach_from_end_to_end(roles, names):
    assert [link.name for link in links.between([hop(role) for role in roles], "p.toml")] == names


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (("middle", "server"), "hop 1 .* begins with what opens connections"),
        (("client", "middle"), "hop 2 .* ends with a server"),
        (("client", "client"), "hop 2 .* a client accepts no connections"),
        (("client", "server", "server"), "hop 2 .* opens no connections"),
        (("server", "proxy"), "hop 1 .* opens no connections"),
    ],
)
def test_an_order_that_cannot_be(roles, told):
    with pytest.raises(PathError, match=told):
        links.between([hop(role) for role in roles], "p.toml")


@pytest.mark.parametrize(
    ("client", "server", "wanted"),
    [
        (
            {"idle_timeout_s": 90},
            {"idle_timeout_s": 60},
            {"client_idle_s": 90, "server_idle_s": 60, "client_reuses": True},
        ),
        ({"idle_timeout_s": 90}, {"idle_timeout_s": 60}, {"server_closes": True}),
        ({"idle_timeout_s": 4}, {"idle_timeout_s": math.inf}, {"server_closes": False}),
        ({"idle_timeout_s": 0}, {"idle_timeout_s": 5}, {"client_reuses": False, "client_idle_s": None}),
        (
            {"idle_timeout_s": 90, "reuse": False},
            {"idle_timeout_s": 5},
            {"client_reuses": False, "client_idle_s": None},
        ),
        ({}, {"idle_timeout_s": 0}, {"server_keepalive": False, "server_closes": False, "client_reuses": None}),
        ({}, {}, {"server_idle_s": None, "server_closes": None, "client_idle_s": None}),
        (
            {"idle_timeout_s": 90, "honours_hint": True},
            {"idle_timeout_s": 6, "advertised_idle_s": 5},
            {"client_idle_s": 5},
        ),
        (
            {"idle_timeout_s": 90, "honours_hint": True, "hint_buffer_s": 1},
            {"idle_timeout_s": 6, "advertised_idle_s": 5},
            {"client_idle_s": 4},
        ),
        (
            {"idle_timeout_s": 3, "honours_hint": True},
            {"idle_timeout_s": 6, "advertised_idle_s": 5},
            {"client_idle_s": 3},
        ),
        ({"idle_timeout_s": 90, "honours_hint": True}, {"idle_timeout_s": 6}, {"client_idle_s": 90}),
        ({"idle_timeout_s": 90}, {"idle_timeout_s": 6, "advertised_idle_s": 5}, {"client_idle_s": 90}),
        (
            {"idle_timeout_s": 4, "honours_hint": True, "hint_replaces": True, "hint_buffer_s": 2},
            {"idle_timeout_s": 620, "advertised_idle_s": 620},
            {"client_idle_s": 618},
        ),
        (
            {"idle_timeout_s": 4, "honours_hint": True, "hint_replaces": True, "hint_max_s": 600},
            {"idle_timeout_s": 900, "advertised_idle_s": 900},
            {"client_idle_s": 600},
        ),
        ({}, {"idle_timeout_s": 65, "h2_idle_timeout_s": 20}, {"server_idle_s": 65}),
        ({}, {"idle_timeout_s": 65, "h2_idle_timeout_s": 20, "http2": True}, {"server_idle_s": 20}),
        ({}, {"idle_timeout_s": 65, "h2_idle_timeout_s": 20, "http2": False}, {"server_idle_s": 65}),
        ({"http_version": 1.1}, {"idle_timeout_s": 65, "h2_idle_timeout_s": 20, "http2": True}, {"server_idle_s": 65}),
        ({"http_version": 2}, {"idle_timeout_s": 65, "h2_idle_timeout_s": 20, "http2": True}, {"server_idle_s": 20}),
        ({"idle_timeout_s": 60, "max_age_s": 1800}, {}, {"client_renews_s": 60}),
        ({"max_age_s": 1800}, {}, {"client_renews_s": 1800, "client_max_age_s": 1800}),
        ({"max_age_s": 1800, "ping_interval_s": 120}, {}, {"client_renews_s": 120}),
    ],
)
def test_idle_timers_of_a_connection(client, server, wanted):
    found = facts_of(hop("client", **client), hop("server", **server))
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("client", "server", "silence"),
    [
        ({"idle_timeout_s": 600}, {"idle_timeout_s": 3600}, 600),
        ({"idle_timeout_s": 600, "so_keepalive": True}, {"idle_timeout_s": 3600}, 600),
        ({"idle_timeout_s": math.inf, "so_keepalive": True}, {"idle_timeout_s": math.inf}, 7200),
        ({"idle_timeout_s": math.inf, "so_keepalive": True, "keepidle_s": 60}, {}, 60),
        ({"idle_timeout_s": math.inf, "so_keepalive": False, "keepidle_s": 60}, {}, math.inf),
        ({"idle_timeout_s": math.inf}, {"so_keepalive": True, "keepidle_s": 120}, 120),
        ({"idle_timeout_s": math.inf, "first_probe_s": 90}, {}, 90),
        ({"idle_timeout_s": math.inf, "ping_interval_s": 30}, {}, 30),
        ({"idle_timeout_s": math.inf, "ping_interval_s": 30, "ping_without_stream": False}, {}, math.inf),
        ({"idle_timeout_s": math.inf, "max_age_s": 300}, {}, math.inf),
        ({"idle_timeout_s": math.inf, "max_age_s": 300, "evicts": True}, {}, 300),
        ({"idle_timeout_s": math.inf}, {"idle_timeout_s": 75}, 75),
        ({"idle_timeout_s": math.inf}, {"idle_timeout_s": 0}, None),
        ({"reuse": False}, {"idle_timeout_s": 75}, None),
        ({}, {"idle_timeout_s": 75}, 75),
        ({}, {"idle_timeout_s": 3600}, None),
    ],
)
def test_how_long_a_connection_is_silent(client, server, silence):
    found = facts_of(hop("client", **client), hop("middle", idle_timeout_s=350), hop("server", **server))
    assert found.get("silence_s") == silence
    assert found.get("flow_kept") == (None if silence is None else silence < 350)


def test_the_shortest_memory_on_the_way_counts():
    found = facts_of(
        hop("client"),
        hop("middle", "nat", idle_timeout_s=350),
        hop("middle", "azure", idle_timeout_s=240),
        hop("server"),
    )
    assert (found["layer4_idle_s"], found["layer4"], found["layer4_timers_s"]) == (240, ("nat", "azure"), (350, 240))


def test_without_layer_4_nothing_is_forgotten():
    assert not [name for name in facts_of(hop("client", idle_timeout_s=9999), hop("server")) if "layer4_" in name]


@pytest.mark.parametrize(
    ("client", "silence"), [({}, 600), ({"so_keepalive": True, "keepidle_s": 60}, 60), ({"idle_timeout_s": 30}, 600)]
)
def test_a_pool_does_not_shorten_the_silence_of_a_request(client, silence):
    found = facts_of(hop("client", **client), hop("middle", idle_timeout_s=350), hop("server"), slowest_response_s=600)
    assert found["request_silence_s"] == silence


def test_probes_of_another_connection_are_named():
    path = [
        hop("client", "app", so_keepalive=True, keepidle_s=60),
        hop("proxy", "envoy", up_idle_timeout_s=3600),
        hop("middle", "nat", idle_timeout_s=350),
        hop("server", "api"),
    ]
    first, second = links.subjects(links.between(path, "p.toml"), {})
    assert "probes_on" not in first.facts
    assert second.facts["probes_on"].value == ("app -> envoy",)
    assert (second.facts["probes"].value, second.facts["flow_kept"].value) == (False, False)


@pytest.mark.parametrize(
    ("kinds", "tracked"),
    [
        (("balancer", "conntrack"), 350),
        (("conntrack", "balancer"), None),
        (("conntrack", "balancer", "conntrack"), 350),
        (("balancer", "nat"), None),
    ],
)
def test_the_tracking_behind_a_balancer_counts(kinds, tracked):
    middles = [
        hop("middle", f"m{n}", idle_timeout_s=350 if kind == "conntrack" else 600, kind_of=kind)
        for n, kind in enumerate(kinds)
    ]
    assert facts_of(hop("client"), *middles, hop("server")).get("conntrack_idle_s") == tracked


def test_the_shortest_tracking_behind_a_balancer_counts():
    middles = [hop("middle", "nlb", idle_timeout_s=600, kind_of="balancer")]
    middles += [hop("middle", f"c{value}", idle_timeout_s=value, kind_of="conntrack") for value in (432000, 350)]
    assert facts_of(hop("client"), *middles, hop("server"))["conntrack_idle_s"] == 350


@pytest.mark.parametrize(("probe", "silence"), [({}, 400), ({"so_keepalive": True, "keepidle_s": 60}, 60)])
def test_how_long_a_tunnel_is_silent(probe, silence):
    found = facts_of(hop("client", **probe), hop("middle", idle_timeout_s=350), hop("server"), ping_interval_s=400)
    assert found["tunnel_silence_s"] == silence


def test_a_default_of_an_unknown_version_counts_where_all_agree():
    changed = Default((((8,), 5), ((20, 18), 6)), "somewhere")
    node = Hop("app", Kind("node", "Node.js", "server", {"server.idle_timeout_s": changed}), {})
    assert facts_of(hop("client", idle_timeout_s=60), node)["server_idle_s"] == 6
    assert facts_of(hop("client", idle_timeout_s=4), node)["server_idle_s"] == 6
    assert "server_idle_s" not in facts_of(hop("client", idle_timeout_s=5), node)
    assert "server_idle_s" not in facts_of(hop("client"), node)


def test_probes_that_are_stated_count_without_the_switch():
    side = {"idle_timeout_s": math.inf, "keepidle_s": 60}
    assert facts_of(hop("client", **side), hop("middle", idle_timeout_s=350), hop("server"))["first_probe_s"] == 60


def test_balancer_and_conntrack():
    found = facts_of(
        hop("client"),
        hop("middle", "nlb", idle_timeout_s=3600, kind_of="balancer"),
        hop("middle", "eni", idle_timeout_s=350, kind_of="conntrack"),
        hop("server"),
    )
    assert (found["balancer_idle_s"], found["conntrack_idle_s"]) == (3600, 350)


@pytest.mark.parametrize(
    ("client", "dead"),
    [
        ({}, 924.6),
        ({"tcp_retries2": 8}, 102.2),
        ({"user_timeout_s": 30}, 30),
        ({"response_timeout_s": 60}, 60),
        ({"user_timeout_s": math.inf}, 924.6),
        ({"user_timeout_s": 0}, 924.6),
        ({"user_timeout_s": 1800}, 1800),
        ({"user_timeout_s": 1800, "response_timeout_s": 60}, 60),
        ({"tcp_retries2": math.inf}, 29724.6),
    ],
)
def test_when_a_dead_peer_is_noticed(client, dead):
    """924.6 s is what Documentation/networking/ip-sysctl.rst says of the default of 15."""
    found = facts_of(hop("client", **client), hop("middle", idle_timeout_s=350), hop("server"), answer_within_s=60)
    assert found["dead_peer_s"] == dead
