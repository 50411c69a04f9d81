"""HAProxy itself against its collector: when it closes, what it listens with, what it keeps, accepts and warns of.

Two processes hold every frontend; all connections wait at the same time, so the file takes about five seconds.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ports import free_port

import trees
from audit_tcp import catalog
from audit_tcp.probe import haproxy, sock_diag
from audit_tcp.probe.host import Host

PROGRAM = shutil.which("haproxy") or "/usr/sbin/haproxy"

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="haproxy is not installed"),
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc"),
]

TOLERANCE_S = 0.6
"""How much later than its timer a close may arrive; it may come 0.1 s early, for the clock's grain."""

STILL_OPEN_S = 4
"""How long a connection that should never close is watched."""

DEADLINE_S = 10

ANSWER = " http-request return status 200 content-type text/plain string hi\n"
LONG = " timeout client 8s\n"

# name: what it asks and how, its section without the first line; {bind} is where it listens
FRONTENDS = {
    "ka": ("http", LONG + " timeout http-keep-alive 1s\n" + ANSWER),
    "ka-ms": ("http", LONG + " timeout http-keep-alive 1500\n" + ANSWER),
    "ka-us": ("http", LONG + " timeout http-keep-alive 2000000us\n" + ANSWER),
    "request": ("http", LONG + " timeout http-request 1s\n" + ANSWER),
    "ka-over-request": ("http", LONG + " timeout http-request 1s\n timeout http-keep-alive 2s\n" + ANSWER),
    "ka-zero": ("http", LONG + " timeout http-keep-alive 0\n timeout http-request 1s\n" + ANSWER),
    "client": ("http", " timeout client 1s\n" + ANSWER),
    "client-below-ka": ("http", " timeout client 1s\n timeout http-keep-alive 3s\n" + ANSWER),
    "twice": ("http", LONG + " timeout http-keep-alive 3s\n timeout http-keep-alive 1s\n" + ANSWER),
    "quoted": ("http", LONG + ' time"out" \'http-keep-alive\' "1"500 # ms\n' + ANSWER),
    "inherited": ("http", ANSWER),
    "overridden": ("http", " timeout http-keep-alive 1s\n" + ANSWER),
    "named from one": ("http", ANSWER),
    "close": ("http", LONG + " option httpclose\n" + ANSWER),
    "close-then-keep": ("http", " option httpclose\n option http-keep-alive\n" + ANSWER),
    "server-close": ("http", " option http-server-close\n" + ANSWER),
    "no-close from closing": ("http", " no option httpclose\n" + ANSWER),
    "closing from closing": ("http", ANSWER),
    "never from empty": ("http", " timeout http-keep-alive 1s\n" + ANSWER),
    "nothing from empty": ("http", ANSWER),
    "env": ("http", LONG + ' timeout http-keep-alive "${AUDIT_IDLE}"\n' + ANSWER),
    "env-default": ("http", LONG + ' timeout http-keep-alive "${AUDIT_NONE-1s}"\n' + ANSWER),
    "preset": ("http", LONG + ' timeout http-keep-alive "$PRESET"\n' + ANSWER),
    "h2": ("h2", " timeout client 1s\n timeout http-keep-alive 2s\n" + ANSWER),
    "header": ("header", LONG + " timeout http-request 1s\n" + ANSWER),
    "header-no-client from empty": ("header", " timeout http-request 1s\n" + ANSWER),
    "drip": ("drip", " timeout client 1s\n timeout http-keep-alive 1s\n" + ANSWER),
    "drip-request": ("drip", LONG + " timeout http-request 2s\n" + ANSWER),
    "header-client": ("header", " timeout client 1s\n timeout http-request 3s\n" + ANSWER),
    "tcp": ("tcp", " mode tcp\n timeout client 1s\n default_backend silent\n"),
    "tcp-server": ("tcp", " mode tcp\n timeout client 8s\n default_backend hasty\n"),
    "tcp-tunnel": ("tcp", " mode tcp\n timeout client 1s\n default_backend tunnels\n"),
    "tcp-switches": (
        "http",
        " mode tcp\n timeout http-keep-alive 1s\n tcp-request inspect-delay 3s\n tcp-request content switch-mode http if HTTP\n default_backend plain\n",
    ),
    "tcp-switches-request": (
        "http",
        " mode tcp\n timeout http-keep-alive 0\n timeout http-request 2s\n tcp-request inspect-delay 3s\n tcp-request content switch-mode http if HTTP\n default_backend plain\n",
    ),
    "tcp-to-http": ("http", " mode tcp\n timeout http-keep-alive 1s\n default_backend plain\n"),
    "buffers": ("body", LONG + " option http-buffer-request\n timeout http-request 1s\n default_backend plain\n"),
    "buffers-no-client from empty": (
        "body",
        " option http-buffer-request\n timeout http-request 1s\n default_backend plain\n",
    ),
    "backend-buffers": ("body", LONG + " timeout http-request 4s\n default_backend buffers\n"),
    "backend-inherits-buffers": ("body", LONG + " default_backend inherits\n"),
    "backend-waits-for-nothing": ("body", " timeout client 2s\n default_backend hurries\n"),
    "backend-closes": ("http", LONG + " timeout http-keep-alive 1s\n default_backend closes\n"),
}
FACT = {"header": "header_timeout_s", "drip": "header_timeout_s", "h2": "h2_idle_timeout_s"}

CONDITIONAL = {
    "if-true": " .if version_atleast(2.4) && !streq(a,b)\n timeout http-keep-alive 1s\n .else\n timeout http-keep-alive 3s\n .endif\n",
    "if-else": " .if defined(AUDIT_NONE)\n timeout http-keep-alive 3s\n .elif feature(NO_SUCH) || 0\n timeout client 3s\n .else\n timeout http-keep-alive 2s\n .endif\n",
    "if-env": ' .if streq("${AUDIT_IDLE}",2s) && feature(EPOLL)\n timeout http-keep-alive 1s\n .endif\n',
    "if-master": " .if defined(HAPROXY_MWORKER)\n timeout http-keep-alive 1s\n .else\n timeout http-keep-alive 3s\n .endif\n",
}


class Backend:
    """Accepts, answers each HTTP request it reads, and remembers what came and when each connection was closed."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self.requests, self.closed_after = {}, {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._socket.accept()[0],), daemon=True).start()

    def _serve(self, connection):
        data = b""
        answered = time.monotonic()
        with connection, contextlib.suppress(OSError):
            while part := connection.recv(65536):
                data += part
                if b"\r\n\r\n" in data:
                    self.requests.setdefault(data.split()[1].decode(), data)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                    answered, name, data = time.monotonic(), data.split()[1].decode(), b""
        with contextlib.suppress(UnboundLocalError):
            self.closed_after[name] = time.monotonic() - answered

    def close(self):
        self._socket.close()


def connect(port):
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def frame(kind, flags, stream, body=b""):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


HELLO = {
    "http": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
    "h2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 5, 1, b"\x82\x86\x84\x41\x01x"),
    "header": b"GET /x HT",
    "drip": b"GET /x HTTP/1.1\r\nHost: x\r\nX: ",
    "body": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    "tcp": b"x",
}


def dripping(port):
    """Seconds until a header ends to which a byte comes each 0.3 s; None: it is still open."""
    with connect(port) as client:
        client.sendall(HELLO["drip"])
        client.settimeout(0.3)
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begin < STILL_OPEN_S:
                try:
                    if not client.recv(65536):
                        break
                except TimeoutError:
                    client.sendall(b"x")
            else:
                return None
        return time.monotonic() - begin


def silence(kind, port):
    """Seconds from the end of the answer (of what was sent, where none comes) until the close; None: still open."""
    if kind == "drip":
        return dripping(port)
    with connect(port) as client:
        client.sendall(HELLO[kind])
        last, seen = time.monotonic(), b""
        client.settimeout(STILL_OPEN_S + 1)
        with contextlib.suppress(ConnectionResetError):
            while True:
                try:
                    part = client.recv(65536)
                except TimeoutError:
                    return None
                if not part:
                    break
                seen += part
                if kind not in ("header", "body") and not part.startswith(
                    b"\x00\x00\x08\x07"
                ):  # HTTP/2 says goodbye when it closes
                    last = time.monotonic()
        assert kind in ("tcp", "header", "body") or b"200" in seen or kind == "h2"
        return time.monotonic() - last


def sections(ports, silent):
    text = (
        "global\n maxconn 300\n presetenv PRESET 1s\n setenv PRESET 2s\ndefaults one\n mode http\n timeout connect 2s\n timeout server 8s\n"
        " timeout client 8s\n timeout http-keep-alive 1s\ndefaults closing from one\n option httpclose\ndefaults buffering from one\n option http-buffer-request\n timeout server 8s\ndefaults empty\n mode http\n"
        "defaults\n mode http\n timeout connect 2s\n timeout server 8s\n timeout client 8s\n timeout http-keep-alive 2s\n"
    )
    for (name, (kind, lines)), port in zip(FRONTENDS.items(), ports, strict=True):
        text += f"frontend {name}\n bind 127.0.0.1:{port}{' proto h2' if kind == 'h2' else ''}\n{lines}"
    for name, lines in (
        ("silent", ""),
        ("hasty", " timeout server 1s\n"),
        ("tunnels", " timeout tunnel 2s\n timeout server 1s\n"),
    ):
        text += f"backend {name}\n mode tcp\n{lines} server s 127.0.0.1:{silent.port}\n"
    for name, lines in (
        ("plain", ""),
        ("hurries", " timeout http-request 1s\n"),
        ("buffers", " option http-buffer-request\n timeout http-request 1s\n"),
        ("inherits from buffering", " timeout http-request 1s\n"),
    ):
        text += f"backend {name}\n{lines} server s 127.0.0.1:{silent.port}\n"
    return text + f"backend closes\n option httpclose\n server s 127.0.0.1:{silent.port}\n"


POOLS = {
    "pool-plain": ("", "pool-purge-delay 300"),
    "pool-none": ("", "pool-max-conn 0"),
    "pool-purged": ("", "pool-purge-delay 0"),
    "pool-server-close": (" option http-server-close\n", ""),
    "pool-close": (" option httpclose\n", ""),
}
BACKLOGS = {
    "bind": " bind {bind} backlog 7\n backlog 9\n",
    "proxy": " bind {bind}\n backlog 9\n maxconn 11\n",
    "maxconn": " bind {bind}\n maxconn 11\n",
    "bind-maxconn": " bind {bind} maxconn 5\n maxconn 11\n",
    "both": " bind {bind} maxconn 5\n backlog 9\n",
    "global": " bind {bind}\n",
}


class Running:
    """What the two processes do, and what the collector says of them."""

    def __init__(self, folder):
        self.silent = Backend()
        names = [*FRONTENDS, *CONDITIONAL, *POOLS, *BACKLOGS]
        self.ports = {name: free_port() for name in names}
        (folder / "main.cfg").write_text(sections([self.ports[name] for name in FRONTENDS], self.silent))
        (folder / "conf.d").mkdir()
        files = {
            "10-defaults.cfg": "global\n maxconn 200\ndefaults\n mode http\n timeout connect 2s\n timeout server 2s\n timeout client 8s\n",
            "20-sites.cfg": "".join(f"frontend {name}\n bind 127.0.0.1:{self.ports[name]}\n{text}{ANSWER}" for name, text in CONDITIONAL.items()),
            "30-pools.cfg": "".join(f"listen {name}\n bind 127.0.0.1:{self.ports[name]}\n{text} server s 127.0.0.1:{self.silent.port} {more}\n" for name, (text, more) in POOLS.items())
            + "".join(f"frontend b-{name}\n{text.format(bind=f'127.0.0.1:{self.ports[name]}')}{ANSWER}" for name, text in BACKLOGS.items()),
            ".hidden.cfg": "nonsense\n",
            "readme.txt": "nonsense\n",
        }  # fmt: skip
        for name, text in files.items():
            (folder / "conf.d" / name).write_text(text)
        environment = {**os.environ, "AUDIT_IDLE": "2s"}
        self.started = [
            subprocess.Popen([PROGRAM, "-db", *arguments], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
            for arguments in (["-f", "main.cfg"], ["-W", "-C", str(folder), "-f", "conf.d"])
        ]
        self.folder = folder

    def wait(self):
        for port in (*(self.ports[name] for name in FRONTENDS), self.ports["if-true"]):
            connect(port).close()
        self.wait_for_worker()
        self.host = Host()
        found = list(haproxy.collect(self.host))
        self.configs = [
            facts for kind, _, facts in found if kind == "config" and str(self.folder) in facts["path"]["value"]
        ]
        self.configs_by_files = {facts["files"]["value"]: facts for facts in self.configs}
        self.servers = {
            facts["listen"]["value"][0]: facts for kind, _, facts in found if kind == "server" and "listen" in facts
        }
        self.upstreams = {name: facts for kind, name, facts in found if kind == "upstream" and facts["addresses"]["value"] == [f"127.0.0.1:{self.silent.port}"]}  # fmt: skip
        self.listening = {one.port: one.backlog for one in sock_diag.listening(socket.AF_INET)}

    def wait_for_worker(self):
        """The ports answer before the master has forked the worker whose environment decides the conditions."""
        deadline = time.monotonic() + DEADLINE_S
        master = self.started[1].pid
        while not Path(f"/proc/{master}/task/{master}/children").read_text().split():
            assert time.monotonic() < deadline, "the master has forked no worker"
            time.sleep(0.02)
        self.once("if-true")

    def measure(self):
        jobs = {name: (kind, self.ports[name]) for name, (kind, _) in FRONTENDS.items()}
        jobs.update({name: ("http", self.ports[name]) for name in CONDITIONAL})
        with ThreadPoolExecutor(len(jobs) + len(POOLS)) as pool:
            pools = [pool.submit(self.once, name) for name in POOLS]
            results = {name: pool.submit(silence, *job) for name, job in jobs.items()}
            self.seconds = {name: result.result() for name, result in results.items()}
            for one in pools:
                one.result()

    def once(self, name):
        with connect(self.ports[name]) as client:
            client.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            client.recv(65536)

    def says(self, name):
        return self.servers[f"127.0.0.1:{self.ports[name]}"]

    def stop(self):
        for one in self.started:
            with contextlib.suppress(OSError):
                one.terminate()
            try:
                one.wait(3)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self.silent.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    it = Running(tmp_path_factory.mktemp("haproxy"))
    try:
        it.wait()
        it.measure()
        yield it
    finally:
        it.stop()


BODIES = {
    "buffers": 1,
    "buffers-no-client from empty": 1,
    "backend-buffers": 1,
    "backend-inherits-buffers": 1,
    "backend-waits-for-nothing": 2,
}
"""When half a body ends, by the timers above; `timeout http-request` of a backend holds where that buffers."""


@pytest.mark.parametrize("name", [name for name in (*FRONTENDS, *CONDITIONAL) if name not in BODIES])
def test_it_closes_when_the_collector_says(running, name):
    kind = FRONTENDS[name][0] if name in FRONTENDS else "http"
    expected = running.says(name)[FACT.get(kind, "idle_timeout_s")]["value"]
    measured = running.seconds[name]
    if expected == "unlimited":
        assert measured is None
    else:
        assert measured is not None
        assert expected - 0.1 <= measured <= expected + TOLERANCE_S


@pytest.mark.parametrize(("name", "seconds"), BODIES.items())
def test_the_body_is_waited_for_where_it_is_buffered(running, name, seconds):
    assert seconds - 0.1 <= running.seconds[name] <= seconds + TOLERANCE_S
    told = [
        text
        for text in running.configs_by_files[1]["no_effect"]["value"]
        if "http-request has no effect in a backend" in text
    ]
    assert len(told) == 1  # of the backend that buffers nothing


def test_the_table_covers_different_times(running):
    told = {running.says(name)["idle_timeout_s"]["value"] for name in FRONTENDS}
    assert told >= {0, 1, 1.5, 2, "unlimited"}


def test_the_default_is_to_keep_connections_for_ever(running):
    kind = catalog.kind("haproxy")
    version = tuple(running.configs[0]["version"]["value"])
    assert kind.defaults["server.idle_timeout_s"].at(version) == float("inf")
    assert running.seconds["nothing from empty"] is None


def test_a_master_and_its_workers_are_one_instance(running):
    assert [facts["running"]["value"] for facts in running.configs] == [True, True]
    main, other = sorted(running.configs, key=lambda facts: facts["files"]["value"])
    assert (main["path"]["value"], main["files"]["value"]) == (str(running.folder / "main.cfg"), 1)
    assert (other["path"]["value"], other["files"]["value"]) == (str(running.folder / "conf.d/10-defaults.cfg"), 3)
    assert main["unreadable"]["value"] == other["unreadable"]["value"] == []


def test_the_version_is_the_programs_own(running):
    shown = subprocess.run([PROGRAM, "-v"], capture_output=True, text=True, timeout=30).stdout
    found = re.search(r"version ([0-9]+)\.([0-9]+)(?:\.([0-9]+))?", shown)
    assert running.configs[0]["version"]["value"] == [int(part or 0) for part in found.groups()]


@pytest.mark.parametrize("name", BACKLOGS)
def test_the_backlog_is_what_the_collector_says(running, name):
    limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert running.listening[running.ports[name]] == min(limit, running.says(name)["backlog"]["value"])


@pytest.mark.parametrize("name", POOLS)
def test_what_it_keeps_toward_its_servers(running, name):
    facts = running.upstreams[f"haproxy listen {name}"]
    deadline = time.monotonic() + DEADLINE_S
    while f"/{name}" not in running.silent.closed_after and time.monotonic() < deadline:
        time.sleep(0.02)
    closed, request = running.silent.closed_after[f"/{name}"], running.silent.requests[f"/{name}"]
    version = tuple(facts["version"]["value"])
    assert request.split(b"\r\n")[0].endswith(
        b"HTTP/%.1f" % catalog.kind("haproxy").defaults["upstream.http_version"].at(version)
    )
    assert (b"connection: close" in request.lower()) == facts.get("sends_close", {}).get("value", False)
    reuses = facts.get("reuse", {}).get("value", catalog.kind("haproxy").defaults["upstream.reuse"].at(version))
    if reuses:
        delay = facts["pool_purge_s"]["value"]
        assert delay < closed < 6 * delay + TOLERANCE_S
    else:
        assert closed < TOLERANCE_S


# haproxy -c


def tables():
    path = Path(__file__).resolve().parents[1] / "probe" / "test_haproxy.py"
    spec = importlib.util.spec_from_file_location("haproxy_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = tables()

LENIENT = ("maxconn x\n", "backlog x\n")
"""Counts that are no numbers, which 2.6 reads as 0 without a word."""


def checked(tmp_path, text):
    file = trees.grow(tmp_path, {TABLES.MAIN: text}) / TABLES.MAIN[1:]
    done = subprocess.run([PROGRAM, "-c", "-f", str(file)], capture_output=True, text=True, timeout=30)
    subjects = list(haproxy.collect(Host(str(tmp_path))))
    return "[ALERT]" in done.stderr, done.stderr, {name: fact["value"] for name, fact in subjects[0][2].items()}


@pytest.mark.parametrize("text", [row[0] for row in TABLES.UNREADABLE])
def test_it_refuses_what_the_collector_cannot_read(tmp_path, text):
    refused, _, config = checked(tmp_path, text)
    assert refused == bool(config["unreadable"]) or text.endswith(LENIENT)


@pytest.mark.parametrize("text", [TABLES.TIMES + row[0] for row in TABLES.NO_EFFECT])
def test_it_accepts_and_warns_of_what_has_no_effect(tmp_path, text):
    refused, said, config = checked(tmp_path, text)
    assert not refused
    warned = set(re.findall(r"WARNING.*?parsing \[[^\]]*?:(\d+)\].*(?:ignored|overwriting)", said))
    told = {line for text in config["no_effect"] for line in [text.split(":")[1], *re.findall(r"line (\d+)", text)]}
    assert warned <= told
    assert not config["unreadable"]


PLAIN_CONDITIONS = [row for row in TABLES.CONDITIONS if not re.search("OPENSSL|ZLIB|version|strstr", row[0])]
"""Those that depend neither on how it was built nor on its version; strstr() came after 2.6."""


@pytest.mark.parametrize(("text", "expected"), PLAIN_CONDITIONS)
def test_it_decides_conditions_as_the_collector_does(tmp_path, text, expected):
    line = re.sub(r"(['\"\\])", r"\\\1", text)
    file = trees.grow(tmp_path, {"a.cfg": f".if {line}\n.notice taken\n.endif\n"}) / "a.cfg"
    environment = {"A": "", "PATH": "/"}
    done = subprocess.run([PROGRAM, "-c", "-f", str(file)], capture_output=True, text=True, timeout=30, env=environment)
    if expected is None:
        assert "ALERT" in done.stderr
    else:
        assert ("'taken'" in done.stderr) == expected
