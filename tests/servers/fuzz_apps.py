"""Mutated configurations of Envoy, Caddy, Traefik, Hypercorn and gunicorn against their readers.

python tests/servers/fuzz_apps.py 100000 [seed] prints how many, how long, and the slowest one.
"""

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "audit"))

from audit_tcp.probe.caddy import caddyfile
from audit_tcp.probe.caddy import config as caddy
from audit_tcp.probe.envoy import bootstrap as envoy
from audit_tcp.probe.gunicorn import config as gunicorn
from audit_tcp.probe.host import Host
from audit_tcp.probe.instances import Instance, naming
from audit_tcp.probe.readers import python_config, toml_subset, yaml_subset
from audit_tcp.probe.readers.tree import folded, snake
from audit_tcp.probe.servers import Budget
from audit_tcp.probe.traefik import static as traefik

ENVOY = """# bootstrap
static_resources:
  listeners:
  - name: in
    address: { socket_address: { address: 0.0.0.0, port_value: 8080 } }
    tcp_backlog_size: 128
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/x.v3.HttpConnectionManager
          common_http_protocol_options: {idle_timeout: 30s, "max_requests_per_connection": 5}
          streamIdleTimeout: 0s
          text: |
            nothing: {here
          other: "a
            b"
  clusters:
    - name: app
      connect_timeout: 0.25s
      load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: /run/a}}}}]}]}
dynamic_resources: {cds_config: {}}
"""
JSON = '{"apps": {"http": {"servers": {"s": {"listen": [":443"], "idle_timeout": 30000000000,\n "routes": [{"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "10.0.0.1:80"}],\n "transport": {"protocol": "http", "keep_alive": {"idle_timeout": "1m"}}}]}]}}}}}'
TOML = """# static
[entryPoints.web]
address = ":80" # all
  [entryPoints.web.transport.respondingTimeouts]
  idleTimeout = "90s"
  readTimeout = 0x10
[serversTransport.forwardingTimeouts]
dialTimeout = '1m30s'
[[a.b]]
c = [[1, 2], ["x", {y = 1.5}]]
d.'e'."f" = \"\"\"long
text\"\"\"
"""
TRAEFIK = """entryPoints:
  web:
    address: ":80"
    transport:
      respondingTimeouts: {idleTimeout: 90, readTimeout: 0s}
serversTransport:
  maxIdleConnsPerHost: 7
  forwardingTimeouts:
    idleConnTimeout: 10s
"""
CADDY = """{
\tservers :443 {
\t\ttimeouts {
\t\t\tidle 1m
\t\t}
\t}
}
(common) {
\treverse_proxy {args[0]} {
\t\ttransport http {
\t\t\tkeepalive {$KEEP:30s}
\t\t}
\t}
}
example.com, http://a.example {
\timport common 10.0.0.1:80
\theader X "a \\" b" `raw`
\trespond <<HERE
text
HERE
}
"""
PYTHON = """import os
bind = ["127.0.0.1:80", f"0.0.0.0:{os.getenv('PORT', '8000')}"]
keepalive = int(os.environ.get("KEEP", "5")) + 2 * -1
if True:
    threads = 4
def worker_class():
    backlog = '''text'''
timeout = (30 or 2) / 3
"""
SAMPLES = [("envoy", ENVOY), ("json", JSON), ("toml", TOML), ("traefik", TRAEFIK), ("caddy", CADDY), ("python", PYTHON)]
PIECES = ["{", "}", "[", "]", '"', "'", '"""', "`", "\\", "\n", "\n  ", "\t", ": ", "- ", "#", ",", "|\n", "&a ", "*a ", "<<EOF\n", "import x\n",
          "(", ")", "-", "+", "1e999", "9" * 50, "{$A}", "{args[0]}", "\0", "\ufeff", "import *\n", "=", ".", "lambda: ", "~", "not ", "\r\n", "é", "- - ", "? "]  # fmt: skip
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "others"


def _samples():
    found = list(SAMPLES)
    kinds = {".toml": "toml", ".yaml": "envoy", ".yml": "traefik", ".py": "python", ".txt": "caddy"}
    for path in sorted(CORPUS.glob("*")) if CORPUS.is_dir() else ():
        kind = "caddy" if path.name.endswith("Caddyfile") else kinds.get(path.suffix)
        if kind:
            found.append((kind, path.read_text(errors="replace")))
    return found


ALL = _samples()


def mutate(chance: random.Random):
    """A kind of configuration and a text that is no longer a good one."""
    kind, text = chance.choice(ALL)
    for _ in range(chance.randint(1, 6)):
        at, end = sorted(chance.randint(0, len(text)) for _ in range(2))
        how = chance.randint(0, 6)
        if how == 0:
            text = text[:at] + text[at + chance.randint(1, 9) :]
        elif how == 1:
            text = text[:at] + chance.choice(PIECES) + text[at:]
        elif how == 2:
            text = text[:at] + chance.choice(PIECES) * chance.choice((2, 70, 3000)) + text[at:]
        elif how == 3:
            text = text[:at] + text[at:end][:2000] * 3 + text[end:]
        elif how == 4:
            text = text[:at]
        elif how == 5:
            other = chance.choice(ALL)[1]
            cut = chance.randint(0, len(other))
            text = text[:at] + other[cut : cut + 300] + text[at:]
        else:
            text = (
                text[:at] + chr(chance.choice((0, 9, 10, 13, 34, 39, 92, 123, 125, 133, 8232, 55357))) + text[at + 1 :]
            )
    return kind, text[:200000]


HOST = Host("/nowhere/at/all")


def parse(data):
    """Everything that the collectors would make of it; returns the subjects and what is refused."""
    kind, text = data
    instance = Instance(kind, HOST)
    if kind in ("envoy", "json"):
        root, problems = yaml_subset.parse(text)
        folded(root, snake)
        bootstrap = envoy._Bootstrap(instance, root, "/f")
        bootstrap.dynamic()
        found = [*bootstrap.listeners(), *bootstrap.clusters()]
        servers = root.get("apps", "http", "servers")
        for _, server in servers.items() if servers else ():
            found += caddy._json_proxies(instance, server, "/f")
        return found, problems
    if kind in ("toml", "traefik"):
        root, problems = toml_subset.parse(text) if kind == "toml" else yaml_subset.parse(text)
        folded(root, str.lower)
        return list(traefik._subjects(instance, root, "/f", naming())), problems
    if kind == "caddy":
        told = []
        reader = caddyfile.Reader(
            Budget(HOST), lambda asked: {} if len(text) % 2 else None, lambda where, what: told.append((where, what))
        )
        directives = reader.expanded(reader.parse(text, "/f"))
        return list(caddy._Caddyfile(instance, directives).subjects()), told
    found, problems = python_config.settings(text, {})
    given = {}
    for name in ("keepalive", "timeout", "backlog", "threads", "bind", "worker_class", "worker_connections"):
        if name in found.lines and (name in found.unknown or not gunicorn._set(given, name, found.values[name], "/f")):
            given[name] = (None, "/f")
    return list(gunicorn._subjects(instance, given, {}, naming(), None)), problems


def run(count, seed):
    """Parses `count` mutations. Returns the seconds in all, the slowest one, and its number."""
    chance = random.Random(seed)
    slowest, which = 0.0, 0
    begin = time.monotonic()
    for number in range(count):
        data = mutate(chance)
        start = time.monotonic()
        try:
            parse(data)
        except Exception:
            sys.stderr.write(f"seed {seed} number {number} kind {data[0]}: {data[1][:3000]!r}\n")
            raise
        took = time.monotonic() - start
        if took > slowest:
            slowest, which = took, number
    return time.monotonic() - begin, slowest, which


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    spent, worst, number = run(total, start_seed)
    sys.stdout.write(f"{total} inputs, {spent:.1f} s, slowest {worst:.3f} s (number {number})\n")
