"""Which servers of a snapshot answer on a port, and which ones a proxy's pool reaches on the same host."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from audit_tcp.model import Snapshot, Subject
from audit_tcp.path import hops

PORTS = {"http": 80, "https": 443, "ajp": 8009}
LOOPBACK = ("127.", "localhost", "[::1]", "::1")
ANY = frozenset(("*", "0.0.0.0", "[::]", "::", ""))  # noqa: S104 - addresses of a listener that are compared


class Servers:
    """The servers and pools of a snapshot, by what listens where."""

    def __init__(self, found: Snapshot) -> None:
        self.host = found.host
        self._pools: dict[object, list[Subject]] = {}
        self._sockets: dict[str, list[Subject]] = {}
        self._ports: dict[int, list[tuple[str, Subject]]] = {}
        self._behind: dict[object, list[tuple[Subject, Subject]]] = {}
        self._blocks: dict[object, list[int]] = {}
        self._own: dict[object, list[Subject]] = {}
        for one in found.subjects:
            if one.kind == "upstream":
                self._pools.setdefault(_owner(one), []).append(one)
            for address in texts(one, "listen") if one.kind == "server" else ():
                host, port = _parts(address)
                self._sockets.setdefault(address, []).append(one)
                if port is not None:
                    self._ports.setdefault(port, []).append((host, one))
        self._find_own(found)

    def _find_own(self, found: Snapshot) -> None:
        """Which pools the locations of a server block of nginx use: by the lines of both in the same file."""
        for one in found.subjects:
            path, line = _stands(one, "listen") if one.kind == "server" else ("", 0)
            if path:
                self._blocks.setdefault((_owner(one), path), []).append(line)
        for lines in self._blocks.values():
            lines.sort()
        for pool in (one for pools in self._pools.values() for one in pools):
            path, line = _stands(pool, "mode")
            lines = self._blocks.get((_owner(pool), path), [])
            if lines and lines[0] <= line:
                block = lines[bisect_right(lines, line) - 1]
                self._own.setdefault((_owner(pool), path, block), []).append(pool)

    def answering(self, ports: Iterable[int]) -> list[Subject]:
        """The servers that listen for other hosts on one of the ports; of those that differ in nothing the first."""
        found: dict[object, Subject] = {}
        for port in dict.fromkeys(ports):
            for host, one in self._ports.get(port, ()):
                if not host.startswith(LOOPBACK):
                    found.setdefault(timers(one), one)
        return list(found.values())

    def behind(self, server: Subject) -> list[tuple[Subject, Subject]]:
        """The pools of a server, each with a server of the host that it reaches, those that run before the others."""
        own = (_owner(server), *_stands(server, "listen"))
        group = own if own in self._own else _owner(server)
        if group not in self._behind:
            pairs: dict[object, tuple[Subject, Subject]] = {}
            for pool in self.pools(server):
                for last in sorted(self.reached(pool), key=stopped):
                    pairs.setdefault((timers(pool), timers(last)), (pool, last))
            self._behind[group] = sorted(pairs.values(), key=lambda pair: stopped(pair[1]))
        return self._behind[group]

    def pools(self, server: Subject) -> list[Subject]:
        """The pools that a server's own locations use, where their places tell; else all of its program."""
        own = (_owner(server), *_stands(server, "listen"))
        return self._own.get(own) or self._pools.get(_owner(server), [])

    def reached(self, pool: Subject) -> list[Subject]:
        """The servers of the host that a pool opens connections to: by the same socket or address; by loopback also
        what listens on every address of the same namespace.
        """
        found: dict[object, Subject] = {}
        for address in texts(pool, "addresses"):
            bare, (host, port) = address.rpartition("://")[2], _parts(address)
            if not host.startswith(LOOPBACK):
                found |= {id(one): one for one in self._sockets.get(bare, ())}
            elif port is not None:
                there = (one for at, one in self._ports.get(port, ()) if at in ANY or at.startswith(LOOPBACK))
                found |= {id(one): one for one in there if _space(one) == _space(pool)}
        return list(found.values())


def timers(subject: Subject) -> object:
    """What distinguishes servers and pools for a path: where it is equal, it does not matter which is meant."""
    known = tuple((name, subject.facts[name].value) for name in sorted(hops.FACTS) if name in subject.facts)
    return program(subject), known


def program(subject: Subject) -> str:
    """The catalog's name of what a server or upstream belongs to."""
    return str(subject.facts["program"].value) if "program" in subject.facts else ""


def stopped(subject: Subject) -> bool:
    """Whether it is known to be no running process, but files alone."""
    return "running" in subject.facts and subject.facts["running"].value is False


def _stands(subject: Subject, name: str) -> tuple[str, int]:
    """File and line of a fact of nginx's; an empty file where its origin is none."""
    origin = subject.facts[name].origin if name in subject.facts and program(subject).startswith("nginx") else ""
    path, _, line = origin.rpartition(":")
    return (path, int(line)) if line.isascii() and line.isdigit() and len(line) < 10 else ("", 0)


def _owner(subject: Subject) -> tuple[object, ...]:
    return program(subject), texts(subject, "netns")


def texts(subject: Subject, name: str) -> tuple[str, ...]:
    """A fact that is a text or a list of texts."""
    value = subject.facts[name].value if name in subject.facts else ()
    return tuple(str(one) for one in (value if isinstance(value, tuple) else (value,)))


def _parts(address: str) -> tuple[str, int | None]:
    """Host and port, the port of the scheme where none stands."""
    scheme, _, bare = address.rpartition("://")
    host, colon, port = bare.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) < 6:
        return host, int(port)
    return bare, PORTS.get(scheme)


def _space(subject: Subject) -> tuple[str, ...]:
    return texts(subject, "netns") or ("host",)
