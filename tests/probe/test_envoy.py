"""Envoy's bootstrap: listeners, filters, clusters, forms of writing, bad input. Envoy itself does not run here."""

import pytest
from running import collected, everything, host, own, process

from audit_tcp.probe import envoy
from audit_tcp.probe.readers import yaml_subset

HCM = '{name: envoy.filters.network.http_connection_manager, typed_config: {"@type": type.googleapis.com/x.HttpConnectionManager%s}}'
LISTENER = """static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 0.0.0.0, port_value: 8080}}%s
    filter_chains:
    - filters:
      - %s
"""


def listener(settings="", more=""):
    return LISTENER % (more, HCM % (", " + settings if settings else ""))


def cluster(more):
    return "static_resources:\n  clusters:\n  - name: app\n" + "".join(f"    {line}\n" for line in more.splitlines())


AT = {"listen": ["0.0.0.0:8080"]}
SERVERS = [
    (listener(), AT),
    (listener("common_http_protocol_options: {idle_timeout: 75s}"), {**AT, "idle_timeout_s": 75}),
    (listener("commonHttpProtocolOptions: {idleTimeout: 0s}"), {**AT, "idle_timeout_s": "unlimited"}),
    (listener("common_http_protocol_options: {max_connection_duration: 600s, max_requests_per_connection: 9}"), {**AT, "max_age_s": 600, "max_requests": 9}),
    (listener("stream_idle_timeout: 300s, request_timeout: 0.5s, request_headers_timeout: 5s"),
     {**AT, "body_timeout_s": 300, "tunnel_timeout_s": 300, "request_timeout_s": 0.5, "header_timeout_s": 5}),
    (listener("", "\n    tcp_backlog_size: 64\n    additional_addresses: [{address: {socket_address: {address: '::', port_value: 81}}}]"),
     {"listen": ["0.0.0.0:8080", "[::]:81"], "backlog": 64}),
    (listener("", "\n    tcp_keepalive: {keepalive_time: 60, keepalive_probes: 3}"), {**AT, "so_keepalive": True, "keepidle_s": 60, "keepcnt": 3}),
    (LISTENER % ("", "{name: envoy.filters.network.tcp_proxy, typed_config: {'@type': x.TcpProxy, cluster: app, idle_timeout: 600s}}"),
     {**AT, "idle_timeout_s": 600, "tunnel_timeout_s": 600}),
    (LISTENER % ("", "name: envoy.http_connection_manager\n        config:\n          stream_idle_timeout: 1s"), {**AT, "body_timeout_s": 1, "tunnel_timeout_s": 1}),
    ('{"static_resources": {"listeners": [{"address": {"pipe": {"path": "/run/e"}},\n\t"filter_chains": [{"filters": [{"name": "http_connection_manager"}]}]}]}}',
     {"listen": ["unix:/run/e"]}),
    ("---\n" + listener().replace("\n", "\r\n") + "---\nother: document\n", AT),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), SERVERS)
def test_servers(tmp_path, text, facts):
    config, servers, _ = collected(envoy, host(tmp_path, {"/etc/envoy/envoy.yaml": text}))
    assert config["unreadable"] == []
    assert [own(found) for found in servers.values()] == [facts]


EXTENSION = "typed_extension_protocol_options:\n  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n    "
UPSTREAMS = [
    ("connect_timeout: 0.25s", {"addresses": [], "connect_timeout_s": 0.25}),
    (EXTENSION + "common_http_protocol_options: {idle_timeout: 4s, max_requests_per_connection: 1}",
     {"addresses": [], "idle_timeout_s": 4, "max_requests": 1, "reuse": False}),
    ("common_http_protocol_options: {idle_timeout: 4s}", {"addresses": [], "idle_timeout_s": 4}),
    (EXTENSION + "explicit_http_config: {http2_protocol_options: {}}", {"addresses": [], "http_version": 2}),
    (EXTENSION + "explicit_http_config:\n      http_protocol_options: {}", {"addresses": [], "http_version": 1.1}),
    ("upstream_connection_options: {tcp_keepalive: {keepalive_interval: 9}}", {"addresses": [], "so_keepalive": True, "keepintvl_s": 9}),
    ("load_assignment:\n  endpoints:\n  - lb_endpoints:\n    - endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}",
     {"addresses": ["10.0.0.1:80"]}),
]  # fmt: skip


@pytest.mark.parametrize(("more", "facts"), UPSTREAMS)
def test_upstreams(tmp_path, more, facts):
    config, _, upstreams = collected(envoy, host(tmp_path, {"/etc/envoy/envoy.yaml": cluster(more)}))
    assert config["unreadable"] == []
    assert list(upstreams) == ["envoy app"]
    assert own(upstreams["envoy app"]) == facts


def test_a_cluster_of_a_tcp_proxy_has_no_pool(tmp_path):
    text = (
        LISTENER % ("", "{name: tcp_proxy, typed_config: {cluster: app}}")
        + cluster("connect_timeout: 1s").partition("\n")[2]
    )
    _, servers, upstreams = collected(envoy, host(tmp_path, {"/etc/envoy/envoy.yaml": text}))
    assert upstreams["envoy app"]["mode"] == servers["envoy 0.0.0.0:8080"]["mode"] == "tcp"
    assert upstreams["envoy app"]["pool_size"] == 0


P = "/etc/envoy/envoy.yaml:"
BAD = [
    ("dynamic_resources: {ads_config: {}}\n", P + "1: dynamic_resources: what xDS sets is not known"),
    (listener("stream_idle_timeout: hunter2"), P + "7: a duration such as 10s is needed"),
    (listener("stream_idle_timeout: 5m"), P + "7: a duration such as 10s is needed"),
    (listener() + "a: {b: [\n", P + "9: a bracket is not closed"),
    (listener() + "a: *b\n", P + "8: anchors and aliases are not read"),
    (listener() + "a:\n\tb: c\n", P + "9: a tab where the indentation is"),
    (listener() + "just text\n", P + "8: no `key: value` here"),
    (listener() + 'a: "b\n', P + "8: a string does not end"),
    (listener() + "name: a\nname: b\n", P + "9: a key stands twice in one mapping"),
    (listener() + "<<: 5\n", P + "8: a merge key is not read"),
    (listener() + "a: " + "[" * 99, P + "8: nested more than 60 deep"),
    (listener() + "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 99)), P + "69: nested more than 60 deep"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), BAD)
def test_bad_input_is_told_by_its_place_and_the_rest_stays(tmp_path, text, told):
    one = host(tmp_path, {"/etc/envoy/envoy.yaml": text})
    config, servers, _ = collected(envoy, one)
    assert config["unreadable"] == [told]
    assert [f"{where}: {what}" for where, what in one.errors] == [told]
    assert len(servers) == (not text.startswith("dynamic"))


@pytest.mark.parametrize("content", [b"\0\1", b"#" * (50 << 20)])
def test_files_that_are_none(tmp_path, content):
    config, servers, _ = collected(envoy, host(tmp_path, {"/etc/envoy/envoy.yaml": content}))
    assert len(config["unreadable"]) == 1
    assert config["unreadable"][0].startswith(P + "1: ")
    assert servers == {}


def test_running_ones_and_their_words(tmp_path):
    files = {"/srv/e.yaml": listener(), "/var/lib/dpkg/status": "Package: envoy\nVersion: 1.31.2\n\n"}
    those = [
        process(7, "envoy -c e.yaml", cwd="/srv", exe="/usr/bin/envoy"),
        process(8, "envoy -c e.yaml", cwd="/srv", exe="/usr/bin/envoy"),
    ]
    config, servers, _ = collected(envoy, host(tmp_path, files, *those))
    assert (config["running"], config["path"], config["version"]) == (True, "/srv/e.yaml", [1, 31, 2])
    assert len(servers) == 1


def test_yaml_on_the_command_line(tmp_path):
    _, servers, _ = collected(
        envoy, host(tmp_path, {}, process(7, ["envoy", "--config-yaml", listener("request_timeout: 9s")]))
    )
    assert [found["request_timeout_s"] for found in servers.values()] == [9]


def test_two_chains_have_names_of_their_own(tmp_path):
    text = listener("request_timeout: 1s") + "    - filters:\n      - " + HCM % ", request_timeout: 2s" + "\n"
    _, servers, _ = collected(envoy, host(tmp_path, {"/etc/envoy/envoy.yaml": text}))
    assert list(servers) == ["envoy 0.0.0.0:8080", "envoy 0.0.0.0:8080 (/etc/envoy/envoy.yaml:9)"]


def test_no_secret_leaves(tmp_path):
    text = (
        listener("stream_idle_timeout: hunter2, request_timeout: [hunter2]")
        + "password: hunter2\nhunter2: {a: hunter2\n"
    )
    assert "hunter2" not in everything(envoy, host(tmp_path, {"/etc/envoy/envoy.yaml": text}))


@pytest.mark.parametrize("address", ["u:hunter2@h", "http://u:hunter2@h/hunter2", "'::1'"])
def test_an_address_is_told_without_its_user(tmp_path, address):
    at = f"address: {{socket_address: {{address: {address}, port_value: 1}}}}"
    backend = cluster("load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {" + at + "}}]}]}")
    text = listener().replace("address: {socket_address: {address: 0.0.0.0, port_value: 8080}}", at)
    one = host(tmp_path, {"/etc/envoy/envoy.yaml": text + backend.partition("\n")[2]})
    _, servers, upstreams = collected(envoy, one)
    shown = "[::1]:1" if "::1" in address else "h:1"
    assert [facts["listen"] for facts in servers.values()] == [[shown]]
    assert [facts["addresses"] for facts in upstreams.values()] == [[shown]]
    assert "hunter2" not in everything(envoy, one)


def bare(node):
    if isinstance(node.value, dict):
        return {key: bare(below) for key, below in node.value.items()}
    return [bare(below) for below in node.value] if isinstance(node.value, list) else node.value


YAML = [
    ("a: b # c\nd: 'e # f'\n", {"a": "b", "d": "e # f"}),
    ("a: b#c\n'd e': \"f\\n\\x41\"\n", {"a": "b#c", "d e": "f\nA"}),
    ("a:\n- b\n- c: d\n  e: f\n-\n  g: h\n", {"a": ["b", {"c": "d", "e": "f"}, {"g": "h"}]}),
    ("- - a\n  - b\n- []\n", [["a", "b"], []]),
    ("a: |\n  b: c\n\n  d\ne: >-\n  f\ng: h\n", {"a": None, "e": None, "g": "h"}),
    ("a: b\n  c\n  d\ne: f\n", {"a": "b c d", "e": "f"}),
    ("a: {b: c, 'd': [e, f],\n  g: {}, h}\n", {"a": {"b": "c", "d": ["e", "f"], "g": {}, "h": None}}),
    ("a: http://x:80/#y\nb: ~\nc: !!str d\n", {"a": "http://x:80/#y", "b": None, "c": "d"}),
    ('{"a": [1, true, null],\n\t"b":{"c":"d"}}\n', {"a": ["1", "true", None], "b": {"c": "d"}}),
    ("", None), ("# only\n", None), ("text\n", "text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), YAML)
def test_yaml(text, value):
    root, problems = yaml_subset.parse(text)
    assert problems == []
    assert bare(root) == value
