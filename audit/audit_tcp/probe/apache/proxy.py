"""mod_proxy's workers: the pools of connections to backends, and their `upstream` subjects.

A worker belongs to a server and goes by its URL. Where a URL begins with that of an earlier worker of the same server,
httpd takes that one and ignores what the later line says.
"""

import re

from . import values as apache_values
from .pools import MOST_WORKERS, URL, Worker, normal
from .values import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

    from .scopes import Scope, Servers
    from .words import Directive, Section

    Parameters = Dict[str, Tuple[Any, str]]

SWITCHES = ("proxy-nokeepalive", "force-proxy-request-1.0")
"""Variables of SetEnv that end the reuse of connections, whatever their value."""

NOT_WORKERS = ("!", "*")

_TITLES = {"proxypass": "ProxyPass", "proxypassmatch": "ProxyPassMatch", "balancermember": "BalancerMember"}


class Workers:
    """The workers of all servers, from directives in their order."""

    def __init__(self, found: "Servers", problem: "Callable[[str, str], None]") -> None:
        self.servers, self._problem = found, problem
        self._pools: "Dict[tuple[int, str], Dict[str, Worker]]" = {}
        self._lengths: "Dict[tuple[int, str], Dict[int, None]]" = {}
        self.scopes: "list[tuple[Scope, Worker]]" = []
        self.plain: "list[tuple[Scope, str, str]]" = []
        self.switched: "list[tuple[Scope, Optional[Section], str, str]]" = []

    # reading

    def take(self, one: "Directive", scope: "Scope") -> None:
        """A directive of mod_proxy, or one that sends requests there. Raises Refused."""
        _TAKERS[one.name](self, one, scope)

    def proxy_pass(self, one: "Directive", scope: "Scope") -> None:
        """ProxyPass and ProxyPassMatch."""
        section = one.section
        inside = section is not None and section.name in ("location", "locationmatch")
        words = [word for word in one.words if word != "~"] if not inside else list(one.words)
        matched = (
            one.name == "proxypassmatch"
            or len(words) < len(one.words)
            or (inside and section is not None and section.name == "locationmatch")
        )
        path = (section.words or ["/"])[-1] if inside and section is not None else (words.pop(0) if words else "")
        if not words:
            raise Refused("needs a URL")
        url = words.pop(0)
        if inside and words and url.startswith("/") and "=" not in words[0]:
            raise Refused("cannot have a path within <Location>")
        if url in NOT_WORKERS:
            return
        if url.lower().startswith("balancer://"):
            self._of_balancer(words, one)
            return
        worker, known = self._worker(scope, url, one.place, path, "")
        if worker is not None:
            worker.matched = worker.matched or matched
            self._parameters(worker, words, one, known)

    def member(self, one: "Directive", scope: "Scope") -> None:
        """BalancerMember."""
        plain = [word for word in one.words if "=" not in word or "://" in word.split("=")[0]]
        section = _proxy_section(one.section)
        balancer = section.words[0] if section is not None and section.words else (plain.pop(0) if plain else "")
        if not plain or not balancer.lower().startswith("balancer://"):
            raise Refused("needs a balancer and a URL")
        worker, known = self._worker(scope, plain[0], one.place, "", balancer)
        if worker is not None:
            self._parameters(worker, [word for word in one.words if word not in plain[:1] and "=" in word], one, known)

    def proxy_set(self, one: "Directive", scope: "Scope") -> None:
        """ProxySet; of a worker it sets parameters, of a balancer how members are chosen."""
        section = _proxy_section(one.section)
        words = list(one.words)
        name = section.words[0] if section is not None and section.words else (words.pop(0) if words else "")
        if name.lower().startswith("balancer://"):
            self._of_balancer(words, one)
            return
        worker = self.find(scope, name, "")
        if worker is None and section is None:
            raise Refused("names no worker")
        if worker is None:
            worker = self._worker(scope, name, one.place, "", "")[0]
        if worker is not None:
            self._parameters(worker, words, one, False)

    def section(self, one: "Directive", scope: "Scope") -> None:
        """<Proxy URL key=value …>, which makes a worker where it has parameters."""
        words = one.words
        if len(words) < 2 or ":" not in words[0] or words[0].lower().startswith("balancer://"):
            return
        worker = self._worker(scope, words[0], one.place, "", "")[0]
        if worker is not None:
            self._parameters(worker, words[1:], one, False)

    def handler(self, one: "Directive", scope: "Scope") -> None:
        """SetHandler "proxy:URL", which has a worker only where one is defined elsewhere."""
        if one.words and one.words[0].lower().startswith("proxy:"):
            self.plain.append((scope, one.words[0][len("proxy:") :], one.place))

    def rewrite(self, one: "Directive", scope: "Scope") -> None:
        """RewriteRule … [P], as SetHandler."""
        flags = one.words[2].strip("[]").lower().split(",") if len(one.words) > 2 else []
        if ("p" in flags or "proxy" in flags) and re.match(URL, one.words[1]):
            self.plain.append((scope, one.words[1], one.place))

    def set_env(self, one: "Directive", scope: "Scope") -> None:
        """SetEnv of a variable that ends the reuse."""
        if one.words and one.words[0].lower() in SWITCHES:
            self.switched.append((scope, _directory(one.section), one.words[0].lower(), one.place))

    def _of_balancer(self, words: "list[str]", one: "Directive") -> None:
        for word in words:
            key = word.partition("=")[0].lower()
            if key == "timeout":
                text = "{}: timeout= of a balancer has no effect on responses: it is the wait for a free member"
                self.servers.idle(text.format(one.place))
            elif key in apache_values.WORKER:
                raise Refused("has {}=, which is no parameter of a balancer".format(key))

    def _worker(
        self, scope: "Scope", url: str, place: str, path: str, balancer: str
    ) -> "tuple[Optional[Worker], bool]":
        """The worker of a URL, and whether it was there before."""
        found = self.find(scope, url, balancer)
        if found is not None:
            return found, True
        if len(self.scopes) >= MOST_WORKERS:
            self._problem(place, "more than {} proxy workers".format(MOST_WORKERS))
            return None, False
        name = normal(url)
        if not name:
            raise Refused("has no URL of the form scheme://host")
        pool = (id(scope), balancer.lower())
        worker = self._pools.setdefault(pool, {})[name] = Worker(url, place, path, balancer)
        self._lengths.setdefault(pool, {})[len(name)] = None
        self.scopes.append((scope, worker))
        return worker, False

    def find(self, scope: "Scope", url: str, balancer: str) -> "Optional[Worker]":
        """The worker with the longest URL that this one begins with, host and port being whole."""
        pool = (id(scope), balancer.lower())
        known, name = self._pools.get(pool, {}), normal(url)
        head = re.match(URL, name)
        least = head.end() if head else len(name)
        lengths = sorted((one for one in self._lengths.get(pool, ()) if least <= one <= len(name)), reverse=True)
        return next((known[name[:one]] for one in lengths if name[:one] in known), None)

    def _parameters(self, worker: Worker, words: "list[str]", one: "Directive", shared: bool) -> None:
        for word in words:
            key, equals, value = word.partition("=")
            key = key.lower()
            if not equals or key not in apache_values.WORKER:
                continue
            if shared:
                text = "{}: {}= has no effect: the worker of this URL is defined at {}"
                self.servers.idle(text.format(one.place, key, worker.place))
                continue
            try:
                read = apache_values.WORKER[key](value)
            except Refused as error:
                raise Refused("has {}=, which {}".format(key, error)) from None
            if key in apache_values.UNITLESS and apache_values.has_unit(value):
                self.servers.trap("{}: {}={} means {} s".format(one.place, key, apache_values.shown(value), read))
            if key == "enablereuse":
                key, read = "disablereuse", not read
            worker.parameters[key] = (read, one.place)


_TAKERS: "dict[str, Callable[[Workers, Directive, Scope], None]]" = {
    "proxypass": Workers.proxy_pass,
    "proxypassmatch": Workers.proxy_pass,
    "balancermember": Workers.member,
    "proxyset": Workers.proxy_set,
    "<proxy": Workers.section,
    "<proxymatch": Workers.section,
    "sethandler": Workers.handler,
    "rewriterule": Workers.rewrite,
    "setenv": Workers.set_env,
}

TAKEN = tuple(_TAKERS)
"""The directives that `Workers.take` reads."""


def _proxy_section(section: "Optional[Section]") -> "Optional[Section]":
    return section if section is not None and section.name in ("proxy", "proxymatch") else None


def _directory(section: "Optional[Section]") -> "Optional[Section]":
    return section if section is not None and section.name != "virtualhost" else None
