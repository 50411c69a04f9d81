"""Made-up reports that hold everything a format must show."""

from __future__ import annotations

import dataclasses
from typing import Any

from audit_tcp.model import Finding, Fix, Profile, Report, Rule, Snapshot, Subject, Unread, Value

PROFILE = Profile("web", "a web server", ())

BACKLOG = Rule(
    id="somaxconn-low",
    title="The accept queue is capped below what servers ask for",
    of="netns",
    fact="net.core.somaxconn",
    op=">=",
    value=4096,
    severity="high",
    why="listen() cuts its backlog to net.core.somaxconn without a word. When the queue is full, the kernel drops the "
    "client's last ACK, and the client retries after 1 s.",
    cite=("https://docs.kernel.org/networking/ip-sysctl.html", "net/socket.c __sys_listen"),
    proof=("E5",),
    fix=Fix("Set net.core.somaxconn to 4096 and restart the servers.", True, {"net.core.somaxconn": 4096}),
)
PORTS = dataclasses.replace(
    BACKLOG,
    id="reuse-off",
    title="TIME_WAIT ports toward backends are not reused",
    severity="medium",
    why="Each closed connection keeps its local port for 60 s.",
    proof=("E4",),
    fix=Fix("Set net.ipv4.tcp_tw_reuse to 1 where timestamps are on at both ends.", False, {}),
)
RETRIES = dataclasses.replace(BACKLOG, id="retries2", title="Dead peers are noticed late", severity="low")


def finding(
    rule: Rule = BACKLOG, verdict: str = "fail", name: str = "host", actual: Value | None = 128, **more: Any
) -> Finding:
    """A finding about a network namespace."""
    subject = Subject(more.pop("kind", "netns"), name, {})
    told = {"wanted": ">= 4096", "origin": "/proc/sys/net/core/somaxconn"} | more
    return Finding(rule, subject, verdict, actual, **told)


def report(*findings: Finding, errors: tuple[Unread, ...] = (), **snapshot: Any) -> Report:
    """A report on web-1."""
    said = {"host": "web-1", "kernel": "6.1.0-18-amd64", "os": "Debian GNU/Linux 12", "taken": "2025-03-01T12:00:00Z"}
    return Report(Snapshot(**(said | snapshot), errors=errors), PROFILE, findings)


def failed(host: str = "db-1", reason: str = "ssh: connect to host db-1 port 22: Connection refused") -> Report:
    """A host that could not be audited."""
    return Report(Snapshot(host, "", "", ""), PROFILE, failure=reason)


EVERYTHING = report(
    finding(PORTS, name="docker:api", actual=2, wanted="= 1", origin="/proc/sys/net/ipv4/tcp_tw_reuse"),
    finding(BACKLOG, name="host"),
    finding(BACKLOG, name="docker:nginx", origin="/etc/sysctl.d/60-web.conf:12"),
    finding(RETRIES, kind="server", name="nginx :443", note="waiver expired on 2025-01-31: until the move is done"),
    finding(RETRIES, "waived", "docker:batch", 15, note="waived until 2026-01-01: batch jobs wait (OPS-7)"),
    finding(RETRIES, "absent", "docker:old", None, origin="", note="the kernel has no such key"),
    finding(RETRIES, "error", "docker:odd", "many", note="many is not a number"),
    finding(BACKLOG, "pass", "docker:good", 4096),
    finding(PORTS, "pass", "docker:good", 1),
    errors=(Unread("/etc/nginx/secret.conf", "Permission denied"), Unread("netns of pid 77", "No such process")),
)
"""One of each: the three severities, waived, expired, absent, error, pass, and two things unread."""
