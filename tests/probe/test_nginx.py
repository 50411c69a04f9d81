"""nginx's configuration: syntax, includes, values, inheritance, and everything that can be wrong with it."""

import json
import os
import re

import pytest

from audit_tcp import catalog, servers, snapshot
from audit_tcp.probe import nginx, take
from audit_tcp.probe.host import Host
from audit_tcp.probe.nginx import found as nginx_found
from audit_tcp.probe.nginx import syntax as nginx_syntax
from audit_tcp.probe.nginx.listen import address, keepalive
from audit_tcp.probe.nginx.values import Refused, duration
from trees import grow

MAIN = "/etc/nginx/nginx.conf"
PLACED = re.compile("/[^:]+:[0-9]+: .")


def collected(tmp_path, http, files=None, version=None):
    """What the collector yields for `http { … }` as {(kind, name): {fact: value}}, and the host."""
    given = {MAIN: "events { }\nhttp {\n" + http + "\n}\n"} if http is not None else {}
    if version:
        given["/usr/sbin/nginx"] = b"\x7fELF\0nginx version: nginx/" + version.encode() + b"\0"
    host = Host(str(grow(tmp_path, {**given, **(files or {})})))
    found = list(nginx.collect(host))
    names = [(kind, name) for kind, name, _ in found]
    assert len(names) == len(set(names))
    return {(kind, name): {fact: entry["value"] for fact, entry in facts.items()} for kind, name, facts in found}, host


def only(found, kind):
    """The facts of the one subject of a kind."""
    (facts,) = [facts for (of, _), facts in found.items() if of == kind]
    return facts


def config(found):
    return found["config", "nginx"]


# syntax

WORDS = [
    ("send_timeout 5;", ["5"]),
    ("send_timeout\t5\n;", ["5"]),
    ("send_timeout '5 6';", ["5 6"]),
    ('send_timeout "a;{}#" b;', ["a;{}#", "b"]),
    (r'send_timeout "a\"b\\c\td\q";', ['a"b\\c\td\\q']),
    ("send_timeout a#b;", ["a#b"]),
    ("send_timeout a #b;\n c;", ["a", "c"]),
    ("send_timeout ${a}b$c{d;", ["${a}b$c"]),
    (r"send_timeout a\;b\ c;", [r"a\;b\ c"]),
    ("send_timeout a}b;", ["a}b"]),
    ('send_timeout "a")b;', ["a", ")b"]),
    ("send_timeout 'a\nb' c;", ["a\nb", "c"]),
    ("send_timeout a\x0bb;", ["a\x0bb"]),
    ("send_timeout a\u2003b;", ["a\u2003b"]),
    ("\ufeffsend_timeout 5;", ["5"]),
    ("send_timeout a\r\n;", ["a"]),
]


@pytest.mark.parametrize(("text", "args"), WORDS)
def test_words(text, args):
    found = nginx_syntax.parse(text, "f", frozenset(["send_timeout"]), lambda line, what: None)
    assert found[0].args == args


LUA = [
    "return 1 }",
    'local a = "}" }',
    "local a = '}\\'}' }",
    "-- }\n }",
    "--[[ } ]] }",
    "--[==[ ]] } ]==] }",
    "local a = [[ } ]] }",
    "local t = { { 1 }, '{' } }",
]


@pytest.mark.parametrize("chunk", LUA)
def test_lua_blocks_end_where_lua_says(chunk):
    faults = []
    text = "a { content_by_lua_block { " + chunk + "\n send_timeout 7; }"
    found = nginx_syntax.parse(text, "f", frozenset(["send_timeout"]), lambda *fault: faults.append(fault))
    assert [one.name for one in found[0].block] == ["content_by_lua_block", "send_timeout"]
    assert faults == []


FAULTS = [
    ("http {\nserver {\n", 1, "this block is not closed"),
    ("a;\n}\n", 2, 'unexpected "}"'),
    ("a;\n;", 2, 'unexpected ";"'),
    ("{ a; }", 1, 'unexpected "{"'),
    ("a {\n b\n}", 2, "a statement without its semicolon"),
    ("a;\nb 'c;\n", 2, "a quote or an escape that does not end"),
    ("a;\nb c", 2, "the file ends before this statement does"),
    ("\n\na 'b'c;", 3, "no blank after a quoted value"),
    ("a {\n x_by_lua_block { '}' ", 2, "this block of Lua is not closed"),
    ("a {" * 80 + "}" * 80, 1, "more than 60 blocks within one another; what is deeper is not read"),
]


@pytest.mark.parametrize(("text", "line", "what"), FAULTS)
def test_faults_have_their_line(text, line, what):
    found = []
    nginx_syntax.parse(text, "f", frozenset(), lambda *fault: found.append(fault))
    assert (line, what) in found


def test_the_rest_of_a_broken_file_is_read(tmp_path):
    found, host = collected(
        tmp_path, "; server { listen 81; keepalive_timeout 7 }\nserver { listen 82; keepalive_timeout 8; }\n}"
    )
    assert config(found)["unreadable"] == [
        f'{MAIN}:3: unexpected ";"',
        f"{MAIN}:3: a statement without its semicolon",
        f'{MAIN}:6: unexpected "}}"',
    ]
    assert len(host.errors) == 3
    assert [facts["idle_timeout_s"] for (kind, _), facts in found.items() if kind == "server"] == [7, 8]


# times

TIMES = [
    ("75", 75), ("0", 0), ("75s", 75), ("1500ms", 1.5), ("1m30s", 90), ("1h 30m", 5400), ("1h 30", 3630), ("5 10", 15),
    (" 5", 5), ("1d", 86400), ("1w3d", 864000), ("1s5ms", 1.005), ("30d", 2592000), ("1hm", 3600),
    ("", None), ("-1", None), ("1.5s", None), ("75S", None), ("2M", None), ("1y", None), ("30 s", None), ("30s1h", None),
    ("5 1d", None), ("5 5ms", None), ("5 5 ", None), ("1h1h", None), ("h", None), ("10x", None), ("9999999999999999999", None), ("9" * 5000, None), ("٣", None),
]  # fmt: skip
WHOLE = [("1y", 31536000), ("2M", 5184000), ("5", 5), ("500ms", None), ("1y1M", 34128000), ("1M1y", None)]


@pytest.mark.parametrize(("text", "value", "whole"), [(*one, False) for one in TIMES] + [(*one, True) for one in WHOLE])
def test_times(text, value, whole):
    if value is None:
        with pytest.raises(Refused):
            duration(text, whole)
    else:
        assert duration(text, whole) == value


ADDRESSES = [
    ("80", "*:80"), ("*:8080", "*:8080"), ("0.0.0.0:81", "*:81"), ("127.0.0.1", "127.0.0.1:80"), ("[::]:80", "[::]:80"),
    ("[::1]", "[::1]:80"), ("localhost:8000", "localhost:8000"), ("unix:/run/n.sock", "unix:/run/n.sock"),
    ("8000-8010", "*:8000-8010"), ("0", None), ("65536", None), (":80", None), ("a b", None), ("", None), ("$x:80", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), ADDRESSES)
def test_addresses(text, value):
    if value is None:
        with pytest.raises(Refused):
            address(text)
    else:
        assert address(text) == value


PROBES = [
    ("on", {"so_keepalive": True}), ("off", {"so_keepalive": False}),
    ("30m::10", {"so_keepalive": True, "keepidle_s": 1800, "keepcnt": 10}), (":5s", {"so_keepalive": True, "keepintvl_s": 5}),
    ("1:0:0", {"so_keepalive": True, "keepidle_s": 1}), ("::", None), ("", None), ("ON", None), ("1:2:3:4", None),
    ("1:2:x", None), ("500ms::", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PROBES)
def test_so_keepalive(text, value):
    if value is None:
        with pytest.raises(Refused):
            keepalive(text)
    else:
        assert keepalive(text) == value


# servers

SERVERS = [
    ("server { }", {"listen": ["*:80"], "mode": "http", "idle_timeout_s": None, "keepalive": None}),
    ("keepalive_timeout 65; server { }", {"idle_timeout_s": 65, "advertised_idle_s": None}),
    ("keepalive_timeout 65; server { keepalive_timeout 5 4; }", {"idle_timeout_s": 5, "advertised_idle_s": 4}),
    ("server { keepalive_timeout 0; }", {"idle_timeout_s": 0, "keepalive": False}),
    ("server { keepalive_timeout 0 9; }", {"idle_timeout_s": 0, "advertised_idle_s": None}),
    ("keepalive_requests 1; server { keepalive_timeout 9 9; }", {"idle_timeout_s": 0, "max_requests": 1, "advertised_idle_s": None}),
    ("keepalive_requests 50; keepalive_time 2h; server { }", {"max_requests": 50, "max_age_s": 7200}),
    ("client_header_timeout 9; client_body_timeout 500ms; send_timeout 1m; server { }", {"header_timeout_s": 9, "body_timeout_s": 0.5, "send_timeout_s": 60}),
    ("server { listen 81 backlog=5 so_keepalive=on; listen [::]:81 backlog=5 so_keepalive=on; }", {"listen": ["*:81", "[::]:81"], "backlog": 5, "so_keepalive": True}),
    ("server { listen 81; listen [::]:81; listen 443 ssl; client_header_timeout 4; }", {"listen": ["*:81", "[::]:81", "*:443"], "header_timeout_s": 4}),
    ("server { listen 443 ssl; listen 443 quic; }", {"listen": ["*:443"]}),
    ("server { listen unix:/run/n.sock; }", {"listen": ["unix:/run/n.sock"]}),
    ("server { keepalive_timeout x9; }", {"idle_timeout_s": None}),
]  # fmt: skip


@pytest.mark.parametrize(("http", "facts"), SERVERS)
def test_servers(tmp_path, http, facts):
    found, _ = collected(tmp_path, http)
    server = only(found, "server")
    assert {name: server.get(name) for name in facts} == facts


def test_names_and_locations(tmp_path):
    found, _ = collected(
        tmp_path,
        """keepalive_timeout 65;
        server { listen 80; server_name a.example www.a.example; location / { proxy_pass http://x; }
            location /api/ { keepalive_timeout 5; location /api/v2 { send_timeout 7; } location /api/v1 { } }
            location ~ "\\.x{2}$" { client_body_timeout 9; }
            location @n { keepalive_requests 3; } }
        server { listen 80; server_name "" a.example; } server { listen 80; server_name "\x1b[31m"; }""",
    )
    servers_found = {name: facts for (kind, name), facts in found.items() if kind == "server"}
    assert list(servers_found) == [
        "nginx *:80 a.example",
        "nginx *:80 a.example /api/",
        "nginx *:80 a.example /api/v2",
        "nginx *:80 a.example ~ \\.x{2}$",
        "nginx *:80 a.example @n",
        f"nginx *:80 a.example ({MAIN}:8)",
        "nginx *:80",
    ]
    assert [facts["idle_timeout_s"] for facts in servers_found.values()] == [65, 5, 5, 65, 65, 65, 65]
    assert servers_found["nginx *:80 a.example /api/v2"]["send_timeout_s"] == 7


def test_an_origin_is_the_line_that_sets_a_value(tmp_path):
    host = Host(
        str(
            grow(
                tmp_path,
                {
                    MAIN: "http {\n keepalive_timeout 5;\n include a.conf;\n}",
                    "/etc/nginx/a.conf": "server {\n\n send_timeout 5;\n}",
                },
            )
        )
    )
    facts = next(facts for kind, _, facts in nginx.collect(host) if kind == "server")
    assert facts["idle_timeout_s"]["origin"] == f"{MAIN}:2"
    assert facts["send_timeout_s"]["origin"] == "/etc/nginx/a.conf:3"


def test_the_default_server_s_header_timer_holds(tmp_path):
    found, _ = collected(
        tmp_path,
        "client_header_timeout 30; server { listen 80; server_name a; client_header_timeout 10; }"
        "server { listen 80 default_server; server_name b; client_header_timeout 20; }"
        "server { listen 443 ssl; server_name c; } server { listen 443 ssl; server_name d; client_header_timeout 40; }"
        "server { listen 81; server_name e; } server { listen 81; server_name f; client_header_timeout 50; }",
    )
    timers = {name.split()[-1]: facts["header_timeout_s"] for (kind, name), facts in found.items() if kind == "server"}
    assert timers == {"a": 20, "b": 20, "c": 30, "d": 40, "e": 30, "f": 30}
    assert config(found)["no_effect"] == [
        f"{MAIN}:3: client_header_timeout has no effect: the default server of *:80 decides",
        f"{MAIN}:3: client_header_timeout has no effect: the default server of *:81 decides",
    ]


FIRST = "server { listen 7100 default_server; server_name first; client_header_timeout 8; }"
ADDRESSES_APART = [
    # http, {server: (listen, header, backlog)} of those named a
    ("server { listen 80; listen 443 ssl backlog=65535 so_keepalive=on; server_name a; }",
     {"*:80 a": (["*:80"], None, None), "*:443 a": (["*:443"], None, 65535)}),
    (FIRST + "server { listen 7100; listen 7143 ssl; server_name a; client_header_timeout 3; }",
     {"*:7100 a": (["*:7100"], 8, None), "*:7143 a": (["*:7143"], 3, None)}),
    (FIRST + "server { listen 7143; listen 7100; server_name a; client_header_timeout 3; }",
     {"*:7143 a": (["*:7143"], 3, None), "*:7100 a": (["*:7100"], 8, None)}),
    (FIRST + "server { listen 7100; listen 7143 ssl; listen 7144; listen 7145; server_name a; client_header_timeout 3; }",
     {"*:7100 a": (["*:7100"], 8, None), "*:7143 a": (["*:7143", "*:7144", "*:7145"], 3, None)}),
    (FIRST + "server { listen 7100; listen 7101; server_name a; client_header_timeout 8; }", {"*:7100 a": (["*:7100", "*:7101"], 8, None)}),
    ("server { listen 443 ssl default_server; server_name first; } server { listen 443; server_name a; client_header_timeout 3; }",
     {"*:443 a": (["*:443"], 3, None)}),
    (FIRST + "server { listen 7100; listen 7101 backlog=9; server_name a; location /l { send_timeout 5; } }",
     {"*:7100 a": (["*:7100"], 8, None), "*:7101 a": (["*:7101"], None, 9), "*:7100 a /l": (["*:7100"], 8, None), "*:7101 a /l": (["*:7101"], None, 9)}),
    ("server { listen 80; listen 81; listen 443 quic; server_name a; location /l { send_timeout 5; } }",
     {"*:80 a": (["*:80", "*:81"], None, None), "*:80 a /l": (["*:80", "*:81"], None, None)}),
]  # fmt: skip


@pytest.mark.parametrize(("http", "subjects"), ADDRESSES_APART)
def test_addresses_of_which_not_the_same_holds_are_told_apart(tmp_path, http, subjects):
    found, _ = collected(tmp_path, http)
    told = {
        name[len("nginx ") :]: (facts["listen"], facts.get("header_timeout_s"), facts.get("backlog"))
        for (kind, name), facts in found.items()
        if kind == "server" and "first" not in name
    }
    assert told == subjects
    assert config(found)["no_effect"] == []


def test_a_header_timer_that_holds_on_no_address(tmp_path):
    second = FIRST.replace("7100", "7101")
    found, _ = collected(
        tmp_path, FIRST + second + "server { listen 7100; listen 7101; server_name a; client_header_timeout 3; }"
    )
    assert config(found)["no_effect"] == [
        f"{MAIN}:3: client_header_timeout has no effect: the default server of *:7100 decides"
    ]


TOKEN = "AAE5xyzhunter2ABCDEFG0123456789"
PATHS = [
    (f"/bot123456:{TOKEN}/", "/…/"),
    (f"/bot123456:{TOKEN}", "/…"),
    (f"= /hook/{TOKEN}/x", "= /hook/…/x"),
    (f"^~ /hook/{TOKEN}", "^~ /hook/…"),
    ("/hook:abcdefghijklmnop", "/…"),
    ("/hook:abcdefghijklmno", "/hook:abcdefghijklmno"),
    ("/abcdefghijklmno1", "/…"),
    ("/abcdefghijklmn1", "/abcdefghijklmn1"),
    ("/abcdefghijklmnopqrst", "/abcdefghijklmnopqrst"),
    ("/12345678901234567890", "/12345678901234567890"),
    (f"'~ ^/bot123456:{TOKEN}(/|$)'", "~ ^/…(/|$)"),
    ("~* '\\.(jpg|jpeg|gif|png|mp4|woff2)$'", "~* \\.(jpg|jpeg|gif|png|mp4|woff2)$"),
    ("~ '^/[A-Za-z0-9_]{32}/'", "~ ^/[A-Za-z0-9_]{32}/"),
    (f"@{TOKEN}", "…"),
]


@pytest.mark.parametrize(("path", "shown"), PATHS)
def test_what_looks_like_a_token_in_a_path_is_not_shown(tmp_path, path, shown):
    http = "location " + path + " { keepalive_timeout 5; proxy_pass http://10.1.1.1/; proxy_read_timeout 5; }"
    found, host = collected(tmp_path, "server { location / { proxy_pass http://10.1.1.1/; } " + http + " }")
    assert found["server", f"nginx *:80 {shown}"]["idle_timeout_s"] == 5
    assert found["upstream", f"nginx http://10.1.1.1 from *:80 {shown}"]["response_timeout_s"] == 5
    assert TOKEN not in str(found) + str(host.errors)


def test_options_of_a_socket_hold_for_all_on_it(tmp_path):
    found, _ = collected(
        tmp_path,
        "server { listen 80; server_name a; } server { listen 80 backlog=9; server_name b; } server { listen 10.0.0.1:80; server_name c; }"
        "server { listen 10.0.0.2:80 bind; server_name d; } server { listen [::1]:80; server_name e; }",
    )
    backlogs = {name.split()[-1]: facts.get("backlog") for (kind, name), facts in found.items() if kind == "server"}
    assert backlogs == {"a": 9, "b": 9, "c": 9, "d": None, "e": None}


HTTP2 = [
    ("1.18.0", "server { listen 80 http2; http2_idle_timeout 90; }", {"h2_idle_timeout_s": 90}),
    ("1.18.0", "server { listen 80 http2; }", {"h2_idle_timeout_s": 180}),
    ("1.18.0", "server { listen 80; }", {"h2_idle_timeout_s": None}),
    ("1.25.1", "server { http2 on; http2_idle_timeout x; }", {"h2_idle_timeout_s": None}),
]


@pytest.mark.parametrize(("version", "http", "facts"), HTTP2)
def test_http_2(tmp_path, version, http, facts):
    found, _ = collected(tmp_path, http, version=version)
    server = only(found, "server")
    assert {name: server.get(name) for name in facts} == facts
    assert [("http2_idle_timeout has no effect" in text) for text in config(found)["no_effect"]] == [True] * (
        "x;" in http
    )
    assert config(found)["unreadable"] == []


def test_over_http_2_the_server_s_timer_holds_in_a_location(tmp_path):
    found, _ = collected(tmp_path, "server { listen 80 http2; location / { keepalive_timeout 5; } }", version="1.22.1")
    assert found["server", "nginx *:80 /"]["h2_idle_timeout_s"] == 75
    assert "h2_idle_timeout_s" not in found["server", "nginx *:80"]


# upstreams

POOL = "upstream app { server 10.0.0.1:80 weight=2; server unix:/run/a.sock; keepalive 8; keepalive_timeout 30s; keepalive_requests 9; keepalive_time 2h; }"
PASS = "server { location / { proxy_pass http://app; %s } }"
CLOSES = 'proxy_set_header Connection "";'

UPSTREAMS = [
    (POOL + PASS % "", {"addresses": ["10.0.0.1:80", "unix:/run/a.sock"], "pool_size": 8, "idle_timeout_s": 30, "max_requests": 9, "max_age_s": 7200, "mode": "http", "sends_close": None, "http_version": None}),
    (POOL + PASS % ("proxy_http_version 1.1;" + CLOSES), {"http_version": 1.1, "sends_close": False}),
    (POOL + "proxy_http_version 1.1;" + CLOSES + PASS % "", {"http_version": 1.1, "sends_close": False}),
    (POOL + CLOSES + PASS % "proxy_set_header Host $host;", {"sends_close": None}),
    (POOL + PASS % "proxy_set_header connection keep-alive;", {"sends_close": False}),
    (POOL + PASS % "proxy_set_header Connection Close;", {"sends_close": True}),
    (POOL + PASS % "proxy_set_header Connection $http_connection;", {"sends_close": False}),
    (POOL + PASS % "proxy_set_header Connection close; proxy_set_header Connection '';", {"sends_close": True}),
    (POOL + "map $http_upgrade $up { default upgrade; '' close; }" + PASS % "proxy_set_header Connection $up;", {"sends_close": True}),
    (POOL + "map $http_upgrade $up { default upgrade; '' ''; }" + PASS % "proxy_set_header Connection ${up};", {"sends_close": False}),
    (POOL + PASS % "proxy_set_header Upgrade $http_upgrade;", {"tunnel_timeout_s": 60}),
    (POOL + PASS % "proxy_set_header Upgrade $http_upgrade; proxy_read_timeout 1h;", {"tunnel_timeout_s": 3600, "response_timeout_s": 3600}),
    (POOL + PASS % "proxy_connect_timeout 5s; proxy_socket_keepalive on;", {"connect_timeout_s": 5, "so_keepalive": True}),
    (POOL + PASS % "proxy_http_version 2;", {"http_version": 2, "sends_close": False}),
    (POOL + "server { location / { if ($arg_a) { proxy_pass http://app; } proxy_read_timeout 7; } }", {"response_timeout_s": 7}),
    (POOL + "server { location / { limit_except GET { proxy_pass http://app; } proxy_read_timeout 7; } }", {"response_timeout_s": 7}),
    (POOL + "server { location / { grpc_pass grpc://app; grpc_read_timeout 9; } }", {"mode": "grpc", "http_version": 2, "sends_close": False, "response_timeout_s": 9}),
    (POOL + "server { location / { fastcgi_pass app; } }", {"mode": "fastcgi", "program": "nginx-fastcgi", "reuse": False}),
    (POOL + "server { location / { fastcgi_pass app; fastcgi_keep_conn on; } }", {"mode": "fastcgi", "reuse": None}),
    (POOL + "server { location / { uwsgi_pass app; uwsgi_socket_keepalive on; } }", {"mode": "uwsgi", "reuse": False, "so_keepalive": True}),
    (POOL + "server { location / { memcached_pass app; } }", {"mode": "memcached", "reuse": None}),
    (POOL + "server { location / { proxy_pass http://app$request_uri; proxy_read_timeout 5; } }", {"response_timeout_s": 5}),
    (POOL + "server { location / { proxy_pass http://$name; proxy_read_timeout 5; } }", {"response_timeout_s": 5}),
    (POOL + "proxy_read_timeout 6;", {"response_timeout_s": 6, "mode": None}),
    (POOL.upper().replace("UPSTREAM", "upstream").replace("SERVER", "server").replace("KEEPALIVE", "keepalive").replace("_TIME", "_time").replace("OUT", "out").replace("_REQUESTS", "_requests").replace("30S", "30s").replace("2H", "2h").replace("UNIX:/RUN/A.SOCK", "unix:/run/a.sock") + PASS % "", {"mode": "http", "pool_size": 8}),
    ("server { location / { proxy_pass http://10.0.0.5:8080/a/b?c; } }", {"addresses": ["http://10.0.0.5:8080"], "pool_size": 0}),
    ("server { location / { proxy_pass http://unix:/run/b.sock:/uri; } }", {"addresses": ["unix:/run/b.sock"], "pool_size": 0}),
    ("server { location / { fastcgi_pass unix:/run/php.sock; } }", {"addresses": ["unix:/run/php.sock"]}),
]  # fmt: skip


@pytest.mark.parametrize(("http", "facts"), UPSTREAMS)
def test_upstreams(tmp_path, http, facts):
    found, _ = collected(tmp_path, http)
    upstream = only(found, "upstream")
    assert {name: upstream.get(name) for name in facts} == facts
    assert config(found)["unreadable"] == []


def test_locations_that_differ_are_variants(tmp_path):
    found, _ = collected(
        tmp_path,
        POOL
        + "server { server_name s; location /a { proxy_pass http://app/; } location /b { proxy_pass http://app; proxy_read_timeout 9; }"
        "location /c { proxy_pass http://app; } location /d { proxy_pass http://10.1.1.1; } location /e { proxy_pass http://10.1.1.1/; proxy_read_timeout 5; }"
        "location /f { proxy_pass https://10.1.1.1; } }",
    )
    assert [name for kind, name in found if kind == "upstream"] == [
        "nginx app",
        "nginx app from *:80 s /b",
        "nginx http://10.1.1.1",
        "nginx http://10.1.1.1 from *:80 s /e",
        "nginx https://10.1.1.1",
    ]


METHODS = [
    ("1.22.1", "keepalive 4; least_conn;", 0, 1),
    ("1.22.1", "least_conn; keepalive 4;", 4, 0),
    ("1.29.7", "keepalive 4; least_conn;", 4, 0),
    (None, "keepalive 4; ip_hash;", 4, 0),
    ("1.22.1", "keepalive_timeout 5; keepalive_requests 5;", None, 2),
    ("1.29.7", "keepalive_timeout 5;", None, 0),
    ("1.29.7", "keepalive 0; keepalive_timeout 5;", 0, 1),
    ("1.29.7", "keepalive 16 local;", 16, 0),
]


@pytest.mark.parametrize(("version", "block", "size", "idle"), METHODS)
def test_what_a_pool_comes_to(tmp_path, version, block, size, idle):
    found, _ = collected(
        tmp_path, "upstream a { server 10.0.0.1; " + block + " }" + PASS.replace("app", "a") % "", version=version
    )
    assert only(found, "upstream").get("pool_size") == size
    assert len(config(found)["no_effect"]) == idle


DEFAULTS = [
    ("1.14.0", {"idle_timeout_s": float("inf"), "pool_size": 0, "http_version": 1.0, "sends_close": True, "reuse": False}),
    ("1.22.1", {"idle_timeout_s": 60, "pool_size": 0, "http_version": 1.0, "max_requests": 1000, "max_age_s": 3600, "reuse": False}),
    ("1.29.7", {"idle_timeout_s": 60, "pool_size": 32, "http_version": 1.1, "sends_close": False, "reuse": True}),
]  # fmt: skip


@pytest.mark.parametrize(("version", "facts"), DEFAULTS)
def test_the_catalog_fills_by_version(tmp_path, version, facts):
    files = {
        MAIN: "http { upstream a { server 10.0.0.1; } "
        + PASS.replace("app", "a") % ""
        + "} stream { server { listen 1; proxy_pass 10.0.0.1:1; } }"
    }
    files["/usr/sbin/nginx"] = b"nginx/" + version.encode()
    document = take(Host(str(grow(tmp_path, files))), ["nginx"])
    subjects = servers.fill(snapshot.parse(json.dumps(document).encode(), "it")).subjects
    upstream, tcp = (one for one in subjects if one.kind == "upstream")
    assert {name: upstream.facts[name].value for name in facts} == facts
    assert tcp.facts["tunnel_timeout_s"].value == 600
    assert "http_version" not in tcp.facts
    server = next(one for one in subjects if one.kind == "server").facts
    assert (server["idle_timeout_s"].value, server["backlog"].value) == (75, 511)


def test_the_kinds_of_the_catalog():
    assert {catalog.kind(name).role for name in ("nginx", "nginx-stream", "nginx-fastcgi")} == {"proxy"}


# stream

STREAM = """stream {
  proxy_timeout 1h;
  upstream db { server 10.0.0.1:5432; server 10.0.0.2:5432; }
  upstream spare { server 10.0.0.3:5432; }
  server { listen 5432 so_keepalive=10m::5 backlog=100; proxy_pass db; proxy_socket_keepalive on; proxy_connect_timeout 3s; }
  server { listen 3306; proxy_pass 10.0.0.4:3306; proxy_timeout 5m; }
  server { listen 53 udp; proxy_pass 10.0.0.5:53; }
  server { listen 443; ssl_preread on; proxy_pass $name; }
  server { listen 1; proxy_timeout soon; keepalive_timeout 4; }
  server { listen 2 backlog=7; listen 3; listen 4 backlog=7; proxy_pass $name; }
}"""


def test_stream(tmp_path):
    found, _ = collected(tmp_path, None, {MAIN: STREAM})
    assert [name for _, name in found] == [
        "nginx", "nginx stream *:5432", "nginx stream *:3306", "nginx stream *:443", "nginx stream *:1",
        "nginx stream *:2", "nginx stream *:3",
        "nginx stream db", "nginx stream spare", "nginx stream 10.0.0.4:3306",
    ]  # fmt: skip
    server = found["server", "nginx stream *:5432"]
    assert {name: server[name] for name in ("program", "mode", "tunnel_timeout_s", "keepidle_s", "keepcnt", "backlog")} == {
        "program": "nginx-stream", "mode": "tcp", "tunnel_timeout_s": 3600, "keepidle_s": 600, "keepcnt": 5, "backlog": 100,
    }  # fmt: skip
    upstream = found["upstream", "nginx stream db"]
    assert upstream["addresses"] == ["10.0.0.1:5432", "10.0.0.2:5432"]
    assert (upstream["so_keepalive"], upstream["tunnel_timeout_s"], upstream["connect_timeout_s"]) == (True, 3600, 3)
    assert found["upstream", "nginx stream 10.0.0.4:3306"]["tunnel_timeout_s"] == 300
    assert [(found["server", f"nginx stream *:{port}"].get("backlog")) for port in (2, 3)] == [7, None]
    assert [found["server", f"nginx stream *:{port}"]["listen"] for port in (2, 3)] == [["*:2", "*:4"], ["*:3"]]
    assert len(config(found)["unreadable"]) == 1


# units and what has no effect

TRAPS = [
    ("keepalive_timeout 5 10;", "keepalive_timeout 5 10 tells clients 10 s and closes after 5 s"),
    ("keepalive_timeout 1 2;", "keepalive_timeout 1 2 tells clients 2 s and closes after 1 s"),
    ("keepalive_timeout 65000;", "keepalive_timeout 65000 means 65000 s, 18.1 hours"),
    ("proxy_read_timeout 300000;", "proxy_read_timeout 300000 means 300000 s, 83.3 hours"),
    ("keepalive_timeout 10 10;", None), ("keepalive_timeout 0 10;", None), ("keepalive_timeout 500ms;", None),
    ("keepalive_timeout 50ms;", None), ("client_body_timeout 300ms;", None),
    ("keepalive_timeout 50ms 1;", "keepalive_timeout 50ms 1 tells clients 1 s and closes after 0.05 s"),
    ("proxy_read_timeout 36000;", None), ("proxy_read_timeout 86400;", None), ("proxy_connect_timeout 100ms;", None),
    ("keepalive_requests 100000;", None), ("proxy_read_timeout 60s;", None),
]  # fmt: skip


@pytest.mark.parametrize(("http", "trap"), TRAPS)
def test_unit_traps(tmp_path, http, trap):
    found, _ = collected(tmp_path, http)
    assert config(found)["unit_traps"] == ([f"{MAIN}:3: {trap}"] if trap else [])


IN_VAIN = [
    ("server { location / { proxy_pass http://10.0.0.1; proxy_http_version 1.1; proxy_set_header Connection ''; } }", "1.22.1", 1),
    ("server { location / { proxy_pass http://10.0.0.1; proxy_http_version 1.1; proxy_set_header Connection ''; } }", "1.29.7", 0),
    ("server { location / { proxy_pass http://10.0.0.1; proxy_http_version 1.1; proxy_set_header Connection upgrade; } }", "1.22.1", 0),
    ("server { location / { proxy_pass http://10.0.0.1; proxy_http_version 1.1; proxy_set_header Connection upgrade; proxy_set_header Connection ''; } }", "1.22.1", 0),
    ("proxy_http_version 1.1; proxy_set_header Connection ''; server { location / { proxy_pass http://10.0.0.1; } }", "1.22.1", 0),
]  # fmt: skip


@pytest.mark.parametrize(("http", "version", "count"), IN_VAIN)
def test_a_connection_that_no_pool_keeps(tmp_path, http, version, count):
    found, _ = collected(tmp_path, http, version=version)
    assert len(config(found)["no_effect"]) == count


REFUSED = [
    ("keepalive_timeout 1.5s;", "keepalive_timeout 1.5s is refused; it takes a number of seconds, or numbers with w, d, h, m, s, ms, the largest unit first"),
    ("keepalive_timeout 5; keepalive_timeout 6;", "a second keepalive_timeout in one block, which nginx refuses"),
    ("server { location / { client_header_timeout 5; } }", "client_header_timeout is not allowed in location"),
    ("keepalive_requests many;", "keepalive_requests is refused; it takes one whole number, 0 or more"),
    ("server { location / { } location / { } }", "a second location of this name in one block, which nginx refuses"),
    ("upstream a { } upstream a { }", "a second upstream of this name, which nginx refuses"),
    ("server { listen 80; listen *:80; }", "a second listen on *:80 in one server, which nginx refuses"),
    ("server { listen 80 backlog=5; } server { listen 80 so_keepalive=on; }", "a second listen with options of the socket on *:80, which nginx refuses"),
    ("server { listen 80 default_server; } server { listen 80 default; }", "a second default_server on *:80, which nginx refuses"),
    ("server { listen 80 backlog=0; }", "listen is refused; it takes backlog= and a whole number above 0"),
    ("include none.conf;", "include of a file that does not exist"),
    ("include;", "include takes one file or mask"),
    ("} http {", "a second http block, which nginx refuses"),
]  # fmt: skip


@pytest.mark.parametrize(("http", "what"), REFUSED)
def test_what_nginx_refuses_is_told(tmp_path, http, what):
    found, host = collected(tmp_path, http)
    assert config(found)["unreadable"] == [f"{MAIN}:3: {what}"]
    assert host.errors == [(f"{MAIN}:3", what)]


def test_each_text_begins_with_its_place(tmp_path):
    files = {"/etc/nginx/a.conf": "\0", "/etc/nginx/b.conf": "}\n" * 500}
    http = "include a.conf; include b.conf; include c.conf; keepalive_timeout 1 2;"
    for text, _ in REFUSED:
        http += text + "\n"
    http += "server { listen 80; client_header_timeout 5; } server { listen 80; client_header_timeout 5; }"
    found, _ = collected(tmp_path, http, files)
    texts = [text for name in ("unreadable", "unit_traps", "no_effect") for text in config(found)[name]]
    assert "/etc/nginx/a.conf:1: not a text file" in texts
    assert any("further faults" in text for text in texts)
    assert [text for text in texts if not PLACED.match(text)] == []


# includes

INCLUDES = [
    ({"/etc/nginx/a.conf": "keepalive_timeout 7;"}, "include a.conf;", 7, 0),
    ({"/etc/nginx/c/a.conf": "keepalive_timeout 7;", "/etc/nginx/c/.b.conf": "keepalive_timeout 8;"}, "include c/*.conf;", 7, 0),
    ({"/opt/a.conf": "keepalive_timeout 7;"}, "include /opt/a.conf;", 7, 0),
    ({"/etc/nginx/c/a.conf": "include b.conf;", "/etc/nginx/b.conf": "keepalive_timeout 7;"}, "include c/a.conf;", 7, 0),
    ({}, "include none/*.conf; keepalive_timeout 7;", 7, 0),
    ({}, "include none.conf; keepalive_timeout 7;", 7, 1),
    ({"/etc/nginx/a.conf": "keepalive_timeout 7; include a.conf;"}, "include a.conf;", 7, 1),
    ({"/etc/nginx/a.conf": "keepalive_timeout 7; include ./nginx.conf;"}, "include a.conf;", 7, 1),
    ({"/etc/nginx/a.conf": "\x7fELF\0\0"}, "include a.conf; keepalive_timeout 7;", 7, 1),
    ({"/etc/nginx/a.conf": "# " + "x" * (3 << 20)}, "include a.conf; keepalive_timeout 7;", 7, 1),
    ({"/etc/nginx/d/x": ""}, "include d; keepalive_timeout 7;", 7, 1),
    ({"/etc/nginx/a.conf": "include b.conf; include b.conf;", "/etc/nginx/b.conf": "include c.conf; include c.conf;", "/etc/nginx/c.conf": "include e.conf; include e.conf;", "/etc/nginx/e.conf": ""}, "include a.conf; keepalive_timeout 7;", 7, 0),
]  # fmt: skip


@pytest.mark.parametrize(("files", "http", "idle", "faults"), INCLUDES)
def test_includes(tmp_path, files, http, idle, faults):
    found, host = collected(tmp_path, http + " server { }", files)
    assert only(found, "server")["idle_timeout_s"] == idle
    assert len(config(found)["unreadable"]) == len(host.errors) == faults


def test_files_are_counted_once(tmp_path):
    found, _ = collected(
        tmp_path, "include a.conf; server { include a.conf; } include n.conf;", {"/etc/nginx/a.conf": "send_timeout 5;"}
    )
    assert config(found)["files"] == 2


def test_an_include_in_every_block(tmp_path):
    found, _ = collected(
        tmp_path,
        "include h.conf; map $a $b { include m.conf; } upstream u { include u.conf; } server { include s.conf; location / { include l.conf; } }",
        {
            "/etc/nginx/h.conf": "send_timeout 5;",
            "/etc/nginx/m.conf": "a b;",
            "/etc/nginx/u.conf": "server 10.0.0.1; keepalive 5;",
            "/etc/nginx/s.conf": "listen 81;",
            "/etc/nginx/l.conf": "proxy_pass http://u;",
        },
    )
    assert only(found, "server")["listen"] == ["*:81"]
    assert only(found, "upstream")["pool_size"] == 5


def test_an_unreadable_file(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    grow(tmp_path, {"/etc/nginx/a.conf": ""})
    (tmp_path / "etc/nginx/a.conf").chmod(0)
    found, _ = collected(tmp_path, "include a.conf;")
    assert config(found)["unreadable"] == ["/etc/nginx/a.conf:1: Permission denied"]


def test_includes_that_multiply_end(tmp_path):
    files = {f"/etc/nginx/{n}.conf": f"include {n + 1}.conf; include {n + 1}.conf;\n" * 3 for n in range(50)}
    found, host = collected(tmp_path, "include 0.conf; server { }", files)
    assert any("more than 100000 directives" in text for text in config(found)["unreadable"])
    assert all(PLACED.match(text) for text in config(found)["unreadable"])
    assert len(host.errors) < 100


HOSTILE = [
    "{" * 100000,
    "}" * 100000,
    ";" * 100000,
    "server { " * 50000,
    "server { }" * 20000,
    "server { server_name a; location / { " * 30,
    "a " * 500000,
    '"' * 99999,
    '"\\' * 100000,
    "\\a" * 300000,
    "$" * 300000 + "{",
    "# \n" * 300000,
    "x_by_lua_block { " + '"\\\n' * 100000,
    "x_by_lua_block { [" + "=" * 200000 + "[",
    "upstream a { " + "server 10.0.0.1; " * 50000 + "}",
    "server { listen " + "1" * 100000 + "; }",
    "server { listen 80; location /" + "a" * 100000 + " { keepalive_timeout 5; } }",
    "keepalive_timeout " + "1m" * 100000 + ";",
    "proxy_pass " + "a@" * 100000 + ";",
    "server { location / { proxy_pass http://" + "a@:[" * 100000 + "; } }",
    "server_name " + "~^" * 100000 + ";",
]


@pytest.mark.parametrize("http", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_configurations_end(tmp_path, http):
    import time

    start = time.process_time()
    found, host = collected(tmp_path, http)
    assert time.process_time() - start < 4
    assert config(found)["path"] == MAIN
    assert len(host.errors) <= 1000
    assert len(json.dumps(list(found.values()))) < 20 << 20


SECRETS = """
# hunter2comment
env SECRET=hunter2env;
http {
  log_format hunter2log "$uri";
  keepalive_timeout hunter2time;
  keepalive_requests hunter2count;
  proxy_http_version hunter2version;
  proxy_socket_keepalive hunter2flag;
  proxy_set_header Authorization "Bearer hunter2header";
  proxy_set_header hunter2x;
  proxy_set_header Connection $hunter2variable;
  include /etc/hunter2path/secret.conf;
  map $http_upgrade $connection { default hunter2map; '' hunter2empty; }
  upstream app { server user:hunter2up@10.0.0.1:80; server hunter2^x; keepalive hunter2pool; }
  server { listen 80 backlog=hunter2b; listen hunter2^l; auth_basic hunter2realm;
    ssl_password_file /hunter2file;
    location / { proxy_pass http://user:hunter2pass@10.0.0.5:80/hunter2uri?k=hunter2query; proxy_set_header X-Key hunter2key }
    location /a { proxy_pass "http://us er:hunter2blank@10.0.0.6/"; 'hunter2quoted'x; }
    location /b { proxy_pass http://hunter2:a/b@10.0.0.7; proxy_pass http://hunter2twice; set $key hunter2set; }
    location /c { content_by_lua_block { key = "hunter2lua" } fastcgi_pass 10.0.0.8/hunter2cgi:1; fastcgi_param K hunter2param; }
  }
  hunter2directive on;
"""


def test_secrets_stay(tmp_path):
    host = Host(str(grow(tmp_path, {MAIN: SECRETS})))
    text = json.dumps([list(nginx.collect(host)), host.errors])
    assert "hunter2" not in text
    assert "10.0.0.5:80" in text


# where nginx is

CMDLINES = [
    (["nginx: master process /usr/sbin/nginx -c /opt/n.conf -g daemon off;"], "/opt/n.conf"),
    (["nginx: master process nginx -g daemon off;"], MAIN),
    (["nginx", "-c", "/opt/n.conf"], "/opt/n.conf"),
    (["nginx", "-c/opt/n.conf"], "/opt/n.conf"),
    (["nginx", "-p", "/opt", "-c", "n.conf"], "/opt/n.conf"),
    (["nginx", "-p", "/opt/"], "/opt/conf/nginx.conf"),
    (["nginx", "-g", "daemon off;"], MAIN),
]


@pytest.mark.parametrize(("argv", "main"), CMDLINES)
def test_a_process_says_which_file(tmp_path, argv, main):
    files = {
        MAIN: "http { server { listen 1; } }",
        main: "http { server { listen 1; } }",
        "/proc/50/comm": "nginx\n",
        "/proc/50/stat": "50 (nginx) S 1 1\n",
    }
    files["/proc/50/cmdline"] = "\0".join(argv) + "\0"
    files |= {
        "/proc/51/comm": "nginx\n",
        "/proc/51/stat": "51 (nginx) S 50 1\n",
        "/proc/51/cmdline": "nginx: worker process\0",
    }
    found, _ = collected(tmp_path, None, files)
    assert only(found, "config")["path"] == main
    assert only(found, "config")["running"] is True
    assert len(found) == 2


@pytest.mark.parametrize(
    "argv", [["nginx", "-t"], ["nginx", "-T", "-c", "/x"], ["nginx", "-s", "reload"], ["nginx", "-V"], ["nginx", "-qt"]]
)
def test_a_process_that_ends_at_once_is_no_server(argv):
    assert nginx_found._ends_at_once(argv[1:])


@pytest.mark.parametrize(
    "argv",
    [
        ["nginx", "-c", "/opt/test.conf"],
        ["nginx", "-p", "/srv", "-e", "stderr"],
        ["nginx", "-g", "daemon off;"],
        ["nginx"],
    ],
)
def test_a_server_is_one(argv):
    assert not nginx_found._ends_at_once(argv[1:])


def test_two_processes_with_one_configuration_are_one(tmp_path):
    files = {MAIN: "http { server { listen 1; } }", "/opt/n.conf": "http { server { listen 2; } }"}
    for pid, path in ((50, MAIN), (60, MAIN), (70, "/opt/n.conf")):
        files |= {
            f"/proc/{pid}/comm": "nginx\n",
            f"/proc/{pid}/stat": f"{pid} (nginx) S 1 1\n",
            f"/proc/{pid}/cmdline": f"nginx\0-c\0{path}\0",
        }
    found, _ = collected(tmp_path, None, files)
    assert [name for _, name in found] == ["nginx", "nginx *:1", "nginx (/opt/n.conf)", "nginx (/opt/n.conf) *:2"]


def test_a_process_without_its_file(tmp_path):
    files = {
        "/proc/50/comm": "nginx\n",
        "/proc/50/stat": "50 (nginx) S 1 1\n",
        "/proc/50/cmdline": "nginx\0-c\0/gone.conf\0",
    }
    found, host = collected(tmp_path, None, files)
    assert config(found)["unreadable"] == ["/gone.conf:1: no such file"]
    assert host.errors == [("/gone.conf:1", "no such file")]


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert collected(tmp_path, None)[0] == {}


STATUS = "Package: nginx-common\nVersion: 9\n\nPackage: nginx\nStatus: install ok installed\nVersion: 1:1.26.3-3+deb13u1\n\nPackage: z\n"
VERSIONS = [
    ({"/usr/sbin/nginx": b"\x7fELF nginx/1.22.1\0"}, [1, 22, 1]),
    ({"/usr/local/nginx/sbin/nginx": b"nginx version: nginx/1.29.7"}, [1, 29, 7]),
    ({"/usr/local/openresty/nginx/sbin/nginx": b"openresty/1.25.3.2"}, [1, 25, 3]),
    ({"/usr/sbin/nginx": b"Angie/1.8.1 nginx/1.27.3"}, None),
    ({"/usr/sbin/nginx": b"freenginx/1.29.7"}, None),
    ({"/usr/sbin/nginx": b"stripped"}, None),
    ({"/var/lib/dpkg/status": STATUS}, [1, 26, 3]),
    ({"/var/lib/dpkg/status": STATUS.replace("install ok installed", "deinstall ok config-files")}, None),
    ({}, None),
]


@pytest.mark.parametrize(("files", "version"), VERSIONS)
def test_versions(tmp_path, files, version):
    found, _ = collected(tmp_path, "", files)
    assert config(found).get("version") == version
