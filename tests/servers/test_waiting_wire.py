"""What proxies do when nothing comes, and what a mistaken unit means: the collector's timers measured on real servers."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from ports import free_port

from audit_tcp.lab.net import wait_for_port
from audit_tcp.probe import apache, haproxy, nginx
from audit_tcp.probe.host import Host

pytestmark = pytest.mark.wire

READY_S = 20
TOLERANCE_S = 0.8

NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ }}
http {{
    access_log off;
    proxy_temp_path {folder}/t; client_body_temp_path {folder}/b; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{silent}; proxy_read_timeout 1s; }}
    }}
}}
"""

HAPROXY = """
defaults
 mode http
 timeout connect 2s
 timeout client 9s
frontend f
 bind 127.0.0.1:{port}
 default_backend b
backend b
 timeout server 1200
 server s 127.0.0.1:{silent}
"""

HASTY = """
frontend f
 mode http
 bind 127.0.0.1:{port}
 timeout client 30
 http-request return status 200
"""

APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName a
Listen 127.0.0.1:{port}
User www-data
Group www-data
TimeOut 2ms
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
"""

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def silent():
    """The port of a backend that accepts requests and never answers."""
    kept = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    kept.append(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
    for one in kept:
        one.close()


@pytest.fixture
def start(tmp_path, silent):
    """Starts a server with a configuration; its port, and what its collector yields of it by kind."""
    children = []

    def run(module, text, *command):
        if not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        config, port = tmp_path / "config", free_port()
        config.write_text(text.format(folder=tmp_path, port=port, silent=silent))
        words = [str(config) if word == "CONFIG" else word for word in command]
        children.append(subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL))
        wait_for_port("127.0.0.1", port, READY_S)
        mine = {}
        for kind, _, facts in module.collect(Host()):
            origins = " ".join(str(fact["origin"]) for fact in facts.values())
            if str(config) in origins:
                mine[kind] = {name: fact["value"] for name, fact in facts.items()}
        return port, mine

    yield run
    for child in children:
        os.killpg(child.pid, signal.SIGKILL)  # with its workers
        child.wait(READY_S)


def wait(port, sent):
    """(seconds until the server ends it, what it said)."""
    with socket.create_connection(("127.0.0.1", port), timeout=READY_S) as one:
        one.sendall(sent)
        began = time.monotonic()
        said = one.recv(65536)
        return time.monotonic() - began, said


@pytest.mark.parametrize(
    ("module", "text", "command"),
    [
        (nginx, NGINX, ("nginx", "-c", "CONFIG")),
        (haproxy, HAPROXY, ("haproxy", "-db", "-f", "CONFIG")),
    ],
    ids=["nginx", "haproxy"],
)
def test_a_proxy_gives_up_after_the_time_for_an_answer(module, text, command, start):
    port, found = start(module, text, *command)
    lasted, said = wait(port, REQUEST)
    assert b" 504 " in said.partition(b"\r\n")[0]
    assert abs(lasted - found["upstream"]["response_timeout_s"]) <= TOLERANCE_S


def test_a_timer_without_a_unit_is_in_milliseconds(start):
    port, found = start(haproxy, HASTY, "haproxy", "-db", "-f", "CONFIG")
    assert len(found["config"]["unit_traps"]) == 1
    assert found["server"]["idle_timeout_s"] == 0.03
    with socket.create_connection(("127.0.0.1", port), timeout=READY_S) as one:
        one.sendall(REQUEST)
        assert b" 200 " in one.recv(65536)
        began = time.monotonic()
        assert one.recv(65536) == b""
        assert time.monotonic() - began <= TOLERANCE_S


def test_timeout_of_apache_ignores_its_suffix(start):
    port, found = start(apache, APACHE, "apache2", "-f", "CONFIG", "-DFOREGROUND")
    assert len(found["config"]["unit_traps"]) == 1
    lasted, _ = wait(port, b"GET / HT")
    assert abs(lasted - found["server"]["header_timeout_s"]) <= TOLERANCE_S
    assert found["server"]["header_timeout_s"] == 2
