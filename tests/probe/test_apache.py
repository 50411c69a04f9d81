"""Apache httpd's configuration from trees of files: what is read, inherited, reported, and what never leaves the host."""

import json
import os

import pytest

from audit_tcp.probe import apache
from audit_tcp.probe.apache import values as apache_values
from audit_tcp.probe.host import Host
from trees import grow

PATH = "/etc/apache2/apache2.conf"
MODULES = "LoadModule mpm_event_module m.so\nLoadModule proxy_module m.so\nLoadModule macro_module m.so\nLoadModule reqtimeout_module m.so\n"
LISTEN = MODULES + "Listen 80\n"


def collected(root):
    host = Host(str(root))
    return [(kind, name, facts) for kind, name, facts in apache.collect(host)], host.errors


def read(tmp_path, text, **files):
    """Facts by (kind, name), the errors told to the host, and the config subject's values."""
    grow(tmp_path, {PATH: text, **{f"/etc/apache2/{name}": content for name, content in files.items()}})
    subjects, errors = collected(tmp_path)
    values = {(kind, name): {key: fact["value"] for key, fact in facts.items()} for kind, name, facts in subjects}
    assert len(values) == len(subjects)
    return values, errors, values["config", "apache"]


def main_server(tmp_path, text, **files):
    return read(tmp_path, text, **files)[0]["server", "apache *:80 (main server)"]


SERVER = [
    # lines after Listen 80, facts that must hold (None: left out)
    ("", {"idle_timeout_s": None, "keepalive": None, "max_requests": None, "backlog": None, "listen": ["*:80"], "mode": "http"}),
    ("KeepAlive On", {"keepalive": True, "idle_timeout_s": None, "advertised_idle_s": 5}),
    ("KeepAlive off\nKeepAliveTimeout 9", {"keepalive": False, "idle_timeout_s": 0, "advertised_idle_s": None}),
    ("KeepAliveTimeout 0", {"keepalive": False, "idle_timeout_s": 0}),
    ("KeepAliveTimeout 15", {"idle_timeout_s": 15, "advertised_idle_s": 15, "keepalive": None}),
    ("KeepAliveTimeout 1500ms", {"idle_timeout_s": 1.5, "advertised_idle_s": 1}),
    ("KeepAliveTimeout 2min", {"idle_timeout_s": 120}),
    ("KeepAliveTimeout 1h", {"idle_timeout_s": 3600}),
    ("KeepAliveTimeout 5\nKeepAliveTimeout 6", {"idle_timeout_s": 6}),
    ("keepalivetimeout 5", {"idle_timeout_s": 5}),
    ("MaxKeepAliveRequests 0", {"max_requests": "unlimited"}),
    ("MaxKeepAliveRequests 50", {"max_requests": 50}),
    ("ListenBacklog 1000", {"backlog": 1000}),
    ("TimeOut 300", {"send_timeout_s": 300, "header_timeout_s": 20, "body_timeout_s": 20, "request_timeout_s": None}),
    ("TimeOut 10", {"send_timeout_s": 10, "header_timeout_s": 10, "body_timeout_s": 10}),
    ("RequestReadTimeout header=30-60,MinRate=500", {"header_timeout_s": 30, "body_timeout_s": 20}),
    ("RequestReadTimeout header=0 body=0", {"header_timeout_s": None, "body_timeout_s": None}),
    ("TimeOut 9\nRequestReadTimeout header=0", {"header_timeout_s": 9}),
    ("RequestReadTimeout body=10", {"body_timeout_s": 10, "request_timeout_s": 10}),
    ("RequestReadTimeout body=10-50,minrate=1", {"body_timeout_s": 10, "request_timeout_s": 50}),
    ("RequestReadTimeout body=10\nRequestReadTimeout header=5", {"body_timeout_s": 10, "header_timeout_s": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), SERVER)
def test_facts_of_a_server(tmp_path, text, facts):
    found = main_server(tmp_path, LISTEN + text + "\n")
    assert {name: found.get(name) for name in facts} == facts


HOSTS = [
    # lines, {server: facts}
    ("KeepAliveTimeout 7\n<VirtualHost *:80>\nServerName a\n</VirtualHost>", {"*:80 a": {"idle_timeout_s": 7, "advertised_idle_s": 7}}),
    (
        "KeepAliveTimeout 7\n<VirtualHost *:80>\nServerName a\nKeepAliveTimeout 3\n</VirtualHost>\n<VirtualHost *:80>\nServerName b\n</VirtualHost>",
        {"*:80 a": {"idle_timeout_s": 3, "advertised_idle_s": 3}, "*:80 b": {"idle_timeout_s": 3, "advertised_idle_s": 7}},
    ),
    (
        "<VirtualHost *:80>\nServerName a\n</VirtualHost>\n<VirtualHost *:80>\nServerName b\nKeepAliveTimeout 30\n</VirtualHost>",
        {"*:80 a": {"idle_timeout_s": None, "advertised_idle_s": 5}, "*:80 b": {"idle_timeout_s": 30}},
    ),
    (
        "Listen 443\n<VirtualHost *:80>\nServerName a\nKeepAliveTimeout 3\n</VirtualHost>\n<VirtualHost *:443>\nServerName b\n</VirtualHost>",
        {"*:80 a": {"listen": ["*:80"]}, "*:443 b": {"idle_timeout_s": None, "listen": ["*:443"]}},
    ),
    ("KeepAlive Off\n<VirtualHost _default_:80>\nKeepAlive On\n</VirtualHost>", {"*:80": {"keepalive": True, "idle_timeout_s": None}}),
    ("KeepAlive On\n<VirtualHost *:80>\nKeepAlive Off\n</VirtualHost>", {"*:80": {"keepalive": False, "idle_timeout_s": 0}}),
    ("TimeOut 9\n<VirtualHost *:80>\nTimeOut 0\n</VirtualHost>", {"*:80": {"send_timeout_s": 9}}),
    ("<VirtualHost 10.0.0.1:80 [2001:db8::1]:80>\nServerName https://a.example:443\n</VirtualHost>", {"10.0.0.1:80 a.example": {"listen": ["*:80"]}, "*:80 (main server)": {}}),
    ("<VirtualHost *>\nServerName a\n</VirtualHost>", {"*:* a": {"listen": ["*:80"]}}),
    ("<VirtualHost *:80>\n</VirtualHost>\n<VirtualHost *:80>\n</VirtualHost>", {"*:80": {}, f"*:80 ({PATH}:8)": {}}),
    ("<VirtualHost *:8080>\nServerName a\n</VirtualHost>", {"*:8080 a": {"listen": ["*:8080"]}, "*:80 (main server)": {}}),
    (
        "Listen 81\n<VirtualHost *:80>\nServerName a\nKeepAliveTimeout 3\n</VirtualHost>\n<VirtualHost *:81>\nServerName b\nKeepAliveTimeout 30\n</VirtualHost>\n"
        "<VirtualHost *:80 *:81>\nServerName c\n</VirtualHost>\n<VirtualHost *:81 *:80>\nServerName d\n</VirtualHost>",
        {"*:80 a": {"idle_timeout_s": 3}, "*:81 b": {"idle_timeout_s": 30}, "*:80 c": {"idle_timeout_s": 3}, "*:81 d": {"idle_timeout_s": 3}},
    ),
    ("<VirtualHost *:${NONE}>\nServerName a\nKeepAliveTimeout 3\n</VirtualHost>", {"? a": {"idle_timeout_s": 3, "listen": None}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "servers"), HOSTS)
def test_virtual_hosts(tmp_path, text, servers):
    values, _, _ = read(tmp_path, LISTEN + text + "\n")
    for name, facts in servers.items():
        found = values["server", "apache " + name]
        assert {key: found.get(key) for key in facts} == facts
    assert len([kind for kind, _ in values if kind == "server"]) == len(servers) + ("? a" in servers)


UPSTREAMS = [
    # lines, {upstream: facts}
    ("ProxyPass / http://10.0.0.5:8080/", {"http://10.0.0.5:8080": {"mode": "http", "addresses": ["http://10.0.0.5:8080"], "reuse": None, "idle_timeout_s": None}}),
    ("ProxyPass / http://a/ ttl=30 max=20 keepalive=On", {"http://a": {"idle_timeout_s": 30, "pool_size": 20, "so_keepalive": True}}),
    ("ProxyPass / http://a/ disablereuse=On", {"http://a": {"reuse": False}}),
    ("ProxyPass / http://a/ enablereuse=off", {"http://a": {"reuse": False}}),
    ("ProxyPass / ajp://a:8009/ ping=500ms connectiontimeout=2 timeout=30", {"ajp://a:8009": {"pings_before_reuse": True, "connect_timeout_s": 2, "response_timeout_s": 30, "mode": "ajp"}}),
    ("ProxyPass / fcgi://a:9000/", {"fcgi://a:9000": {"reuse": False}}),
    ("ProxyPass / fcgi://a:9000/ enablereuse=on", {"fcgi://a:9000": {"reuse": True}}),
    ("ProxyPass / uwsgi://a:1/ enablereuse=on", {"uwsgi://a:1": {"reuse": False}}),
    ("ProxyPass / h2://a/", {"h2://a": {"http_version": 2}}),
    ("ProxyPass / unix:/run/app.sock|http://localhost/", {"unix:/run/app.sock": {"addresses": ["unix:/run/app.sock"], "mode": "http"}}),
    ("ProxyPass / !", {}),
    ("ProxyPass / http://a/\nProxySet http://a/ ttl=3", {"http://a": {"idle_timeout_s": 3}}),
    ("<Proxy http://a ttl=4>\n</Proxy>\nProxyPass / http://a/x ttl=9", {"http://a": {"idle_timeout_s": 4}}),
    ("<Proxy http://a>\nProxySet ttl=4\n</Proxy>", {"http://a": {"idle_timeout_s": 4}}),
    ("<Location /a>\nProxyPass http://a/ ttl=4\n</Location>", {"http://a": {"idle_timeout_s": 4}}),
    ("ProxyPass /x http://a/x ttl=1\nProxyPass / http://a/ ttl=2", {"http://a": {"idle_timeout_s": 1}, f"http://a ({PATH}:7)": {"idle_timeout_s": 2}}),
    ("ProxyPass / http://a:80/ ttl=1\nProxyPass /b http://a:8080/ ttl=2", {"http://a:80": {"idle_timeout_s": 1}, "http://a:8080": {"idle_timeout_s": 2}}),
    ("<Proxy balancer://app>\nBalancerMember http://a ttl=1\nBalancerMember http://b ttl=1\nBalancerMember http://c ttl=2\n</Proxy>",
     {"balancer://app": {"addresses": ["http://a", "http://b"], "idle_timeout_s": 1}, f"balancer://app ({PATH}:9)": {"addresses": ["http://c"], "idle_timeout_s": 2}}),
    ("BalancerMember balancer://App http://a timeout=7", {"balancer://app": {"response_timeout_s": 7}}),
    ("TimeOut 9\nProxyPass / http://a/", {"http://a": {"response_timeout_s": 9, "connect_timeout_s": 9}}),
    ("TimeOut 9\nProxyTimeout 8\nProxyPass / http://a/", {"http://a": {"response_timeout_s": 8}}),
    ("ProxyTimeout 8\nProxyPass / http://a/ timeout=7", {"http://a": {"response_timeout_s": 7, "connect_timeout_s": 7}}),
    ("<VirtualHost *:80>\nProxyTimeout 6\nProxyPass / http://a/\n</VirtualHost>\nProxyTimeout 8", {"http://a": {"response_timeout_s": 6}}),
    ("SetEnv proxy-nokeepalive 1\nProxyPass / http://a/", {"http://a": {"reuse": False, "sends_close": True}}),
    ("SetEnv force-proxy-request-1.0 1\nProxyPass / http://a/", {"http://a": {"reuse": False, "http_version": 1.0}}),
    ("ProxyPass /a http://a/\nProxyPass /b http://b/\n<Location /a>\nSetEnv proxy-nokeepalive 1\n</Location>", {"http://a": {"reuse": False}, "http://b": {"reuse": None}}),
    ("ProxyPassMatch ^/(.*)$ http://a/$1", {"http://a": {"reuse": False}}),
    ("ProxyPassMatch ^/(.*)$ http://$1.internal/", {"proxy": {"reuse": False, "addresses": None}}),
    ('<FilesMatch "\\.php$">\nSetHandler "proxy:unix:/run/php.sock|fcgi://localhost"\n</FilesMatch>', {"unix:/run/php.sock": {"reuse": False, "mode": "fcgi"}}),
    ("RewriteRule ^/(.*)$ http://a:81/$1 [L,P]", {"http://a:81": {"reuse": False}}),
    ("RewriteRule ^/(.*)$ http://a:81/$1 [R]", {}),
    ("ProxyPass /a http://a:81/\nRewriteRule ^/(.*)$ http://a:81/$1 [P]", {"http://a:81": {"reuse": None}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "upstreams"), UPSTREAMS)
def test_upstreams(tmp_path, text, upstreams):
    values, errors, _ = read(tmp_path, LISTEN + text + "\n")
    assert errors == []
    assert sorted(name for kind, name in values if kind == "upstream") == sorted("apache " + name for name in upstreams)
    for name, facts in upstreams.items():
        found = values["upstream", "apache " + name]
        assert {key: found.get(key) for key in facts} == facts


UNITS = [
    ("TimeOut 500ms", "TimeOut 500ms means 500 s"),
    ("TimeOut 5m", "TimeOut 5m means 5 s"),
    ("ProxyTimeout 30s", "ProxyTimeout 30s means 30 s"),
    ("KeepAliveTimeout 5000", "KeepAliveTimeout 5000 means 5000 s"),
    ("ProxyPass / http://a/ ttl=30s", "ttl=30s means 30 s"),
    ("ProxyPass / http://a/ timeout=500ms", "timeout=500ms means 500 s"),
    ("TimeOut 5hunter2-and-more", "TimeOut with a unit means 5 s"), ("TimeOut 5hunter", "TimeOut with a unit means 5 s"),
    ("KeepAliveTimeout 1000", None), ("KeepAliveTimeout 5000ms", None), ("TimeOut 60", None), ("ProxyPass / http://a/ ping=5ms", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "trap"), UNITS)
def test_units_that_say_something_else(tmp_path, text, trap):
    _, _, config = read(tmp_path, LISTEN + text + "\n")
    assert config["unit_traps"] == ([f"{PATH}:6: {trap}"] if trap else [])


USELESS = [
    ("KeepAlive Off\nKeepAliveTimeout 5", [":7: KeepAliveTimeout has no effect: KeepAlive is Off"]),
    ("KeepAlive Off\nMaxKeepAliveRequests 5", [":7: MaxKeepAliveRequests has no effect: KeepAlive is Off"]),
    ("KeepAlive Off\nKeepAliveTimeout 5\n<VirtualHost *:80>\nKeepAlive On\n</VirtualHost>", []),
    ("<VirtualHost *:80>\nKeepAlive Off\nKeepAliveTimeout 5\n</VirtualHost>", [":8: KeepAliveTimeout has no effect: KeepAlive is Off"]),
    ("<VirtualHost *:80>\nKeepAlive Off\nKeepAliveTimeout 5\n</VirtualHost>\n<VirtualHost *:80>\n</VirtualHost>", []),
    ("<VirtualHost *:80>\nKeepAliveTimeout 0\n</VirtualHost>", [":7: KeepAliveTimeout 0 has no effect: in a virtual host it means the main server's"]),
    ("ProxyPass / http://a/ ttl=5 disablereuse=On", [":6: ttl= has no effect: connections are not reused"]),
    ("ProxyPass / fcgi://a/ ttl=5", [":6: ttl= has no effect: connections are not reused"]),
    ("ProxyPass / http://a/\nProxyPass /b http://a/b ttl=5", [f":7: ttl= has no effect: the worker of this URL is defined at {PATH}:6"]),
    ("ProxyPass / balancer://a/ timeout=5", [":6: timeout= of a balancer has no effect on responses: it is the wait for a free member"]),
    ("<IfModule mod_none.c>\nKeepAliveTimeout 5\nTimeOut 5\n</IfModule>", [":7: keepalivetimeout has no effect: <IfModule mod_none.c> does not hold"]),
    ("<IfModule !proxy_module>\nKeepAlive Off\n</IfModule>", [":7: keepalive has no effect: <IfModule !proxy_module> does not hold"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), USELESS)
def test_settings_that_do_nothing(tmp_path, text, told):
    _, _, config = read(tmp_path, LISTEN + text + "\n")
    assert config["no_effect"] == [PATH + one for one in told]


def test_prefork_never_looks_at_ttl(tmp_path):
    text = "LoadModule mpm_prefork_module m.so\nLoadModule proxy_module m.so\nListen 80\nProxyPass / http://a/ ttl=5 max=3\n"
    values, _, config = read(tmp_path, text)
    assert config["no_effect"] == [f"{PATH}:4: ttl= has no effect under mpm_prefork"]
    assert not {"idle_timeout_s", "pool_size"} & set(values["upstream", "apache http://a"])


READING = [
    # main file after Listen 80, other files, KeepAliveTimeout in force
    ("Include a.conf\nKeepAliveTimeout 2", {"a.conf": "KeepAliveTimeout 1"}, 2),
    ("KeepAliveTimeout 2\nInclude a.conf", {"a.conf": "KeepAliveTimeout 1"}, 1),
    ("Include c/*.conf", {"c/b.conf": "KeepAliveTimeout 1", "c/a.conf": "KeepAliveTimeout 2", "c/.z.conf": "KeepAliveTimeout 3"}, 1),
    ("Include c", {"c/b": "KeepAliveTimeout 1", "c/d/e": "KeepAliveTimeout 2", "c/d/a": "KeepAliveTimeout 3"}, 2),
    ("IncludeOptional c/*/x\nIncludeOptional none*", {"c/a/x": "KeepAliveTimeout 1", "c/b/x": "KeepAliveTimeout 2"}, 2),
    ("ServerRoot /etc/apache2/c\nInclude x", {"c/x": "KeepAliveTimeout 1"}, 1),
    ("KeepAliveTimeout 1 \\\n", {}, 1), ("KeepAliveTimeout \\\n1", {}, 1), ("KeepAliveTimeout 1\n# x \\\nKeepAliveTimeout 2", {}, 1),
    ("KeepAliveTimeout 1\n  #KeepAliveTimeout 2", {}, 1), ('"KeepAliveTimeout" "1"', {}, 1), ("KeepAliveTimeout 1\r\n", {}, 1),
    ("Define T 3\nKeepAliveTimeout ${T}", {}, 3), ("Define T 3\nDefine U ${T}0\nKeepAliveTimeout ${U}", {}, 30),
    ("KeepAliveTimeout ${FROM_ENVVARS}", {"envvars": "export FROM_ENVVARS=4\n"}, 4),
    ("KeepAliveTimeout ${B}", {"envvars": "A=4\nexport B=\"${A}2\"\nexport C=$(cat /etc/shadow)\n"}, 42),
    ("<IfDefine T>\nKeepAliveTimeout 1\n</IfDefine>", {"envvars": "export APACHE_ARGUMENTS='-DT'\n"}, 1),
    ("KeepAliveTimeout 1\n<IfDefine T>\nKeepAliveTimeout 2\n</IfDefine>", {}, 1),
    ("<IfModule mod_proxy.c>\nKeepAliveTimeout 1\n</IfModule>\n<IfModule !mod_proxy.c>\nKeepAliveTimeout 2\n</IfModule>", {}, 1),
    ("<IfModule event.c>\nKeepAliveTimeout 1\n</IfModule>\n<IfModule unixd_module>\nKeepAliveTimeout 2\n</IfModule>", {}, 2),
    ("<IfVersion >= 2.4>\nKeepAliveTimeout 1\n</IfVersion>\n<IfVersion < 2.4>\nKeepAliveTimeout 2\n</IfVersion>", {}, 1),
    ("<IfFile a>\nKeepAliveTimeout 1\n</IfFile>\n<IfFile !a>\nKeepAliveTimeout 2\n</IfFile>", {"a": ""}, 1),
    ("<IfDirective KeepAlive>\nKeepAliveTimeout 1\n</IfDirective>\n<IfSection !Location>\nKeepAliveTimeout 2\n</IfSection>", {}, 1),
    ("<Macro M $a $ab>\nKeepAliveTimeout $a$ab\n</Macro>\nUse m 1 2", {}, 12),
    ("<Macro M>\nKeepAliveTimeout 7\n</Macro>\nUse M", {}, 7),
    ("KeepAliveTimeout 1\n<Perl>\nKeepAliveTimeout 2\n<$x>;\n</Perl>", {}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "files", "idle"), READING)
def test_reading(tmp_path, text, files, idle):
    assert main_server(tmp_path, LISTEN + text + "\n", **files)["idle_timeout_s"] == idle


def test_modules_are_taken_as_there_where_nothing_tells(tmp_path):
    text = "Listen 80\n<IfModule mod_any.c>\nKeepAliveTimeout 1\n</IfModule>\n<IfModule !mod_any.c>\nKeepAliveTimeout 2\n</IfModule>\nRequestReadTimeout header=3\n"
    values, errors, _ = read(tmp_path, text)
    assert values["server", "apache *:80 (main server)"]["idle_timeout_s"] == 1
    assert errors == []


FAULTS = [
    # main file, other files, where it is told, a part of what
    ("<VirtualHost *:80>\nKeepAlive On\n", {}, ":6", "is not closed"),
    ("</VirtualHost>\n", {}, ":6", "closes nothing"),
    ("<VirtualHost *:80>\n<Location />\n</VirtualHost>\n", {}, ":7", "not closed before"),
    ("<IfModule mod_none.c>\n<X>\n</IfModule>\n", {}, ":8", "another section"),
    ("<IfDefine X>\n", {}, ":6", "is not closed"),
    ("<VirtualHost *:80\n</VirtualHost>\n", {}, ":6", "no closing >"),
    ("Include none.conf\n", {}, ":6", "does not exist"),
    ("Include none*.conf\n", {}, ":6", "matches the wildcard"),
    ("Include a*b*c*d*e*f*\n", {}, ":6", "stars"),
    ("Include loop.conf\n", {"loop.conf": "Include loop.conf\n"}, "/etc/apache2/loop.conf:1", "loop"),
    ("Include a\n", {"a": "Include b\n", "b": "Include a\n"}, "/etc/apache2/b:1", "loop"),
    ("Include bin\n", {"bin": b"\x7fELF\0\0"}, "/etc/apache2/bin:1", "not a text"),
    ("Include big\n", {"big": b"#\n" * (25 << 20)}, "/etc/apache2/big:1", "larger"),
    ("Include apache2.conf/x\n", {}, ":6", "Not a directory"),
    ("<A>\n" * 70 + "</A>\n" * 70, {}, ":66", "more than 60 sections"),
    ("<Macro M>\nUse M\n</Macro>\nUse M\n", {}, ":7", "uses itself"),
    ("<Macro M $a>\n</Macro>\nUse M\n", {}, ":8", "0 arguments"),
    ("<Macro M>\n", {}, ":6", "not closed"),
    ("KeepAlive Maybe\n", {}, ":6", "neither On nor Off"),
    ("KeepAliveTimeout soon\n", {}, ":6", "is no time"),
    ("KeepAliveTimeout ${NONE}\n", {}, ":6", "variable that is not set"),
    ("<Location />\nKeepAlive On\n</Location>\n", {}, ":7", "not allowed within <location>"),
    ("<VirtualHost *:80>\nListen 81\n</VirtualHost>\n", {}, ":7", "not allowed within <VirtualHost>"),
    ("<IfVersion ~ ^2>\n</IfVersion>\n", {}, ":6", "regular expression"),
    ("<!-- x -->\n", {}, ":6", "without a name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "files", "where", "what"), FAULTS, ids=range(len(FAULTS)))
def test_faults_are_told_and_the_rest_is_judged(tmp_path, text, files, where, what):
    values, errors, config = read(
        tmp_path,
        LISTEN + text + "KeepAliveTimeout 44\n"
        if "IfDefine X" not in text and text != "<Macro M>\n"
        else LISTEN + "KeepAliveTimeout 44\n" + text,
        **files,
    )
    where = where if where.startswith("/") else PATH + where
    if "IfDefine X" in text or text == "<Macro M>\n":
        where = f"{PATH}:7"
    assert [told for told in errors if told[0] == where and what in told[1]], errors
    assert [one for one in config["unreadable"] if one.startswith(where + ": ") and what in one]
    idle = {facts.get("idle_timeout_s") for (kind, _), facts in values.items() if kind == "server"}
    assert 44 in idle


def test_a_module_that_is_not_there_is_told(tmp_path):
    _, errors, _ = read(tmp_path, "LoadModule mpm_event_module m.so\nListen 80\nProxyPass / http://a/\n")
    assert errors == [(f"{PATH}:3", "proxypass needs proxy_module, which is not loaded")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_told(tmp_path):
    grow(tmp_path, {PATH: LISTEN + "Include secret\n", "/etc/apache2/secret": ""})
    (tmp_path / "etc/apache2/secret").chmod(0)
    assert collected(tmp_path)[1] == [("/etc/apache2/secret:1", "Permission denied")]


def test_links_that_lead_in_circles_end(tmp_path):
    import time

    links = {"/etc/apache2/c/a": ".", "/etc/apache2/c/b": "."}
    grow(
        tmp_path,
        {PATH: LISTEN + "Include c\nInclude c\nTimeOut 44\n", "/etc/apache2/c/x": "KeepAliveTimeout 7\n"},
        links,
    )
    start = time.process_time()
    subjects, errors = collected(tmp_path)
    assert time.process_time() - start < 3
    assert errors == [
        (f"{PATH}:6", "more than 20 directories within one another"),
        (f"{PATH}:6", "Include: more than 2000 files and directories"),
    ]
    assert subjects[0][2]["unreadable"]["value"] == [f"{where}: {what}" for where, what in errors]
    assert subjects[1][2]["send_timeout_s"]["value"] == 44


BOMBS = {
    "variables": "Define A 0123456789\n" + "".join(f"Define A{n} ${{A{n - 1 if n else ''}}}${{A{n - 1 if n else ''}}}\n" for n in range(60)) + "KeepAliveTimeout ${A59}\n",
    "macros": "".join(f"<Macro M{n}>\nUse M{n + 1}\nUse M{n + 1}\n</Macro>\n" for n in range(30)) + "<Macro M30>\nTimeOut 3\n</Macro>\nUse M0\n",
    "one line": "ProxyPass " + "/ " * 500000 + "\n", "dollars": "TimeOut " + "${" * 500000 + "\n", "quotes": 'TimeOut "' + '\\"' * 500000 + "\n",
    "hosts": "<VirtualHost *:80>\n</VirtualHost>\n" * 20000, "workers": "".join(f"ProxyPass /{n} http://h/{n}/x ttl=1\n" for n in range(20000)),
    "addresses": "<VirtualHost " + "*:80 " * 200000 + ">\n</VirtualHost>\n", "closing": "</a>\n" * 100000, "tags": "<a>\n" * 100000,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_no_file_takes_long(tmp_path, name):
    import time

    start = time.process_time()
    values, _, _ = read(tmp_path, LISTEN + BOMBS[name])
    assert time.process_time() - start < 3
    assert len(values) < 10000


SECRET = "hunter2"
SEEDED = f"""{LISTEN}Define PASS {SECRET}
KeepAliveTimeout {SECRET}
KeepAlive {SECRET}
TimeOut 5{SECRET}
ListenBacklog {SECRET}
Listen {SECRET}:{SECRET}
RequestReadTimeout {SECRET}=1
SetEnv API_KEY {SECRET}
<VirtualHost {SECRET}/*:80>
ServerName a{SECRET}/x?y={SECRET}
ServerName https://u:{SECRET}@h/{SECRET}
<Location /hook/{SECRET}>
ProxyPass http://10.0.0.7/{SECRET} ttl=3
</Location>
<Location /${{PASS}}>
ProxyPass http://10.0.0.8/${{PASS}} ttl={SECRET}
</Location>
ProxyPass /{SECRET} http://user:{SECRET}@10.0.0.5/{SECRET}?key={SECRET} secret={SECRET} ttl={SECRET} {SECRET}
ProxyPass /b http://user:{SECRET}@10.0.0.5/ ttl=3x{SECRET}
ProxyPass /c {SECRET}
BalancerMember balancer://{SECRET}@x/{SECRET} http://u:{SECRET}@h:1 secret={SECRET} route={SECRET}
ProxySet {SECRET} a={SECRET}
RewriteRule ^ http://u:{SECRET}@h2/{SECRET}?{SECRET} [P]
SetHandler "proxy:http://u:{SECRET}@h3/{SECRET}"
RequestHeader set Authorization "Bearer {SECRET}"
<{SECRET} {SECRET}>
</{SECRET}>
</VirtualHost>
Include "{{{SECRET}"
<IfVersion {SECRET}>
</IfVersion>
<IfModule "mod {SECRET}">
KeepAlive On
</IfModule>
<Macro {SECRET} ${SECRET}>
</Macro>
Use {SECRET}
Use {SECRET}x
LoadModule {SECRET}
"""


def test_secrets_reach_nothing(tmp_path):
    text = SEEDED.replace(f'Include "{{{SECRET}"\n', "")
    grow(tmp_path, {PATH: text, "/etc/apache2/envvars": f"export TOKEN={SECRET}\n"})
    subjects, errors = collected(tmp_path)
    assert len(errors) > 5
    assert SECRET not in json.dumps([subjects, errors])


UNTOLD = [
    f'Include "http://u:{SECRET}@h/"',
    f"Define PW {SECRET}\nInclude ${{PW}}.conf",
    f"Define PW {SECRET}\nInclude ${{PW}}/*.conf",
    f"Define PW {SECRET}\nInclude apache2.conf/${{PW}}",
    f"Include {SECRET * 100}",
    f"Define PW {SECRET}\n<IfModule ${{PW}}>\nKeepAlive On\n</IfModule>",
    f"<VirtualHost u:{SECRET}@h:80>\n</VirtualHost>",
]


@pytest.mark.parametrize("text", UNTOLD, ids=range(len(UNTOLD)))
def test_what_is_refused_is_not_repeated(tmp_path, text):
    values, errors, config = read(tmp_path, LISTEN + text + "\n")
    assert errors or config["no_effect"]
    assert SECRET not in str(values) + str(errors)


PLACES = [
    (PATH, {}, "apache *:80 (main server)"),
    ("/etc/httpd/conf/httpd.conf", {"/etc/httpd/conf.d/x.conf": ""}, "apache *:80 (main server)"),
    ("/usr/local/apache2/conf/httpd.conf", {}, "apache *:80 (main server)"),
]


@pytest.mark.parametrize(("path", "files", "name"), PLACES)
def test_where_it_is_looked_for(tmp_path, path, files, name):
    grow(tmp_path, {path: "Listen 80\nIncludeOptional conf.d/*.conf\n", **files})
    subjects, errors = collected(tmp_path)
    assert [one[1] for one in subjects] == ["apache", name]
    assert subjects[0][2]["path"]["value"] == path
    assert subjects[0][2]["running"]["value"] is False
    assert subjects[0][2]["files"]["value"] == 1 + len(files)
    assert errors == []


def test_nothing_where_there_is_none(tmp_path):
    assert collected(tmp_path) == ([], [])


DPKG = "Package: apache2\nVersion: 9.9\n\nPackage: apache2-bin\nStatus: install ok installed\nVersion: 2.4.71-1~deb12u1\n\nPackage: b\nVersion: 1\n"
VERSIONS = [
    ({"/usr/sbin/apache2": b"\0x\0Apache/2.4.62 (Debian)\0Apache/2\0"}, [2, 4, 62]),
    ({"/var/lib/dpkg/status": "\n" + DPKG}, [2, 4, 71]),
    ({}, None),
]


@pytest.mark.parametrize(("files", "version"), VERSIONS)
def test_the_version(tmp_path, files, version):
    grow(tmp_path, {PATH: "Listen 80\n", **files})
    for _, _, facts in collected(tmp_path)[0]:
        assert facts.get("version", {}).get("value") == version


def test_modules_of_the_program_and_its_version_decide(tmp_path):
    program = b"\0mod_so.c\0mod_proxy.c\0Apache/2.2.34\0"
    text = "Listen 80\n<IfModule mod_proxy.c>\nKeepAliveTimeout 1\n</IfModule>\n<IfVersion >= 2.4>\nKeepAliveTimeout 2\n</IfVersion>\n<IfModule mod_ssl.c>\nKeepAliveTimeout 3\n</IfModule>\n"
    grow(tmp_path, {PATH: text, "/usr/sbin/apache2": program})
    facts = next(facts for kind, _, facts in collected(tmp_path)[0] if kind == "server")
    assert facts["idle_timeout_s"] == {"value": 1, "origin": f"{PATH}:3"}


def running(tmp_path, pid, argv, environ="", exe="/usr/sbin/apache2", comm="apache2"):
    grow(tmp_path, {f"/proc/{pid}/comm": comm, f"/proc/{pid}/cmdline": "\0".join(argv) + "\0", f"/proc/{pid}/environ": environ, f"/proc/{pid}/stat": f"{pid} ({comm}) S 1 1"},
         {f"/proc/{pid}/exe": exe, f"/proc/{pid}/cwd": "/"})  # fmt: skip


def test_running_servers_by_their_command_lines(tmp_path):
    program = b'\0Apache/2.4.71\0 -D HTTPD_ROOT="/srv/built"\0 -D SERVER_CONFIG_FILE="own.conf"\0'
    body = "Listen 80\nKeepAliveTimeout ${T}\n<IfDefine X>\nKeepAliveTimeout 9\n</IfDefine>\n"
    grow(
        tmp_path, {"/usr/sbin/apache2": program, "/srv/built/own.conf": body, "/srv/d/o.conf": body, PATH: "Listen 1\n"}
    )
    running(tmp_path, 10, ["apache2", "-k", "start"], "T=3\0KEY=hunter2\0")
    running(tmp_path, 11, ["apache2", "-d/srv/d", "-f", "o.conf", "-D", "X"])
    running(tmp_path, 12, ["apache2", "-d", "/srv/d", "-fo.conf", "-DX"])
    running(tmp_path, 13, ["apache2", "-c", "KeepAliveTimeout 8"], "T=3\0")
    running(tmp_path, 14, ["httpd", "-f", "-h", "/www"], exe="/bin/busybox", comm="httpd")
    subjects, _ = collected(tmp_path)
    assert [(kind, name) for kind, name, _ in subjects] == [
        ("config", "apache"), ("server", "apache *:80 (main server)"),
        ("config", "apache (/srv/d/o.conf)"), ("server", "apache *:80 (main server) (/srv/d/o.conf:1)"),
        ("config", "apache (/srv/built/own.conf)"), ("server", "apache *:80 (main server) (/srv/built/own.conf:1)"),
    ]  # fmt: skip
    assert [facts["idle_timeout_s"]["value"] for kind, _, facts in subjects if kind == "server"] == [3, 9, 8]
    assert all(facts["running"]["value"] and facts["version"]["value"] == [2, 4, 71] for _, _, facts in subjects)
    assert subjects[-1][2]["idle_timeout_s"]["origin"] == "-c:1"


def test_origins_are_lines(tmp_path):
    grow(
        tmp_path,
        {
            PATH: LISTEN + "\nKeepAliveTimeout \\\n 7\nInclude a\n",
            "/etc/apache2/a": "#\nTimeOut 3\nProxyPass / http://a/ \\\n ttl=4\n",
        },
    )
    facts = {name: facts for _, name, facts in collected(tmp_path)[0]}
    assert facts["apache *:80 (main server)"]["idle_timeout_s"]["origin"] == f"{PATH}:7"
    assert facts["apache *:80 (main server)"]["send_timeout_s"]["origin"] == "/etc/apache2/a:2"
    assert facts["apache http://a"]["idle_timeout_s"]["origin"] == "/etc/apache2/a:3"


TIMES = [("5", 5), ("500ms", 0.5), ("5s", 5), ("5mi", 300), ("5min", 300), ("1h", 3600), ("0", 0), ("+5", 5), ("5sx", 5), ("5S", None), ("5m", None), ("1d", None),
         ("-1", None), ("1.5", None), ("", None), ("s", None)]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_times(text, seconds):
    try:
        assert apache_values.duration(text) == seconds
    except apache_values.Refused:
        assert seconds is None
