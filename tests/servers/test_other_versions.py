"""The servers of Debian 12 and 13, each release in a root and a network namespace of its own: found from outside, with
their versions, and each default idle timeout of the catalog measured on the wire. All are started and measured at once:
the longest is 75 s.
"""

import contextlib
import importlib
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import machines
from audit_tcp import defaults, probe, snapshot
from audit_tcp.lab.net import wait_for, wait_for_port
from audit_tcp.probe.host import Host

pytestmark = [pytest.mark.wire, pytest.mark.boots]

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"hi"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})
"""

FILES = {
    "app.py": APP,
    "app.js": 'require("http").createServer((q, a) => a.end("hi")).listen(8008, "127.0.0.1")',
    "nginx.conf": "pid /tmp/nginx.pid; error_log /tmp/e; events { } http { access_log off; server { listen 127.0.0.1:8001; return 200; } }",
    "apache.conf": (
        "ServerRoot /srv\nPidFile /tmp/apache.pid\nErrorLog /tmp/apache.log\nServerName a\nListen 127.0.0.1:8002\nUser www-data\nGroup www-data\n"
        "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
        "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
    ),
    "haproxy.cfg": "frontend f\n mode http\n bind 127.0.0.1:8003\n http-request return status 200\n",
    "tomcat/conf/server.xml": (
        '<Server port="-1"><Service name="Catalina"><Connector port="8004" address="127.0.0.1"/>'
        '<Engine name="Catalina" defaultHost="a"><Host name="a"/></Engine></Service></Server>'
    ),
}  # fmt: skip

COMMANDS = {
    "nginx": (8001, 'nginx -c /srv/nginx.conf -g "daemon off;"'),
    "apache": (8002, "apache2 -f /srv/apache.conf -DFOREGROUND"),
    "haproxy": (8003, "haproxy -f /srv/haproxy.cfg"),
    "tomcat": (
        8004,
        "home=$(echo /usr/share/tomcat1[01]) && exec java -cp $home/bin/bootstrap.jar:$home/bin/tomcat-juli.jar "
        "-Dcatalina.home=$home -Dcatalina.base=/srv/tomcat org.apache.catalina.startup.Bootstrap start",
    ),
    "gunicorn": (8005, "gunicorn --threads 2 --bind 127.0.0.1:8005 app:app"),
    "uvicorn": (8006, "uvicorn --port 8006 app:asgi"),
    "hypercorn": (8007, "hypercorn --bind 127.0.0.1:8007 app:asgi"),
    "node": (8008, "node app.js"),
}
PACKAGES = {
    "apache": "apache2-bin",
    "node": "nodejs",
    "uvicorn": "python3-uvicorn",
    "hypercorn": "python3-hypercorn",
}
"""Where the name of the package that holds the program is not the program's."""

ROOT = """
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
mount -t overlay none -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/work" "$1/root" &&
cp -r "$2/." "$1/root/srv/" && mkdir -p "$1/root/srv/tomcat/logs" "$1/root/srv/tomcat/temp" "$1/root/srv/tomcat/webapps" &&
mount -t proc none "$1/root/proc" && mount --rbind /dev "$1/root/dev" || exit 1
"""

READY_S = 60
LONGEST_S = 75
TOLERANCE_S = 2.5
"""Tomcat looks for idle connections once a second, gunicorn and the machine have their own rhythm."""


RELEASES = ("bookworm", "trixie")


class Release:
    """The servers of one release while they run."""

    def __init__(self, name, folder, stack):
        self.image = machines.image(name, "servers")
        self.space = stack.enter_context(machines.Namespace())
        scratch, sources = folder / f"{name}-root", folder / "srv"
        scratch.mkdir()
        started = "".join(
            f"(exec chroot \"$1/root\" sh -c 'cd /srv && {c}') >/dev/null 2>&1 &\n" for _, c in COMMANDS.values()
        )
        script = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f"{ROOT}{started}wait"]
        command = ["ip", "netns", "exec", self.space.name, *script, self.image, str(scratch), str(sources)]
        child = subprocess.Popen(command, start_new_session=True)
        stack.callback(child.wait, READY_S)
        stack.callback(child.kill)

    def wait(self):
        """The servers by program, with what the catalog says, once all of them run."""
        with self.space.entered():
            for port, _ in COMMANDS.values():
                wait_for_port("127.0.0.1", port, READY_S)
        return wait_for(self._collected, READY_S, "every server to be found")

    def _collected(self):
        host = Host()
        subjects = [
            one for name in COMMANDS for one in importlib.import_module(f"audit_tcp.probe.{name}").collect(host)
        ]
        document = {"schema": probe.SCHEMA, "host": "h", "kernel": "", "os": "", "taken": "", "errors": []}
        document["subjects"] = [{"kind": kind, "name": name, "facts": facts} for kind, name, facts in subjects]
        filled = defaults.fill(snapshot.from_document(document, "it")).subjects
        ours = [one.facts for one in filled if one.kind == "server" and one.facts["netns"].value == self.space.name]
        found = {str(facts["program"].value): facts for facts in ours}
        return found if set(found) == set(COMMANDS) else {}

    def silence(self, port):
        """Seconds until the server closes an idle connection; None where it is open after the longest."""
        with self.space.entered(), socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S + 5) as one:
            one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            answered = time.monotonic()
            with contextlib.suppress(TimeoutError):
                while one.recv(65536):
                    answered = time.monotonic()
                return time.monotonic() - answered
        return None


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Release and its servers, by name, while all of them run."""
    reason = machines.require()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("servers")
    for name, text in FILES.items():
        (folder / "srv" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "srv" / name).write_text(text)
    with contextlib.ExitStack() as stack:
        releases = {name: Release(name, folder, stack) for name in RELEASES}
        yield {name: (one, one.wait()) for name, one in releases.items()}


@pytest.fixture(scope="module")
def measured(running):
    """How long each leaves an idle connection open, by release and program, all measured at once."""
    places = [(release, program) for release in RELEASES for program in COMMANDS]
    with ThreadPoolExecutor(len(places)) as pool:
        waiting = {place: pool.submit(running[place[0]][0].silence, COMMANDS[place[1]][0]) for place in places}
        return {place: one.result() for place, one in waiting.items()}


UNKNOWN = {("bookworm", "hypercorn")}
"""Hypercorn 0.13.2 does not close where its documents say so: the catalog says nothing of it."""


def package_of(program, release):
    return machines.TOMCATS[release] if program == "tomcat" else PACKAGES.get(program, program)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("program", COMMANDS)
def test_the_version_is_that_of_the_package(release, program, running):
    place, found = running[release]
    query = ["chroot", place.image, "dpkg-query", "-W", "-f=${Version}", package_of(program, release)]
    packaged = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    version = ".".join(map(str, found[program]["version"].value))
    assert packaged.startswith(version), packaged


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("program", COMMANDS)
def test_the_default_is_what_the_wire_shows(release, program, running, measured):
    found, silence = running[release][1][program], measured[release, program]
    if (release, program) in UNKNOWN:
        assert "idle_timeout_s" not in found
        return
    said = found["idle_timeout_s"]
    assert said.origin.startswith("default of ") or program in ("haproxy", "gunicorn", "uvicorn", "hypercorn")
    if said.value == float("inf"):
        assert silence is None
    else:
        assert said.value - 0.3 <= silence <= said.value + TOLERANCE_S
