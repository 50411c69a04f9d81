"""Tomcat's server.xml as facts: attributes, properties, entities, instances, traps, and what hostile files do."""

import io
import json
import os
import re
import time
import zipfile
from pathlib import Path

import pytest

import trees
from audit_tcp import catalog
from audit_tcp.probe import tomcat
from audit_tcp.probe.host import Host
from audit_tcp.probe.servers import UNLIMITED
from audit_tcp.probe.tomcat import properties as tomcat_properties

CONF = "/opt/tomcat/conf/server.xml"
HTTP2 = '<UpgradeProtocol className="org.apache.coyote.http2.Http2Protocol" {}/>'
REMOTE_IP = '<Valve className="org.apache.catalina.valves.RemoteIpValve"/>'


def jar(number, member="org/apache/catalina/util/ServerInfo.properties", method=zipfile.ZIP_DEFLATED):
    """A catalina.jar that states a version, as bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "x")
        archive.writestr(
            member, f"# made\nserver.info=Apache Tomcat/{number}\nserver.number={number}\nserver.built=x\n"
        )
    return made.getvalue()


def server(body, before="", tag="<Server port='-1'>"):
    return f"<?xml version='1.0'?>\n{before}{tag}<Service name='Catalina'>\n{body}\n</Service></Server>\n"


def collected(root, files, links=None, version=None):
    if version:
        files = {**files, "/opt/tomcat/lib/catalina.jar": jar(version)}
    host = Host(str(trees.grow(root, files, links)))
    found = list(tomcat.collect(host))
    names = [name for _, name, _ in found]
    assert len(names) == len(set(names))
    return found, host


def of(root, body, version=None, **files):
    """The facts of the config, and of each server by its name, of one server.xml."""
    found, _ = collected(root, {CONF: server(body), **files.get("files", {})}, version=version)
    return values(found)


def values(found):
    plain = {(kind, name): {key: fact["value"] for key, fact in facts.items()} for kind, name, facts in found}
    return plain.pop(("config", "tomcat")), {name: facts for (_, name), facts in plain.items()}


def one(root, attributes, version=None, inside=""):
    config, servers = of(root, f'<Connector port="8080" {attributes}>{inside}</Connector>', version)
    assert len(servers) == 1
    return config, next(iter(servers.values()))


FACTS = [
    # attributes, fact, value (None: left out)
    ('keepAliveTimeout="1500"', "idle_timeout_s", 1.5),
    ('connectionTimeout="20000"', "idle_timeout_s", 20),
    ('connectionTimeout="20000"', "header_timeout_s", 20),
    ('connectionTimeout="20000"', "body_timeout_s", 20),
    ('connectionTimeout="20000" keepAliveTimeout="5000"', "idle_timeout_s", 5),
    ('connectionTimeout="20000" keepAliveTimeout="5000"', "header_timeout_s", 20),
    ("", "idle_timeout_s", None),
    ("", "header_timeout_s", None),
    ('keepAliveTimeout="0"', "idle_timeout_s", UNLIMITED),
    ('keepAliveTimeout="-1"', "idle_timeout_s", UNLIMITED),
    ('connectionTimeout="-1"', "idle_timeout_s", UNLIMITED),
    ('connectionTimeout="0" keepAliveTimeout="4000"', "idle_timeout_s", 4),
    ('keepAliveTimeout="x" connectionTimeout="4000"', "idle_timeout_s", 4),
    ('keepAliveTimeout="" connectionTimeout="4000"', "idle_timeout_s", 4),
    ('KeepAliveTimeout="4000"', "idle_timeout_s", 4),
    ('keepalivetimeout="4000"', "idle_timeout_s", None),
    ('socket.soTimeout="4000" connectionTimeout="9000"', "idle_timeout_s", 9),
    ('connectionTimeout="9000" socket.soTimeout="4000"', "idle_timeout_s", 4),
    ('maxKeepAliveRequests="1" keepAliveTimeout="9000"', "idle_timeout_s", 0),
    ('maxKeepAliveRequests="1"', "keepalive", False),
    ('maxKeepAliveRequests="2"', "keepalive", None),
    ('maxKeepAliveRequests="1"', "max_requests", 1),
    ('maxKeepAliveRequests="0"', "max_requests", UNLIMITED),
    ('maxKeepAliveRequests="-1"', "max_requests", UNLIMITED),
    ('acceptCount="511"', "backlog", 511),
    ('acceptCount="0"', "backlog", None),
    ("", "backlog", None),
    ('maxConnections="50"', "max_connections", 50),
    ('maxConnections="-1"', "max_connections", UNLIMITED),
    ('socket.soKeepAlive="TRUE"', "so_keepalive", True),
    ('socket.soKeepAlive="yes"', "so_keepalive", False),
    ('soKeepAlive="true"', "so_keepalive", None),
    ('disableUploadTimeout="false" connectionUploadTimeout="7000"', "body_timeout_s", 7),
    ('disableUploadTimeout="false"', "body_timeout_s", 300),
    ('disableUploadTimeout="true" connectionUploadTimeout="7000" connectionTimeout="2000"', "body_timeout_s", 2),
    ('address="::1"', "listen", ["[::1]:8080"]),
    ('address="10.0.0.5"', "listen", ["10.0.0.5:8080"]),
    ('address=""', "listen", ["*:8080"]),
    ('unixDomainSocketPath="/run/t.sock"', "listen", ["unix:/run/t.sock"]),
    ("", "mode", "http"),
    ('protocol="AJP/1.3"', "mode", "ajp"),
    ('protocol="org.apache.coyote.ajp.AjpNio2Protocol"', "mode", "ajp"),
    ('protocol="org.apache.coyote.http11.Http11AprProtocol"', "mode", "http"),
    ('protocol="AJP/1.3"', "idle_timeout_s", UNLIMITED),
    ('protocol="AJP/1.3"', "header_timeout_s", UNLIMITED),
    ('protocol="AJP/1.3" connectionTimeout="5000"', "idle_timeout_s", 5),
    ('protocol="AJP/1.3" maxKeepAliveRequests="1"', "max_requests", UNLIMITED),
    ('protocol="AJP/1.3" maxKeepAliveRequests="1" keepAliveTimeout="3000"', "idle_timeout_s", 3),
    ('protocol="AJP/1.3"', "use", "proxy"),
    ('protocol="AJP/1.3"', "behind_proxy", True),
    ('protocol="AJP/1.3"', "listen", ["127.0.0.1:8080"]),
    ('proxyPort="443"', "use", "proxy"),
    ('proxyName="www.example.com"', "behind_proxy", True),
    ('proxyPort="0" proxyName=""', "behind_proxy", None),
    ('scheme="https"', "behind_proxy", True),
    ('scheme="https"', "use", None),
    ('secure="true"', "behind_proxy", True),
    ('scheme="https" secure="true" SSLEnabled="true"', "behind_proxy", None),
    ("", "use", None),
]


@pytest.mark.parametrize(("attributes", "name", "value"), FACTS)
def test_a_fact_of_a_connector(tmp_path, attributes, name, value):
    _, facts = one(tmp_path, attributes)
    assert facts.get(name) == value


@pytest.mark.parametrize(
    ("connector", "use"),
    [
        ('port="80"', "browser"),
        ('port="443" SSLEnabled="true"', "browser"),
        ('port="8443" SSLEnabled="true" scheme="https" secure="true"', "browser"),
        ('port="443"', None),
        ('port="8080"', None),
        ('port="80" proxyPort="443"', "proxy"),
    ],
)
def test_who_uses_a_connector(tmp_path, connector, use):
    _, servers = of(tmp_path, f"<Connector {connector}/>")
    assert next(iter(servers.values())).get("use") == use


@pytest.mark.parametrize(
    ("version", "attributes", "seconds"),
    [
        ("10.1.60", 'keepAliveTimeout="1500"', 1),
        ("10.1.60", 'keepAliveTimeout="500"', 0),
        ("10.1.60", "", 60),
        ("9.0.29", 'connectionTimeout="20000"', 20),
        ("9.0.28", 'connectionTimeout="20000"', None),
        (None, 'connectionTimeout="20000"', None),
        ("10.1.60", 'keepAliveTimeout="-1"', None),
        ("10.1.60", 'maxKeepAliveRequests="1"', None),
        ("10.1.60", 'useKeepAliveResponseHeader="false"', None),
        ("10.1.60", 'protocol="AJP/1.3" keepAliveTimeout="1500"', None),
    ],
)
def test_what_the_header_advertises(tmp_path, version, attributes, seconds):
    assert one(tmp_path, attributes, version)[1].get("advertised_idle_s") == seconds


@pytest.mark.parametrize(
    ("attributes", "idle"),
    [("", 20), ('keepAliveTimeout="65000"', 65), ('keepAliveTimeout="0"', 0), ('keepAliveTimeout="-1"', UNLIMITED)],
)
def test_http2_has_an_idle_timeout_of_its_own(tmp_path, attributes, idle):
    config, facts = one(tmp_path, 'keepAliveTimeout="65000"', inside=HTTP2.format(attributes))
    assert facts["h2_idle_timeout_s"] == idle
    assert facts["idle_timeout_s"] == 65
    assert (facts["http2"], facts["h2_ignores_idle"]) == (True, not attributes)
    assert config["no_effect"] == []


IGNORED = [
    # the connector's attributes, its upgrade's, whether the connector's timeout is believed to hold for HTTP/2
    ("", "", False),
    ('connectionTimeout="20000"', "", False),
    ('keepAliveTimeout="65000"', "", True),
    ('keepAliveTimeout="65000"', 'readTimeout="5000"', True),
    ('keepAliveTimeout="65000"', 'keepAliveTimeout="x"', True),
    ('keepAliveTimeout="65000"', 'keepAliveTimeout="9000"', False),
    ('keepAliveTimeout="x"', "", False),
]


@pytest.mark.parametrize(("attributes", "upgrade", "ignores"), IGNORED)
def test_whether_http2_ignores_the_idle_timeout(tmp_path, attributes, upgrade, ignores):
    _, facts = one(tmp_path, attributes, inside=HTTP2.format(upgrade))
    assert (facts["http2"], facts["h2_ignores_idle"]) == (True, ignores)


def test_the_place_is_that_of_the_timeout_that_is_ignored(tmp_path):
    body = f'<Connector port="8080" keepAliveTimeout="65000">{HTTP2.format("")}</Connector>'
    found, _ = collected(tmp_path, {CONF: server(body)})
    assert found[1][2]["h2_ignores_idle"] == {"value": True, "origin": f"{CONF}:3"}


@pytest.mark.parametrize(
    ("attributes", "http2"), [("", False), ('protocol="AJP/1.3"', None), ('protocol="HTTP/1.1"', False)]
)
def test_without_http2_there_is_no_timeout_of_it(tmp_path, attributes, http2):
    _, facts = one(tmp_path, attributes, inside='<UpgradeProtocol className="org.example.Own"/>')
    assert facts.get("http2") is http2
    assert not {"h2_idle_timeout_s", "h2_ignores_idle"} & set(facts)


def test_each_connector_stands_alone_and_origins_are_lines(tmp_path):
    text = server("""<!-- <Connector port="1"/> -->
<Connector port="8080"
           keepAliveTimeout="5000"

           acceptCount='7' />
<Connector port="8009" protocol="AJP/1.3"/><Connector port="8081"/>""")
    found, host = collected(tmp_path, {CONF: text})
    assert [name for _, name, _ in found] == [
        "tomcat",
        "tomcat HTTP *:8080",
        "tomcat AJP 127.0.0.1:8009",
        "tomcat HTTP *:8081",
    ]
    first = found[1][2]
    assert first["idle_timeout_s"]["origin"] == f"{CONF}:5"
    assert first["backlog"]["origin"] == f"{CONF}:7"
    assert first["listen"]["origin"] == f"{CONF}:4"
    assert found[2][2]["idle_timeout_s"]["origin"] == "default of AJP/1.3"
    assert "idle_timeout_s" not in found[3][2]
    assert host.errors == []


def test_the_services_share_no_valve_and_the_offset_moves_all(tmp_path):
    engine = '<Engine name="a" defaultHost="h">{}<Host name="h">{}</Host></Engine>'
    text = f"""<Server port="-1" portOffset="100"><Service><Connector port="80"/><Connector port="0"/>
{engine.format(REMOTE_IP, "")}</Service><Service><Connector port="8080"/>{engine.format("", "")}</Service>
<Service><Connector port="8081"/>{engine.format("", REMOTE_IP)}</Service></Server>"""
    _, servers = values(collected(tmp_path, {CONF: text})[0])
    assert {name: (facts.get("behind_proxy"), facts.get("use")) for name, facts in servers.items()} == {
        "tomcat HTTP *:180": (True, "proxy"),
        "tomcat HTTP *:0": (True, "proxy"),
        "tomcat HTTP *:8180": (None, None),
        "tomcat HTTP *:8181": (True, "proxy"),
    }


@pytest.mark.parametrize(
    ("connector", "use"),
    [('port="80"', None), ('port="70"', "browser"), ('port="433" SSLEnabled="true"', "browser"), ('port="0"', None)],
)
def test_the_offset_counts_for_who_uses_a_connector(tmp_path, connector, use):
    text = server(f"<Connector {connector}/>", tag='<Server port="-1" portOffset="10">')
    _, servers = values(collected(tmp_path, {CONF: text})[0])
    (facts,) = servers.values()
    assert (facts.get("use"), facts.get("behind_proxy")) == (use, False if use else None)


@pytest.mark.parametrize(
    ("attributes", "use"),
    [("", "proxy"), ('scheme="https" secure="true"', "proxy"), ('SSLEnabled="true"', None), ('port="80"', "proxy")],
)
def test_a_valve_for_a_proxy_s_header_tells_a_proxy(tmp_path, attributes, use):
    port = "" if "port=" in attributes else 'port="8080"'
    _, servers = of(tmp_path, f"<Connector {port} {attributes}/><Engine>{REMOTE_IP}</Engine>")
    (facts,) = servers.values()
    assert (facts["behind_proxy"], facts.get("use")) == (True, use)


# properties

PROPERTIES = [
    # value of the attribute, catalina.properties, -D, variables, seconds (None: unreadable)
    ("${a}", "a=7000", {}, {}, 7),
    ("${a:-8000}", "", {}, {}, 8),
    ("${a:-8000}", "a = 7000", {}, {}, 7),
    ("${a}000", "a:7", {}, {}, 7),
    ("${a}", "", {"a": "9000"}, {}, 9),
    ("${a}", "a 7000", {"a": "9000"}, {}, 7),
    ("${a:-${b}}", "b=6000", {}, {}, 6),
    ("${a}", "a=${b}\nb=5000", {}, {}, 5),
    ("${a}", "a=50\\\n   00", {}, {}, 5),
    ("${a}", "a=5\\u0030\\u0030\\u0030", {}, {}, 5),
    ("${a}", "", {}, {"a": "4000"}, None),
    ("${a}", f"{tomcat_properties.SOURCE}=x,{tomcat_properties.ENVIRONMENT}", {}, {"a": "4000"}, 4),
    ("${a}", "", {tomcat_properties.SOURCE: tomcat_properties.ENVIRONMENT}, {"a": "4000"}, 4),
    ("${a}", "", {}, {}, None),
    ("${a}", "a=${b}\nb=${a}", {}, {}, None),
    ("${a}", "a=${a}${a}", {}, {}, None),
    ("${", "", {}, {}, None),
]


def process(argv, pid=71, environ=None, cwd="/", comm="java"):
    """The files of /proc of one process, and its links."""
    files = {
        f"/proc/{pid}/comm": comm + "\n",
        f"/proc/{pid}/cmdline": "\0".join(argv) + "\0",
        f"/proc/{pid}/stat": f"{pid} ({comm}) S 1 1\n",
        f"/proc/{pid}/environ": "\0".join(f"{name}={value}" for name, value in (environ or {}).items()),
    }
    return files, {f"/proc/{pid}/cwd": cwd}


def java(*options, base="/srv/one", home="/srv/home", arguments=("start",)):
    places = [f"-Dcatalina.base={base}", f"-Dcatalina.home={home}"]
    return ["/usr/bin/java", *options, *places, "-cp", "x.jar", "org.apache.catalina.startup.Bootstrap", *arguments]


@pytest.mark.parametrize(("text", "properties", "defined", "variables", "seconds"), PROPERTIES)
def test_properties(tmp_path, text, properties, defined, variables, seconds):
    files, links = process(java(*(f"-D{name}={value}" for name, value in defined.items())), environ=variables)
    files["/srv/one/conf/server.xml"] = server(f'<Connector port="8080" keepAliveTimeout="{text}"/>')
    files["/srv/one/conf/catalina.properties"] = properties
    config, servers = values(collected(tmp_path, files, links)[0])
    facts = servers["tomcat HTTP *:8080"]
    assert config["running"] is facts["running"] is True
    assert facts.get("idle_timeout_s") == seconds
    undefined = "/srv/one/conf/server.xml:3: keepAliveTimeout: a property in it is not defined"
    assert config["unreadable"] == ([] if seconds else [undefined])


def test_a_port_that_is_not_known(tmp_path):
    body = '<Connector port="${http}" connectionTimeout="5000"/><Connector port="${https}"/><Connector port="80" address="${a}"/>'
    config, servers = of(tmp_path, body)
    assert list(servers) == ["tomcat HTTP *", f"tomcat HTTP * ({CONF}:3)", f"tomcat HTTP * ({CONF}:3) #2"]
    assert all("listen" not in facts for facts in servers.values())
    assert [entry.split(": ")[1] for entry in config["unreadable"]] == ["port", "port", "address"]


# traps, and what has no effect

NOTES = [
    ("unit_traps", 'keepAliveTimeout="60"', "keepAliveTimeout 60 means 0.06 s: it is in milliseconds"),
    ("unit_traps", 'connectionTimeout="20"', "connectionTimeout 20 means 0.02 s: it is in milliseconds"),
    (
        "unit_traps",
        'disableUploadTimeout="false" connectionUploadTimeout="300"',
        "connectionUploadTimeout 300 means 0.3 s: it is in milliseconds",
    ),
    (
        "no_effect",
        'keepalivetimeout="5000"',
        "keepalivetimeout: no such attribute: Tomcat warns and ignores it, keepAliveTimeout is meant",
    ),
    (
        "no_effect",
        'soTimeout="5000"',
        "soTimeout: no such attribute: Tomcat warns and ignores it, connectionTimeout is meant",
    ),
    (
        "no_effect",
        'soKeepAlive="true"',
        "soKeepAlive: no such attribute: Tomcat warns and ignores it, socket.soKeepAlive is meant",
    ),
    (
        "no_effect",
        'socket.sokeepalive="true"',
        "socket.sokeepalive: no such attribute: Tomcat warns and ignores it, socket.soKeepAlive is meant",
    ),
    (
        "no_effect",
        'maxKeepAliveRequests="1" keepAliveTimeout="5000"',
        "keepAliveTimeout has no effect: maxKeepAliveRequests is 1",
    ),
    ("no_effect", 'keepAliveTimeout="5 s"', "keepAliveTimeout is not a whole number: Tomcat warns and ignores it"),
    ("no_effect", 'acceptCount="0"', "acceptCount has no effect: it is not above 0"),
    (
        "no_effect",
        'connectionUploadTimeout="5000"',
        "connectionUploadTimeout has no effect: disableUploadTimeout is not false",
    ),
    (
        "no_effect",
        'protocol="AJP/1.3" maxKeepAliveRequests="5"',
        "maxKeepAliveRequests has no effect on an AJP connector",
    ),
]


@pytest.mark.parametrize(("kind", "attributes", "text"), NOTES)
def test_traps_and_settings_without_effect(tmp_path, kind, attributes, text):
    config, _ = one(tmp_path, attributes)
    expected = {"unit_traps": [], "no_effect": [], kind: [f"{CONF}:3: {text}"]}
    assert {name: config[name] for name in expected} == expected


def test_each_text_begins_with_its_place(tmp_path):
    body = "".join(f"<Connector port='{8000 + n}' {case[1]}/>" for n, case in enumerate(NOTES))
    files, links = process(java("-Dcatalina.config=file:/srv/x"))
    files["/srv/one/conf/server.xml"] = server(body + "<Connector port='${none}'/><a></b>")
    config, _ = values(collected(tmp_path, files, links)[0])
    texts = [text for name in ("unreadable", "unit_traps", "no_effect") for text in config[name]]
    assert len(texts) > len(NOTES)
    assert [text for text in texts if not re.match("(/srv/one/conf/server.xml|catalina.config):[0-9]+: .", text)] == []


@pytest.mark.parametrize("value", ["0", "-1", "1000", "60000"])
def test_no_trap(tmp_path, value):
    config, _ = one(tmp_path, f'keepAliveTimeout="{value}" connectionTimeout="{value}"')
    assert config["unit_traps"] == config["no_effect"] == config["unreadable"] == []


@pytest.mark.parametrize(("version", "idle"), [("8.0.53", 5), ("7.0.100", 5), ("9.0.80", None), ("10.1.1", None)])
def test_old_versions_know_so_timeout(tmp_path, version, idle):
    config, facts = one(tmp_path, 'soTimeout="5000"', version)
    assert facts.get("idle_timeout_s") == idle
    assert bool(config["no_effect"]) == (version == "10.1.1")


@pytest.mark.parametrize(
    ("text", "count", "kind", "what"),
    [
        ("<Server><Connector port='1'/></Server>", 0, "no_effect", "a Connector has no effect here"),
        ("<Server><Service><connector port='1'/></Service></Server>", 0, "no_effect", "a Connector has no effect here"),
        (server("<Engine><Connector port='1'/></Engine>"), 0, "no_effect", "a Connector has no effect here"),
        (server("<Connector/>"), 0, "no_effect", "without a port of its own"),
        (server("<Connector port='-1'/>"), 0, "no_effect", "without a port of its own"),
        (server("<Connector port='70000'/>"), 0, "no_effect", "without a port of its own"),
        (server("<Connector port='80' protocol='http/1.1'/>"), 0, "unreadable", "the protocol is none that Tomcat has"),
        (server("<Connector port='80' address='a b'/>"), 1, "unreadable", "address: not an address"),
        ("<server><httpEndpoint/></server>", 0, "unreadable", "the root element is not Server"),
    ],
)
def test_connectors_that_are_none(tmp_path, text, count, kind, what):
    config, servers = values(collected(tmp_path, {CONF: text})[0])
    assert len(servers) == count
    assert [entry for entry in config[kind] if what in entry] == config[kind] != []


# entities


def doctype(*declarations):
    return "<!DOCTYPE Server [\n{}\n]>\n".format("\n".join(declarations))


def test_an_included_file(tmp_path):
    text = server("&inc;<Connector port='3'/>", doctype('<!ENTITY inc SYSTEM "sub/inc.xml">', '<!ENTITY t "5000">'))
    included = (
        "<?xml version='1.0' encoding='ISO-8859-1'?>\n<!-- x -->\n<Connector port='1'\nkeepAliveTimeout='&t;'/>\n"
    )
    found, host = collected(tmp_path, {CONF: text, "/opt/tomcat/conf/sub/inc.xml": included + "<Connector port='2'/>"})
    config, servers = values(found)
    assert list(servers) == ["tomcat HTTP *:1", "tomcat HTTP *:2", "tomcat HTTP *:3"]
    assert found[1][2]["idle_timeout_s"] == {"value": 5, "origin": "/opt/tomcat/conf/sub/inc.xml:4"}
    assert config["files"] == 2
    assert host.errors == []


def test_connectors_in_an_internal_entity(tmp_path):
    text = server("&c;", doctype("<!ENTITY c \"<Connector port='1' keepAliveTimeout='5000'/>\">"))
    found, _ = collected(tmp_path, {CONF: text})
    assert found[1][2]["idle_timeout_s"] == {"value": 5, "origin": f"{CONF}:6"}


REFUSED = [
    ('<!ENTITY i SYSTEM "/etc/passwd">', "not a relative path"),
    ('<!ENTITY i SYSTEM "../lib/x.xml">', "not a relative path"),
    ('<!ENTITY i SYSTEM "sub/../../x.xml">', "not a relative path"),
    ('<!ENTITY i SYSTEM "file:///opt/tomcat/conf/x.xml">', "not a relative path"),
    ('<!ENTITY i SYSTEM "http://user:s3cr3t@127.0.0.1/x.xml">', "not a relative path"),
    ('<!ENTITY i PUBLIC "-//s3cr3t" "jar:x">', "not a relative path"),
    ('<!ENTITY i SYSTEM "%2e%2e/x.xml">', "not a relative path"),
    ('<!ENTITY i SYSTEM "missing.xml">', "does not exist"),
    ('<!ENTITY i SYSTEM "out.xml">', "a link leads out"),
    ('<!ENTITY i SYSTEM "outside/x.xml">', "a link leads out"),
    ('<!ENTITY i SYSTEM "sub">', "not a regular file"),
    ('<!ENTITY i SYSTEM "binary.xml">', "not a text file"),
    ('<!ENTITY i SYSTEM "broken.xml">', "not well-formed"),
    ('<!ENTITY i SYSTEM "unbalanced.xml">', "not well-formed"),
    ('<!ENTITY i SYSTEM "itself.xml">', "not well-formed: recursive entity"),
]


@pytest.mark.parametrize(("declaration", "what"), REFUSED)
def test_an_entity_that_is_refused_is_told_and_the_rest_is_read(tmp_path, declaration, what):
    text = server("<Connector port='1'/>\n&i;\n<Connector port='2'/>", doctype(declaration))
    conf = "/opt/tomcat/conf/"
    files = {
        CONF: text,
        conf + "sub/x": "",
        conf + "binary.xml": b"\0\1\2",
        conf + "broken.xml": "<Connector port='9'/><",
        conf + "unbalanced.xml": "<Engine><Host>",
        conf + "itself.xml": "<Engine/>&i;",
        "/opt/tomcat/lib/x.xml": "<Connector port='66'/>",
    }
    links = {conf + "out.xml": "../lib/x.xml", conf + "outside": "/opt/tomcat/lib"}
    found, host = collected(tmp_path, files, links)
    config, servers = values(found)
    assert set(servers) - {"tomcat HTTP *:9"} == {"tomcat HTTP *:1", "tomcat HTTP *:2"}
    assert len(config["unreadable"]) == 1
    assert what in config["unreadable"][0]
    assert [f"{where}: {why}" for where, why in host.errors] == config["unreadable"]
    assert "s3cr3t" not in json.dumps(found) + str(host.errors)


def bomb(levels, width, reference="&e{};"):
    names = [f'<!ENTITY e{n} "{reference.format(n - 1) * width}">' for n in range(1, levels)]
    return ['<!ENTITY e0 "lollollol">', *names]


HOSTILE = {
    "billion laughs": server(f"<Connector port='1'/>{'&e9;'}", doctype(*bomb(10, 10))),
    "billion laughs in an attribute": server("<Connector port='1' name='&e9;'/>", doctype(*bomb(10, 10))),
    "quadratic": server("&e0;" * 100000, doctype('<!ENTITY e0 "{}">'.format("x" * 50000))),
    "quadratic in attributes": server("<a b='&e0;'/>" * 20000, doctype('<!ENTITY e0 "{}">'.format("x" * 50000))),
    "late declarations": server("&e9;", doctype(*reversed(bomb(10, 10)))),
    "loop": server("&a;", doctype('<!ENTITY a "&b;">', '<!ENTITY b "&a;">')),
    "chain": server("&e999;", doctype(*bomb(1000, 1))),
    "long chain": server("&e29999;", doctype(*bomb(30000, 1))),
    "double escape": server("&e9;", doctype(*bomb(10, 10, "&#38;e{};"))),
    "parameter bomb": server("", doctype('<!ENTITY % a "x">', "%a;")),
    "parameter file": server("", doctype('<!ENTITY % a SYSTEM "http://127.0.0.1:1/x">', "%a;")),
    "attribute defaults": server("", doctype('<!ENTITY e "x">', '<!ATTLIST Connector port CDATA "&e;">')),
    "unparsed": server("", doctype('<!NOTATION n SYSTEM "x">', '<!ENTITY u SYSTEM "x" NDATA n>')),
    "external DTD": server("&nobody;", '<!DOCTYPE Server SYSTEM "http://127.0.0.1:1/x.dtd">\n'),
    "undefined": server("&nobody;"),
    "deep": server("<a>" * 100000),
    "deep and closed": server("<a>" * 100 + "</a>" * 100),
    "unbalanced": server("<Connector port='1'/></Engine>"),
    "open": "<Server><Service><Connector port='1'/>",
    "empty": "",
    "blank": "\n\n",
    "text": "listen 80;",
    "binary": b"\x7fELF\0\0\0\1" * 100,
    "UTF-16": server("").encode("utf-16"),
    "random": bytes(range(1, 256)) * 20,
    "large": b"<!-- " + b"x" * (50 << 20) + b" -->",
    "many connectors": server("<Connector port='1'/>" * 30000),
    "duplicate attribute": server("<Connector port='1' port='2'/>"),
    "two roots": "<Server/><Server/>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_told_and_cost_little(tmp_path, name):
    before = time.monotonic()
    found, host = collected(tmp_path, {CONF: HOSTILE[name]})
    assert time.monotonic() - before < 10
    config = next(facts for kind, _, facts in found if kind == "config")
    assert config["unreadable"]["value"]
    assert all(entry.startswith(CONF) for entry in config["unreadable"]["value"])
    assert host.errors
    assert "lollol" not in json.dumps(found)


@pytest.mark.parametrize("name", ["unbalanced", "open", "billion laughs"])
def test_what_was_read_before_the_end_is_judged(tmp_path, name):
    found, _ = collected(tmp_path, {CONF: HOSTILE[name]})
    assert len(found) == (1 if name == "billion laughs" else 2)


def test_a_line_is_told(tmp_path):
    config, _ = values(collected(tmp_path, {CONF: HOSTILE["unbalanced"]})[0])
    assert config["unreadable"] == [f"{CONF}:3: not well-formed: mismatched tag"]


def test_includes_that_multiply_end(tmp_path):
    names = range(30)
    declared = doctype(*(f'<!ENTITY f{n} SYSTEM "f{n}.xml">' for n in names))
    files = {f"/opt/tomcat/conf/f{n}.xml": f"<a/>&f{n + 1};&f{n + 1};" for n in names[:-1]}
    files["/opt/tomcat/conf/f29.xml"] = "<a/>"
    config, _ = values(collected(tmp_path, {**files, CONF: server("&f0;<Connector port='1'/>", declared)})[0])
    assert any("more than 200 included files" in entry for entry in config["unreadable"])


@pytest.mark.parametrize(
    "text", ["\ufeff" + server("<Connector port='1'/>"), server("<!-- \xe9 --><Connector port='1'/>")]
)
def test_a_byte_order_mark_and_letters(tmp_path, text):
    for encoding in ("utf-8", "latin-1"):
        data = text.encode(encoding, "ignore")
        config, servers = values(collected(tmp_path, {CONF: data})[0])
        assert list(servers) == ["tomcat HTTP *:1"]
        assert config["unreadable"] == []


def test_an_unreadable_file(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    trees.grow(tmp_path, {CONF: server("")})
    (tmp_path / CONF.lstrip("/")).chmod(0)
    config, _ = values(list(tomcat.collect(Host(str(tmp_path)))))
    assert config["unreadable"] == [f"{CONF}:1: Permission denied"]


SECRET = "s3cr3t-Pa55"


def test_secrets_reach_nothing(tmp_path):
    body = f"""<Connector port="8443" SSLEnabled="true" keystorePass="{SECRET}" secret="{SECRET}" keyPass="${{pw}}"
 keepAliveTimeout="{SECRET}" acceptCount="${{pw}}" address="10.0.0.1 {SECRET}" proxyName="{SECRET}" scheme="{SECRET}">
<SSLHostConfig truststorePassword="{SECRET}"><Certificate certificateKeystorePassword="{SECRET}"/></SSLHostConfig>
{HTTP2.format(f'keepAliveTimeout="{SECRET}"')}</Connector>
<Connector port="{SECRET}" protocol="{SECRET}"/><Connector port="${{{SECRET}}}" {SECRET}="{SECRET}" unixDomainSocketPath="x {SECRET}"/>
<Resource name="db" password="{SECRET}" url="jdbc:mysql://u:{SECRET}@db/x"/>&x;&y;<a></{SECRET}>"""
    text = server(
        body, doctype(f'<!ENTITY x SYSTEM "http://u:{SECRET}@h/{SECRET}">', f'<!ENTITY y SYSTEM "{SECRET}.xml">')
    )
    files, links = process(java(f"-Dpw={SECRET}", f"-Djavax.net.ssl.keyStorePassword={SECRET}"), environ={"PW": SECRET})
    files.update({"/srv/one/conf/server.xml": text, "/srv/one/conf/catalina.properties": f"db.password={SECRET}\n"})
    files[f"/srv/one/conf/{SECRET}.xml"] = "<b/>"
    found, host = collected(tmp_path, files, links)
    assert len(found) == 3
    assert SECRET not in json.dumps(found) + json.dumps(host.errors)


# where it is


def test_nothing_is_found_where_nothing_is(tmp_path):
    found, host = collected(tmp_path, process(["/usr/bin/java", "-jar", "app.jar"])[0])
    assert found == []
    assert host.errors == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/tomcat9/server.xml",
        "/var/lib/tomcat9/conf/server.xml",
        "/var/lib/tomcats/shop/conf/server.xml",
        "/usr/share/tomcat/conf/server.xml",
        "/opt/tomcat-10/conf/server.xml",
        "/usr/local/tomcat/conf/server.xml",
    ],
)
def test_the_usual_places(tmp_path, path):
    config, servers = values(collected(tmp_path, {path: server("<Connector port='1'/>")})[0])
    assert config["path"] == path
    assert config["running"] is False
    assert list(servers) == ["tomcat HTTP *:1"]


def test_debian_is_one_instance_and_its_version_is_found(tmp_path):
    files = {
        "/etc/tomcat10/server.xml": server("<Connector port='8080'/>"),
        "/usr/share/java/tomcat10-catalina.jar": jar("10.1.34.0"),
        "/usr/share/tomcat10/bin/x": "",
    }
    links = {
        "/var/lib/tomcat10/conf": "/etc/tomcat10",
        "/usr/share/tomcat10/lib/catalina.jar": "../../java/tomcat10-catalina.jar",
    }
    config, servers = values(collected(tmp_path, files, links)[0])
    assert config["version"] == [10, 1, 34]
    assert servers["tomcat HTTP *:8080"]["version"] == [10, 1, 34]


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (jar("9.0.29"), [9, 0, 29]),
        (jar("11.0.0-M4", method=zipfile.ZIP_STORED), [11, 0, 0]),
        (jar("9.0.29", "META-INF/versions/9/org/apache/catalina/util/ServerInfo.properties"), None),
        (jar("9.0.29")[:-200], None),
        (b"PK\3\4", None),
        (b"", None),
        (jar("9.0.29").replace(b"PK\1\2", b"PK\0\0"), None),
        (b"PK\1\2" + b"\xff" * 42 + b"org/apache/catalina/util/ServerInfo.properties", None),
        (jar("x"), None),
    ],
)
def test_the_version_in_the_jar(tmp_path, data, version):
    files = {CONF: server(""), "/opt/tomcat/lib/catalina.jar": data}
    config, _ = values(collected(tmp_path, files)[0])
    assert config.get("version") == version


def running(*processes):
    files, links = {}, {}
    for number, (argv, options) in enumerate(processes):
        more, others = process(argv, 100 + number, **options)
        files.update(more)
        links.update(others)
    return files, links


def test_processes_are_instances_each_once(tmp_path):
    files, links = running(
        (java(), {}),
        (java(), {"comm": "jsvc"}),
        (java(base="/srv/two"), {}),
        (java(base="/srv/two", arguments=("stop",)), {}),
        (java(arguments=("-config", "conf/other.xml", "start")), {}),
        (java(base="three", home="three"), {"cwd": "/srv"}),
        (["java", "-jar", "org.apache.catalina.startup.Bootstrap.jar"], {}),
    )
    for base, port in (("one", 1), ("two", 2), ("three", 3)):
        files[f"/srv/{base}/conf/server.xml"] = server(f"<Connector port='{port}'/>")
    files["/srv/one/conf/other.xml"] = server("<Connector port='1'/>")
    files["/srv/home/lib/catalina.jar"] = jar("10.1.5")
    files["/etc/tomcat9/server.xml"] = server("<Connector port='99'/>")
    found, _ = collected(tmp_path, files, links)
    assert {name: facts["path"]["value"] for kind, name, facts in found if kind == "config"} == {
        "tomcat": "/srv/one/conf/server.xml",
        "tomcat (/srv/two/conf/server.xml)": "/srv/two/conf/server.xml",
        "tomcat (/srv/one/conf/other.xml)": "/srv/one/conf/other.xml",
        "tomcat (/srv/three/conf/server.xml)": "/srv/three/conf/server.xml",
    }
    assert [name for kind, name, _ in found if kind == "server"] == [
        "tomcat HTTP *:1",
        "tomcat HTTP *:2",
        "tomcat HTTP *:1 (/srv/one/conf/other.xml:3)",
        "tomcat HTTP *:3",
    ]
    assert found[0][2]["version"]["value"] == [10, 1, 5]
    assert found[1][2]["netns"]["value"] == "host"


def test_one_configuration_with_two_ports_by_property_is_two(tmp_path):
    files, links = running((java("-Dport=1"), {}), (java("-Dport=2"), {}))
    files["/srv/one/conf/server.xml"] = server("<Connector port='${port}'/>")
    found, _ = collected(tmp_path, files, links)
    assert [name for kind, name, _ in found if kind == "server"] == ["tomcat HTTP *:1", "tomcat HTTP *:2"]


def test_a_process_without_its_file(tmp_path):
    found, host = collected(tmp_path, *running((java(), {})))
    assert [kind for kind, _, _ in found] == ["config"]
    assert found[0][2]["unreadable"]["value"] == ["/srv/one/conf/server.xml:1: No such file or directory"]
    assert host.errors == [("/srv/one/conf/server.xml:1", "No such file or directory")]


@pytest.mark.parametrize(
    ("name", "file", "seconds", "told"),
    [("own.properties", "own.properties", 5, 0), ("http://h/x", "catalina.properties", None, 2)],
)
def test_properties_of_another_name(tmp_path, name, file, seconds, told):
    files, links = running((java(f"-Dcatalina.config={name}"), {}))
    files["/srv/one/conf/server.xml"] = server("<Connector port='1' keepAliveTimeout='${t}'/>")
    files[f"/srv/one/conf/{file}"] = "t=5000"
    config, servers = values(collected(tmp_path, files, links)[0])
    assert servers["tomcat HTTP *:1"].get("idle_timeout_s") == seconds
    assert len(config["unreadable"]) == told


@pytest.mark.parametrize(
    "kind",
    ["tomcat", "spring-boot-tomcat", "spring-boot-jetty", "jetty", "undertow", "spring-boot-netty", "jdk-httpserver"],
)
def test_the_catalog_has_the_kind(kind):
    entry = catalog.kind(kind)
    assert entry.role == "server"
    assert entry.defaults["server.idle_timeout_s"].at(None) is not None


def test_fast_enough(tmp_path):
    """2,000 lines; the bound is a guard against hanging, the time is printed."""
    body = "\n".join(
        f'<Connector port="{1 + n}"\n  protocol="HTTP/1.1"\n  connectionTimeout="20000"\n/>' for n in range(500)
    )
    host = Host(str(trees.grow(Path(tmp_path), {CONF: server(body)})))
    best = min(_seconds(host) for _ in range(3))
    print(f"2,000 lines: {best * 1000:.1f} ms")  # noqa: T201
    assert best < 2


def _seconds(host):
    before = time.process_time()
    assert len(list(tomcat.collect(host))) == 501
    return time.process_time() - before
