"""The real Tomcat on loopback: when it closes idle connections, held against what the collector reads of its files."""

import os
import re
import shutil
import socket
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ports import free_port

from audit_tcp import catalog
from audit_tcp.probe import sock_diag, tomcat
from audit_tcp.probe.host import Host
from audit_tcp.probe.servers import UNLIMITED

pytestmark = pytest.mark.wire

EARLY, LATE = 0.2, 2.0
"""Seconds that a close may come before and after the timeout: Tomcat looks for idle connections once a second."""

OPEN_STILL = 6.0
"""Seconds after which a connection without an idle timeout must still be open."""

HOME = Path("/usr/share/tomcat10")
SHIPPED = Path("/etc/tomcat10/server.xml")
LOADER = ",".join(f'"${{catalina.{place}}}/lib{rest}"' for place in ("base", "home") for rest in ("", "/*.jar"))
PROPERTIES = f"""common.loader={LOADER}
both=1000
nested: 2000
loop.a=${{loop.b}}
loop.b=${{loop.a}}
org.apache.tomcat.util.digester.PROPERTY_SOURCE=org.apache.tomcat.util.digester.EnvironmentPropertySource
"""

HTTP = {
    # name: (attributes of the Connector, idle timeout in seconds that is expected of collector and server)
    "own timeout": ('keepAliveTimeout="1000" connectionTimeout="3000"', 1),
    "falls back": ('connectionTimeout="2000"', 2),
    "off": ('maxKeepAliveRequests="1" keepAliveTimeout="2000"', 0),
    "count 0 is no limit": ('maxKeepAliveRequests="0" keepAliveTimeout="1000"', 1),
    "count -1 is no limit": ('maxKeepAliveRequests="-1" keepAliveTimeout="1000"', 1),
    "0 never ends": ('keepAliveTimeout="0" connectionTimeout="1000"', UNLIMITED),
    "-1 never ends": ('keepAliveTimeout="-1" connectionTimeout="1000"', UNLIMITED),
    "connectionTimeout 0": ('connectionTimeout="0"', UNLIMITED),
    "millisecond trap": ('keepAliveTimeout="500"', 0.5),
    "no number": ('keepAliveTimeout="1500x" connectionTimeout="2000"', 2),
    "blanks are no number": ('keepAliveTimeout=" 1500 " connectionTimeout="2000"', 2),
    "too large a number": ('keepAliveTimeout="99999999999" connectionTimeout="1000"', 1),
    "plus": ('keepAliveTimeout="+1000"', 1),
    "wrong case": ('keepalivetimeout="1000" connectionTimeout="2000"', 2),
    "first letter": ('KeepAliveTimeout="1000" connectionTimeout="3000"', 1),
    "old name": ('soTimeout="1000" connectionTimeout="2000"', 2),
    "socket wins": ('connectionTimeout="3000" socket.soTimeout="1000"', 1),
    "socket loses": ('socket.soTimeout="1000" connectionTimeout="2000"', 2),
    "-D": ('keepAliveTimeout="${dash.kat}"', 1),
    "default of a property": ('keepAliveTimeout="${nobody:-1000}"', 1),
    "file beats -D": ('keepAliveTimeout="${both}"', 1),
    "property in a default": ('keepAliveTimeout="${nobody:-${nested}}"', 2),
    "variable": ('keepAliveTimeout="${AUDIT_TCP_KAT}"', 1),
    "loop of properties": ('keepAliveTimeout="${loop.a}" connectionTimeout="2000"', 2),
    "entity": ('keepAliveTimeout="&kat;"', 1),
    "no header": ('keepAliveTimeout="1000" useKeepAliveResponseHeader="false"', 1),
    "NIO2": ('protocol="org.apache.coyote.http11.Http11Nio2Protocol" keepAliveTimeout="1000"', 1),
    "small backlog": ('acceptCount="13" keepAliveTimeout="1000"', 1),
    "no backlog": ('acceptCount="0" keepAliveTimeout="1000"', 1),
    "probes": ('socket.soKeepAlive="True" keepAliveTimeout="2000"', 2),
    "no probes": ('soKeepAlive="true" keepAliveTimeout="2000"', 2),
}
INCLUDED = {"included": ('keepAliveTimeout="1000"', 1)}
SECOND = {"second service": ('keepAliveTimeout="2000"', 2)}
AJP = {
    "AJP": ('protocol="AJP/1.3" secretRequired="false" keepAliveTimeout="1000" maxKeepAliveRequests="1"', 1),
    "AJP falls back": ('protocol="AJP/1.3" secretRequired="false" connectionTimeout="2000"', 2),
    "AJP default": ('protocol="org.apache.coyote.ajp.AjpNioProtocol" secretRequired="false"', UNLIMITED),
}
HTTP2 = {
    # name: (attributes of the UpgradeProtocol, idle timeout)
    "h2 own": ('keepAliveTimeout="2000"', 2),
    "h2 0": ('keepAliveTimeout="0"', 0),
    "h2 -1": ('keepAliveTimeout="-1"', UNLIMITED),
    "h2 default": ("", 20),
}
BODY = {
    # name: (attributes, seconds between two reads of a body)
    "body": ('connectionTimeout="1000"', 1),
    "upload ignored": ('connectionTimeout="1000" connectionUploadTimeout="3000"', 1),
    "upload": ('connectionTimeout="1000" disableUploadTimeout="false" connectionUploadTimeout="2000"', 2),
}
HEADER = {"header": ('connectionTimeout="1000" keepAliveTimeout="5000"', 1)}
DEFAULTS = {"defaults": ("", 60)}
TABLES = (HTTP, INCLUDED, SECOND, AJP, HTTP2, BODY, HEADER, DEFAULTS)
NAMES = [name for table in TABLES for name in table]


def connectors(table, ports):
    form = '<Connector port="{}" address="127.0.0.1" {}/>\n'
    return "".join(form.format(ports[name], attributes) for name, (attributes, _) in table.items())


def server_xml(ports):
    http2 = "".join(
        f'<Connector port="{ports[name]}" address="127.0.0.1" keepAliveTimeout="1000">'
        f'<UpgradeProtocol className="org.apache.coyote.http2.Http2Protocol" {attributes}/></Connector>\n'
        for name, (attributes, _) in HTTP2.items()
    )
    engine = '<Engine name="{}" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>'
    first = "".join(connectors(table, ports) for table in (HTTP, AJP, BODY, HEADER, DEFAULTS))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE Server [ <!ENTITY included SYSTEM "sub/included.xml"> <!ENTITY kat "1000"> ]>
<Server port="-1">
<Service name="Catalina">
<!-- <Connector port="1" /> -->
{first}{http2}&included;
{engine.format("Catalina")}
</Service>
<Service name="Two">{connectors(SECOND, ports)}{engine.format("Two")}</Service>
</Server>
"""


def start(base, *options):
    classes = ":".join(str(HOME / "bin" / name) for name in ("bootstrap.jar", "tomcat-juli.jar"))
    places = [f"-Dcatalina.home={HOME}", f"-Dcatalina.base={base}", f"-Djava.io.tmpdir={base}"]
    speed = ["-Xmx96m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command = ["java", *speed, *options, *places, "-cp", classes, "org.apache.catalina.startup.Bootstrap", "start"]
    with (base / "log").open("wb") as log:
        environment = {**os.environ, "AUDIT_TCP_KAT": "1000"}
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=base, env=environment)


def wait(process, base, seconds=60):
    deadline = time.monotonic() + seconds
    while "Server startup in" not in (base / "log").read_text("utf-8", "replace"):
        assert process.poll() is None, (base / "log").read_text()
        assert time.monotonic() < deadline, "Tomcat did not start"
        time.sleep(0.05)


def exchange(name, port):
    """Sends a request; gives the connection and what was answered, when the response is over."""
    talk = socket.create_connection(("127.0.0.1", port), timeout=10)
    request, over = REQUESTS.get(kind_of(name), REQUESTS["HTTP"])
    talk.sendall(request)
    answer = b""
    while not over(answer):
        part = talk.recv(65536)
        if not part:
            break
        answer += part
    return talk, answer


def kind_of(name):
    return next((kind for kind, table in KINDS.items() if name in table), "HTTP")


def ajp_request():
    def text(value):
        return struct.pack(">H", len(value)) + value + b"\0"

    strings = b"".join(text(value) for value in (b"HTTP/1.1", b"/", b"127.0.0.1", b"x", b"x"))
    body = b"\2\2" + strings + struct.pack(">HBH", 80, 0, 0) + b"\xff"
    return b"\x12\x34" + struct.pack(">H", len(body)) + body


def http2_request():
    fields = b"\x82\x86\x84\x01\x01x"
    frames = (
        b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0" + struct.pack(">I", len(fields))[1:] + b"\1\5\0\0\0\1" + fields
    )
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames


def http2_over(answer):
    """Whether a frame with END_STREAM has come whole."""
    place = 0
    while place + 9 <= len(answer):
        size = int.from_bytes(answer[place : place + 3], "big")
        if answer[place + 3] in (0, 1) and answer[place + 4] & 1 and len(answer) >= place + 9 + size:
            return True
        place += 9 + size
    return False


KINDS = {"AJP": AJP, "h2": HTTP2, "body": BODY, "header": HEADER}
REQUESTS = {
    "HTTP": (
        b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        lambda answer: answer.endswith(b"\r\n\r\n"),
    ),
    "AJP": (ajp_request(), lambda answer: answer[-6:-1] == b"AB\0\2\5"),
    "h2": (http2_request(), http2_over),
    "body": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", lambda answer: b"\r\n\r\n" in answer),
    "header": (b"GET / HT", lambda answer: True),
}


def close_after(name, port, expected):
    """Seconds from the end of the response to the server's close, and the answer; UNLIMITED where it stays open."""
    talk, answer = exchange(name, port)
    began = time.monotonic()
    deadline = began + (OPEN_STILL if expected in (UNLIMITED, 60) else expected + 8)
    with talk:
        while time.monotonic() < deadline:
            talk.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                if not talk.recv(65536):
                    return time.monotonic() - began, answer
            except TimeoutError:
                break
            except ConnectionError:
                return time.monotonic() - began, answer
    return UNLIMITED, answer


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Starts Tomcat twice, with the tables above and as it is shipped; measures and collects while both run."""
    if shutil.which("java") is None or not (HOME / "bin" / "bootstrap.jar").exists():
        pytest.skip("tomcat10 or java is not installed")
    if not os.access(SHIPPED, os.R_OK):
        pytest.skip(f"{SHIPPED} cannot be read")
    base, shipped = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("shipped")
    ports = {name: free_port() for name in [*NAMES, "shipped"]}
    for place in (base, shipped):
        (place / "conf" / "sub").mkdir(parents=True)
        (place / "conf" / "catalina.properties").write_text(PROPERTIES)
    (base / "conf" / "server.xml").write_text(server_xml(ports))
    included = '<?xml version="1.0" encoding="UTF-8"?>\n'
    (base / "conf" / "sub" / "included.xml").write_text(included + connectors(INCLUDED, ports))
    text = re.sub(r'<Resource name="UserDatabase".*?/>', "", SHIPPED.read_text(), flags=re.DOTALL)
    (shipped / "conf" / "server.xml").write_text(text.replace('port="8080"', 'port="${test.port}"', 1))
    running = []
    try:
        running = [start(base, "-Dboth=4000", "-Ddash.kat=1000"), start(shipped, f"-Dtest.port={ports['shipped']}")]
        for process, place in zip(running, (base, shipped), strict=True):
            wait(process, place)
        expected = {name: idle for table in TABLES for name, (_, idle) in table.items()} | {"shipped": 20}
        with ThreadPoolExecutor(len(ports)) as pool:
            waiting = {name: pool.submit(close_after, name, port, expected[name]) for name, port in ports.items()}
            found = list(tomcat.collect(Host("/")))
            listening = sock_diag.listening(socket.AF_INET) + sock_diag.listening(socket.AF_INET6)
            probes = {name: keepalive_timer(ports[name]) for name in ("probes", "no probes")}
            closes = {name: future.result() for name, future in waiting.items()}
    finally:
        for process in running:
            process.kill()
            process.wait()
    return {
        "ports": ports,
        "closes": closes,
        "found": found,
        "backlogs": {one.port: one.backlog for one in listening},
        "probes": probes,
        "log": (base / "log").read_text("utf-8", "replace"),
        "config": str(base / "conf" / "server.xml"),
    }


def keepalive_timer(port):
    """Whether the server's end of a connection runs a keepalive timer; waits until the connection is there."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for table in ("/proc/net/tcp6", "/proc/net/tcp"):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == "01" and fields[5][:2] in ("00", "02"):
                    return fields[5][:2] == "02"
        time.sleep(0.01)
    raise AssertionError("no connection")


def facts_of(measured, name):
    port = measured["ports"][name]
    found = [facts for kind, _, facts in measured["found"] if kind == "server" and of_port(facts, port)]
    assert len(found) == 1, f"{name}: {len(found)} subjects"
    return {key: fact["value"] for key, fact in found[0].items()}


def of_port(facts, port):
    listen = facts.get("listen", {"value": []})["value"]
    return listen in ([f"127.0.0.1:{port}"], [f"*:{port}"])


def holds(expected, took):
    if expected == UNLIMITED:
        return took == UNLIMITED
    return took != UNLIMITED and expected - EARLY <= took <= expected + LATE


@pytest.mark.parametrize("name", [*HTTP, *INCLUDED, *SECOND, *AJP])
def test_idle_timeout(measured, name):
    table = next(table for table in TABLES if name in table)
    idle = facts_of(measured, name)["idle_timeout_s"]
    assert idle == table[name][1]
    assert holds(idle, measured["closes"][name][0]), measured["closes"][name]


def test_the_shipped_configuration(measured):
    idle = facts_of(measured, "shipped")["idle_timeout_s"]
    assert idle == catalog.kind("tomcat").shipped["server.xml"]["server.idle_timeout_s"]
    assert holds(idle, measured["closes"]["shipped"][0]), measured["closes"]["shipped"]


def test_the_built_in_default_is_what_tomcat_advertises(measured):
    """The default is a minute: what is measured is that it is still open, and what Tomcat itself says of it."""
    facts = facts_of(measured, "defaults")
    assert "idle_timeout_s" not in facts
    took, answer = measured["closes"]["defaults"]
    default = catalog.kind("tomcat").defaults["server.idle_timeout_s"].at(tuple(facts["version"]))
    assert took == UNLIMITED
    assert f"Keep-Alive: timeout={default}\r\n".encode() in answer


@pytest.mark.parametrize("name", HTTP2)
def test_idle_timeout_of_http2(measured, name):
    facts = facts_of(measured, name)
    assert facts["h2_idle_timeout_s"] == HTTP2[name][1]
    assert facts["idle_timeout_s"] == 1
    assert holds(HTTP2[name][1], measured["closes"][name][0]), measured["closes"][name]


@pytest.mark.parametrize(
    ("name", "fact"), [*((name, "body_timeout_s") for name in BODY), ("header", "header_timeout_s")]
)
def test_reading_timeouts(measured, name, fact):
    expected = facts_of(measured, name)[fact]
    assert expected == {**BODY, **HEADER}[name][1]
    assert holds(expected, measured["closes"][name][0]), measured["closes"][name]


@pytest.mark.parametrize("name", [*HTTP, "shipped", "defaults"])
def test_the_keep_alive_header(measured, name):
    facts = facts_of(measured, name)
    found = re.search(rb"Keep-Alive: timeout=(\d+)\r\n", measured["closes"][name][1])
    assert facts.get("advertised_idle_s") == (int(found.group(1)) if found else None)


@pytest.mark.parametrize("name", ["own timeout", "small backlog", "no backlog", "AJP default"])
def test_the_backlog(measured, name):
    facts = facts_of(measured, name)
    default = catalog.kind("tomcat").defaults["server.backlog"].at(tuple(facts["version"]))
    assert facts.get("backlog", default) == measured["backlogs"][measured["ports"][name]]


@pytest.mark.parametrize(("name", "on"), [("probes", True), ("no probes", False)])
def test_so_keepalive(measured, name, on):
    assert facts_of(measured, name).get("so_keepalive", False) == on
    assert measured["probes"][name] == on


def test_what_tomcat_ignores_is_told(measured):
    """Every attribute that Tomcat logs as ignored stands in one of the lists, and nothing else is said to be."""
    config = next(facts for kind, _, facts in measured["found"] if facts["path"]["value"] == measured["config"])
    entries = config["no_effect"]["value"] + config["unreadable"]["value"]
    told = [entry.split(": ", 1)[1] for entry in entries if "ignores it" in entry or "not defined" in entry]
    logged = re.findall(r"failed to set property \[([^\]]+)\]", measured["log"])
    assert sorted(re.match(r"[\w.]+", text).group() for text in told) == sorted(logged)


def test_each_connector_is_one_subject(measured):
    of_base = [
        f for kind, _, f in measured["found"] if kind == "server" and f["program"]["origin"] == measured["config"]
    ]
    assert len(of_base) == len(NAMES)
    assert all(facts["running"]["value"] for facts in of_base)
    names = [name for _, name, _ in measured["found"]]
    assert len(names) == len(set(names))
