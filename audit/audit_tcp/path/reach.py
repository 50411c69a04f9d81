"""Which servers of a snapshot answer on a port, and which ones a proxy's pool reaches on the same host."""

from __future__ import annotations

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
        for one in found.subjects:
            if one.kind == "upstream":
                self._pools.setdefault(_owner(one), []).append(one)
            for address in texts(one, "listen") if one.kind == "server" else ():
                host, port = _parts(address)
                self._sockets.setdefault(address, []).append(one)
                if port is not None:
                    self._ports.setdefault(port, []).append((host, one))

    def answering(self, ports: Iterable[int]) -> list[Subject]:
        """The servers that listen for other hosts on one of the ports; of those that differ in nothing the first."""
        found: dict[object, Subject] = {}
        for port in dict.fromkeys(ports):
            for host, one in self._ports.get(port, ()):
                if not host.startswith(LOOPBACK):
                    found.setdefault(timers(one), one)
        return list(found.values())

    def behind(self, server: Subject) -> list[tuple[Subject, Subject]]:
        """The pools of the program that a server belongs to, each with a server of the host that it reaches."""
        own = _owner(server)
        if own not in self._behind:
            pairs: dict[object, tuple[Subject, Subject]] = {}
            for pool in self.pools(server):
                for last in self.reached(pool):
                    pairs.setdefault((timers(pool), timers(last)), (pool, last))
            self._behind[own] = list(pairs.values())
        return self._behind[own]

    def pools(self, server: Subject) -> list[Subject]:
        """The pools of the program that a server belongs to."""
        return self._pools.get(_owner(server), [])

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
