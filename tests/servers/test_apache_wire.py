"""What the collector says of Apache httpd, held against a real one: its timers on the wire and its own view of a file."""

import contextlib
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

from audit_tcp.model import Fact, Snapshot, Subject
from audit_tcp.probe import apache
from audit_tcp.probe.apache import config as apache_config
from audit_tcp.probe.apache import instances as apache_instances
from audit_tcp.probe.host import Host
from audit_tcp.servers import fill

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(shutil.which("apache2") is None, reason="apache2 is not installed"),
]

MODULES = Path("/usr/lib/apache2/modules")
TOLERANCE = 0.7
"""Seconds between what the collector says and what is measured: httpd looks at its timers every 0.1 s."""

DEADLINE = 15
"""Seconds for a server to listen, and for a connection to end."""

COMMON = """
ServerRoot {root}
PidFile {root}/pid
ErrorLog {root}/error.log
DefaultRuntimeDir {root}
DocumentRoot {root}/htdocs
ServerName main
User www-data
Group www-data
StartServers 1
{loads}
"""
EVENT = "ServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\n"
ON_80 = "Listen 127.0.0.1:PORT\n"


def loads(*names):
    return "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in names)


CASES = {
    # name: (configuration, arguments, [(Host header, subject)])
    "default": (ON_80, [], [("x", "main")]),
    "main": (ON_80 + "KeepAliveTimeout 2", [], [("x", "main")]),
    "off": (ON_80 + "KeepAlive Off\nKeepAliveTimeout 2", [], [("x", "main")]),
    "milliseconds": (ON_80 + "KeepAliveTimeout 1200ms", [], [("x", "main")]),
    "zero": (ON_80 + "KeepAliveTimeout 0", [], [("x", "main")]),
    "last wins": (ON_80 + "KeepAliveTimeout 3\nKeepAliveTimeout 1", [], [("x", "main")]),
    "comment goes on": (ON_80 + "KeepAliveTimeout 1\n# off \\\nKeepAliveTimeout 3", [], [("x", "main")]),
    "continued": (ON_80 + "KeepAliveTimeout \\\n  1\n", [], [("x", "main")]),
    "IfDefine with -D": (ON_80 + "KeepAliveTimeout 3\n<IfDefine SHORT>\nKeepAliveTimeout 1\n</IfDefine>", ["-D", "SHORT"], [("x", "main")]),
    "IfDefine without": (ON_80 + "KeepAliveTimeout 2\n<IfDefine SHORT>\nKeepAliveTimeout 1\n</IfDefine>", [], [("x", "main")]),
    "IfModule": (ON_80 + "<IfModule event.c>\nKeepAliveTimeout 1\n</IfModule>\n<IfModule mod_ssl.c>\nKeepAliveTimeout 3\n</IfModule>", [], [("x", "main")]),
    "IfModule that is not": (ON_80 + "KeepAliveTimeout 3\n<IfModule !ssl_module>\nKeepAliveTimeout 1\n</IfModule>", [], [("x", "main")]),
    "Define": (ON_80 + "Define IDLE 1\nKeepAliveTimeout ${IDLE}", [], [("x", "main")]),
    "environment": (ON_80 + "KeepAliveTimeout ${AUDIT_IDLE}", [], [("x", "main")]),
    "-c after the file": (ON_80 + "KeepAliveTimeout 3", ["-c", "KeepAliveTimeout 1"], [("x", "main")]),
    "-C before the file": (ON_80, ["-C", "KeepAliveTimeout 1"], [("x", "main")]),
    "include order": (ON_80 + "Include parts/*.conf", [], [("x", "main")]),
    "Macro": (ON_80 + "<Macro Idle $name $time>\n<VirtualHost *:PORT>\nServerName $name\nKeepAliveTimeout $time\n</VirtualHost>\n</Macro>\nUse Idle a 1\nUse Idle b 2", [], [("a", "a"), ("b", "b")]),
    "name-based, the first has its own": (
        ON_80 + "KeepAliveTimeout 3\n<VirtualHost *:PORT>\nServerName a\nKeepAliveTimeout 1\n</VirtualHost>\n<VirtualHost *:PORT>\nServerName b\n</VirtualHost>\n<VirtualHost *:PORT>\nServerName c\nKeepAliveTimeout 2\n</VirtualHost>",
        [], [("a", "a"), ("b", "b"), ("c", "c")],
    ),
    "name-based, one is off": (
        ON_80 + "KeepAliveTimeout 1\n<VirtualHost *:PORT>\nServerName a\nKeepAlive Off\n</VirtualHost>\n<VirtualHost *:PORT>\nServerName b\n</VirtualHost>",
        [], [("a", "a"), ("b", "b")],
    ),
    "zero in a virtual host": (ON_80 + "KeepAliveTimeout 1\n<VirtualHost *:PORT>\nServerName a\nKeepAliveTimeout 0\n</VirtualHost>", [], [("a", "a")]),
    "an address before all": (
        ON_80 + "KeepAliveTimeout 3\n<VirtualHost *:PORT>\nServerName a\nKeepAliveTimeout 2\n</VirtualHost>\n<VirtualHost 127.0.0.1:PORT>\nServerName b\nKeepAliveTimeout 1\n</VirtualHost>\n<VirtualHost 127.0.0.1:PORT>\nServerName c\n</VirtualHost>",
        [], [("b", "b"), ("c", "c")],
    ),
}  # fmt: skip

HEADERS = {
    # name: (configuration, subject): how long half a header is waited for
    "half, RequestReadTimeout": (ON_80 + "RequestReadTimeout header=2-9,MinRate=500", "main"),
    "half, TimeOut is shorter": (ON_80 + "TimeOut 1\nRequestReadTimeout header=5", "main"),
    "half, zero is none": (ON_80 + "TimeOut 2\nRequestReadTimeout header=0", "main"),
    "half, the first virtual host's": (
        ON_80
        + "TimeOut 3\n<VirtualHost *:PORT>\nServerName a\nTimeOut 1\n</VirtualHost>\n<VirtualHost *:PORT>\nServerName b\nTimeOut 2\n</VirtualHost>",
        "b",
    ),
}

PROXIES = {
    # name: (configuration, modules besides, prefork)
    "pool": ("ProxyPass / http://127.0.0.1:BACK/", (), False),
    "pool, ttl=1": ("ProxyPass / http://127.0.0.1:BACK/ ttl=1", (), False),
    "pool, ttl=1 of a balancer": ("<Proxy balancer://app>\nBalancerMember http://127.0.0.1:BACK ttl=1\n</Proxy>\nProxyPass / balancer://app/", (), False),
    "pool, ttl=1s by ProxySet": ("ProxyPass / http://127.0.0.1:BACK/\nProxySet http://127.0.0.1:BACK/ ttl=1s", (), False),
    "pool, shared worker": ("ProxyPass /never http://127.0.0.1:BACK\nProxyPass / http://127.0.0.1:BACK/ ttl=1", (), False),
    "pool, disablereuse": ("ProxyPass / http://127.0.0.1:BACK/ disablereuse=On", (), False),
    "pool, nokeepalive": ("ProxyPass / http://127.0.0.1:BACK/\nSetEnv proxy-nokeepalive 1", (), False),
    "pool, 1.0": ("ProxyPass / http://127.0.0.1:BACK/\nSetEnv force-proxy-request-1.0 1", (), False),
    "pool, pattern": ("ProxyPassMatch ^/(.*)$ http://127.0.0.1:BACK/$1", (), False),
    "pool, pattern with enablereuse": ("ProxyPassMatch ^/(.*)$ http://127.0.0.1:BACK/$1 enablereuse=On", (), False),
    "pool, pattern with a plain URL": ("ProxyPassMatch ^/.*$ http://127.0.0.1:BACK", (), False),
    "pool, pattern of a location": ("<LocationMatch ^/(.*)$>\nProxyPass http://127.0.0.1:BACK/$1\n</LocationMatch>", (), False),
    "pool, pattern with the path behind": ("ProxyPassMatch ^(/.*)$ http://127.0.0.1:BACK$1", (), False),
    "pool, pattern with the path behind and enablereuse": ("ProxyPassMatch ^(/.*)$ http://127.0.0.1:BACK$1 enablereuse=On", (), False),
    "pool, switched in another location": ("ProxyPass / http://127.0.0.1:BACK/\n<Location /other>\nSetEnv proxy-nokeepalive 1\n</Location>", (), False),
    "pool, in a location": ("<Location />\nProxyPass http://127.0.0.1:BACK/ ttl=1\n</Location>", (), False),
    "pool, rewritten": ("RewriteEngine On\nRewriteRule ^/(.*)$ http://127.0.0.1:BACK/$1 [P]", ("rewrite",), False),
    "pool, prefork with ttl=1": ("ProxyPass / http://127.0.0.1:BACK/ ttl=1", (), True),
}  # fmt: skip


class Server:
    """One apache2 with a configuration of its own."""

    def __init__(self, root, body, arguments=(), modules=("mpm_event", "authz_core", "reqtimeout", "macro"), back=0):
        self.root, self.port = root, free_port()
        (root / "htdocs").mkdir(parents=True)
        (root / "htdocs/page").write_text("here")
        for part, seconds in (("b", 1), ("a", 3)):
            (root / "parts").mkdir(exist_ok=True)
            (root / f"parts/{part}.conf").write_text(f"KeepAliveTimeout {seconds}\n")
        event = EVENT if "mpm_event" in modules else "MaxRequestWorkers 1\nServerLimit 1\n"
        text = COMMON.format(root=root, loads=loads(*modules)) + event
        text += body.replace("PORT", str(self.port)).replace("BACK", str(back)) + "\n"
        self.path = root / "apache.conf"
        self.path.write_text(text)
        self.command = ["apache2", "-f", str(self.path), *arguments]
        self.environment = {"AUDIT_IDLE": "1", "PATH": "/usr/sbin:/usr/bin"}
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, "-DFOREGROUND"], env=self.environment, stderr=subprocess.PIPE, start_new_session=True
        )

    def wait(self):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(
            f"{self.path}: {self.process.stderr.read() if self.process.poll() is not None else 'deaf'}"
        )

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def request(self, host="x"):
        """The connection after one whole response, its header and body, and when it ended."""
        end = time.monotonic() + DEADLINE
        one = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        one.sendall(f"GET /page HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n".encode())
        data = b""
        while time.monotonic() < end:
            head, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if length and len(body) >= int(length.group(1)):
                return one, head.decode(), body.decode(), time.monotonic()
            part = one.recv(65536)
            assert part, data
            data += part
        raise AssertionError("no response")

    def idle(self, host):
        """Seconds from a response to the end of its connection, and what Keep-Alive announced."""
        one, head, _, since = self.request(host)
        with one:
            told = re.search(r"(?i)keep-alive: timeout=(\d+)", head)
            assert one.recv(1) == b""
        return time.monotonic() - since, int(told.group(1)) if told else None

    def half(self):
        """Seconds until half a header is given up."""
        since = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as one:
            one.sendall(b"GET /page HTTP/1.1\r\nHos")
            while one.recv(4096):
                pass
        return time.monotonic() - since


class Backend:
    """Answers on kept-alive connections with the number of the connection and what the request asked for."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                self.connections.append(one)
                threading.Thread(target=self._serve, args=(one, len(self.connections)), daemon=True).start()

    @staticmethod
    def _serve(one, number):
        with contextlib.suppress(OSError), one:
            data = b""
            while part := one.recv(65536):
                data += part
                if b"\r\n\r\n" in data:
                    closes = b"connection: close" in data.lower()
                    version = data.split(b"\r\n", 1)[0].rpartition(b"/")[2].decode()
                    body = f"{number} {version} {closes}".encode()
                    one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                    data = b""

    def close(self):
        for one in (self._listener, *self.connections):
            with contextlib.suppress(OSError):
                one.close()


def collected():
    """The facts that the collector yields for what runs here, by configuration and name."""
    host = Host()
    found, path = {}, ""
    for kind, name, facts in apache.collect(host):
        path = facts["path"]["value"] if kind == "config" else path
        found.setdefault(path, []).append((kind, name, {key: fact["value"] for key, fact in facts.items()}))
    return found


def with_defaults(facts, side):
    told = {name: Fact(tuple(value) if isinstance(value, list) else value, "here") for name, value in facts.items()}
    (filled,) = fill(Snapshot("h", "", "", "", (Subject(side, "it", told),))).subjects
    return {name: fact.value for name, fact in filled.facts.items()}


def subject(found, server, name):
    """The facts of the subject of one virtual host, or of the main server."""
    ends = "(main server)" if name == "main" else f" {name}"
    one = next(facts for kind, full, facts in found[str(server.path)] if kind == "server" and ends in f"{full} ")
    return with_defaults(one, "server")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Every case's server, what the collector says of all of them, and what was measured, all at once."""
    root = tmp_path_factory.mktemp("apache")
    started, backends = {}, []
    try:
        for number, (name, (body, arguments, _)) in enumerate(CASES.items()):
            started[name] = Server(root / f"c{number}", body, arguments)
        for number, (name, (body, _)) in enumerate(HEADERS.items()):
            started[name] = Server(root / f"h{number}", body)
        for number, (name, (body, modules, prefork)) in enumerate(PROXIES.items()):
            backends.append(Backend())
            mpm = "mpm_prefork" if prefork else "mpm_event"
            every = (
                mpm,
                "authz_core",
                "env",
                "proxy",
                "proxy_http",
                "proxy_balancer",
                "slotmem_shm",
                "lbmethod_byrequests",
                *modules,
            )
            started[name] = Server(root / f"p{number}", ON_80 + body, modules=every, back=backends[-1].port)
        for one in started.values():
            one.start()
        for one in started.values():
            one.wait()
        yield started, collected(), _measure(started)
    finally:
        for one in started.values():
            one.stop()
        for one in backends:
            one.close()


def _measure(started):
    with ThreadPoolExecutor(60) as pool:
        waiting = {(name, host): pool.submit(started[name].idle, host) for name in CASES for host, _ in CASES[name][2]}
        waiting.update({(name, ""): pool.submit(started[name].half) for name in HEADERS})
        waiting.update({(name, ""): pool.submit(_reuse, started[name]) for name in PROXIES})
        return {key: one.result() for key, one in waiting.items()}


def _reuse(server):
    """The backend's answers: at once, again, and after 1.8 s."""
    answers = []
    for pause in (0, 0, 1.8):
        time.sleep(pause)  # the pool's age is what is measured
        one, _, body, _ = server.request()
        one.close()
        answers.append(body.split())
    return answers


@pytest.mark.parametrize("name", CASES)
def test_idle_timeout_on_the_wire(measured, name):
    started, found, times = measured
    for host, which in CASES[name][2]:
        facts, (seconds, told) = subject(found, started[name], which), times[name, host]
        assert abs(seconds - facts["idle_timeout_s"]) <= TOLERANCE, (host, seconds)
        assert told == facts.get("advertised_idle_s")


@pytest.mark.parametrize("name", HEADERS)
def test_header_timeout_on_the_wire(measured, name):
    started, found, times = measured
    facts = subject(found, started[name], HEADERS[name][1])
    assert abs(times[name, ""] - facts["header_timeout_s"]) <= TOLERANCE


@pytest.mark.parametrize("name", PROXIES)
def test_reuse_on_the_wire(measured, name):
    started, found, answers = measured
    (facts,) = (
        with_defaults(facts, "upstream") for kind, _, facts in found[str(started[name].path)] if kind == "upstream"
    )
    first, second, third = answers[name, ""]
    assert (first[0] == second[0]) == facts["reuse"]
    assert (second[0] == third[0]) == (facts["reuse"] and facts["idle_timeout_s"] > 1.8)
    assert float(first[1]) == facts["http_version"]
    assert (first[2] == "True") == facts.get("sends_close", False) or not facts["reuse"]


def test_the_collector_reads_running_servers(measured):
    _, found, _ = measured
    names = [(kind, name) for subjects in found.values() for kind, name, _ in subjects]
    assert len(names) == len(set(names))
    for subjects in found.values():
        assert subjects[0][2]["running"] is True
        assert subjects[0][2]["unreadable"] == []


# its own view of a file

TREES = {
    # name: files below ServerRoot; apache.conf has the modules before it
    "plain": {"apache.conf": "KeepAlive On\nKeepAliveTimeout 7\nTimeOut 30\nMaxKeepAliveRequests 9\nListenBacklog 100\n"},
    "quotes and case": {"apache.conf": 'keepalive "On"\nKEEPALIVETIMEOUT \'7\'\n"TimeOut" 30\n'},
    "blanks": {"apache.conf": "\t KeepAlive\t \tOff  \r\n\v\fTimeOut \v 7\r\n"},
    "includes": {
        "apache.conf": "Include one.conf\nIncludeOptional none.conf\nIncludeOptional none/*.conf\nInclude parts\nInclude by?/*/[ab].conf\n",
        "one.conf": "TimeOut 1\n<VirtualHost *:PORT>\nInclude vhost.inc\n</VirtualHost>\n",
        "vhost.inc": "TimeOut 2\nServerName one\n",
        "parts/b/z.conf": "TimeOut 3\n", "parts/a.conf": "TimeOut 4\n", "parts/.hidden": "TimeOut 5\n", "parts/b/A": "TimeOut 6\n",
        "by1/x/a.conf": "TimeOut 7\n", "by1/x/c.conf": "TimeOut 8\n", "by2/w/b.conf": "TimeOut 9\n", "by2/.w/b.conf": "TimeOut 9\n",
    },
    "conditions": {
        "apache.conf": "<IfModule mod_proxy.c>\nTimeOut 1\n<IfModule !proxy_module>\nTimeOut 2\n<Deep>\n</Deep>\n</IfModule>\n</IfModule>\n"
        "<IfModule mod_nope.c>\nTimeOut 3\n# </IfModule>\n</IfModule>\n<IfVersion >= 2.4>\nTimeOut 4\n</IfVersion>\n<IfVersion !< 2.5>\nTimeOut 5\n</IfVersion>\n"
        "<IfVersion 2.4.1>\nTimeOut 6\n</IfVersion>\n<IfFile other>\nTimeOut 7\n</IfFile>\n<IfFile !other>\nTimeOut 8\n</IfFile>\n"
        "<IfDefine A>\nTimeOut 9\n</IfDefine>\nDefine A\n<IfDefine A>\nTimeOut 10\n</IfDefine>\nUnDefine A\n<IfDefine !A>\nTimeOut 11\n</IfDefine>\n"
        "<IfModule mod_version.c>\nTimeOut 12\n</IfModule>\n<IfModule core.c>\nTimeOut 13\n</IfModule>\n<IfModule MOD_PROXY.C>\nTimeOut 14\n</IfModule>\n",
        "other": "",
    },
    "variables": {"apache.conf": "Define N 5\nDefine F par\nTimeOut ${N}\nInclude ${F}ts.conf\nDefine N 6\nTimeOut 1${N}\n", "parts.conf": "TimeOut ${N}${N}\n"},
    "macros": {
        "apache.conf": "<Macro Outer $port $portal>\n<VirtualHost *:$port>\nServerName $portal\nUse Inner $port\n</VirtualHost>\n</Macro>\n"
        "<Macro inner $x>\nTimeOut 4$x\n</Macro>\nUSE outer 8 www\nUse Outer 9 api\n",
    },
    "root moves": {"apache.conf": "ServerRoot ROOT/other\nInclude a.conf\n", "other/a.conf": "TimeOut 3\n", "a.conf": "TimeOut 4\n"},
    "sections": {
        "apache.conf": "<Location />\nProxyPass http://h/ ttl=3\n</Location>\n<Proxy balancer://b>\nBalancerMember http://m:1 ttl=5\nProxySet timeout=3\n</Proxy>\n"
        "<Proxy http://w ttl=5>\n</Proxy>\nProxyPass /b balancer://b/\nProxyTimeout 9\n",
    },
}  # fmt: skip

SHOWN = (
    "KeepAlive",
    "KeepAliveTimeout",
    "MaxKeepAliveRequests",
    "Timeout",
    "ListenBacklog",
    "ServerName",
    "ProxyPass",
    "ProxySet",
    "BalancerMember",
    "ProxyTimeout",
)
ALL = (
    "mpm_event",
    "authz_core",
    "proxy",
    "proxy_http",
    "proxy_balancer",
    "slotmem_shm",
    "lbmethod_byrequests",
    "reqtimeout",
    "macro",
    "info",
)


def laid(tmp_path, files, modules=ALL):
    (tmp_path / "htdocs").mkdir()
    head = COMMON.format(root=tmp_path, loads=loads(*modules)) + "Listen 127.0.0.1:1\n"
    for name, text in files.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        text = text.replace("ROOT", str(tmp_path)).replace("PORT", "81")
        place.write_bytes(((head if name == "apache.conf" else "") + text).encode())
    return tmp_path / "apache.conf"


def own_view(path, *what):
    command = ["apache2", "-t", "-f", str(path), *(word for one in what for word in ("-D", one))]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def reader_of(path, program=Path("/usr/sbin/apache2")):
    instance = apache_instances.Instance(Host(), str(path), str(path.parent), program.read_bytes(), [])
    return apache_config.read(instance)


@pytest.mark.parametrize("name", TREES)
def test_files_and_values_as_httpd_sees_them(tmp_path, name):
    path = laid(tmp_path, TREES[name])
    dump = own_view(path, "DUMP_CONFIG", "DUMP_INCLUDES")
    assert dump.returncode == 0, dump.stderr
    reader, _, _ = reader_of(path)
    assert reader.problems == []
    included = re.findall(r"^\s*\([0-9*]+\) (.+)$", dump.stdout, re.MULTILINE)
    assert reader.count == len(included)
    theirs = list(_dumped(dump.stdout, reader))
    assert theirs
    ours = [one for one in reader.directives if one.name in {name.lower() for name in SHOWN}]
    assert [(one.name, one.words) for one in ours] == [(name, words) for name, words, _ in theirs]
    places = [(one.place, place) for one, (_, _, place) in zip(ours, theirs, strict=True) if place]
    assert [one for one, _ in places] == [place for _, place in places]


def _dumped(text, reader):
    """(directive, words, file:line) of each line of DUMP_CONFIG that counts; no place within a macro."""
    path, number = "", ""
    for line in text.splitlines():
        if line.startswith("# In file: "):
            path = line[len("# In file: ") :]
        elif found := re.match(r"\s*#\s+([0-9]+):$", line):
            number = found.group(1)
        elif (words := line.split(None, 1)) and words[0] in SHOWN:
            yield words[0].lower(), reader.words(words[1]), "" if path.startswith("macro ") else f"{path}:{number}"


REFUSED = [
    "KeepAlive Nope", "KeepAlive", "KeepAliveTimeout 5S", "KeepAliveTimeout -1", "KeepAliveTimeout 5m", "KeepAliveTimeout 1.5",
    'KeepAliveTimeout ""', "KeepAliveTimeout 5 6", "KeepAliveTimeout 99999999999999999999", "ProxyTimeout 0", "ListenBacklog 0",
    "RequestReadTimeout header=20s", "RequestReadTimeout header=20-40", "RequestReadTimeout header=20 body=x", "RequestReadTimeout head=20",
    "RequestReadTimeout header=20,MinRate=500,x=1", "<Location />\nKeepAlive On\n</Location>", "<Proxy *>\nKeepAlive On\n</Proxy>",
    '<If "true">\nKeepAlive On\n</If>', "<Directory /x>\nProxyPass http://a/\n</Directory>", "<Location /a>\nTimeOut 5\n</Location>",
    "<VirtualHost *:1>\nListen 5\n</VirtualHost>", "<VirtualHost *:1>\nListenBacklog 5\n</VirtualHost>", "<IfModule mod_proxy.c>\nKeepAlive On\n</IfModule >",
    "<IfModule mod_proxy.c\nKeepAlive On\n</IfModule>", "<IfModule mod_nope.c>\n<Foo\nKeepAlive On\n</IfModule>", "<IfModule mod_nope.c>\nKeepAlive On\n",
    "</IfModule>", "Include nope.conf", "Include nope*.conf", "Include nodir/*/x.conf", "ProxyPass /a http://h/ ttl=0", "ProxyPass /a http://h/ ping=5x",
    "ProxyPass /a http://h/ keepalive=yes", "ProxyPass /a balancer://b/ ttl=5", "<Proxy balancer://b>\nProxySet ttl=5\n</Proxy>",
    "ProxyPass /a http://h/ disablereuse=maybe", "ProxySet http://nope ttl=5", "<Location /x>\nProxyPass / http://h/\n</Location>", "Use Nope a",
    "<Macro M $a>\nKeepAliveTimeout $a\n</Macro>\nUse M", "<Macro M $a>\nUse M $a\n</Macro>\nUse M 1", "<IfVersion >=2.4>\nKeepAlive Off\n</IfVersion>",
    "KeepAliveTimeout ${T}", "KeepAliveTimeout ${T}\nDefine T 5", "Listen nope:", "Listen 99999", "<VirtualHost>\n</VirtualHost>", "<VirtualHost *:1>\n",
    "<VirtualHost *:80>\n<VirtualHost *:81>\n</VirtualHost>\n</VirtualHost>", "<VirtualHost *:80>\n</Location>\n</VirtualHost>", "Include apache.conf",
    "<Location />\n<VirtualHost *:80>\n</VirtualHost>\n</Location>", "ProxyPass /a", "BalancerMember http://h", "LoadModule x_module",
]  # fmt: skip

TAKEN = [
    "KeepAlive On Off", "KeepAliveTimeout 5sx", "KeepAliveTimeout +5", "MaxKeepAliveRequests -1", "TimeOut -5", "TimeOut x", "ProxyTimeout 500ms", "ListenBacklog 10s",
    "RequestReadTimeout handshake=5 header=0", "RequestReadTimeout", "<IfModule mod_proxy.c >\nKeepAlive On\n</IfModule>", "<IfModule mod_proxy.c>\nKeepAlive On\n",
    "IncludeOptional nope.conf", "IncludeOptional nope/*.conf", "ProxyPass /a http://h/ ping=500ms connectiontimeout=5min acquire=3000", "ProxyPass /a http://h/ max=x",
    "BalancerMember balancer://b http://h ttl=5", "Listen 127.0.0.1:80 https", "<IfVersion = 2.4>\nKeepAlive X\n</IfVersion>", "ProxyPass /a !",
]  # fmt: skip


@pytest.mark.parametrize(("text", "fine"), [(text, False) for text in REFUSED] + [(text, True) for text in TAKEN])
def test_what_httpd_refuses_is_reported(tmp_path, text, fine):
    path = laid(tmp_path, {"apache.conf": text + "\n"})
    assert (own_view(path).returncode == 0) == fine
    reader, found, pools = reader_of(path)
    assert list(found.subjects()) or list(pools.subjects()) or not fine
    assert (reader.problems == []) == fine
    if not fine:
        assert reader.problems[0].startswith(str(path)), reader.problems


def test_a_module_that_is_not_loaded_is_reported(tmp_path):
    path = laid(tmp_path, {"apache.conf": "RequestReadTimeout header=5\n"}, ("mpm_event", "authz_core"))
    assert own_view(path).returncode != 0
    assert "reqtimeout_module" in reader_of(path)[0].problems[0]
