"""Traefik's static configuration: file, flags, variables, and their order. Traefik itself does not run here."""

import tomllib

import pytest
from running import collected, everything, host, own, process

from audit_tcp.probe import traefik
from audit_tcp.probe.readers import toml_subset
from audit_tcp.probe.readers.durations import go

WEB = "entryPoints:\n  web:\n    address: ':80'\n"
TRANSPORT = WEB + "    transport:\n      "
AT = {"listen": [":80"]}
SERVERS = [
    ("", AT),
    (WEB, AT),
    (TRANSPORT + "respondingTimeouts: {idleTimeout: 90s, readTimeout: 1m30s, writeTimeout: 5}", {**AT, "idle_timeout_s": 90, "request_timeout_s": 90, "send_timeout_s": 5}),
    (TRANSPORT + "respondingtimeouts: {readtimeout: 0}", {**AT, "request_timeout_s": "unlimited"}),
    (TRANSPORT + "respondingTimeouts: {idleTimeout: 0, readTimeout: 0}", {**AT, "idle_timeout_s": "unlimited", "request_timeout_s": "unlimited"}),
    (TRANSPORT + "respondingTimeouts: {idleTimeout: 0s}", {**AT, "idle_timeout_s": 60}),
    (TRANSPORT + "keepAliveMaxRequests: 7\n      keepAliveMaxTime: 1h", {**AT, "max_requests": 7, "max_age_s": 3600}),
    ("entryPoints: {web: {address: '10.0.0.1:80/tcp'}, dns: {address: ':53/udp'}}", {"listen": ["10.0.0.1:80"]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), SERVERS)
def test_entry_points(tmp_path, text, facts):
    config, servers, _ = collected(traefik, host(tmp_path, {"/etc/traefik/traefik.yml": text}))
    assert config["unreadable"] == []
    assert [own(found) for found in servers.values()] == [facts]


UPSTREAMS = [
    ("", {}),
    ("[serversTransport]\nmaxIdleConnsPerHost = 7\n[serversTransport.forwardingTimeouts]\ndialTimeout = '3s'\nresponseHeaderTimeout = 0\nidleConnTimeout = \"4s\"\n",
     {"pool_size": 7, "connect_timeout_s": 3, "response_timeout_s": "unlimited", "idle_timeout_s": 4}),
    ("serversTransport.maxIdleConnsPerHost = -1\n", {"pool_size": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), UPSTREAMS)
def test_the_transport(tmp_path, text, facts):
    config, _, upstreams = collected(traefik, host(tmp_path, {"/etc/traefik/traefik.toml": text}))
    assert config["unreadable"] == []
    assert [own(found) for found in upstreams.values()] == [facts]


IDLE = "--entryPoints.web.transport.respondingTimeouts.idleTimeout"
RUNNING = [
    # arguments, environment, files, idle timeout, settings without effect
    (f"traefik --entryPoints.web.address=:80 {IDLE}=7", {}, {}, 7, 0),
    (f"traefik {IDLE.lower()} 7s", {}, {}, 7, 0),
    ("traefik", {"TRAEFIK_ENTRYPOINTS_WEB_TRANSPORT_RESPONDINGTIMEOUTS_IDLETIMEOUT": "8"}, {}, 8, 0),
    ("traefik --log", {"TRAEFIK_ENTRYPOINTS_WEB_TRANSPORT_RESPONDINGTIMEOUTS_IDLETIMEOUT": "8"}, {}, None, 0),
    (f"traefik {IDLE}=7 --configFile t.yml", {}, {"/srv/t.yml": TRANSPORT + "respondingTimeouts: {idleTimeout: 9}"}, 9, 1),
    (f"traefik {IDLE}=7", {}, {"/etc/traefik/traefik.yml": TRANSPORT + "respondingTimeouts: {idleTimeout: 9}"}, 9, 1),
    ("traefik", {"HOME": "/root"}, {"/root/.config/traefik.toml": "[entryPoints.web.transport.respondingTimeouts]\nidleTimeout = 9\n"}, 9, 0),
    ("traefik", {}, {"/srv/traefik.yaml": TRANSPORT + "respondingTimeouts: {idleTimeout: 9}"}, 9, 0),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "environment", "files", "idle", "useless"), RUNNING)
def test_the_order_of_sources(tmp_path, arguments, environment, files, idle, useless):
    config, servers, _ = collected(traefik, host(tmp_path, files, process(7, arguments, cwd="/srv", **environment)))
    assert config["unreadable"] == []
    assert [found.get("idle_timeout_s") for found in servers.values()] == [idle]
    assert len(config["no_effect"]) == useless


Y, T = "/etc/traefik/traefik.yml:", "/etc/traefik/traefik.toml:"
BAD = [
    ("traefik.yml", TRANSPORT + "respondingTimeouts: {idleTimeout: hunter2}", Y + "5: idletimeout: a duration such as 90s is needed"),
    ("traefik.yml", WEB + "a: [b\n", Y + "5: a bracket is not closed"),
    ("traefik.toml", "[entryPoints.web]\naddress = ':80'\n[a\n", T + "3: a bracket is not closed"),
    ("traefik.toml", "[entryPoints.web]\naddress = ':80'\nb\n", T + "3: no = behind a key"),
    ("traefik.toml", "[entryPoints.web]\naddress = ':80'\nb = 'c\n", T + "3: a string does not end, or a character is out of place"),
    ("traefik.toml", "[entryPoints.web]\naddress = ':80'\naddress = ':81'\n", T + "3: a key stands twice in one table"),
    ("traefik.toml", "[entryPoints.web]\naddress = ':80'\nb = " + "[" * 150, T + "3: nested more than 60 deep"),
    ("traefik.toml", "[entryPoints.web]\naddress = ':80'\n[entryPoints.web.address]\n", T + "3: a key is a value and a table"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "told"), BAD)
def test_bad_input_is_told_by_its_place_and_the_rest_stays(tmp_path, name, text, told):
    config, servers, _ = collected(traefik, host(tmp_path, {"/etc/traefik/" + name: text}))
    assert config["unreadable"] == [told]
    assert [found["listen"] for found in servers.values()] == [[":80"]]


def test_binary_and_huge_files(tmp_path):
    for number, content in enumerate((b"\0", b"#" * (3 << 20))):
        config, _, _ = collected(traefik, host(tmp_path / str(number), {"/etc/traefik/traefik.yml": content}))
        assert len(config["unreadable"]) == 1


def test_no_secret_leaves(tmp_path):
    text = "[entryPoints.web]\naddress = 'hunter2'\n[entryPoints.'a hunter2']\n[certificatesResolvers.x]\ntoken = 'hunter2'\n[entryPoints.web.transport.respondingTimeouts]\nidleTimeout = 'hunter2'\nx = hunter2 hunter2\n"
    assert "hunter2" not in everything(traefik, host(tmp_path / "1", {"/etc/traefik/traefik.toml": text}))
    argv = "traefik --pilot.token=hunter2 --entryPoints.web.address=hunter2 --providers.redis.password hunter2"
    assert "hunter2" not in everything(
        traefik, host(tmp_path / "2", {}, process(7, argv, TRAEFIK_PILOT_TOKEN="hunter2"))
    )


TOML = [
    'a = 1\nb.c = "d" # e\n[f]\n\'g.h\' = true\n[[i.j]]\nk = [1, [2, 3], [[4]]]\n[[i.j]]\nl = {m = {n = "o"}, p = 5}\n',
    'a = """\nb\nc"""\nd = \'\'\'e\'\'\'\nf = [\n 1, # g\n 2,\n]\nh = "\\t\\u0041\\\\"\ni = []\nj = {}\n',
    '"a b".c = 1\n[d."e.f".g]\nh = "#"\n\r\ni = 1_000\n',
]  # fmt: skip


def bare(node):
    if isinstance(node.value, dict):
        return {key: bare(below) for key, below in node.value.items()}
    return [bare(below) for below in node.value] if isinstance(node.value, list) else str(node.value)


def texts(value):
    if isinstance(value, dict):
        return {key: texts(below) for key, below in value.items()}
    return [texts(below) for below in value] if isinstance(value, list) else str(value).replace("True", "true")


@pytest.mark.parametrize("text", TOML)
def test_toml_is_what_python_reads(text):
    root, problems = toml_subset.parse(text)
    assert problems == []
    assert bare(root) == texts(tomllib.loads(text))


DURATIONS = [("90s", 90), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), ("0", 0), ("-1s", -1), ("1d", None), ("5", None), ("", None), ("5 s", None), ("s", None), ("9" * 99 + "s", None)]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), DURATIONS)
def test_durations(text, value):
    assert go(text) == value
    assert go("2d12h", days=True) == 216000
    assert go("7", bare=1) == 7
