"""The pools of mod_proxy's workers as `upstream` subjects: what is kept, how long, and how backends are waited for."""

import re

from .. import servers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    from ..servers import Facts
    from .proxy import Workers
    from .scopes import Scope

    Parameters = Dict[str, Tuple[Any, str]]

MOST_WORKERS = 5000
"""Workers that are judged; the rest is told as unread."""

NEVER = ("scgi", "uwsgi", "ftp")
"""Schemes whose connections serve one request, whatever is said."""

OPT_IN = ("fcgi",)
"""Schemes whose connections are closed after each request unless the worker says otherwise."""

URL = r"(?i)([a-z][a-z0-9+.-]{0,20}):(?://)?([^/?#]*)"
"""Scheme and host of a URL; a text, which re compiles when it is first needed."""


class Worker:
    """One pool: its URL, what its parameters say, and whether a balancer has it."""

    def __init__(self, url: str, place: str, path: str, balancer: str) -> None:
        self.url, self.place, self.path, self.balancer = url, place, path, balancer
        self.parameters: "Parameters" = {}
        self.matched = False


class Pools:
    """The workers of one httpd with what decides on their connections: its MPM and its version."""

    def __init__(self, workers: "Workers", prefork: bool, version: "tuple[int, ...]") -> None:
        self._workers, self._prefork, self._version = workers, prefork, version

    def subjects(self) -> "Iterator[tuple[str, str, Facts]]":
        """(name, place, facts) of each worker; members of a balancer that are alike are one."""
        groups: "Dict[Any, tuple[str, str, Facts]]" = {}
        for scope, worker in self._workers.scopes:
            facts = self._facts(scope, worker)
            if not worker.balancer:
                yield _address(worker.url) or "proxy", worker.place, facts
                continue
            values = tuple(sorted((name, str(fact["value"])) for name, fact in facts.items() if name != "addresses"))
            name = servers.address_of(worker.balancer.lower())
            group = groups.setdefault((id(scope), name, values), (name, worker.place, facts))[2]
            if group is not facts and "addresses" in group and "addresses" in facts:
                group["addresses"]["value"] += facts["addresses"]["value"]
        for one in groups.values():
            yield one
        for one in self._without_worker():
            yield one

    def _without_worker(self) -> "Iterator[tuple[str, str, Facts]]":
        seen = set()
        for scope, url, place in self._workers.plain[:MOST_WORKERS]:
            key = (id(scope), _address(url))
            if key in seen or self._workers.find(scope, url, "") or url.lower().startswith("balancer://"):
                continue
            seen.add(key)
            facts = {"reuse": servers.fact(False, place), "mode": servers.fact(_scheme(url), place)}
            if key[1]:
                facts["addresses"] = servers.fact([key[1]], place)
            facts.update(self._timeouts(scope, Worker(url, place, "", "")))
            yield key[1] or "proxy", place, facts

    def _facts(self, scope: "Scope", worker: Worker) -> "Facts":
        given = worker.parameters
        scheme, host = _scheme(worker.url), _address(worker.url)
        facts = {"mode": servers.fact(scheme, worker.place)}
        if host:
            facts["addresses"] = servers.fact([host], worker.place)
        facts.update(self._reuse(scope, worker, scheme))
        if "max" in given and given["max"][0] and not self._prefork:
            facts["pool_size"] = servers.fact(*given["max"])
        if "keepalive" in given:
            facts["so_keepalive"] = servers.fact(*given["keepalive"])
        if "ping" in given:
            facts["pings_before_reuse"] = servers.fact(True, given["ping"][1])
        if "ttl" in given:
            self._time_to_live(facts, given["ttl"])
        facts.update(self._timeouts(scope, worker))
        return facts

    def _time_to_live(self, facts: "Facts", ttl: "tuple[int, str]") -> None:
        """ttl= where it counts: prefork keeps one connection a process and never looks at its age."""
        closed = "reuse" in facts and not facts["reuse"]["value"]
        if closed:
            self._workers.servers.idle("{}: ttl= has no effect: connections are not reused".format(ttl[1]))
        elif self._prefork:
            self._workers.servers.idle("{}: ttl= has no effect under mpm_prefork".format(ttl[1]))
        else:
            facts["idle_timeout_s"] = servers.fact(*ttl)

    def _reuse(self, scope: "Scope", worker: Worker, scheme: str) -> "Facts":
        facts = {}
        if scheme in ("h2", "h2c"):
            facts["http_version"] = servers.fact(2, worker.place)
        for name, place in self._switches(scope, worker):
            facts["reuse"] = servers.fact(False, place)
            if name == "proxy-nokeepalive":
                facts["sends_close"] = servers.fact(True, place)
            else:
                facts["http_version"] = servers.fact(1.0, place)
        said = worker.parameters.get("disablereuse")
        if "reuse" in facts:
            return facts
        if scheme in NEVER or self._is_nameless(worker):
            facts["reuse"] = servers.fact(False, worker.place)
        elif said is not None:
            facts["reuse"] = servers.fact(not said[0], said[1])
        elif scheme in OPT_IN or (worker.matched and "$" in worker.url):
            facts["reuse"] = servers.fact(False, worker.place)
        return facts

    def _is_nameless(self, worker: Worker) -> bool:
        """Whether requests cannot find the worker of a pattern: its host comes from the request, or httpd is old."""
        head = re.match(URL, worker.url)
        return worker.matched and "$" in worker.url and (self._version < (2, 4, 47) or not head or "$" in head.group(2))

    def _switches(self, scope: "Scope", worker: Worker) -> "Iterator[tuple[str, str]]":
        for owner, section, name, place in self._workers.switched:
            if owner is not scope and owner is not scope.main:
                continue
            if section is None or (
                section.name == "location" and section.words and worker.path.startswith(section.words[0])
            ):
                yield name, place

    def _timeouts(self, scope: "Scope", worker: Worker) -> "Facts":
        """The longest silence of a backend: of the worker, else ProxyTimeout, else TimeOut."""
        facts = {}
        stated = worker.parameters.get("timeout") or scope.stated("proxytimeout") or scope.stated("timeout")
        connecting = worker.parameters.get("connectiontimeout") or stated
        if stated:
            facts["response_timeout_s"] = servers.fact(*stated)
        if connecting:
            facts["connect_timeout_s"] = servers.fact(*connecting)
        return facts


def _backend(url: str) -> str:
    """The part of `unix:/socket|scheme://host` that says how to speak, or the whole."""
    return url.rpartition("|")[2] if url.lower().startswith("unix:") else url


def _scheme(url: str) -> str:
    found = re.match(URL, _backend(url))
    return found.group(1).lower() if found else "http"


def normal(url: str) -> str:
    """The URL as workers are told apart: scheme and host in lower case; empty where it is none."""
    socket, _, rest = url.rpartition("|") if url.lower().startswith("unix:") else ("", "", url)
    found = re.match(URL, rest)
    if found is None:
        return ""
    return rest[: found.end()].lower() + rest[found.end() :].partition("?")[0] + (" " + socket if socket else "")


def _address(url: str) -> str:
    """Where a worker connects to, without user, password and path; empty where the request decides."""
    if url.lower().startswith("unix:") and "|" in url:
        socket = url.rpartition("|")[0]
        return socket if re.match(r"unix:/[A-Za-z0-9._/@+-]{1,150}$", socket) else ""
    found = servers.address_of(url)
    return (
        found
        if re.match(r"[A-Za-z0-9+.-]{1,20}://(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{1,60}\])(?::[0-9]{1,5})?$", found)
        else ""
    )
