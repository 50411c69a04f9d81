"""Throws broken nginx configurations at the collector: `python tests/servers/fuzz_nginx.py 100000 [seed]`."""

import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "audit"))

from audit_tcp.probe import nginx
from audit_tcp.probe.host import Host

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "nginx"

SAMPLES = [
    """events { }
http {
    keepalive_timeout 65 60; # as shipped
    map $http_upgrade $up { default upgrade; '' close; "a\\"b" c; }
    upstream app { server 10.0.0.1:80 weight=2; server unix:/run/a.sock; keepalive 8; keepalive_timeout 30s; least_conn; }
    server {
        listen 80 default_server backlog=1024 so_keepalive=10m::5; listen [::]:80; server_name a.example *.b.example;
        location / { proxy_pass http://app/; proxy_http_version 1.1; proxy_set_header Connection ""; }
        location ~ "^/x{2,3}\\.php$" { fastcgi_pass unix:/run/php.sock; fastcgi_keep_conn on; if ($arg_x) { proxy_pass http://$x; } }
        location /ws { proxy_set_header Connection $up; proxy_set_header Upgrade $http_upgrade; proxy_pass http://10.0.0.2:81; }
        location @n { grpc_pass grpc://app; keepalive_timeout '1m 30s'; limit_except GET { deny all; } }
        include conf.d/*.conf; include snippet.conf;
    }
}
""",
    """http { server { listen 8443 ssl http2; keepalive_timeout 0; keepalive_requests 1;
  location /lua { content_by_lua_block { local t = { a = "}" } -- } {
      --[==[ } ]==] ngx.say([[ } ]]) } send_timeout 500ms; }
  location /u { uwsgi_pass uwsgi://127.0.0.1:3031; uwsgi_read_timeout 5m; client_body_timeout 1h30m; } } }
stream { upstream db { server 10.0.0.3:5432; } proxy_timeout 1h;
  server { listen 5432 so_keepalive=on; proxy_pass db; proxy_socket_keepalive on; } server { listen 53 udp; proxy_pass 10.0.0.4:53; } }
""",
]

PIECES = [
    "{", "}", ";", '"', "'", "\\", "#", "${", "$", "\n", "\r", "\t", "\0", "\x0b", "\u2028", "[[", "]]", "--", "[=[",
    "include nginx.conf;", "include *;", "include /*/*;", "include conf.d/../nginx.conf;", "server {", "location / {",
    "http {", "stream {", "upstream a {", "listen 80;", "listen [::;", "listen unix:;", "backlog=-1", "so_keepalive=:::",
    "keepalive_timeout 9999999999999999999999;", "keepalive_timeout 1s1m;", "keepalive 1;", "x_by_lua_block {",
    "proxy_pass http://[;", "proxy_pass $;", "proxy_set_header a b;", "map $http_upgrade $x {", "9" * 300, "{" * 70, "}" * 70,
    "server_name " + "a." * 200 + ";", "\x1b[31m", "events", "default_server", "\ufeff", "\ud7ff",
]  # fmt: skip


def samples():
    """The built-in configurations and, where it is, the corpus."""
    return SAMPLES + [path.read_bytes().decode("utf-8", "replace") for path in sorted(CORPUS.glob("*"))]


_SAMPLES = samples()


def mutate(chance: random.Random) -> str:
    """A configuration with a few things wrong."""
    text = chance.choice(SAMPLES if chance.random() < 0.5 else _SAMPLES)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 20))):
        at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        kind = chance.randrange(6)
        if kind == 0:
            text = text[:at] + text[min(to, at + chance.randrange(1, 40)) :]
        elif kind == 1:
            text = text[:at] + text[at : at + 200] * chance.randrange(1, 6) + text[at:]
        elif kind == 2:
            text = text[:at] + chr(chance.randrange(1, 0x250)) + text[at + 1 :]
        elif kind == 3 and chance.random() < 0.2:
            text = text[:at]
        else:
            text = text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 1, 2, 50)) + text[at:]
    return text


def parse(text: str, folder: Path) -> list:
    """The subjects of a host whose nginx.conf is `text`; what they hold can be written as JSON."""
    (folder / "etc" / "nginx" / "nginx.conf").write_bytes(text.encode("utf-8", "replace"))
    host = Host(str(folder))
    found = list(nginx.collect(host))
    json.dumps([found, host.errors])
    names = [(kind, name) for kind, name, _ in found]
    assert len(set(names)) == len(names)
    assert all(name.isprintable() for _, name in names)
    return found


def run(count: int, seed: int) -> "tuple[float, float, str]":
    """Seconds in all, seconds of the slowest, and the slowest input."""
    chance = random.Random(seed)
    slowest, which = 0.0, ""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "etc" / "nginx" / "conf.d").mkdir(parents=True)
        (folder / "etc" / "nginx" / "snippet.conf").write_text("keepalive_requests 5;\n")
        (folder / "etc" / "nginx" / "conf.d" / "a.conf").write_text("location /c { send_timeout 5; }\n")
        for _ in range(count):
            text = mutate(chance)
            start = time.perf_counter()
            try:
                parse(text, folder)
            except Exception:
                sys.stderr.write(repr(text) + "\n")
                raise
            spent = time.perf_counter() - start
            if spent > slowest:
                slowest, which = spent, text
    return time.perf_counter() - begun, slowest, which


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    seconds, worst, text = run(number, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(
        f"{number} inputs in {seconds:.1f} s, the slowest {worst * 1000:.1f} ms ({len(text)} characters)\n"
    )
