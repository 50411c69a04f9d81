"""The drawing of a path: an inversion is seen, whatever the values, the names and the width."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_tcp import drawing
from audit_tcp.wording import columns
from builders import snapshot_of, subject

LINK = {
    "client": "alb",
    "client_kind": "alb",
    "server": "app",
    "server_kind": "node",
    "client_idle_s": 60,
    "server_idle_s": 5,
}


def lines(*links, failing=(), width=80):
    subjects = [subject("link", f"{link['client']} -> {link['server']}", link) for link in links]
    return list(drawing.lines(snapshot_of(*subjects), failing, width))


def bar_of(label, drawn):
    return next(line for line in drawn if label in line).count("=")


def test_hop_below_hop():
    drawn = lines({**LINK, "layer4_timed": ["nat"], "layer4_timers_s": [350], "first_probe_s": math.inf})
    assert [line for line in drawn if not line.startswith("  ")] == ["alb", "app (node)"]
    assert "  : nat (layer 4)" in drawn
    assert [bar_of(label, drawn) for label in ("drops idle", "forgets", "closes idle")] == [25, 36, 11]
    assert "  | no keepalive probes" in drawn


def test_what_never_ends_leaves_the_page():
    assert any(
        line.endswith("unlimited  =====================================>")
        for line in lines({**LINK, "client_idle_s": math.inf})
    )


def test_a_tunnel_is_drawn_where_the_path_says_how_long_it_is_silent():
    link = {**LINK, "server_tunnel_timeout_s": 600}
    assert not any("tunnels" in line for line in lines(link))
    assert any("tunnels" in line for line in lines({**link, "ping_interval_s": 90}))


def test_without_keepalive_there_is_no_timer_to_draw():
    assert "  | closes after each answer" in lines({**LINK, "server_idle_s": 0})


def test_a_connection_that_is_not_in_order_is_marked():
    assert "  ! <- not in order" in lines(LINK, failing={"alb -> app"})
    assert "  ! <- not in order" not in lines(LINK)


@given(st.lists(st.floats(0.001, 1e9), min_size=2, max_size=2, unique=True))
def test_a_longer_timer_has_a_longer_bar(values):
    drawn = lines({**LINK, "client_idle_s": values[0], "server_idle_s": values[1]})
    longer = bar_of("drops idle", drawn) > bar_of("closes idle", drawn)
    assert longer == (values[0] > values[1])


def test_equal_timers_have_equal_bars():
    drawn = lines({**LINK, "client_idle_s": 60, "server_idle_s": 60.0})
    assert bar_of("drops idle", drawn) == bar_of("closes idle", drawn) > 0


@given(
    st.text(max_size=300),
    st.integers(40, 80),
    st.lists(st.one_of(st.floats(0, 1e9), st.just(math.inf)), min_size=2, max_size=40),
)
def test_no_line_is_wider_than_the_page_nor_harmful(name, width, values):
    link = {
        **LINK,
        "server": name,
        "client_idle_s": values[0],
        "server_idle_s": values[1],
        "layer4_timed": [name] * len(values),
    }
    for line in lines({**link, "layer4_timers_s": values}, width=width):
        assert columns(line) <= width
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", line)


@pytest.mark.parametrize("kind", ["server", "netns"])
def test_a_host_is_no_path(kind):
    assert not drawing.is_path(snapshot_of(subject(kind, "it", {})))
