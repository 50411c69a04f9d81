"""Caddy: Caddyfile and JSON, sites and their listeners, backends, imports, bad input. Caddy itself does not run here."""

import pytest
from running import collected, everything, host, own, process

from audit_tcp.probe import caddy
from audit_tcp.probe.caddy import caddyfile

SITES = [
    # Caddyfile, {server: facts}
    ("example.com {\n}\n", {"caddy *:443 example.com": {"listen": [":443"]}}),
    ("example.com\nrespond ok\n", {"caddy *:443 example.com": {"listen": [":443"]}}),
    ("http://a.example, b.example:8080,\nc.example {\n}\n", {"caddy *:80 a.example": {"listen": [":80"]}, "caddy *:8080 b.example": {"listen": [":8080"]}, "caddy *:443 c.example": {"listen": [":443"]}}),
    (":80 {\n bind 10.0.0.1 ::1\n}\n", {"caddy 10.0.0.1:80": {"listen": ["10.0.0.1:80"]}, "caddy [::1]:80": {"listen": ["[::1]:80"]}}),
    ("{\n http_port 8080\n https_port 8443\n}\nhttp://a {\n}\nb/path* {\n}\n", {"caddy *:8080 a": {"listen": [":8080"]}, "caddy *:8443 b": {"listen": [":8443"]}}),
    ("{\n servers {\n  timeouts {\n   idle 1m\n   read_header 5s\n   read_body 2d\n   write 250ms\n  }\n  keepalive_interval 20s\n }\n}\na {\n}\n",
     {"caddy *:443 a": {"listen": [":443"], "idle_timeout_s": 60, "header_timeout_s": 5, "request_timeout_s": 172800, "send_timeout_s": 0.25, "keepintvl_s": 20}}),
    ("{\n servers {\n  timeouts {\n   idle 1m\n  }\n }\n servers :80 {\n  keepalive_interval -1s\n  keepalive_idle 9s\n  keepalive_count 3\n }\n}\na {\n}\nhttp://b {\n}\n",
     {"caddy *:443 a": {"listen": [":443"], "idle_timeout_s": 60}, "caddy *:80 b": {"listen": [":80"], "so_keepalive": False, "keepidle_s": 9, "keepcnt": 3}}),
    ("{\n servers {\n  timeouts {\n   idle -1s\n  }\n }\n}\n:1 {\n}\n", {"caddy *:1": {"listen": [":1"], "idle_timeout_s": "unlimited"}}),
    ("\ufeff# c\n&(named) {\n}\n(snippet) {\n}\n{$NONE:d.example} {\n}\n", {"caddy *:443 d.example": {"listen": [":443"]}}),
    ('"q.example" {\n respond <<END\n } {\n END\n header X `a { b` \\\n  Y\n}\n', {"caddy *:443 q.example": {"listen": [":443"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "servers"), SITES)
def test_sites(tmp_path, text, servers):
    config, found, _ = collected(caddy, host(tmp_path, {"/etc/caddy/Caddyfile": text}))
    assert config["unreadable"] == []
    assert {name: own(facts) for name, facts in found.items()} == servers


PROXIES = [
    ("reverse_proxy 10.0.0.1:80 http://b", {"addresses": ["10.0.0.1:80", "http://b"]}),
    ("reverse_proxy /api/* app:80", {"addresses": ["app:80"]}),
    ("handle /x {\n route {\n  reverse_proxy @m {\n   to :81\n  }\n }\n}", {"addresses": ["localhost:81"]}),
    ("reverse_proxy a {\n transport http {\n  keepalive 4s\n  keepalive_interval 9s\n  keepalive_idle_conns_per_host 7\n  dial_timeout 1s\n  response_header_timeout 1m\n  versions 1.1\n }\n}",
     {"addresses": ["a"], "idle_timeout_s": 4, "keepintvl_s": 9, "keepidle_s": 9, "pool_size": 7, "connect_timeout_s": 1, "response_timeout_s": 60, "http_version": 1.1}),
    ("reverse_proxy a {\n transport http {\n  keepalive off\n }\n}", {"addresses": ["a"], "reuse": False, "pool_size": 0}),
    ("reverse_proxy h2c://a", {"addresses": ["h2c://a"], "http_version": 2}),
    ("forward_auth auth:9091 {\n uri /x\n}", {"addresses": ["auth:9091"]}),
    ("reverse_proxy http://user:hunter2@a:80/hunter2", {"addresses": ["http://a:80"]}),
    ("import up a 5s\n}\n(up) {\nreverse_proxy {args[0]} {\n transport http {\n  keepalive {args[1]}\n }\n}", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), PROXIES)
def test_backends(tmp_path, text, facts):
    config, _, found = collected(caddy, host(tmp_path, {"/etc/caddy/Caddyfile": "a.example {\n" + text + "\n}\n"}))
    if facts is None:
        assert config["unreadable"] == [
            "/etc/caddy/Caddyfile:2: no such file or snippet"
        ]  # a snippet stands before its use
        assert found == {}
        return
    assert config["unreadable"] == []
    assert [own(one) for one in found.values()] == [facts]


IMPORTS = {
    "/etc/caddy/Caddyfile": "(up) {\n reverse_proxy {args[0]} {\n  transport http {\n   keepalive {args.1}\n  }\n }\n}\nimport sites/*.caddy\nimport /srv/one\n",
    "/etc/caddy/sites/b.caddy": "b.example {\n import up b:80 5s\n}\n",
    "/etc/caddy/sites/.hidden.caddy": "c.example {\n}\n",
    "/srv/one": "one.example {\n import two\n}\n",
    "/srv/two": "reverse_proxy two:80\n",
}


def test_imports(tmp_path):
    config, servers, upstreams = collected(caddy, host(tmp_path, IMPORTS))
    assert (config["unreadable"], config["files"]) == ([], 4)
    assert list(servers) == ["caddy *:443 b.example"]
    assert {name: facts.get("idle_timeout_s") for name, facts in upstreams.items()} == {
        "caddy b:80": 5,
        "caddy two:80": None,
    }


C = "/etc/caddy/Caddyfile:"
GOOD = ":80 {\n}\n"
BAD = [
    (GOOD + "a {\n", C + "3: a brace is not closed"),
    (GOOD + "}\n", C + "3: a brace that was not opened"),
    (GOOD + 'a "b\n', C + "3: a string does not end"),
    (GOOD + "a <<X\nb\n", C + "3: a heredoc does not end"),
    (GOOD + "import none\n", C + "3: no such file or snippet"),
    (GOOD + "import Caddyfile\n", C + "3: imports in a circle"),
    ("(a) {\nimport b\n}\n(b) {\nimport a\n}\n" + GOOD + "b.example {\nimport a\n}\n", C + "5: imports in a circle"),
    (GOOD + "a {\n" * 99, C + "62: nested more than 60 deep"),
    ("{\nservers {\ntimeouts {\nidle hunter2\n}\n}\n}\n" + GOOD, C + "4: idle: a duration such as 30s is needed"),
    ("{\nservers {\ntimeouts {\nidle 30\n}\n}\n}\n" + GOOD, C + "4: idle: a duration such as 30s is needed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), BAD)
def test_bad_input_is_told_by_its_place_and_the_rest_stays(tmp_path, text, told):
    one = host(tmp_path, {"/etc/caddy/Caddyfile": text})
    config, servers, _ = collected(caddy, one)
    assert told in config["unreadable"]
    assert told in [f"{where}: {what}" for where, what in one.errors]
    assert any(found["listen"] == [":80"] for found in servers.values())


@pytest.mark.parametrize("content", [b"\0\1", b"#" * (50 << 20)])
def test_files_that_are_none(tmp_path, content):
    config, servers, _ = collected(caddy, host(tmp_path, {"/etc/caddy/Caddyfile": content}))
    assert len(config["unreadable"]) == 1
    assert config["unreadable"][0].startswith(C + "1: ")
    assert servers == {}


def test_zero_is_the_default(tmp_path):
    text = "{\nservers {\ntimeouts {\nidle 0\n}\n}\n}\n" + GOOD
    config, servers, _ = collected(caddy, host(tmp_path, {"/etc/caddy/Caddyfile": text}))
    assert config["no_effect"] == [C + "4: idle 0 has no effect: Caddy takes it for the default"]
    assert [own(found) for found in servers.values()] == [{"listen": [":80"]}]


JSON = """{"apps": {"http": {"servers": {"srv0": {"listen": [":443", "tcp/:444"], "idle_timeout": 30000000000, "read_timeout": "1m",
  "routes": [{"handle": [{"handler": "subroute", "routes": [{"handle": [
    {"handler": "reverse_proxy", "upstreams": [{"dial": "a:80"}], "transport": {"protocol": "http", "keep_alive": {"idle_timeout": "4s", "max_idle_conns_per_host": 7}, "versions": ["1.1"], "dial_timeout": 1000000}}]}]}]}]}}}}}
"""


def test_json(tmp_path):
    config, servers, upstreams = collected(
        caddy, host(tmp_path, {"/srv/c.json": JSON}, process(7, "caddy run --config c.json", cwd="/srv"))
    )
    assert config["unreadable"] == []
    assert own(servers["caddy *:443"]) == {"listen": [":443", ":444"], "idle_timeout_s": 30, "request_timeout_s": 60}
    assert own(upstreams["caddy a:80"]) == {
        "addresses": ["a:80"],
        "idle_timeout_s": 4,
        "pool_size": 7,
        "http_version": 1.1,
        "connect_timeout_s": 0.001,
    }


def test_running_ones(tmp_path):
    files = {
        "/srv/Caddyfile": "{$SITE} {\n reverse_proxy {$UP:b:80}\n}\n",
        "/var/lib/dpkg/status": "Package: caddy\nVersion: 2.8.4\n\n",
    }
    argv = ["caddy", "run"]
    one = host(tmp_path, files, process(7, argv, cwd="/srv", exe="/usr/bin/caddy", SITE="s.example", UP="u:80"))
    config, servers, upstreams = collected(caddy, one)
    assert (config["path"], config["version"], list(servers), list(upstreams)) == (
        "/srv/Caddyfile",
        [2, 8, 4],
        ["caddy *:443 s.example"],
        ["caddy u:80"],
    )


def test_what_the_admin_interface_saved_is_read_after_resume(tmp_path):
    files = {"/home/c/.config/caddy/autosave.json": JSON, "/srv/Caddyfile": GOOD}
    config, _, _ = collected(caddy, host(tmp_path, files, process(7, "caddy run --resume", cwd="/srv", HOME="/home/c")))
    assert config["path"] == "/home/c/.config/caddy/autosave.json"


def test_without_a_file_nothing_is_known(tmp_path):
    config, _, _ = collected(caddy, host(tmp_path, {}, process(7, "caddy run", cwd="/srv")))
    assert config["unreadable"] == [
        "--config:1: no configuration file is named: what the admin interface set is not known"
    ]
    assert list(caddy.collect(host(tmp_path / "b", {}, process(7, "caddy fmt x")))) == []


def test_no_secret_leaves(tmp_path):
    text = '{\n acme_dns x hunter2\n email hunter2@x\n servers {\n  timeouts {\n   idle hunter2\n  }\n }\n}\na.example {\n basic_auth {\n  u hunter2\n }\n tls hunter2 hunter2\n reverse_proxy http://u:hunter2@b/hunter2?hunter2 {\n  header_up Authorization hunter2\n  transport http {\n   keepalive hunter2\n  }\n }\n hunter2 "hunter2\n'
    assert "hunter2" not in everything(caddy, host(tmp_path, {"/etc/caddy/Caddyfile": text}))


SECRET_SITES = [
    ("a.example {\n reverse_proxy h:80\n }\n reverse_proxy /x u:hunter2@h:80 {\n }\n", "caddy *:80 h"),
    ("http://u:hunter2@a.example/hunter2 {\n}\n", "caddy *:80 a.example"),
    ("u:hunter2@b.example:81?hunter2 {\n}\n", "caddy *:81 b.example"),
    ("u:hunter2@{$HOST} {\n}\n", "caddy {$HOST}"),
    ("a {\n bind u:hunter2@10.0.0.1\n}\n", "caddy 10.0.0.1:443 a"),
]


@pytest.mark.parametrize(("text", "name"), SECRET_SITES)
def test_a_site_s_address_is_told_without_its_user(tmp_path, text, name):
    one = host(tmp_path, {"/etc/caddy/Caddyfile": text})
    assert name in collected(caddy, one)[1]
    assert "hunter2" not in everything(caddy, one)


def test_words_and_their_lines():
    found, wrong = caddyfile.words('a "b\nc" # d\ne\\\n f \\\n g #h\n#i\n`j`k\n')
    assert [(text, line) for text, line, _ in found if text != "\n"] == [
        ("a", 1),
        ("b\nc", 1),
        ("e", 3),
        ("f", 4),
        ("g", 5),
        ("j", 7),
        ("k", 7),
    ]
    assert wrong is None
