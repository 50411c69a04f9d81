"""Real gunicorn, uvicorn, Hypercorn and Node.js on loopback: what the collectors say of the running processes is held
against the time that each one leaves an idle connection open."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ports import free_port

from audit_tcp import catalog
from audit_tcp.probe import gunicorn, hypercorn, node, uvicorn
from audit_tcp.probe.gunicorn import config
from audit_tcp.probe.host import Host

pytestmark = pytest.mark.wire

LATE, EARLY = 1.3, 0.25
"""Seconds that a server may close after its timer and before it: gthread looks once a second, clocks are coarse."""

START = 15
BIN = Path(sys.executable).parent

APP = """
def wsgi(environ, start):
    start("200 OK", [("Content-Length", "2"), ("Content-Type", "text/plain")])
    return [b"ok"]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""

NODE = 'require("http").createServer((q, r) => r.end("ok")).listen(+process.argv[2], "127.0.0.1");'

CASES = {
    # name: (program, arguments, environment, files, seconds, or None for what the catalog says of the version)
    "gunicorn sync": ("gunicorn", "app:wsgi", {}, {}, 0),
    "gunicorn sync with keepalive": ("gunicorn", "app:wsgi --keep-alive 9", {}, {}, 0),
    "gunicorn default of threads": ("gunicorn", "app:wsgi --threads 2", {}, {}, None),
    "gunicorn gthread 1": ("gunicorn", "app:wsgi -k gthread --keep-alive=1", {}, {}, 1),
    "gunicorn file": ("gunicorn", "app:wsgi", {}, {"gunicorn.conf.py": "threads = 2\nkeepalive = 1 + 2\n"}, 3),
    "gunicorn file and variable": (
        "gunicorn", "app:wsgi -c conf.py", {"GUNICORN_CMD_ARGS": "--keep-alive 1"},
        {"conf.py": "import os\nthreads = 2\nkeepalive = int(os.getenv('KEEP', '3'))\n"}, 1,
    ),
    "gunicorn variable and line": ("gunicorn", "app:wsgi --keep-alive 2", {"GUNICORN_CMD_ARGS": "--threads=3 --keep-alive=1"}, {}, 2),
    "gunicorn file from the environment": (
        "gunicorn", "app:wsgi -c conf.py", {"KEEP": "1"},
        {"conf.py": "import os\nk = os.getenv('KEEP', '3')\nthreads = 2\nkeepalive = int(k)\n"}, 1,
    ),
    "gunicorn keepalive 0": ("gunicorn", "app:wsgi -k gthread --keep-alive 0", {}, {}, 0),
    "gunicorn no room": ("gunicorn", "app:wsgi --threads 2 --worker-connections 2 --keep-alive 3", {}, {}, 0),
    "gunicorn asgi": ("gunicorn", "app:asgi -k asgi --keep-alive 1", {}, {}, 1),
    "gunicorn uvicorn worker": ("gunicorn", "app:asgi -k uvicorn_worker.UvicornWorker --keep-alive 1", {}, {}, 1),
    "gunicorn uvicorn worker default": (
        "gunicorn", "app:asgi -k uvicorn_worker.UvicornWorker", {"UVICORN_TIMEOUT_KEEP_ALIVE": "1"}, {}, 2,
    ),
    "uvicorn default": ("uvicorn", "app:asgi", {}, {}, None),
    "uvicorn 1": ("uvicorn", "app:asgi --timeout-keep-alive 1", {}, {}, 1),
    "uvicorn 0": ("uvicorn", "app:asgi --timeout-keep-alive=0", {}, {}, 0),
    "uvicorn variable": ("uvicorn", "app:asgi", {"UVICORN_TIMEOUT_KEEP_ALIVE": "2"}, {}, 2),
    "uvicorn variable and line": ("uvicorn", "app:asgi --timeout-keep-alive 1", {"UVICORN_TIMEOUT_KEEP_ALIVE": "3"}, {}, 1),
    "hypercorn default": ("hypercorn", "app:asgi", {}, {}, None),
    "hypercorn 1": ("hypercorn", "app:asgi --keep-alive 1", {}, {}, 1),
    "hypercorn toml": ("hypercorn", "app:asgi -c h.toml", {}, {"h.toml": "keep_alive_timeout = 2 # s\n"}, 2),
    "hypercorn python": ("hypercorn", "app:asgi -c file:h.py", {}, {"h.py": "keep_alive_timeout = 1.5\n"}, 1.5),
    "hypercorn file and line": ("hypercorn", "app:asgi --keep-alive 1 -c h.toml", {}, {"h.toml": "keep_alive_timeout = 3\n"}, 1),
    "node code": ("node", "server.js", {}, {"server.js": NODE.replace("require", "const s = require", 1) + "\ns.keepAliveTimeout = 2 * 1000;\n"}, 2),
    "node default": ("node", "server.js", {}, {"server.js": NODE}, None),
}  # fmt: skip

BIND = {"gunicorn": "-b 127.0.0.1:{}", "uvicorn": "--port {}", "hypercorn": "-b 127.0.0.1:{}", "node": "{}"}
COLLECTORS = {"gunicorn": gunicorn, "uvicorn": uvicorn, "hypercorn": hypercorn, "node": node}


def command(program):
    """How a program is started; None where it is not installed."""
    if program == "node":
        return [shutil.which("node")] if shutil.which("node") else None
    with contextlib.suppress(ImportError):
        __import__(program)
        if program == "gunicorn":
            __import__("uvicorn_worker")
        return [str(BIN / program)] if (BIN / program).exists() else [sys.executable, "-m", program]
    return None


def start(folder, program, arguments, environment, files):
    folder.mkdir()
    for name, text in {"app.py": APP, **files}.items():
        (folder / name).write_text(text)
    port = free_port()
    words = [*command(program), *arguments.split(), *BIND[program].format(port).split()]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUNICORN", "UVICORN", "PORT"))}
    log = (folder / "log").open("wb")
    variables = {**kept, **environment, "PWD": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(words, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True)
    return process, port, folder


def answered(port, deadline):
    """A connection that has had one response; waits for the server until the deadline."""
    while True:
        try:
            one = socket.create_connection(("127.0.0.1", port), 5)
            one.settimeout(20)
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while not got.endswith(b"ok") and b"0\r\n\r\n" not in got:
                part = one.recv(4096)
                if not part:
                    break
                got += part
            if got.startswith(b"HTTP/1.1 200"):
                return one, got
        except ConnectionError:
            pass
        assert time.monotonic() < deadline, "the server did not answer"
        time.sleep(0.05)


def seconds_until_closed(port):
    one, got = answered(port, time.monotonic() + START)
    with one:
        begin = time.monotonic()
        try:
            while one.recv(4096):
                pass
        except ConnectionResetError:
            pass
        return time.monotonic() - begin, got


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Every case at once: {name: (seconds, response, port, subjects of all collectors while it ran)}."""
    root = tmp_path_factory.mktemp("apps")
    runs = {}
    try:
        for number, (name, (program, arguments, environment, files, _)) in enumerate(CASES.items()):
            if command(program):
                runs[name] = start(root / str(number), program, arguments, environment, files)
        with ThreadPoolExecutor(len(runs) or 1) as pool:
            waiting = {name: pool.submit(seconds_until_closed, port) for name, (_, port, _) in runs.items()}
            for _, port, _ in runs.values():
                answered(port, time.monotonic() + START)[0].close()
            host = Host()
            subjects = {name: list(module.collect(host)) for name, module in COLLECTORS.items()}
            results = {name: (*one.result(), runs[name][1]) for name, one in waiting.items()}
        yield results, subjects, host, {name: folder for name, (_, _, folder) in runs.items()}
    finally:
        for process, _, _ in runs.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def server_of(subjects, program, port, folder):
    """The facts of the one `server` subject of a case: by its port, or, for Node, by the folder in its name."""
    found = [
        facts
        for kind, name, facts in subjects[program]
        if kind == "server" and (f"127.0.0.1:{port}" in facts.get("listen", {}).get("value", ()) or str(folder) in name)
    ]
    if program == "node" and not found:
        found = [facts for kind, name, facts in subjects["node"] if kind == "server" and name == "node server.js"]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("name", CASES)
def test_the_collector_says_when_the_server_closes(measured, name):
    results, subjects, _, folders = measured
    program, *_, wanted = CASES[name]
    if name not in results:
        pytest.skip(f"{program} is not installed")
    took, _, port = results[name]
    facts = server_of(subjects, program, port, folders[name])
    kind = catalog.kind(program)
    stated = facts.get("idle_timeout_s", {}).get("value")
    value = (
        stated if stated is not None else kind.defaults["server.idle_timeout_s"].at(tuple(facts["version"]["value"]))
    )
    assert value - EARLY <= took <= value + LATE, (value, took, stated)
    if wanted is not None:
        assert value == wanted
    assert facts["running"]["value"] is True


@pytest.mark.skipif(command("hypercorn") is None, reason="hypercorn is not installed")
def test_hypercorn_reads_no_request_after_read_timeout(tmp_path):
    """The connection stays open until keep_alive_timeout, and what comes after read_timeout is never answered."""
    process, port, _ = start(tmp_path / "h", "hypercorn", "app:asgi --keep-alive 3 --read-timeout 1", {}, {})
    try:
        one, _ = answered(port, time.monotonic() + START)
        with one:
            begin = time.monotonic()
            one.settimeout(1.5)
            with pytest.raises(TimeoutError):
                one.recv(1)
            one.settimeout(10)
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(99) == b""
            assert 3 - EARLY <= time.monotonic() - begin <= 3 + LATE
        facts = next(
            facts
            for kind, _, facts in hypercorn.collect(Host())
            if kind == "server" and f"127.0.0.1:{port}" in facts["listen"]["value"]
        )
        assert facts["idle_timeout_s"]["value"] == facts["body_timeout_s"]["value"] == 1
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


HEADERS = {
    # name: (program, arguments, seconds until a header ends, or None: it does not in OPEN_S)
    "hypercorn": ("hypercorn", "app:asgi --keep-alive 2", 2),
    "hypercorn read_timeout": ("hypercorn", "app:asgi --keep-alive 3 --read-timeout 1", 3),
    "uvicorn": ("uvicorn", "app:asgi --timeout-keep-alive 1", None),
    "gunicorn gthread": ("gunicorn", "app:wsgi --threads 8 --keep-alive 1 -t 2", None),
    "gunicorn asgi": ("gunicorn", "app:asgi -k asgi --keep-alive 1 -t 2", None),
    "gunicorn uvicorn worker": ("gunicorn", "app:asgi -k uvicorn_worker.UvicornWorker --keep-alive 1 -t 2", None),
    "gunicorn sync": ("gunicorn", "app:wsgi -t 2", 2),
}
OPEN_S = 6
"""How long a header is watched; by hand it was 30 s."""


def header_ends(port, drips):
    """Seconds until a header that does not end is answered or closed, with a byte now and then or none."""
    answered(port, time.monotonic() + START)[0].close()
    with socket.create_connection(("127.0.0.1", port), 5) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        one.settimeout(0.5)
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begin < OPEN_S:
                try:
                    one.recv(99)
                    return time.monotonic() - begin
                except TimeoutError:
                    if drips:
                        one.sendall(b"x")
            return None
        return time.monotonic() - begin


@pytest.fixture(scope="module")
def headers(tmp_path_factory):
    root, runs = tmp_path_factory.mktemp("headers"), {}
    try:
        for number, (name, (program, arguments, _)) in enumerate(HEADERS.items()):
            if command(program):
                for drips in (False, True):
                    runs[name, drips] = start(root / f"{number}{drips}", program, arguments, {}, {})
        with ThreadPoolExecutor(len(runs) or 1) as pool:
            waiting = {key: pool.submit(header_ends, port, key[1]) for key, (_, port, _) in runs.items()}
            time.sleep(1)
            host = Host()
            subjects = {name: list(module.collect(host)) for name, module in COLLECTORS.items()}
            yield {key: (one.result(), runs[key][1]) for key, one in waiting.items()}, subjects
    finally:
        for process, _, _ in runs.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_ends_when_the_collector_or_the_catalog_says(headers, name, drips):
    results, subjects = headers
    program, _, wanted = HEADERS[name]
    if (name, drips) not in results:
        pytest.skip(f"{program} is not installed")
    took, port = results[name, drips]
    facts = server_of(subjects, program, port, "nowhere")
    default = catalog.kind(program).defaults["server.header_timeout_s"].at(tuple(facts["version"]["value"]))
    value = facts.get("header_timeout_s", {}).get("value", default)
    if wanted is None:
        assert (value, took) == (float("inf"), None)
    else:
        assert value == wanted
        assert took is not None
        assert value - EARLY <= took <= value + LATE


def test_versions_and_addresses_are_those_of_the_processes(measured):
    results, subjects, _, folders = measured
    for name, (program, *_) in CASES.items():
        if name not in results:
            continue
        facts = server_of(subjects, program, results[name][2], folders[name])
        if program == "node":
            told = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30).stdout.strip("v\n")
        else:
            from importlib.metadata import version

            told = version(program)
        assert ".".join(map(str, facts["version"]["value"])) == told


def test_node_advertises_what_the_catalog_says(measured):
    results, subjects, _, folders = measured
    if "node default" not in results:
        pytest.skip("node is not installed")
    _, got, port = results["node default"]
    facts = server_of(subjects, "node", port, folders["node default"])
    advertised = catalog.kind("node").defaults["server.advertised_idle_s"].at(tuple(facts["version"]["value"]))
    assert f"keep-alive: timeout={advertised}".encode() in got.lower()


def test_settings_without_effect_are_told(measured):
    results, subjects, host, _ = measured
    if "gunicorn sync" not in results:
        pytest.skip("gunicorn is not installed")
    mine = tuple(f":{port}" for _, _, port in results.values())  # other tests may run gunicorn at the same time
    told = [
        text
        for kind, name, facts in subjects["gunicorn"]
        if kind == "config" and name.rstrip(")").endswith(mine)
        for text in facts["no_effect"]["value"]
    ]
    assert sum("the sync worker closes" in text for text in told) == 1
    assert sum("no room" in text for text in told) == 1
    assert sum("UVICORN_TIMEOUT_KEEP_ALIVE" in text for text in told) == 1
    assert not [where for where, _ in host.errors if "gunicorn" in where or "conf.py" in where]


@pytest.mark.skipif(command("gunicorn") is None, reason="gunicorn is not installed")
@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        ("-k gthread --keep-alive 7 --backlog 99 -b 127.0.0.1:1 -b [::1]:2", {}),
        ("-c other.py --threads 4", {"other.py": "keepalive = 2 * 3\nbacklog: int = 64\nbind = ['127.0.0.1:1']\n"}),
        ("", {"gunicorn.conf.py": "worker_class = 'gthread'\nkeepalive = -(-8)\n"}),
    ],
)
def test_the_view_of_gunicorn_itself(tmp_path, arguments, files):
    """`--print-config` is what gunicorn makes of the same words."""
    from audit_tcp.probe.python_servers import options
    from audit_tcp.probe.readers.python_config import settings

    for name, text in {"app.py": APP, **files}.items():
        (tmp_path / name).write_text(text)
    words = [*command("gunicorn"), *arguments.split(), "--print-config", "app:wsgi"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    own = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    own = {name.strip(): value.strip() for name, value in own.items()}
    given = options(arguments.split(), config.OPTIONS)
    path = tmp_path / (given.get("config", ["gunicorn.conf.py"])[-1])
    found = settings(path.read_text(), {})[0].values if path.exists() else {}
    found.update({name: values if name == "bind" else values[-1] for name, values in given.items() if name != "config"})
    for name, value in found.items():
        assert own[name].endswith(str(value)), name
