"""Client libraries on the wire: when they close an idle connection, what makes them, and what the catalog says of it.

A server of the test answers one request on loopback and never closes first, unless the scenario says so. What the
client does next is held against the catalog's kind of the installed version.
"""

import asyncio
import contextlib
import importlib.metadata
import json
import math
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from audit_tcp import catalog

pytestmark = pytest.mark.wire

EARLY, LATE = 0.6, 2.5
"""Seconds that a client may close before and after its timer says: pools look at their connections every so often."""

PATIENCE = 7.0
"""Seconds without an end after which a connection counts as kept; longer than the shortest timer of a lazy pool."""

HINT = 3
"""What the server advertises in the scenario `hint`: Keep-Alive: timeout=3."""

SCENARIOS = ("idle", "hint", "peer_closes")


@dataclass
class Connection:
    """One accepted connection: the client's port, when it was answered, and when the client closed it."""

    port: int
    answers: list = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    end: float = math.inf


class Server:
    """Answers requests; `scenario` decides what it tells and whether it closes its own side half a second later."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.connections = []
        self.answered = threading.Semaphore(0)
        self.url = ""

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def stop(self):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        one = Connection(writer.get_extra_info("peername")[1])
        self.connections.append(one)
        hint = f"Keep-Alive: timeout={HINT}\r\n" if self.scenario == "hint" else ""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 200 OK\r\n{hint}Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok".encode())
                await writer.drain()
                one.answers.append(time.monotonic())
                self.answered.release()
                if self.scenario == "peer_closes":
                    await asyncio.sleep(0.5)
                    writer.write_eof()
        one.end = time.monotonic()
        one.ended.set()
        writer.close()


class Loop:
    """An event loop that runs in a thread of its own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def loop():
    running = Loop()
    yield running
    running.close()


class Httpx:
    def __init__(self, module):
        self._client = module.Client(trust_env=False)
        self.get, self.close = self._client.get, self._client.close


class Httpcore:
    def __init__(self, module):
        self._pool = module.ConnectionPool()
        self.close = self._pool.close

    def get(self, url):
        self._pool.request("GET", url)


class Requests:
    def __init__(self, module):
        self._session = module.Session()
        self._session.trust_env = False
        self.get, self.close = self._session.get, self._session.close


class Urllib3:
    def __init__(self, module):
        self._pool = module.PoolManager()
        self.close = self._pool.clear

    def get(self, url):
        self._pool.request("GET", url)


class Aiohttp:
    def __init__(self, module):
        self._loop = Loop()
        self._session = self._loop.run(self._made(module))

    async def _made(self, module):
        return module.ClientSession()

    async def _get(self, url):
        async with self._session.get(url) as response:
            await response.read()

    def get(self, url):
        self._loop.run(self._get(url))

    def close(self):
        self._loop.run(self._session.close())
        self._loop.close()


NODE = """
const http = require("http");
const request = {
  agent: (url) => http.get(url, (response) => response.resume()),
  fetch: (url) => fetch(url).then((response) => response.text()),
};
require("readline").createInterface({input: process.stdin})
  .on("line", (line) => request[process.argv[1]](line)).on("close", () => process.exit());
"""


class Node:
    """A node process that requests each URL that it is told, with its global agent or with fetch."""

    def __init__(self, how):
        self._process = subprocess.Popen(
            ["node", "-e", NODE, how], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def get(self, url):
        self._process.stdin.write(url + "\n")
        self._process.stdin.flush()

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()


PYTHON = {
    "httpx": ("httpx", Httpx),
    "httpcore": ("httpcore", Httpcore),
    "requests": ("requests", Requests),
    "urllib3": ("urllib3", Urllib3),
    "aiohttp-client": ("aiohttp", Aiohttp),
}
NODES = {"node-agent": ("agent", "node"), "undici": ("fetch", "undici")}
CLIENTS = [*PYTHON, *NODES]


def installed(client):
    """How to make the client, and its version; None where it is not installed."""
    if client in NODES:
        how, program = NODES[client]
        if not shutil.which("node"):
            return None
        found = subprocess.run(["node", "-p", "JSON.stringify(process.versions)"], capture_output=True, timeout=20)
        version = json.loads(found.stdout).get(program)  # fetch came with node 18
        return version and ((lambda: Node(how)), version)
    package, adapter = PYTHON[client]
    try:
        module = importlib.import_module(package)
    except ImportError:
        return None
    return (lambda: adapter(module)), importlib.metadata.version(package)


@dataclass
class Seen:
    """What one client did in one scenario: how long the connection stayed after the answer, infinite where the client
    kept it; when its first probe was due; and which connection the next request took, None where it was not made."""

    version: tuple
    lasted: float
    keepalive_s: float
    second: int | None


def keepalive_timer(port):
    """Seconds until the next keepalive probe of the loopback socket with this port; infinite without SO_KEEPALIVE."""
    with open("/proc/net/tcp") as table:
        for line in table:
            fields = line.split()
            if fields[1] == f"0100007F:{port:04X}":
                timer, _, when = fields[5].partition(":")
                return int(when, 16) / 100 if timer == "02" else math.inf
    raise AssertionError(f"no socket with port {port}")


def watched(client, make, version, server):
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    default = catalog.kind(client).defaults["upstream.idle_timeout_s"].at(number)
    evicts = catalog.kind(client).defaults["upstream.evicts"].at(number)
    patience = default + LATE + 1 if evicts and server.scenario == "idle" else PATIENCE
    one = make()
    try:
        one.get(server.url)
        assert server.answered.acquire(timeout=20)
        first = server.connections[0]
        keepalive_s = keepalive_timer(first.port)
        if first.ended.wait(patience):
            return Seen(number, first.end - first.answers[0], keepalive_s, None)
        one.get(server.url)
        assert server.answered.acquire(timeout=20)
        second = next(at for at, seen in enumerate(server.connections) if len(seen.answers) > (seen is first))
        return Seen(number, math.inf, keepalive_s, second)
    finally:
        one.close()


@pytest.fixture(scope="module")
def seen(loop):
    """Every client in every scenario, all at once: one waits for 15 s."""
    made = {client: found for client in CLIENTS if (found := installed(client))}
    servers = {(client, scenario): Server(scenario) for client in made for scenario in SCENARIOS}
    for server in servers.values():
        loop.run(server.start())
    with ThreadPoolExecutor(len(servers) or 1) as pool:
        watching = {at: pool.submit(watched, at[0], *made[at[0]], server) for at, server in servers.items()}
    yield watching
    for server in servers.values():
        loop.run(server.stop())


@pytest.fixture
def look(seen):
    """What a client did in a scenario and what the catalog says of it; skipped where it is not installed, and, once
    that has been seen, where it keeps no connection."""

    def at(client, scenario):
        if (client, scenario) not in seen:
            pytest.skip(f"{client} is not installed")
        found = seen[client, scenario].result(30)
        kind = catalog.kind(client)
        facts = {
            name.partition(".")[2]: default.at(found.version)
            for name, default in kind.defaults.items()
            if name.startswith("upstream.")
        }
        if not facts.get("reuse", True):
            assert found.lasted < EARLY
            pytest.skip(f"this version of {client} keeps no connection, as the catalog says")
        return found, facts

    return at


@pytest.mark.parametrize("client", CLIENTS)
def test_idle_connections_are_closed_when_the_catalog_says(look, client):
    found, says = look(client, "idle")
    if says["evicts"]:
        assert says["idle_timeout_s"] - EARLY <= found.lasted <= says["idle_timeout_s"] + LATE
    else:  # still open: the next request finds out whether it is too old
        assert found.second == (0 if says["idle_timeout_s"] > PATIENCE else 1)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_servers_hint_is_obeyed_or_not(look, client):
    found, says = look(client, "hint")
    if says["honours_hint"]:
        due = HINT - says["hint_buffer_s"]
        assert due - EARLY <= found.lasted <= due + LATE
        assert found.lasted < says["idle_timeout_s"] - EARLY
    else:
        assert found.lasted == math.inf  # so it was still open after PATIENCE, which is longer than the hint


@pytest.mark.parametrize("client", CLIENTS)
def test_a_connection_that_the_server_closed_is_noticed_or_stays_in_close_wait(look, client):
    found, says = look(client, "peer_closes")
    if says["evicts"]:
        assert found.lasted < 0.5 + LATE
    else:
        assert says["validates_before_reuse"]
        assert found.second == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_tcp_keepalive_is_on_or_off(look, client):
    found, says = look(client, "idle")
    assert (found.keepalive_s < math.inf) == says["so_keepalive"]
    if says["so_keepalive"] and says.get("keepidle_s"):
        assert says["keepidle_s"] - 1 <= found.keepalive_s <= says["keepidle_s"]
