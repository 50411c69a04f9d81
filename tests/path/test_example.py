"""What `--init` writes is a path file as it stands, and still one when its examples are uncommented."""

import math
import re

import pytest

from audit_tcp import defaults, profile
from audit_tcp.cli import main
from audit_tcp.model import Subject
from audit_tcp.path import example, file, judging
from audit_tcp.wording import columns
from builders import snapshot_of, subject


def server(name, **facts):
    return subject("server", name, {"program": name.split()[0], "running": True, **facts})


def pool(name, *addresses, **facts):
    return subject("upstream", name, {"program": name.split()[0], "addresses": list(addresses), **facts})


NGINX = server("nginx *:80", version=[1, 22, 1], listen=["*:80"], idle_timeout_s=75, advertised_idle_s=60)
APP = pool("nginx app", "127.0.0.1:8080", version=[1, 22, 1], pool_size=32, http_version=1.1, sends_close=False)
TOMCAT = server("tomcat HTTP *:8080", version=[10, 1, 5], listen=["*:8080"], idle_timeout_s=20, max_requests=math.inf)
APACHE = server("apache *:80", listen=["*:80"], so_keepalive=True, netns="host")
STOPPED = server("apache *:80", listen=["*:80"], idle_timeout_s=5, running=False)
HAPROXY = server("haproxy frontend www", listen=["*:80"], idle_timeout_s=10, mode="http")
BACKEND = pool("haproxy backend app", "http://localhost:8000")
GUNICORN = server("gunicorn 127.0.0.1:8000", listen=["127.0.0.1:8000"], idle_timeout_s=2)
SOCKET = server("gunicorn /run/app.sock", listen=["unix:/run/app.sock"], idle_timeout_s=2)
SPACE = subject("netns", "host", {"net.ipv4.tcp_keepalive_time": 600})
EVIL = '\x1b]0;x\x07"]]\n[[hop]]\nkind = "evil\u202e\\'
HOSTILE = subject(
    "server",
    f"nginx {EVIL}" + "漢" * 300,
    {"program": "nginx", "version": [10**9, -1], "listen": [EVIL], "idle_timeout_s": -5, "keepidle_s": "x", "mode": EVIL,
     "max_requests": True, "so_keepalive": 3, "send_timeout_s": 1e300, "header_timeout_s": 7},
)  # fmt: skip

CASES = {
    "nothing": ([], [("client", "client"), ("server", "server")]),
    "one chain": ([NGINX, APP, TOMCAT], [("client", "client"), ("nginx *:80", "nginx"), ("tomcat HTTP *:8080", "tomcat")]),
    "apache": ([APACHE, SPACE], [("client", "client"), ("apache *:80", "apache")]),
    "haproxy": ([HAPROXY, BACKEND, GUNICORN], [("client", "client"), ("haproxy frontend www", "haproxy"), ("gunicorn 127.0.0.1:8000", "gunicorn")]),
    "by a socket": ([NGINX, pool("nginx app", "unix:/run/app.sock"), SOCKET], [("client", "client"), ("nginx *:80", "nginx"), ("gunicorn /run/app.sock", "gunicorn")]),
    "a pool that leads away": ([NGINX, pool("nginx app", "10.0.0.9:80"), TOMCAT], [("client", "client"), ("nginx *:80", "nginx")]),
    "no proxy": ([TOMCAT], [("client", "client"), ("tomcat HTTP *:8080", "tomcat")]),
    "the proxy that leads on is first": ([APACHE, HAPROXY, BACKEND, GUNICORN], [("client", "client"), ("haproxy frontend www", "haproxy"), ("gunicorn 127.0.0.1:8000", "gunicorn")]),
    "three": ([NGINX, pool("nginx app", "127.0.0.1:81"), server("haproxy fe", listen=["127.0.0.1:81"]), pool("haproxy be", "[::1]:8080"), TOMCAT], [("client", "client"), ("nginx *:80", "nginx"), ("haproxy fe", "haproxy"), ("tomcat HTTP *:8080", "tomcat")]),
    "a proxy that calls itself": ([NGINX, pool("nginx app", "127.0.0.1:80")], [("client", "client"), ("nginx *:80", "nginx")]),
    "programs that nobody knows": ([server("mine *:80"), server("requests *:1")], [("client", "client"), ("server", "server")]),
    "hostile": ([HOSTILE], [("client", "client"), (None, "nginx")]),
    "what runs is first": ([STOPPED, NGINX, APP, TOMCAT], [("client", "client"), ("nginx *:80", "nginx"), ("tomcat HTTP *:8080", "tomcat")]),
    "a server that runs is before a proxy that does not": ([STOPPED, TOMCAT], [("client", "client"), ("tomcat HTTP *:8080", "tomcat")]),
    "a proxy that leads on and does not run": ([NGINX, server("haproxy fe", running=False, listen=["*:80"]), pool("haproxy be", "127.0.0.1:8080"), TOMCAT], [("client", "client"), ("nginx *:80", "nginx")]),
    "behind it what runs": ([NGINX, pool("nginx app", "127.0.0.1:8080"), server("apache *:8080", running=False, listen=["*:8080"], idle_timeout_s=5), TOMCAT], [("client", "client"), ("nginx *:80", "nginx"), ("tomcat HTTP *:8080", "tomcat")]),
    "nothing runs": ([STOPPED], [("client", "client"), ("apache *:80", "apache")]),
    "many": ([server(f"nginx *:{port}", listen=[f"*:{port}"], idle_timeout_s=port) for port in range(1, 200)], [("client", "client"), ("nginx *:1", "nginx")]),
}  # fmt: skip


def text_of(*subjects, host="web1"):
    return example.text(defaults.fill(snapshot_of(*subjects, host=host)))


def loaded(tmp_path, text, name="x.toml"):
    path = tmp_path / name
    path.write_text(text)
    return file.load(str(path))


@pytest.mark.parametrize(("subjects", "expected"), CASES.values(), ids=CASES)
def test_what_is_written_is_a_path_file(tmp_path, subjects, expected):
    text = text_of(*subjects)
    path = loaded(tmp_path, text)
    assert [(name and hop.name, hop.kind.name) for hop, (name, _) in zip(path.hops, expected, strict=True)] == expected
    assert path.name == "web1"
    assert all(columns(line) <= 100 for line in text.splitlines())
    assert all(one.isprintable() or one == "\n" for one in text)
    judging.report(path, profile.load("path"), "2026-11-20T00:00:00Z")


def uncommented(text):
    """The text with each example of a hop and each setting in use."""
    return re.sub(r"^# (?=\[\[hop\]\]|[\w.]+ = )", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("subjects", "expected"), CASES.values(), ids=CASES)
def test_its_examples_are_legal_too(tmp_path, subjects, expected):
    first, mark, second = text_of(*subjects).partition("# What a server calls")
    kinds = [hop.kind.name for hop in loaded(tmp_path, uncommented(first)).hops]
    assert kinds[:4] == ["client", "cloudfront", "alb", "nlb"]
    database = loaded(tmp_path, uncommented(mark + second), "database.toml")
    assert [hop.kind.name for hop in database.hops] == ["hikaricp", "nat-gateway", "mysql"]
    assert database.name == "database"


LINES = {
    "a value with its place": ([NGINX, APP, TOMCAT], "server.idle_timeout_s = 75  # origin of idle_timeout_s"),
    "of a pool": ([NGINX, APP, TOMCAT], "upstream.pool_size = 32  # origin of pool_size"),
    "a flag": ([NGINX, APP, TOMCAT], "upstream.sends_close = false  # origin of sends_close"),
    "no end": ([TOMCAT], 'server.max_requests = "unlimited"  # origin of max_requests'),
    "a text": ([HAPROXY], 'server.mode = "http"  # origin of mode'),
    "the version": ([NGINX], 'version = "1.22.1"'),
    "the default in a comment": ([APACHE], "# Defaults of it: server.idle_timeout_s 5"),
    "the kernel's probes": ([APACHE, SPACE], "net.ipv4.tcp_keepalive_time = 600  # seconds; the running kernel"),
    "where the pool leads": ([NGINX, pool("nginx app", "10.0.0.9:80")], "# Its pool: nginx app, to 10.0.0.9:80"),
    "a snapshot instead": ([NGINX], '#     take_server = "nginx *:80"  # if it has several'),
    "a balancer": ([], "# idle_timeout.timeout_seconds = 60           # seconds"),
    "another server": ([NGINX, APP, TOMCAT, APACHE], "#     apache *:80"),
    "what does not run": ([STOPPED], "# Found on this host, but not running: apache *:80"),
    "another that does not run": ([STOPPED, NGINX, APP, TOMCAT], "#     apache *:80 (not running)"),
    "the rest in number": (CASES["many"][0], "#     and 188 more: audit-tcp host shows them"),
    "what is legal of a hostile host": ([HOSTILE], "server.header_timeout_s = 7  # origin of header_timeout_s"),
}


@pytest.mark.parametrize(("subjects", "line"), LINES.values(), ids=LINES)
def test_what_was_found_is_stated(subjects, line):
    assert any(one.startswith(line) for one in text_of(*subjects).splitlines())


def test_what_follows_from_the_rest_is_not_stated(tmp_path):
    text = text_of(NGINX, APP, TOMCAT)
    assert "reuse" not in text
    assert "keepalive = " not in text
    assert loaded(tmp_path, text).hops[1].facts["upstream.reuse"].value is True


def test_the_example_judges_as_the_host_does(tmp_path):
    """A pool of nginx keeps connections for 60 s, Tomcat for 20 s: found through the file as through the snapshot."""
    report = judging.report(loaded(tmp_path, text_of(NGINX, APP, TOMCAT)), profile.load("path"), "2026-11-20T00:00:00Z")
    failing = {finding.rule.id: finding for finding in report.findings if finding.verdict == "fail"}
    assert "nginx-pool-outlives-backend" in failing


def test_a_hostile_host_adds_no_line(tmp_path):
    text = text_of(HOSTILE, host=EVIL)
    assert [line for line in text.splitlines() if line.startswith("[[hop]]")] == ["[[hop]]"] * 2
    assert "evil" in loaded(tmp_path, text).name


def test_a_long_place_keeps_its_end():
    facts = dict(NGINX.facts)
    facts["idle_timeout_s"] = facts["idle_timeout_s"]._replace(origin="/etc/nginx/" + "漢/" * 100 + "shop.conf:31")
    text = text_of(Subject("server", "nginx *:80", facts))
    (line,) = (one for one in text.splitlines() if one.startswith("server.idle_timeout_s"))
    assert line.endswith("shop.conf:31")
    assert columns(line) <= 100


def test_the_command_writes_one_for_this_host(tmp_path, capsys):
    assert main(["path", "--init"]) == 0
    assert len(loaded(tmp_path, capsys.readouterr().out).hops) >= 2


def placed(one, fact, place):
    return Subject(one.kind, one.name, {**one.facts, fact: one.facts[fact]._replace(origin=place)})


SITES = "/etc/nginx/sites-enabled/shop"
FIRST = placed(server("nginx *:80 a", listen=["*:80"], idle_timeout_s=75), "listen", f"{SITES}:1")
SECOND = placed(server("nginx *:80 b", listen=["*:80"], idle_timeout_s=60), "listen", f"{SITES}:20")
OWN = {
    "the first server's": (FIRST, f"{SITES}:19", f"{SITES}:25", "nginx one"),
    "the second server's": (SECOND, f"{SITES}:5", f"{SITES}:25", "nginx two"),
    "not that of another": (FIRST, f"{SITES}:25", f"{SITES}:2", "nginx two"),
    "in other files nothing is known": (SECOND, "/etc/nginx/snippets/app:5", "/etc/nginx/snippets/app:25", "nginx one"),
    "before all servers nothing is known": (
        placed(SECOND, "listen", f"{SITES}:90"),
        f"{SITES}:5",
        f"{SITES}:25",
        "nginx one",
    ),
    "no place": (FIRST, "a wrong one", "another:", "nginx one"),
}


@pytest.mark.parametrize(("first", "one", "two", "expected"), OWN.values(), ids=OWN)
def test_a_server_has_the_pools_of_its_own_locations(first, one, two, expected):
    pools = [
        placed(pool(f"nginx {name}", address, mode="http"), "mode", place)
        for name, address, place in (("one", "10.0.0.1:80", one), ("two", "10.0.0.2:80", two))
    ]
    others = [] if first.facts["listen"].origin == f"{SITES}:90" else [FIRST, SECOND]
    text = text_of(first, *(other for other in others if other.name != first.name), *pools)
    told = next(line for line in text.splitlines() if line.startswith("# Its pool"))
    assert told.startswith(f"# Its pool: {expected}")


def test_only_a_pool_of_its_own_leads_on(tmp_path):
    """The first server's pool leads away: what the second one passes to is not behind it."""
    away = placed(pool("nginx away", "10.0.0.1:80", mode="http"), "mode", f"{SITES}:2")
    app = placed(pool("nginx app", "127.0.0.1:8080", mode="http"), "mode", f"{SITES}:22")
    names = [hop.name for hop in loaded(tmp_path, text_of(FIRST, SECOND, away, app, TOMCAT)).hops]
    assert names == ["client", "nginx *:80 b", "tomcat HTTP *:8080"]
