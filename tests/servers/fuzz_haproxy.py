"""Mutations of HAProxy configurations: the collector must survive each, fast. `python fuzz_haproxy.py 100000 [seed]`."""

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "audit"), str(Path(__file__).resolve().parents[1])]

from audit_tcp.probe import haproxy  # noqa: E402  the path above first
from audit_tcp.probe.host import Host  # noqa: E402

SAMPLES = [
    """global
    maxconn 4000
    presetenv LIMIT 9s
    setenv WORDS "client 7s"
defaults base
    mode http
    timeout client 30s
    timeout server 1m
    timeout connect 5000
    option http-server-close
defaults web from base
    timeout http-keep-alive 4s   # short
frontend www from web
    bind :80,:443 ssl crt /etc/x.pem
    bind [::1]:8080-8090 backlog 300
    bind unix@/run/h.sock
    option clitcpka
    clitcpka-idle 60
    timeout client "${LIMIT-3s}"
    timeout "${WORDS[*]}"
    use_backend app if { path_beg /app }
    default_backend app
backend app from web
    http-reuse always
    default-server pool-max-conn 20 pool-purge-delay 2s
    server a 10.0.0.5:80 check inter 2s
    server-template b 1-3 app.example:80 max-reuse 9 proto h2
    timeout http-request 3s
""",
    """.if defined(HOME) && !(streq("$A",b) || feature(OPENSSL))
listen db
    mode tcp
    bind ipv4@:3306 maxconn 10
    timeout client 30
    timeout tunnel 1h
    option tcpka
    no option httpclose
    server s1 unix@/run/db
.elif version_atleast(2.6-dev1) && 1
.else
    .alert "no"
.endif
frontend f
    http-request set-header X '%[src]' \\x41\\ b\\#c
""",
]
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "haproxy"
TOKENS = [
    "frontend", "backend x", "listen", "defaults", "global", " from ", "timeout client ", "bind ", "'", '"', "\\", "${", "}",
    "[*]", "$", "#", "\n", "\r\n", "\0", "\t", ".if ", ".elif ", ".else\n", ".endif\n", "(", ")", "!", "&&", "||", "0", "-1",
    "99999999999999999999", "s", "ms", ",", ":", "-", "@", "no ", "option httpclose", "server a ", "\x85", "\u2028", "\ud7ff",
    "setenv A ", "resetenv", "streq(", "defined(", "\\x4", "mode ", "maxconn ", "1-65535", "backlog ", "\xff" * 40, "((((" * 30,
]  # fmt: skip


def samples():
    """The built-in texts, and the corpus where it is present."""
    more = [file.read_text(errors="replace") for file in sorted(CORPUS.glob("*.cfg"))] if CORPUS.is_dir() else []
    return SAMPLES * 5 + more


def mutate(rng, texts=None):
    """One mutated configuration, as bytes."""
    text = rng.choice(texts or samples())
    for _ in range(rng.randint(1, 12)):
        at, other = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        choice = rng.randrange(6)
        if choice == 0:
            text = text[:at] + text[min(other, at + 40) :]
        elif choice == 1:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif choice == 2:
            text = text[:at] + rng.choice(TOKENS) * rng.choice((2, 3, 50, 400)) + text[at:]
        elif choice == 3:
            text = text[:at] + text[at:other][:200] * rng.choice((2, 3)) + text[other:]
        elif choice == 4:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines)
        else:
            text = text[:at] + chr(rng.randrange(256)) + text[at + 1 :]
    data = text[:20000].encode("utf-8", "surrogatepass")
    return data if rng.random() < 0.9 else data.replace(b"\n", rng.choice((b"\r\n", b"\n\n", b"\xff\n")))


def parse(data, folder):
    """What the collector makes of a configuration; must be JSON, with names of their own."""
    (folder / "etc/haproxy/haproxy.cfg").write_bytes(data)
    host = Host(str(folder))
    subjects = list(haproxy.collect(host))
    json.dumps([subjects, host.errors])
    assert len({(kind, name) for kind, name, _ in subjects}) == len(subjects)
    return subjects


def run(count, seed=0):
    """Parses `count` mutations and returns the seconds of the slowest."""
    rng, texts, slowest = random.Random(seed), samples(), 0.0
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "etc/haproxy").mkdir(parents=True)
        for number in range(count):
            data = mutate(rng, texts)
            started = time.perf_counter()
            try:
                parse(data, folder)
            except Exception as error:
                raise AssertionError(f"seed {seed}, number {number}: {data!r}") from error
            slowest = max(slowest, time.perf_counter() - started)
    finally:
        shutil.rmtree(folder)
    return slowest


if __name__ == "__main__":
    wanted, began = int(sys.argv[1]), time.perf_counter()
    worst = run(wanted, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    sys.stdout.write(f"{wanted} in {time.perf_counter() - began:.1f} s, slowest {worst * 1000:.1f} ms\n")
