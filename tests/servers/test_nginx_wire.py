"""nginx on loopback: when it closes is what the collector reads, and what `nginx -T` takes the collector takes."""

import concurrent.futures
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from ports import free_port

from audit_tcp import servers, snapshot
from audit_tcp.probe import listeners, take
from audit_tcp.probe.host import Host
from audit_tcp.probe.nginx import found as nginx_found
from audit_tcp.probe.nginx import instance as nginx_instance

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = [pytest.mark.wire, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]

EARLY, LATE = 0.15, 0.9
"""Seconds that a close may come before and after the timer: nginx rounds timers down to its clock's tick, and a busy
machine is late."""

FRAME = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {http}
}}
"""

SNIPPET = "keepalive_timeout 1200ms;\n"

# id, what stands in the server block, the Host and path that are asked for, and how the subject's name ends
CLIENTS = [
    ("from http", "location / { return 200 ok; }", "a", "/", ""),
    ("server", "keepalive_timeout 1s; location / { return 200 ok; }", "a", "/", ""),
    ("milliseconds", "keepalive_timeout 1500ms; location / { return 200 ok; }", "a", "/", ""),
    ("two arguments", "keepalive_timeout 1 30; location / { return 200 ok; }", "a", "/", ""),
    ("two units", "keepalive_timeout '1s 300ms'; location / { return 200 ok; }", "a", "/", ""),
    ("off in server", "keepalive_timeout 0; location / { return 200 ok; }", "a", "/", ""),
    ("off with a second argument", "keepalive_timeout 0 20; location / { return 200 ok; }", "a", "/", ""),
    ("location", "location / { return 200 ok; } location /s { keepalive_timeout 3; return 200 ok; }", "a", "/s", " /s"),
    ("beside a location", "location / { return 200 ok; } location /s { keepalive_timeout 3; return 200 ok; }", "a", "/", ""),
    ("off in location", "location / { return 200 ok; } location = /off { keepalive_timeout 0s; return 200 ok; }", "a", "/off", " = /off"),
    ("within a location", "location /o { keepalive_timeout 1; location /o/i { return 200 ok; } }", "a", "/o/i", " /o"),
    ("regular expression", r"location ~ '^/[a-z]{2}\.x$' { keepalive_timeout 1; return 200 ok; }", "a", "/ab.x", r" ~ ^/[a-z]{2}\.x$"),
    ("if in location", "location / { keepalive_timeout 1; if ($request_method = GET) { return 200 ok; } }", "a", "/", " /"),
    ("included", "include snippets/*.conf; location / { return 200 ok; }", "a", "/", ""),
    ("one request", "keepalive_requests 1; location / { return 200 ok; }", "a", "/", ""),
    ("no request", "keepalive_requests 0; location / { return 200 ok; }", "a", "/", ""),
]  # fmt: skip

VHOSTS = """
server { listen 127.0.0.1:%(port)d; server_name one; keepalive_timeout 1; client_header_timeout 1; location / { return 200 ok; } }
server { listen 127.0.0.1:%(port)d; server_name two; keepalive_timeout 3; client_header_timeout 3; location / { return 200 ok; } }
server { listen 127.0.0.1:%(port)d; server_name off; keepalive_timeout 0; location / { return 200 ok; } }
server { listen 127.0.0.1:%(port)d; listen 127.0.0.1:%(other)d backlog=33; server_name both; client_header_timeout 3; }
"""
NAMED = [("one", " one"), ("two", " two"), ("off", " off"), ("nobody", " one")]

HTTP2 = """
server { listen 127.0.0.1:%(port)d http2 backlog=77 so_keepalive=10m:20s:3; server_name h2; keepalive_timeout 1;
    location / { keepalive_timeout 3; return 200 ok; } }
"""

UPSTREAMS = """
map $http_upgrade $either { default upgrade; '' close; }
map $http_upgrade $neither { default upgrade; '' ''; }
upstream kept { server 127.0.0.1:%(backend)d; keepalive 4; keepalive_timeout 2s; }
upstream old { server 127.0.0.1:%(backend)d; keepalive 4; }
upstream before { server 127.0.0.1:%(backend)d; keepalive 4; least_conn; }
upstream behind { server 127.0.0.1:%(backend)d; least_conn; keepalive 4; keepalive_timeout 1s; }
upstream mapped { server 127.0.0.1:%(backend)d; keepalive 4; keepalive_timeout 1s; }
upstream emptied { server 127.0.0.1:%(backend)d; keepalive 4; keepalive_timeout 1s; }
upstream headers { server 127.0.0.1:%(backend)d; keepalive 4; keepalive_timeout 1s; }
server {
    listen 127.0.0.1:%(port)d; server_name up; proxy_http_version 1.1; proxy_set_header Connection "";
    location /kept { proxy_pass http://kept/; }
    location /old { proxy_http_version 1.0; proxy_pass http://old; }
    location /before { proxy_pass http://before; }
    location /behind { proxy_pass http://behind; }
    location /mapped { proxy_set_header Connection $either; proxy_pass http://mapped; }
    location /emptied { proxy_set_header Connection $neither; proxy_pass http://emptied; }
    location /headers { proxy_set_header X-Other 1; proxy_pass http://headers; }
    location /implicit { proxy_pass http://127.0.0.1:%(backend)d; }
}
"""
WAYS = ["kept", "old", "before", "behind", "mapped", "emptied", "headers", "implicit"]


def wait_for(port, deadline=10):
    end = time.monotonic() + deadline
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def write(folder, http):
    (folder / "snippets").mkdir()
    (folder / "snippets" / "idle.conf").write_text(SNIPPET)
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(FRAME.format(folder=folder, user=user, http=http))
    return main


class Backend:
    """Answers every request, with `Connection: close` where it is asked to close as servers do, but leaves that to
    nginx; says how long nginx leaves the connection idle."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.idle = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one):
        with one:
            one.settimeout(30)
            data, name, answered = b"", None, 0
            try:
                while True:
                    part = one.recv(65536)
                    if not part:
                        break
                    data += part
                    if b"\r\n\r\n" in data:
                        name = name or re.search(rb"x-case: (\w+)", data, re.IGNORECASE).group(1).decode()
                        closes = b"connection: close" in data.lower() or b" HTTP/1.0\r\n" in data
                        data = b""
                        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\nok"
                        one.sendall(answer % (b"Connection: close\r\n" if closes else b""))
                        answered = time.monotonic()
            except OSError:
                pass
            if name:
                self.idle.setdefault(name, time.monotonic() - answered)


def closes_after(port, host, path, case="x"):
    """Seconds from the end of a response until nginx closes, and the response's head."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Case: {case}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data or not data.endswith(b"ok"):
            part = one.recv(65536)
            assert part, data
            data += part
        start = time.monotonic()
        assert one.recv(1) == b""
        return time.monotonic() - start, data.partition(b"\r\n\r\n")[0].decode()


def header_closes_after(port, host):
    """Seconds until nginx gives up a request whose header does not end."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as one:
        start = time.monotonic()
        one.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nX-Slow: ".encode())
        while one.recv(4096):
            pass
        return time.monotonic() - start


def h2_closes_after(port):
    """Seconds from the last frame of a response over HTTP/2 until nginx closes."""
    block = b"\x82\x86\x04\x01/\x41\x02h2"
    frame = len(block).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + block
    with socket.create_connection(("127.0.0.1", port), timeout=15) as one:
        one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + frame)
        data = b""
        while b"ok" not in data:
            part = one.recv(65536)
            assert part, data
            data += part
        start = time.monotonic()
        while one.recv(4096):
            pass
        return time.monotonic() - start


class Measured:
    """What was seen on the wire, and what the collector and the catalog say of the same nginx while it ran."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    backend = Backend()
    ports = [free_port() for _ in CLIENTS]
    vhosts, other, http2, upstreams = free_port(), free_port(), free_port(), free_port()
    blocks = "\n".join(
        f"server {{ listen 127.0.0.1:{port}; {case[1]} }}" for port, case in zip(ports, CLIENTS, strict=True)
    )
    parts = [
        VHOSTS % {"port": vhosts, "other": other},
        HTTP2 % {"port": http2},
        UPSTREAMS % {"port": upstreams, "backend": backend.port},
    ]
    main = write(folder, "keepalive_timeout 2s;\n" + blocks + "".join(parts))
    process = subprocess.Popen([NGINX, "-c", main, "-p", folder])
    found = Measured()
    try:
        wait_for(upstreams)
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            idle = {
                case[0]: pool.submit(closes_after, port, *case[2:4]) for port, case in zip(ports, CLIENTS, strict=True)
            }
            idle.update({name: pool.submit(closes_after, vhosts, name, "/") for name, _ in NAMED})
            headers = {name: pool.submit(header_closes_after, vhosts, name) for name in ("one", "two", "both")}
            headers["other"] = pool.submit(header_closes_after, other, "both")
            h2 = pool.submit(h2_closes_after, http2)
            ways = [pool.submit(closes_after, upstreams, "up", "/" + name, name) for name in WAYS]
            document = take(Host("/"), ["nginx"])
            found.listeners = [facts for _, name, facts in listeners.collect(Host("/")) if name.endswith(f":{http2}")]
            found.idle = {name: one.result() for name, one in idle.items()}
            found.headers = {name: one.result() for name, one in headers.items()}
            found.h2 = h2.result()
            assert all(one.result() for one in ways)
        end = time.monotonic() + 10
        while len(backend.idle) < len(WAYS) and time.monotonic() < end:
            time.sleep(0.05)
        found.ways = dict(backend.idle)
    finally:
        process.terminate()
        process.wait(10)
        backend.listener.close()
    found.main, found.ports, found.vhosts, found.http2, found.upstreams = main, ports, vhosts, http2, upstreams
    found.other = other
    found.backend = backend.port
    found.document = document
    found.subjects = servers.fill(snapshot.parse(json.dumps(document).encode(), "it")).subjects
    return found


def subject(seen, port, ending):
    """The server on a port; `ending` tells its location or its name."""
    found = [
        one for one in seen.subjects if one.kind == "server" and one.facts["listen"].value == (f"127.0.0.1:{port}",)
    ]
    return next(one for one in found if one.name.endswith(f":{port}{ending}"))


def assert_close(measured, said):
    assert said - EARLY <= measured <= said + LATE, f"closes after {measured:.3f} s, the collector says {said} s"


@pytest.mark.parametrize("case", CLIENTS, ids=[case[0] for case in CLIENTS])
def test_nginx_closes_when_the_collector_says(seen, case):
    facts = subject(seen, seen.ports[CLIENTS.index(case)], case[4]).facts
    after, head = seen.idle[case[0]]
    assert_close(after, facts["idle_timeout_s"].value)
    advertised = re.search(r"Keep-Alive: timeout=(\d+)", head)
    assert (int(advertised.group(1)) if advertised else None) == (
        facts["advertised_idle_s"].value if "advertised_idle_s" in facts else None
    )
    assert ("Connection: close" in head) == (not facts["keepalive"].value)


@pytest.mark.parametrize(("name", "ending"), NAMED)
def test_the_server_that_is_asked_for_decides(seen, name, ending):
    assert_close(seen.idle[name][0], subject(seen, seen.vhosts, ending).facts["idle_timeout_s"].value)


@pytest.mark.parametrize("name", ["one", "two", "both"])
def test_the_default_server_decides_on_the_header(seen, name):
    assert_close(seen.headers[name], subject(seen, seen.vhosts, " " + name).facts["header_timeout_s"].value)


def test_where_a_server_is_the_default_its_own_header_timer_holds(seen):
    facts = subject(seen, seen.other, " both").facts
    assert facts["backlog"].value == 33
    assert facts["header_timeout_s"].value == 3
    assert_close(seen.headers["other"], 3)


def test_over_http_2_a_location_does_not_count(seen):
    facts = subject(seen, seen.http2, " h2 /").facts
    assert facts["idle_timeout_s"].value == 3
    assert_close(seen.h2, facts["h2_idle_timeout_s"].value)


def test_the_backlog_is_the_socket_s(seen):
    facts = subject(seen, seen.http2, " h2").facts
    assert [one["smallest_backlog"]["value"] for one in seen.listeners] == [facts["backlog"].value] == [77]
    assert [facts[name].value for name in ("so_keepalive", "keepidle_s", "keepintvl_s", "keepcnt")] == [
        True,
        600,
        20,
        3,
    ]


@pytest.mark.parametrize("name", WAYS)
def test_the_pool_keeps_what_the_collector_says(seen, name):
    shown = f"http://127.0.0.1:{seen.backend}" if name == "implicit" else name
    facts = next(one for one in seen.subjects if one.kind == "upstream" and one.name.endswith(" " + shown)).facts
    said = facts["idle_timeout_s"].value if facts["reuse"].value else 0
    assert_close(seen.ways[name], said)
    assert facts["reuse"].value is (name in ("kept", "behind", "emptied"))


def test_the_running_nginx_is_found_with_its_version(seen):
    config = next(one for one in seen.subjects if one.kind == "config" and one.facts["path"].value == str(seen.main))
    version = re.search(r"nginx/([\d.]+)", subprocess.run([NGINX, "-v"], capture_output=True, text=True).stderr).group(
        1
    )
    assert ".".join(map(str, config.facts["version"].value)) == version
    assert config.facts["running"].value is True
    assert config.facts["unreadable"].value == ()
    parts = [one.facts for one in seen.subjects if one.kind == "config" and one.name.startswith(config.name)]
    told = " ".join(text for facts in parts if "no_effect" in facts for text in facts["no_effect"].value)
    assert "client_header_timeout" in told
    assert ("least_conn stands behind" in told) == (config.facts["version"].value < (1, 29, 7))
    assert len([facts for facts in parts if facts.get("unit_traps") and facts["unit_traps"].value]) == 1


def test_nginx_reads_the_same_files(seen):
    done = subprocess.run([NGINX, "-T", "-c", seen.main, "-p", seen.main.parent], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    notes = nginx_instance.Notes(Host("/"))
    read = nginx_instance.Configuration(Host("/"), str(seen.main), nginx_instance.KEPT, notes)
    assert re.findall(r"^# configuration file (.*):$", done.stdout, re.MULTILINE) == read.paths


# what nginx -t says yes and no to; the collector has to agree
CHECKED = [
    ("keepalive_timeout 1m30s;", True), ("keepalive_timeout 5 6;", True), ("keepalive_timeout '1h 30';", True),
    ("keepalive_timeout '5 5ms';", False), ("keepalive_timeout '5 1d';", False), ("keepalive_timeout 1.5s;", False), ("keepalive_timeout -1;", False), ("keepalive_timeout 75S;", False),
    ("keepalive_timeout 2M;", False), ("keepalive_timeout '30 s';", False), ("keepalive_timeout 5 500ms;", False),
    ("keepalive_timeout 1 2 3;", False), ("keepalive_timeout;", False), ("keepalive_timeout '';", False),
    ("keepalive_timeout 5; keepalive_timeout 6;", False), ("keepalive_requests 1k;", False), ("keepalive_time 1d;", True),
    ("keepalive_timeout 5; server { keepalive_timeout 6; }", True),
    ("server { location / { client_header_timeout 5; } }", False),
    ("server { location / { if ($arg_a) { keepalive_timeout 5; } } }", False),
    ("server { location / { } location / { } }", False), ("server { location / { } location = / { } }", True),
    ("server { location /a { } location ^~ /a { } }", False), ("server { location ~ a { } location ~ a { } }", True),
    ("server { listen 8080; listen *:8080; }", False), ("server { listen 8080 backlog=0; }", False),
    ("server { listen 8080 backlog=5; } server { listen 8080 so_keepalive=on; }", False),
    ("server { listen 8080 backlog=5; } server { listen 8080; server_name b; }", True),
    ("server { listen 8080 default_server; } server { listen 8080 default_server; }", False),
    ("server { listen 8080 so_keepalive=::; }", False), ("server { listen 8080 so_keepalive=30m::10; }", True),
    ("server { listen 8080 so_keepalive=1:2:x; }", False), ("server { listen 65536; }", False),
    ("upstream a { server 127.0.0.1; keepalive 4; keepalive 4; }", False),
    ("upstream a { server 127.0.0.1; } upstream A { server 127.0.0.1; }", False),
    ("upstream a { server 127.0.0.1; keepalive x; }", False), ("upstream a { server 127.0.0.1; keepalive_time 3h; }", True),
    ("proxy_http_version 1.2;", False), ("proxy_socket_keepalive ON;", True), ("proxy_socket_keepalive yes;", False),
    ("proxy_set_header A;", False), ("include none/*.conf;", True), ("include none.conf;", False),
    ("server { location / { proxy_pass http://127.0.0.1; } }", True),
    ("server { keepalive_timeout 5 }", False), ("server {", False), ("}", False), (";", False),
    ("map $uri $a { default 'x'y; }", False), ("map $uri $a { '~^/x{2}$' 1; default \"a;b}\"; }", True),
    ("log_format a '${uri}{' \"\\\"\" $uri{x;", False), ("log_format b ${uri}x '\\'{';", True),
]  # fmt: skip


@pytest.mark.parametrize(("http", "legal"), CHECKED)
def test_nginx_and_the_collector_agree(tmp_path, http, legal):
    main = write(tmp_path, http)
    done = subprocess.run([NGINX, "-t", "-c", main, "-p", tmp_path], capture_output=True, text=True)
    assert (done.returncode == 0) is legal, done.stderr
    host = Host("/")
    notes = nginx_instance.Notes(host)
    read = nginx_instance.Configuration(host, str(main), nginx_instance.KEPT, notes)
    version = nginx_found._version(nginx_found.processes.content(host, NGINX))
    list(nginx_instance.found_in(read, notes, version))
    assert (notes.unreadable == []) is legal, (notes.unreadable, done.stderr)
