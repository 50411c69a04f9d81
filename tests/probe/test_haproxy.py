"""HAProxy's collector on configuration trees: syntax, inheritance, facts, traps, and hostile input."""

import json
import os
import time
import tracemalloc

import pytest

import trees
from audit_tcp.probe import haproxy
from audit_tcp.probe.haproxy import conditions as haproxy_conditions
from audit_tcp.probe.haproxy import instances as haproxy_instances
from audit_tcp.probe.haproxy import values as haproxy_values
from audit_tcp.probe.haproxy import words as haproxy_words
from audit_tcp.probe.host import Host

MAIN = "/etc/haproxy/haproxy.cfg"
TIMES = "defaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n"


def collected(tmp_path, files, links=None):
    if isinstance(files, str):
        files = {MAIN: files}
    host = Host(str(trees.grow(tmp_path, files, links)))
    return {(kind, name): facts for kind, name, facts in haproxy.collect(host)}, host


def values(facts):
    return {name: fact["value"] for name, fact in facts.items()}


def config(found):
    return values(next(facts for (kind, _), facts in found.items() if kind == "config"))


def unreadable(found):
    return [text.replace(MAIN, "") for text in config(found)["unreadable"]]


def front(found, name="frontend f"):
    return values(found["server", f"haproxy {name}"])


def back(found, name="backend b"):
    return values(found["upstream", f"haproxy {name}"])


WORDS = [
    ("timeout client 5s # comment", ["timeout", "client", "5s"]),
    ("global#comment", ["global"]),
    ("\t a  b\r", ["a", "b"]),
    ("# all", []),
    ("", []),
    ("a 'b c' \"d e\"", ["a", "b c", "d e"]),
    ("a b\\ c", ["a", "b c"]),
    ("a \\#b \\\\ \\' \\\"", ["a", "#b", "\\", "'", '"']),
    ("a 'b\\' c", ["a", "b\\", "c"]),
    ("a 'x#y' \"p#q\"", ["a", "x#y", "p#q"]),
    ("\\x35s \\t\\n", ["5s", "\t\n"]),
    ("a\\b", ["a\\b"]),
    ("a \\", ["a", "\\"]),
    ("time\"out\" cli'ent'", ["timeout", "client"]),
    ('"$A"x ${A} $A', ["5sx", "${A}", "$A"]),
    ('"${A}" "${NO-7s}" "${A-7s}" "${NO-}"', ["5s", "7s", "5s", ""]),
    ('"${L[*]}" z', ["client", "7s", "z"]),
    ('"${L}"', ["client 7s"]),
    ('"p${L[*]}q"', ["pclient", "7sq"]),
    ('"\\$A \\x41"', ["$A A"]),
    ('"it\'s"', ["it's"]),
    ("'' x", ["", "x"]),
    ("a\u00a0b c", ["a\u00a0b", "c"]),
    ("a\x1cb", ["a\x1cb"]),
]


@pytest.mark.parametrize(("line", "expected"), WORDS)
def test_words(line, expected):
    assert haproxy_words.split(line, {"A": "5s", "L": "client 7s"}) == expected


@pytest.mark.parametrize("line", ['"abc', "'abc", '"${A"', '"${A[x]}"', '"$5"', "\\xZZ", '"${A-x"', '"${}"'])
def test_refused_words(line):
    with pytest.raises(haproxy_words.Refused):
        haproxy_words.split(line, {})


CONDITIONS = [
    ("", False), ("0", False), ("1", True), ("-7", True), ("0x0", False), ("!0", True), ("! ! 1", True),
    ("defined(A)", True), ("defined(B)", False), ("feature(OPENSSL)", True), ("feature(ZLIB)", False), ("feature(X)", False),
    ("streq(a,a)", True), ("streq(a, a)", False), ("strneq(a,b)", True), ("strstr(abc,b)", True),
    ("streq(\"a,b\",'a,b')", True), ("streq(a\\,b,'a,b')", None), ("streq(a\\\\b,'a\\b')", True), ("streq(\"a\\\"\",'a\"')", True), ("streq(,)", True),
    ("version_atleast(2.6)", True), ("version_atleast(2.6-dev1)", True), ("version_atleast(2.6.12)", True),
    ("version_atleast(2.6.13)", False), ("version_before(2.6.13)", True), ("version_before(2.4)", False),
    ("version_atleast(2.6.12-1)", None), ("1 && 0", False), ("1&&1||0", True), ("0 || 1 && 0", False),
    ("(0 || 1) && 1", True), ("!(1)", False), ("! ( 1 && !0 ) || streq(x,x)", True), ("foo(a)", None), ("true", None),
    ("1 2", None), ("0x", None), ("(1", None), ("1)", None), ("streq(a)", None), ("defined(A", None), ("&& 1", None),
    ("(" * 500 + "1" + ")" * 500, None), ("!" * 501 + "0", True), ("'", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CONDITIONS)
def test_conditions(text, expected):
    world = haproxy_conditions.World({"A": ""}, "2.6.12", lambda: {"OPENSSL": True, "ZLIB": False})
    assert haproxy_conditions.evaluate(text, world) is expected


def test_what_is_unknown_stays_unknown_unless_it_does_not_matter():
    world = haproxy_conditions.World({}, "", dict)
    texts = ("feature(X)", "version_before(3)", "feature(X) || 1", "feature(X) && 0", "!feature(X)")
    assert [haproxy_conditions.evaluate(text, world) for text in texts] == [None, None, True, False, None]


TIMERS = [
    ("5", 5), ("5ms", 5), ("5s", 5000), ("2m", 120000), ("1h", 3600000), ("1d", 86400000), ("500us", 1), ("0", 0),
    ("2147483647", 2147483647), ("24d", 2073600000),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TIMERS)
def test_timers(text, expected):
    assert haproxy_values.timer(text)[0] == expected


@pytest.mark.parametrize(
    "text", ["", "s", "1.5s", "-5", "30x", "2147483648", "25d", "0x10", "5 s", "9" * 400, "5S", "٣"]
)
def test_refused_timers(text):
    with pytest.raises(haproxy_values.Refused):
        haproxy_values.timer(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":80", ["*:80"]), ("*:80", ["*:80"]), ("10.0.0.1:80", ["10.0.0.1:80"]), (":80,:443", ["*:80", "*:443"]),
        (":7-9", ["*:7", "*:8", "*:9"]), (":1-60000", ["*:1-60000"]), (":::80", ["[::]:80"]), ("[::1]:80", ["[::1]:80"]),
        ("ipv6@:::80", ["[::]:80"]), ("ipv4@:80", ["*:80"]), ("unix@/run/x", ["unix:/run/x"]), ("/run/x", ["unix:/run/x"]),
        ("abns@x", ["abns:x"]), ("fd@3", ["fd:3"]), ("quic4@:443", ["*:443"]), ("localhost:80", ["localhost:80"]),
    ],
)  # fmt: skip
def test_bind_addresses(text, expected):
    assert haproxy_values.bound(text) == expected


@pytest.mark.parametrize("text", ["", "80", "*:", ":$PORT", ":80-", ":99999", ":9-7", ":80,", "::x"])
def test_refused_binds(text):
    with pytest.raises(haproxy_values.Refused):
        haproxy_values.bound(text)


F = "frontend f\n bind :80\n"
IDLE = [
    ("timeout client 30s", F, 30, 3),
    ("timeout client 30s", F + " timeout client 7s\n", 7, 6),
    ("timeout client 30s\n timeout http-request 9s", F, 9, 4),
    ("timeout client 30s\n timeout http-request 9s\n timeout http-keep-alive 4s", F, 4, 5),
    ("timeout client 30s\n timeout http-keep-alive 0\n timeout http-request 9s", F, 9, 5),
    ("timeout client 3s\n timeout http-keep-alive 60s", F, 3, 3),
    ("timeout client 30s", F + " timeout http-keep-alive 1500\n", 1.5, 6),
    ("timeout client 30s", F + " option httpclose\n", 0, 6),
    ("timeout client 30s\n option httpclose", F + " option http-keep-alive\n", 30, 3),
    ("timeout client 30s\n option httpclose", F + " option http-server-close\n", 30, 3),
    ("timeout client 30s\n option httpclose", F + " no option httpclose\n", 30, 3),
    ("timeout client 30s", F + " option http-server-close\n option httpclose\n", 0, 7),
    ("timeout client 30s", F + " no option http-server-close\n", 30, 3),
    ("timeout server 3s", F, "unlimited", None),
    ("timeout client 0", F, "unlimited", None),
    ("timeout server 3s\n timeout http-keep-alive 1s", F, "unlimited", None),
]


@pytest.mark.parametrize(("defaults", "rest", "expected", "line"), IDLE)
def test_idle_timeout(tmp_path, defaults, rest, expected, line):
    found, _ = collected(tmp_path, f"defaults\n mode http\n {defaults}\n{rest}")
    facts = found["server", "haproxy frontend f"]
    assert facts["idle_timeout_s"]["value"] == expected
    if line:
        assert facts["idle_timeout_s"]["origin"] == f"{MAIN}:{line}"
    assert ("keepalive" in facts and not facts["keepalive"]["value"]) == (expected == 0)


INHERITED = [
    ("defaults\n mode http\n timeout client 3s\ndefaults\n mode http\n" + F, "unlimited"),
    (
        "defaults a\n mode http\n timeout client 3s\ndefaults b\n mode http\n timeout client 4s\nfrontend f from a\n bind :80\n",
        3,
    ),
    ("defaults a\n mode http\n timeout client 3s\ndefaults b from a\n timeout server 4s\nfrontend f\n bind :80\n", 3),
    ("defaults\n mode http\n timeout client 3s\n" + F + "defaults\n timeout client 9s\n", 3),
    ("frontend f\n mode http\n bind :80\n timeout client 2s\n", 2),
    ("defaults from\n mode http\n timeout client 6s\n" + F, 6),
]


@pytest.mark.parametrize(("text", "expected"), INHERITED)
def test_defaults(tmp_path, text, expected):
    found, _ = collected(tmp_path, text)
    assert front(found)["idle_timeout_s"] == expected


def test_everything_that_a_frontend_says(tmp_path):
    found, host = collected(
        tmp_path,
        "global\n maxconn 5000\n"
        + TIMES
        + "frontend f\n bind :80,:443 ssl crt x\n bind 10.0.0.1:81\n option clitcpka\n"
        " clitcpka-idle 60\n clitcpka-intvl 10s\n clitcpka-cnt 3\n timeout http-request 4s\n timeout http-keep-alive 40s\n"
        " option http-buffer-request\n default_backend b\nbackend b\n timeout tunnel 1h\n server s 10.0.0.5:80\n",
    )
    assert host.errors == []
    facts = front(found)
    assert facts == {
        "program": "haproxy", "running": False, "netns": "host", "mode": "http", "listen": ["*:80", "*:443", "10.0.0.1:81"],
        "backlog": 5000, "idle_timeout_s": 30, "h2_idle_timeout_s": 40, "header_timeout_s": 4, "request_timeout_s": 4,
        "body_timeout_s": 30, "send_timeout_s": 30, "tunnel_timeout_s": 3600, "so_keepalive": True, "keepidle_s": 60,
        "keepintvl_s": 10, "keepcnt": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (" bind :80\n", 900), (" bind :80 backlog 7\n", 7), (" bind :80\n backlog 8\n", 8), (" bind :80\n maxconn 9\n", 9),
        (" bind :80 maxconn 5\n maxconn 9\n", 5), (" bind :80 maxconn 5\n backlog 9\n", 9),
        (" bind :80 backlog 7\n bind :81\n", 7), (" bind :80\n maxconn 0\n", 900),
    ],
)  # fmt: skip
def test_backlog(tmp_path, lines, expected):
    found, _ = collected(tmp_path, "global\n maxconn 900\n" + TIMES + "frontend f\n" + lines)
    assert front(found)["backlog"] == expected


def test_everything_that_a_backend_says(tmp_path):
    found, host = collected(
        tmp_path,
        TIMES
        + F
        + " default_backend b\nbackend b\n timeout tunnel 1h\n timeout server 9s\n option tcpka\n srvtcpka-idle 1m\n"
        " srvtcpka-intvl 9\n srvtcpka-cnt 4\n default-server pool-max-conn 10 pool-purge-delay 2s max-reuse 99 proto h2\n"
        " server a 10.0.0.5:80 weight 3\n server b unix@/run/b pool-max-conn 20\n server-template c 1-3 app.example:80\n",
    )
    assert host.errors == []
    assert back(found) == {
        "program": "haproxy", "running": False, "netns": "host", "mode": "http", "pool_size": 20, "pool_purge_s": 2,
        "addresses": ["10.0.0.5:80", "unix:/run/b", "app.example:80"], "connect_timeout_s": 5, "response_timeout_s": 9,
        "tunnel_timeout_s": 3600, "so_keepalive": True, "keepidle_s": 60, "keepintvl_s": 9, "keepcnt": 4, "max_requests": 100,
        "http_version": 2,
    }  # fmt: skip


B = "backend b\n server s 10.0.0.5:80"
REUSE = [
    (F, B + "\n", {}),
    (F, B + "\n http-reuse never\n", {"reuse": False}),
    (F, B + "\n http-reuse always\n", {"reuse": True}),
    (F, B + " pool-max-conn 0\n", {"reuse": False, "pool_size": 0}),
    (F, B + " pool-max-conn -1\n", {"pool_size": "unlimited"}),
    (F, B + " pool-purge-delay 0\n", {"reuse": False, "pool_size": 0}),
    (F, B + "\n option http-server-close\n", {"reuse": False, "sends_close": True}),
    (F, B + "\n option httpclose\n", {"reuse": False, "sends_close": True}),
    (F, B + "\n option httpclose\n option http-pretend-keepalive\n", {"reuse": False, "sends_close": False}),
    (F + " option http-server-close\n default_backend b\n", B + "\n", {"reuse": False, "sends_close": True}),
    (F + " option http-server-close\n default_backend b\nfrontend g\n bind :81\n use_backend b\n", B + "\n", {}),
    (F, B + "\n mode tcp\n", {"reuse": False}),
]


@pytest.mark.parametrize(("before", "text", "expected"), REUSE)
def test_reuse(tmp_path, before, text, expected):
    facts = back(collected(tmp_path, TIMES + before + text)[0])
    assert {name: facts[name] for name in ("reuse", "pool_size", "sends_close") if name in facts} == expected


TCP = [
    ("timeout client 3s\n timeout server 9s", {"idle_timeout_s": 3, "backend_timeout_s": 9, "body_timeout_s": 3}),
    ("timeout client 9s\n timeout server 3s", {"idle_timeout_s": 3, "backend_timeout_s": 3, "body_timeout_s": 9}),
    ("timeout client 9s", {"idle_timeout_s": 9, "backend_timeout_s": "unlimited", "body_timeout_s": 9}),
    ("timeout client 3s\n timeout server 3s\n timeout tunnel 1h", {"idle_timeout_s": 3600, "tunnel_timeout_s": 3600, "body_timeout_s": 3}),
]  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["listen f\n bind :80\n server s 10.0.0.5:80\n", F + " default_backend b\n" + B + "\n"]
)
@pytest.mark.parametrize(("timers", "expected"), TCP)
def test_tcp_mode(tmp_path, kind, timers, expected):
    found, _ = collected(tmp_path, f"defaults\n {timers}\n{kind}")
    facts = front(found, "listen f" if kind.startswith("listen") else "frontend f")
    names = ("idle_timeout_s", "backend_timeout_s", "body_timeout_s", "tunnel_timeout_s")
    assert {name: facts[name] for name in names if name in facts} == expected
    assert facts["mode"] == "tcp"
    assert "header_timeout_s" not in facts


HEADER = [
    ("timeout client 30s", "", "unlimited", ":4: no timeout http-request: a byte now and then keeps it open"),
    ("timeout client 30s\n timeout http-keep-alive 4s", "", "unlimited", ":5: no timeout http-request: a byte now and then keeps it open"),
    ("timeout client 30s", " timeout http-request 0\n", "unlimited", ":6: no timeout http-request: a byte now and then keeps it open"),
    ("timeout client 30s\n timeout http-request 9s", "", 9, ":4"),
    ("timeout client 3s", " timeout http-request 9s\n", 3, ":3"),
    ("timeout http-request 9s", "", "unlimited", ":4: no timeout client"),
]  # fmt: skip


@pytest.mark.parametrize(("defaults", "rest", "expected", "origin"), HEADER)
def test_header_timeout(tmp_path, defaults, rest, expected, origin):
    found, _ = collected(tmp_path, f"defaults\n mode http\n {defaults}\n{F}{rest}")
    fact = found["server", "haproxy frontend f"]["header_timeout_s"]
    assert (fact["value"], fact["origin"].replace(MAIN, "")) == (expected, origin)


UPGRADED = [
    (F + " mode tcp\n tcp-request content switch-mode http\n timeout http-keep-alive 3s\n", 3),
    (F + " mode tcp\n tcp-request content switch-mode http if HTTP\n timeout http-request 4s\n", 4),
    (F + " mode tcp\n timeout http-keep-alive 3s\n default_backend b\nbackend b\n", 3),
    (F + " mode tcp\n tcp-request content switch-mode http\n", 30),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), UPGRADED)
def test_what_begins_in_tcp_mode_and_goes_on_in_http(tmp_path, text, expected):
    facts = front(collected(tmp_path, TIMES + text)[0])
    assert (facts["mode"], facts["idle_timeout_s"]) == ("tcp", expected)
    assert not {"header_timeout_s", "backend_timeout_s"} & {*facts}


NO_EFFECT = [
    ("backend b\n timeout client 3s\n", [":7: timeout client has no effect in a backend: only a frontend uses it"]),
    ("backend b\n clitcpka-idle 3\n", [":7: clitcpka-idle has no effect in a backend: only a frontend uses it"]),
    ("backend b\n option clitcpka\n", [":7: option clitcpka has no effect in a backend: only a frontend uses it"]),
    ("backend b\n maxconn 3\n backlog 4\n", [":7: maxconn has no effect in a backend: only a frontend uses it", ":8: backlog has no effect in a backend: only a frontend uses it"]),
    ("backend b\n timeout http-keep-alive 3s\n", [":7: timeout http-keep-alive has no effect in a backend: the frontend's holds"]),
    ("backend b\n timeout http-request 3s\n", [":7: timeout http-request has no effect in a backend: the frontend's holds"]),
    ("backend b\n option http-buffer-request\n timeout http-request 3s\n", []),
    ("defaults\n mode http\n timeout client 9s\n option http-buffer-request\nbackend b\n timeout http-request 3s\n timeout http-keep-alive 3s\n", [":12: timeout http-keep-alive has no effect in a backend: the frontend's holds"]),
    ("backend b\n option http-buffer-request\n no option http-buffer-request\n timeout http-request 3s\n", [":7: option http-buffer-request has no effect: no option http-buffer-request on line 8 replaces it", ":9: timeout http-request has no effect in a backend: the frontend's holds"]),
    ("frontend f\n timeout client 0\n timeout http-request 3s\n option http-buffer-request\n", []),
    ("backend b\n bind :80\n", [":7: bind has no effect in a backend"]),
    ("frontend f\n timeout server 3s\n", [":7: timeout server has no effect in a frontend: only a backend uses it"]),
    ("frontend f\n timeout connect 3s\n", [":7: timeout connect has no effect in a frontend: only a backend uses it"]),
    ("frontend f\n timeout queue 3s\n", [":7: timeout queue has no effect in a frontend: only a backend uses it"]),
    ("frontend f\n timeout tunnel 3s\n", [":7: timeout tunnel has no effect in a frontend: only a backend uses it"]),
    ("frontend f\n http-reuse safe\n", [":7: http-reuse has no effect in a frontend: only a backend uses it"]),
    ("frontend f\n option srvtcpka\n", [":7: option srvtcpka has no effect in a frontend: only a backend uses it"]),
    ("frontend f\n option tcpka\n", []),
    ("frontend f\n timeout client 3s\n timeout client 4s\n", [":7: timeout client has no effect: overwritten on line 8"]),
    ("frontend f\n option http-keep-alive\n option httpclose\n", [":7: option http-keep-alive has no effect: option httpclose on line 8 replaces it"]),
    ("listen f\n mode tcp\n timeout http-keep-alive 3s\n", [":8: timeout http-keep-alive has no effect in mode tcp"]),
    ("listen f\n mode tcp\n option httpclose\n http-reuse never\n", [":8: option httpclose has no effect in mode tcp", ":9: http-reuse has no effect in mode tcp"]),
    ("frontend f\n mode tcp\n timeout http-request 3s\n default_backend b\nbackend b\n", []),
    ("frontend f\n mode tcp\n timeout http-request 3s\n tcp-request content switch-mode http\n", []),
    ("frontend f\n mode tcp\n use_backend b\nbackend b\n timeout http-request 3s\n", []),
    ("frontend f\n timeout client 0\n timeout http-keep-alive 3s\n", [":8: timeout http-keep-alive has no effect without timeout client: nothing ends an idle connection"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), NO_EFFECT)
def test_no_effect(tmp_path, text, expected):
    found, _ = collected(tmp_path, TIMES + text)
    assert [one.replace(MAIN, "") for one in config(found)["no_effect"]] == expected


TRAPS = [
    ("timeout client 30", [":7: timeout client 30 means 30 ms, a number without a unit counts milliseconds"]),
    ("timeout client 999", [":7: timeout client 999 means 999 ms, a number without a unit counts milliseconds"]),
    ("timeout client 1000", []), ("timeout client 30ms", []), ("timeout client 0", []), ("clitcpka-idle 60", []),
    ("clitcpka-idle 60000", [":7: clitcpka-idle 60000 means 60000 s, this one counts seconds"]),
    ("clitcpka-intvl 5000", [":7: clitcpka-intvl 5000 means 5000 s, this one counts seconds"]), ("clitcpka-idle 60000ms", []),
    ("default-server pool-purge-delay 5", [":7: pool-purge-delay 5 means 5 ms, a number without a unit counts milliseconds"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), TRAPS)
def test_unit_traps(tmp_path, line, expected):
    found, _ = collected(tmp_path, TIMES + f"listen f\n {line}\n")
    assert [one.replace(MAIN, "") for one in config(found)["unit_traps"]] == expected


OLD = b"\0\0 version 1.8.30, released 2021/04/12\0\0"
UNREADABLE = [
    (TIMES + F + " timeout client 1.5s\n", [":8: timeout client: no whole number with one of the units us, ms, s, m, h, d"]),
    (TIMES + F + " timeout client\n", [":8: timeout client: no whole number with one of the units us, ms, s, m, h, d"]),
    (TIMES + F + " timeout client 25d\n", [":8: timeout client: a timer above 2147483647 ms"]),
    (TIMES + F + " timeout client 5 s\n", [":8: timeout client: an argument after the value"]),
    (TIMES + F + " timeout cli 5s\n", [":8: timeout: none of the timers that HAProxy has"]),
    (TIMES + F + " mode bogus\n", [":8: mode: none of haterm, health, http, log, peers, spop, tcp"]),
    (TIMES + F + " maxconn x\n", [":8: maxconn: no whole number"]),
    (TIMES + F + " server s 1.1.1.1\n", [":8: server: HAProxy refuses it in a frontend section"]),
    (TIMES + "frontend f\n bind\n", [":7: bind: an address without a port"]),
    (TIMES + "frontend f\n bind *:$PORT\n", [":7: bind: an address without a port"]),
    (TIMES + "backend b\n server s\n", [":7: server: no name or no address"]),
    (TIMES + "backend b\n http-reuse x\n", [":7: http-reuse: none of aggressive, always, never, safe"]),
    (TIMES + "frontend\n bind :80\n", [":6: a frontend without a name"]),
    (TIMES + "frontend f :80\n", [":6: an address after the name: HAProxy wants a bind line"]),
    (TIMES + "frontend 'x y'\n", [":6: a frontend with a name that HAProxy does not permit"]),
    (TIMES + F + F, [":8: a frontend with the name of the one of :6, HAProxy refuses that"]),
    (TIMES + "backend b\nlisten b\n bind :80\n", []),
    (TIMES + "listen b\n bind :80\nbackend b\n", [":8: a backend with the name of the one of :6, HAProxy refuses that"]),
    ("frontend f from x\n bind :80\n", [":1: the defaults section that it names with `from` does not exist"]),
    ("defaults a\ndefaults a\nfrontend f from a\n", [":3: two defaults sections have the name that stands after `from`"]),
    ("defaults a\nfrontend f from a\nfrontend g\n", [":3: the defaults section of :1 is used with and without `from`, HAProxy refuses both at once"]),
    ("mode http\nbogus\nglobal\n", [":1: a keyword that stands before every section"]),
    (TIMES + F + ' timeout client "5s\n', [":8: unmatched quote"]),
    (TIMES + F + " timeout client 5s", [":8: no line feed at the end of the last line, HAProxy refuses that since 2.3"]),
    (".if 1\n" + TIMES + F, [":1: .if without .endif"]),
    (".else\n.endif\n", [":1: .else without .if", ":2: .endif without .if"]),
    (".if 0\n.else\n.else\n.endif\n", [":3: .else after .else"]),
    (".bogus\n", [":1: an unknown directive that begins with a dot"]),
    (".alert stop\n", [":1: an .alert: HAProxy stops here"]),
    (".if 0\n.alert stop\n.bogus\n.endif\n", []),
    (".if 0\n'\n.endif\n", [":2: unmatched quote"]),
    (TIMES + " clitimeout 5s\n", [":6: clitimeout was removed in HAProxy 2.1, which refuses it; timeout client replaces it"]),
    (TIMES + F + " option forceclose\n", [":8: option forceclose was removed in HAProxy 2.0, which refuses it; option httpclose replaces it"]),
    (TIMES + " bind :80\n", [":6: bind: HAProxy refuses it in a defaults section"]),
    ("global\n maxconn x\n", [":2: maxconn: no whole number"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), UNREADABLE)
def test_what_haproxy_refuses_is_told_with_its_line(tmp_path, text, expected):
    found, host = collected(tmp_path, text)
    assert unreadable(found) == expected
    assert [f"{where}: {what}".replace(MAIN, "") for where, what in host.errors] == expected


def test_an_old_program_has_old_words(tmp_path):
    text = "defaults\n mode http\n contimeout 2s\n clitimeout 3s\n srvtimeout 4s\n" + F + " option forceclose\n" + B
    found, host = collected(tmp_path, {MAIN: text, "/usr/sbin/haproxy": OLD})
    assert host.errors == []
    assert config(found)["version"] == [1, 8, 30]
    assert front(found)["idle_timeout_s"] == 0
    assert front(found)["header_timeout_s"] == "unlimited"
    assert (back(found)["connect_timeout_s"], back(found)["response_timeout_s"]) == (2, 4)


CONDITIONAL = [
    (".if 1\n%s.endif\n", True),
    (".if 0\n%s.endif\n", False),
    (".if 0\n.else\n%s.endif\n", True),
    (".if 0\n.elif 1\n%s.else\n.endif\n", True),
    (".if 1\n.elif 1\n%s.endif\n", False),
    (".if 0\n.if 1\n%s.endif\n.endif\n", False),
    (".if 0\n.if 1\n.else\n.endif\n.else\n%s.endif\n", True),
    (".if unknown(x)\n%s.endif\n", False),
    (".if unknown(x)\n.else\n%s.endif\n", False),
    (".notice x\n.diag y\n.warning z\n%s", True),
    ('.if defined(MINE) && streq("$MINE",7s)\n%s.endif\n', True),
    (".if 1\n" * 80 + "%s" + ".endif\n" * 80, False),
]


@pytest.mark.parametrize(("text", "taken"), CONDITIONAL)
def test_conditional_blocks(tmp_path, text, taken):
    found, _ = collected(tmp_path, {MAIN: TIMES + text % F, "/etc/default/haproxy": "MINE=7s\n"})
    assert (("server", "haproxy frontend f") in found) == taken


def test_the_global_section_changes_the_environment(tmp_path):
    text = (
        "global\n presetenv MINE 9s\n presetenv OTHER 8s\n setenv SET 7s\n unsetenv GONE\n" + TIMES
        + 'frontend f\n bind ":${PORT-80}"\n timeout client "$MINE"\nfrontend g\n bind :81\n timeout client "$OTHER"\n'
        'frontend h\n bind :82\n timeout client "${SET}"\nfrontend i\n bind :83\n timeout client "${GONE-3s}"\n'
    )  # fmt: skip
    found, _ = collected(tmp_path, {MAIN: text, "/etc/default/haproxy": "MINE='6s'\nGONE=1s\n#X=1\nnonsense\n"})
    assert [front(found, f"frontend {name}")["idle_timeout_s"] for name in "fghi"] == [6, 8, 7, 3]
    found, _ = collected(
        tmp_path, {MAIN: "global\n setenv A 5s\n resetenv B\n" + TIMES + F + ' timeout client "${A-4s}"\n'}
    )
    assert front(found)["idle_timeout_s"] == 4


def test_directories_and_the_variables_of_the_unit(tmp_path):
    files = {
        "/etc/default/haproxy": 'EXTRAOPTS="-S /run/m.sock -f /etc/haproxy/conf.d"\n',
        MAIN: TIMES,
        "/etc/haproxy/conf.d/b.cfg": "frontend g\n bind :81\n",
        "/etc/haproxy/conf.d/B.cfg": "defaults\n mode http\n timeout client 2s\n",
        "/etc/haproxy/conf.d/a.txt": "frontend no\n",
        "/etc/haproxy/conf.d/.hidden.cfg": "frontend no2\n",
    }
    found, _ = collected(tmp_path, files)
    assert [name for kind, name in found if kind == "server"] == ["haproxy frontend g"]
    assert front(found, "frontend g")["idle_timeout_s"] == 2
    assert found["server", "haproxy frontend g"]["idle_timeout_s"]["origin"] == "/etc/haproxy/conf.d/B.cfg:3"
    assert (config(found)["files"], config(found)["path"]) == (3, MAIN)


@pytest.mark.parametrize(
    "files",
    [
        {"/usr/local/etc/haproxy/haproxy.cfg": TIMES + F},
        {"/srv/h.cfg": TIMES + F, "/etc/default/haproxy": "CONFIG=/srv/h.cfg\n"},
    ],
)
def test_other_usual_places(tmp_path, files):
    assert front(collected(tmp_path, files)[0])["idle_timeout_s"] == 30


def test_a_section_ends_with_its_file(tmp_path):
    files = {"/etc/default/haproxy": "CONFIG=/c\n", "/c/1.cfg": TIMES + F, "/c/2.cfg": " timeout client 1s\n"}
    found, _ = collected(tmp_path, files)
    assert front(found)["idle_timeout_s"] == 30
    assert config(found)["unreadable"] == ["/c/2.cfg:1: a keyword that stands before every section"]


def running(pid, argv, parent=1, environ="", comm="haproxy", directory="/"):
    base = f"/proc/{pid}"
    files = {
        f"{base}/comm": f"{comm}\n", f"{base}/cmdline": "\0".join(argv) + "\0",
        f"{base}/stat": f"{pid} ({comm}) S {parent} 0", f"{base}/environ": environ.replace(" ", "\0"),
    }  # fmt: skip
    return files, {f"{base}/cwd": directory, f"{base}/exe": "/usr/sbin/haproxy"}


def test_processes(tmp_path):
    command = ["haproxy", "-Ws", "-f", "a.cfg", "-p", "/run/p", "--", "b.cfg"]
    files, links = running(7, command, environ="T=9s HAPROXY_MWORKER=1 SECRET=hush", directory="/srv")
    worker, _ = running(20, command, parent=7, environ="T=4s SECRET=hush", directory="/srv")
    files.update(worker)
    for number, (argv, parent) in enumerate(((["haproxy", "-sf", "5", "-f", "/srv/a.cfg"], 7), (["haproxy", "-C", "/srv", "-f", "a.cfg", "-f", "b.cfg", "-n", "77"], 1), (["haproxy", "-f", "/srv/no.cfg"], 1)), 8):  # fmt: skip
        more, more_links = running(number, argv, parent)
        files.update(more)
        links.update(more_links)
    files.update({"/srv/a.cfg": TIMES + ' timeout client "$T"\n', "/srv/b.cfg": ".if defined(HAPROXY_MWORKER)\n.else\n" + F + ".endif\n", "/usr/sbin/haproxy": OLD, MAIN: "frontend unused\n"})  # fmt: skip
    found, _ = collected(tmp_path, files, links)
    assert [key for key in found if key[0] != "upstream"] == [
        ("config", "haproxy"), ("server", "haproxy frontend f"), ("config", "haproxy (/srv/no.cfg)"),
    ]  # fmt: skip
    assert front(found)["idle_timeout_s"] == 4
    assert config(found)["running"] is True
    assert config(found)["version"] == [1, 8, 30]
    assert values(found["config", "haproxy (/srv/no.cfg)"])["unreadable"] == ["/srv/no.cfg:1: no such file"]
    assert "hush" not in json.dumps(list(found.values()))


def test_the_command_line_bounds_connections(tmp_path):
    files, links = running(7, ["haproxy", "-f", "/a.cfg", "-n", "77", "-db"])
    found, _ = collected(tmp_path, {**files, "/a.cfg": "global\n maxconn 900\n" + TIMES + F}, links)
    assert front(found)["backlog"] == 77


@pytest.mark.parametrize(
    ("program", "status", "expected"),
    [
        (b"x version 2.6.12-1+deb12u4, released 2026/10/17\0", "", [2, 6, 12]),
        (b"x version 3.1-dev3, released 2026/10/17\0", "", [3, 1, 0]),
        (b"x, released 2026, released 2025", "", None),
        (b"", "Package: haproxy\nStatus: install ok installed\nVersion: 2.9.1-1\n\n", [2, 9, 1]),
        (None, "Package: other\nVersion: 1\n\nPackage: haproxy\nVersion: 1:2.2.9-2\n", [2, 2, 9]),
        (None, "", None),
    ],
)
def test_version(tmp_path, program, status, expected):
    files = {MAIN: TIMES}
    files.update({"/usr/sbin/haproxy": program} if program is not None else {})
    files.update({"/var/lib/dpkg/status": status} if status else {})
    assert config(collected(tmp_path, files)[0]).get("version") == expected


def test_features_of_the_program():
    program = b"\0-51DEGREES +EPOLL -ZLIB +OPENSSL\0x51DEGREES \0"
    assert haproxy_instances._features(program) == {"51DEGREES": False, "EPOLL": True, "ZLIB": False, "OPENSSL": True}
    assert haproxy_instances._features(b"51DEGREES x") == {}


def test_nothing_is_found_where_nothing_is(tmp_path):
    found, host = collected(tmp_path, {"/etc/hostname": "x\n"})
    assert (found, host.errors) == ({}, [])


# hostile input


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x7fELF\0\0\1", "not a text file"),
        (b"x" * (50 << 20), "larger than 2097152 bytes"),
        (None, "not a regular file"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, content, what):
    files = {"/etc/default/haproxy": "CONFIG=/c\n", "/c/b.cfg": TIMES + F}
    if content is not None:
        files["/c/a.cfg"] = content
    trees.grow(tmp_path, files)
    if content is None:
        os.mkfifo(tmp_path / "c/a.cfg")
    found, host = collected(tmp_path, {})
    assert front(found)["idle_timeout_s"] == 30
    assert config(found)["unreadable"] == [f"/c/a.cfg:1: {what}"]
    assert host.errors == [("/c/a.cfg:1", what)]


def test_links_that_go_round(tmp_path):
    found, _ = collected(tmp_path, {"/etc/default/haproxy": f"CONFIG={MAIN}\n"}, {MAIN: "haproxy.cfg"})
    assert config(found)["unreadable"] == [f"{MAIN}:1: too many symbolic links"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path):
    trees.grow(tmp_path, {MAIN: TIMES + F})
    (tmp_path / MAIN[1:]).chmod(0)
    assert config(collected(tmp_path, {})[0])["unreadable"] == [f"{MAIN}:1: Permission denied"]


def test_many_frontends_of_one_name_have_names_of_their_own(tmp_path):
    found, _ = collected(tmp_path, TIMES + F * 3 + "frontend " + "x" * 5000 + "\n bind :80\n")
    names = [name for kind, name in found if kind == "server"]
    assert len(names) == len(set(names)) == 4
    assert names[1] == f"haproxy frontend f ({MAIN}:8)"
    assert max(map(len, names)) < 300


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("global\n setenv A xxxxxxxx\n" + ' setenv A "${A}${A}"\n' * 40, 16, "more than 65536 characters come from variables"),
        ("global\n setenv A " + "x" * 100000 + "\n" + (" log " + '"${A}"' * 20 + "\n") * 3000, 3, "more than 65536 characters come from variables"),
        ("global\n setenv A " + "x" * 60000 + "\n" + ' log "${A}"\n' * 9000, 142, "more than 8388608 characters come from variables in all"),
        ("global\n setenv A '" + "x " * 30000 + "'\n" + ' log "${A[*]}"\n' * 9000, 3, "more than 64 words come from a variable"),
        ("global\n setenv X " + "x" * 60000 + "\n" + "".join(f' setenv A{n} "${{X}}"\n log "$A{n}"\n' for n in range(3000)), 35, "setenv: more variables than are kept"),
    ],
    ids=["bomb", "long", "often", "words", "stored"],
)  # fmt: skip
def test_variables_are_bounded(tmp_path, text, line, what):
    trees.grow(tmp_path, {MAIN: text + TIMES + F})
    tracemalloc.start()
    begin = time.process_time()
    try:
        found, _ = collected(tmp_path, {})
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 20
    assert most < 200 << 20
    assert unreadable(found)[0] == f":{line}: {what}"
    assert front(found)["idle_timeout_s"] == 30


SHOWN = [
    ("frontend", 'frontend "${SET}"\n bind :80\n', "frontend ${SET}"),
    ("frontend", 'frontend "a.$SET"\n bind :80\n', "frontend a.$SET"),
    ("frontend", 'frontend "${UNSET-hunter2}"\n bind :80\n', "frontend ${UNSET}"),
    ("backend", 'backend "${SET[*]}"\n', "backend ${SET}"),
    ("listen", '"${WORDS[*]}"\n bind :80\n', "listen ${WORDS}"),
]


@pytest.mark.parametrize(("kind", "text", "name"), SHOWN)
def test_a_name_is_shown_as_it_is_written(tmp_path, kind, text, name):
    found, host = collected(tmp_path, "global\n setenv SET hunter2\n setenv WORDS 'listen hunter2'\n" + TIMES + text)
    side = "upstream" if kind == "backend" else "server"
    assert (side, "haproxy " + name) in found
    assert "hunter2" not in json.dumps([list(map(list, found)), list(found.values()), host.errors])


def test_a_backend_is_found_by_the_value_of_its_name(tmp_path):
    text = "global\n setenv B b\n" + TIMES + F + ' default_backend b\nbackend "${B}"\n timeout tunnel 9s\n'
    assert front(collected(tmp_path, text)[0])["tunnel_timeout_s"] == 9


ADDRESSES = [
    ("10.0.0.5:80", ["10.0.0.5:80"]), ("app.example:80", ["app.example:80"]), ("10.0.0.5", ["10.0.0.5"]), ("::1", ["::1"]),
    ("[::1]:80", ["[::1]:80"]), ("ipv4@h:80", ["h:80"]), ("unix@/run/a", ["unix:/run/a"]), ("abns@x", ["abns:x"]), ("/run/a", ["unix:/run/a"]),
    ("http://u:hunter2@h:80/hunter2", None), ("u:hunter2@10.0.0.5:80", ["10.0.0.5:80"]), ("hunter2", None), ("hunter2!:80", None),
    ("/run/hunter2 x", None), ("unix@hunter2$", None), ("hunter2=:80", None), ("h:hunter2", None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), ADDRESSES)
def test_an_address_of_a_variable_must_look_like_one(tmp_path, value, expected):
    text = f'global\n setenv WHERE \'{value}\'\n{TIMES}frontend f\n bind "$WHERE"\nbackend b\n server s "$WHERE"\n'
    found, host = collected(tmp_path, text)
    assert back(found).get("addresses") == expected
    listens = front(found).get("listen", [])
    assert listens == [one for one in expected or () if one.count(":") and one != "::1"]
    assert "hunter2" not in json.dumps([list(found.values()), host.errors])


@pytest.mark.parametrize("name", ["PW", "DB_PASSWORD", "api_token", "SecretKey"])
def test_a_variable_with_the_name_of_a_secret_gives_no_address(tmp_path, name):
    text = f'global\n setenv {name} hunter2\n{TIMES}frontend f\n bind "${{{name}}}":80\nbackend b\n server s "${{{name}}}":80\n'
    found, host = collected(tmp_path, text)
    assert "hunter2" not in json.dumps([list(found.values()), host.errors])


def test_secrets_leave_nothing(tmp_path):
    secret = "hunter2secret"
    text = (
        f"global\n stats socket /run/{secret} level admin\n setenv PASS {secret}\n log {secret}:514 local0\n maxconn {secret}\n"
        f"userlist u\n user a password {secret}\n user b insecure-password {secret}\n{TIMES} timeout client {secret}\n"
        f"frontend f\n bind :80 ssl crt /etc/{secret}.pem\n bind {secret}\n bind {secret}@x:80{secret}\n mode {secret}\n timeout {secret} 5s\n"
        f" http-request set-header Authorization \"Bearer {secret}\"\n stats auth admin:{secret}\n option {secret}\n backlog {secret}\n"
        f' timeout server "$PASS"\n http-request deny if {{ hdr(x) {secret} }}\n use_backend {secret} if x\n default_backend {secret}\n'
        f"backend b\n http-reuse {secret}\n server s user:{secret}@10.0.0.5:80 check cookie {secret} pool-max-conn {secret}\n"
        f" server t http://u:{secret}@10.0.0.6:80/{secret}?{secret} pool-purge-delay {secret}\n option httpchk GET /{secret}\n"
        f" option forceclose {secret}\n srvtcpka-idle {secret}\n cookie {secret}\n"
        f".if streq({secret},x\n.endif\n.alert {secret}\n.{secret}\n \"{secret}\nfrontend g {secret}\nfrontend h from {secret}\n{secret}"
    )  # fmt: skip
    found, host = collected(tmp_path, {MAIN: text, "/etc/default/haproxy": f"TOKEN={secret}\n"})
    told = json.dumps([list(map(list, found)), list(found.values()), host.errors])
    assert secret not in told
    assert len(host.errors) > 10
