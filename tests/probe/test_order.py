"""Which lines each program sees, and which writes it makes of them, without a kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_tcp.probe.order import Line, procps_lines, procps_writes, systemd_lines, systemd_writes

LINES = [
    # text, what systemd-sysctl sees, what procps sees, as (path, value)
    ("net.ipv4.x = 1", [("net/ipv4/x", "1")], [("net/ipv4/x", "1")]),
    ("net/ipv4/x=1 # c", [("net/ipv4/x", "1 # c")], [("net/ipv4/x", "1 # c")]),
    ("  # comment\n; comment\n\n", [], []),
    ("-net.ipv4.x = 1", [("net/ipv4/x", "1")], [("net/ipv4/x", "1")]),
    ("-net.ipv4.x", [("net/ipv4/x", None)], [("net/ipv4/x", None)]),
    ("net.ipv4.conf.eth0/100.y = 1", [("net/ipv4/conf/eth0.100/y", "1")], [("net/ipv4/conf/eth0.100/y", "1")]),
    ("net/ipv4/conf/eth0.100/y = 1", [("net/ipv4/conf/eth0.100/y", "1")], [("net/ipv4/conf/eth0.100/y", "1")]),
    ("net.ipv4.x =", [("net/ipv4/x", "")], [("net/ipv4/x", "")]),
    ("net.ipv4.x = a = b", [("net/ipv4/x", "a = b")], [("net/ipv4/x", "a = b")]),
    ("net.ipv4.x = 1\r\n", [("net/ipv4/x", "1")], [("net/ipv4/x", "1")]),
    # systemd ends a line at a carriage return or a NUL too; for C a text ends at the NUL
    (
        "net.ipv4.x = 1\rnet.ipv4.y = 2",
        [("net/ipv4/x", "1"), ("net/ipv4/y", "2")],
        [("net/ipv4/x", "1\rnet.ipv4.y = 2")],
    ),
    ("net.ipv4.x = 1\0net.ipv4.y = 2", [("net/ipv4/x", "1"), ("net/ipv4/y", "2")], [("net/ipv4/x", "1")]),
    # systemd simplifies the path, procps takes it as it stands
    ("net//ipv4/./x = 1", [("net/ipv4/x", "1")], [("net//ipv4/./x", "1")]),
    ("- net.ipv4.x = 1", [("net/ipv4/x", "1")], [(" net/ipv4/x", "1")]),
]


@pytest.mark.parametrize(("text", "systemd", "procps"), LINES)
def test_lines(text, systemd, procps):
    assert [(line.path, line.value) for line in systemd_lines("f", text)[0]] == systemd
    assert [(line.path, line.value) for line in procps_lines("f", text)[0]] == procps


@pytest.mark.parametrize("read", [systemd_lines, procps_lines])
def test_a_line_without_an_assignment_is_told_by_its_number(read):
    assert read("f", "net.ipv4.x = 1\nwhat is this\nnet.ipv4.y = 2\n=5\n- = 6")[1] == [2, 4, 5]


def lines(*settings):
    return [Line("f", number, path, value) for number, (path, value) in enumerate(settings, 1)]


def expand(pattern):
    return {"a/*": ["a/x", "a/y"], "a/x*": ["a/x"]}.get(pattern, [])


WRITES = [
    # settings in order, systemd's writes, procps' writes
    ([("a/x", "1"), ("a/x", "2")], [("a/x", "2")], [("a/x", "1"), ("a/x", "2")]),
    ([("a/*", "1"), ("a/x", "2")], [("a/y", "1"), ("a/x", "2")], [("a/y", "1"), ("a/x", "2")]),
    ([("a/x", "2"), ("a/*", "1")], [("a/x", "2"), ("a/y", "1")], [("a/x", "2"), ("a/y", "1")]),
    ([("a/*", "1"), ("a/x", None)], [("a/y", "1")], [("a/y", "1")]),
    # an exclusion takes an earlier line away in systemd only
    ([("a/x", "1"), ("a/x", None)], [], [("a/x", "1")]),
    ([("a/x", None), ("a/x", "1")], [("a/x", "1")], [("a/x", "1")]),
    # a line that says the same keeps the earlier one's place in systemd
    ([("a/*", "1"), ("a/x*", "2"), ("a/*", "1")], [("a/x", "1"), ("a/y", "1"), ("a/x", "2")], None),
    ([("b/*", "1")], [], []),
]


@pytest.mark.parametrize(("settings", "systemd", "procps"), WRITES)
def test_writes(settings, systemd, procps):
    assert [(line.path, line.value) for line in systemd_writes(lines(*settings), expand)] == systemd
    if procps is not None:
        assert [(line.path, line.value) for line in procps_writes(lines(*settings), expand)] == procps


@given(st.text())
def test_any_text_is_read_and_every_line_is_accounted_for(text):
    for read in (systemd_lines, procps_lines):
        found, bad = read("f", text)
        numbers = [line.number for line in found] + bad
        assert len(numbers) == len(set(numbers))
        assert all(line.path is not None and "\n" not in (line.value or "") for line in found)


KEYS = st.sampled_from(["net.ipv4.a", "net.ipv4.b", "net.ipv4.*", "net/ipv4/a", "-net.ipv4.b"])


@given(st.lists(st.tuples(KEYS, st.sampled_from(["1", "2", None]))))
def test_both_programs_agree_where_no_line_is_an_exclusion_or_a_glob(settings):
    text = "\n".join(key if value is None else f"{key} = {value}" for key, value in settings)
    boot, system = systemd_lines("f", text)[0], procps_lines("f", text)[0]
    if any(line.value is None or "*" in line.path for line in boot):
        return
    last = [
        {line.path: line.value for line in write(lines, expand)}
        for write, lines in ((systemd_writes, boot), (procps_writes, system))
    ]
    assert last[0] == last[1]
