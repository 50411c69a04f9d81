"""Mutates configurations of Apache httpd and reads them: `python tests/servers/fuzz_apache.py 100000`."""

import functools
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "audit"))

from audit_tcp.probe import apache  # noqa: E402 - run as a script, too
from audit_tcp.probe.host import Host  # noqa: E402

CORPUS = ROOT.parent / "shared" / "corpus" / "apache"

SAMPLES = (
    """ServerRoot "/etc/apache2"
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule reqtimeout_module modules/mod_reqtimeout.so
Listen 80
Listen [::1]:443 https
KeepAlive On
KeepAliveTimeout 500ms
MaxKeepAliveRequests 0
TimeOut 300s
RequestReadTimeout header=20-40,MinRate=500 body=10
<VirtualHost *:80 [::1]:443>
    ServerName "www.example.org"
    KeepAliveTimeout 0
    ProxyPass /api http://user:pass@10.0.0.5:8080/api ttl=30s disablereuse=On timeout=5m keepalive=On
    ProxyPassMatch ^/(.*)$ fcgi://127.0.0.1:9000/srv/$1 enablereuse=on max=10
    <Location "/x">
        ProxyPass unix:/run/app.sock|http://localhost/ ping=100ms
        SetEnv proxy-nokeepalive 1
    </Location>
    RewriteRule ^/(.*)$ http://10.0.0.6/$1 [P,L]
    SetHandler "proxy:unix:/run/php.sock|fcgi://localhost"
</VirtualHost>
""",
    """Define IDLE 5
Define BOTH ${IDLE}${IDLE}
<IfModule mod_proxy.c>
<Proxy balancer://app>
  BalancerMember http://a:1 ttl=3 route=one
  BalancerMember http://b:1 ttl=3
  ProxySet lbmethod=byrequests timeout=2
</Proxy>
</IfModule>
<IfDefine !X>
KeepAliveTimeout ${BOTH}
</IfDefine>
<IfVersion >= 2.4>
# a comment \\
KeepAlive Off
</IfVersion>
<Macro Host $name $port>
<VirtualHost *:$port>
ServerName $name
Use Idle $port
</VirtualHost>
</Macro>
<Macro Idle $n>
KeepAliveTimeout $n
</Macro>
Use Host www 80
Use Host api 81
Include /etc/apache2/apache2.conf
IncludeOptional sites/*.conf
Include parts
<IfModule mod_nope.c>
<Deep>
KeepAlive Off
</Deep>
</IfModule>
<If "true">
KeepAlive On
</If>
""",
)

TOKENS = (
    "<", ">", "</", "\\\n", "\n", "\r\n", '"', "'", "\\", "${", "}", "${A}", "Define A ${A}${A}\n", "#", "*", "Include *\n", "Use Host a b\n", "\0", "<Macro A $a $>\n",
    "</Macro>\n", "<IfModule x>\n", "</IfModule>\n", "<VirtualHost *>\n", "</VirtualHost>\n", "é", "\x0b", "99999999999999999999", "-1", "balancer://", "unix:|", "!", "=",
    "KeepAliveTimeout ", "ProxyPass ", "ProxySet ", "BalancerMember ", "Listen ", "<Proxy ", "[::]", ":", "RewriteRule a b [P]\n", "IncludeOptional ", "?", "[",
)  # fmt: skip


def samples() -> "list[str]":
    """What is mutated: configurations of this file, and those of the corpus where it is."""
    found = [path.read_text("utf-8", "replace") for path in sorted(CORPUS.glob("*"))] if CORPUS.is_dir() else []
    return [*SAMPLES, *SAMPLES, *found]


def mutate(choices: random.Random, texts: "list[str] | None" = None) -> str:
    """A configuration with up to a dozen changes."""
    text = choices.choice(texts or samples())
    for _ in range(choices.randint(1, 12)):
        at = choices.randrange(len(text) + 1)
        to = min(len(text), at + choices.choice((0, 1, 3, 20, 200)))
        kind = choices.randrange(5)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            text = text[:at] + choices.choice(TOKENS) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at:to] * choices.choice((2, 3, 30)) + text[to:]
        elif kind == 3:
            other = choices.randrange(len(text) + 1)
            text = text[:at] + text[other : other + 80] + text[to:]
        else:
            text = text[:at] + choices.choice(TOKENS) * choices.choice((1, 50)) + text[to:]
    return text[:200000]


MAIN = "/etc/apache2/apache2.conf"
PARTS = ("sites/a.conf", "sites/b.conf", "parts/c", "parts/d/e")


@functools.cache
def tree() -> "tempfile.TemporaryDirectory[str]":
    """A tree with the files that includes may ask for; gone when the program ends."""
    found = tempfile.TemporaryDirectory(prefix="audit-tcp-fuzz-")
    for part in PARTS:
        place = Path(found.name) / "etc/apache2" / part
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("KeepAliveTimeout 3\n<VirtualHost *:81>\n</VirtualHost>\n")
    (Path(found.name) / MAIN[1:]).write_text("")
    return found


class Tree(Host):
    """That tree with a main file that is not written to it."""

    def __init__(self, text: str) -> None:
        super().__init__(tree().name)
        self.processes = []
        self._text = text.encode("utf-8", "replace")

    def read(self, path: str, limit: int = 2 << 20) -> bytes:
        return self._text if path == MAIN else super().read(path, limit)


def parse(data: str) -> "list[object]":
    """Every subject of a configuration."""
    return list(apache.collect(Tree(data)))


def run(count: int, seed: int) -> "tuple[float, float]":
    """Reads `count` mutations: seconds in all, and of the slowest. What fails is raised, its input printed."""
    choices, texts = random.Random(seed), samples()
    total = slowest = 0.0
    for _ in range(count):
        text = mutate(choices, texts)
        start = time.process_time()
        try:
            names = [(kind, name) for kind, name, _ in parse(text)]
        except Exception:
            sys.stderr.write(repr(text) + "\n")
            raise
        assert len(names) == len(set(names)), repr(text)
        took = time.process_time() - start
        total, slowest = total + took, max(slowest, took)
    return total, slowest


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    whole, worst = run(number, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(f"{number} in {whole:.1f} s, slowest {worst * 1000:.1f} ms\n")
