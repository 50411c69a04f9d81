"""An example of a path file, made from the servers of a host, for a person to complete: every line of it is legal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from audit_tcp import catalog
from audit_tcp.catalog import Kind
from audit_tcp.model import Fact, Snapshot, Subject
from audit_tcp.path import hops, reach, stated
from audit_tcp.path.stated import LONGEST_NAME, WIDTH
from audit_tcp.wording import columns, fold, padded, printable, shown

MOST_HOPS = 5
"""Of the host."""

OTHERS_SHOWN = 10

Station = tuple[Subject, Subject | None]
"""A server and, if it is a proxy whose next hop is known, its pool toward that."""


def text(snapshot: Snapshot) -> str:
    """The path file: client, examples of balancers, the host's proxy and what is behind it, examples of databases."""
    found = reach.Servers(snapshot)
    candidates = [one for one in snapshot.subjects if one.kind == "server" and _kind(one)]
    stations = _stations(found, candidates)
    kernel = {one.name: one.facts for one in snapshot.subjects if one.kind == "netns"}
    lines = [*_head(snapshot, stations), *_client(), *_balancers()]
    for number, (server, pool) in enumerate(stations):
        lines += _station(server, pool, kernel, number)
    lines += [*_last(stations), *_others(candidates, stations), *_called()]
    return "\n".join(lines) + "\n"


def _kind(server: Subject) -> Kind | None:
    kind = catalog.kind(reach.program(server))
    return kind if kind and kind.role in ("proxy", "server", "database") else None


def _stations(found: reach.Servers, candidates: Sequence[Subject]) -> list[Station]:
    """The proxy that clients meet and what is behind it; without a proxy the first server alone. What runs is first."""
    if not candidates:
        return []
    first = min(candidates, key=lambda one: (reach.stopped(one), not _is_proxy(one), not found.behind(one)))
    stations: list[Station] = []
    server: Subject | None = first
    while server is not None and len(stations) < MOST_HOPS:
        seen = {first.name, server.name, *(one.name for one, _ in stations)}
        pairs = found.behind(server) if _is_proxy(server) else []
        pool, behind = next(((p, s) for p, s in pairs if s.name not in seen and _kind(s)), (None, None))
        if pool is None and _is_proxy(server):
            pool = next(iter(found.pools(server)), None)
        stations.append((server, pool))
        server = behind
    return stations


def _is_proxy(server: Subject) -> bool:
    kind = _kind(server)
    return kind is not None and kind.role == "proxy"


def _said(*sentences: str) -> list[str]:
    """A comment of so many columns."""
    return [line for one in sentences for line in fold(one, WIDTH, "# ", "# ")]


def _head(snapshot: Snapshot, stations: Sequence[Station]) -> Iterator[str]:
    host = printable(snapshot.host, LONGEST_NAME) or "this host"
    yield from _said(
        f"A request path, made from the servers found on {host}. Each [[hop]] is one station, from the client to the "
        "last server. Change what is not so, remove the # before the stations that you have, and judge the path:"
    )
    yield "#     audit-tcp path FILE"
    yield from _said(
        "A setting has the name and unit that its product gives it, or is a fact in seconds, such as "
        "server.idle_timeout_s (what a hop does to its clients) and upstream.idle_timeout_s (to its connections to the "
        "next hop). What is not stated is the default of the version. `audit-tcp path --kinds` lists what a hop can be."
    )
    yield "#"
    yield from _said("Instead of values a hop can take those of a saved state of its host:")
    yield from ("#     audit-tcp host --save web1.json", "#     [[hop]]")
    server = stations[0][0] if stations else None
    yield f'#     kind = "{reach.program(server) if server else "nginx"}"'
    yield '#     snapshot = "web1.json"'
    if server and columns(name := f"#     take_server = {stated.string(server.name)}  # if it has several") <= WIDTH:
        yield name
    yield from ("", f"name = {stated.name_of(snapshot.host or 'example')}", "")
    yield from _said("Of the path as a whole; remove the # where you know it:")
    yield "# slowest_response_s = 30    # the longest silence inside one request: while the server computes"
    yield "# longest_upload_s = 120     # how long the slowest upload takes"
    yield "# ping_interval_s = 30       # how often an open websocket carries something"
    yield "# answer_within_s = 60       # how soon a dead peer must be noticed"


def _client() -> Iterator[str]:
    yield ""
    yield from _said(
        "Who opens the connections. For browsers nothing is to be stated; for a program write its HTTP client as kind, "
        "such as requests, okhttp or node-agent, and the version."
    )
    yield from ("[[hop]]", 'kind = "client"')


def _balancers() -> Iterator[str]:
    yield ""
    yield from _said(
        "What stands between the clients and this host: remove the # before yours. The values shown are the defaults. "
        'With `--terraform plan.json` write terraform = "aws_lb.web" instead of kind and settings.'
    )
    for name in ("cloudfront", "alb", "nlb"):
        yield from _suggested(name)


def _suggested(name: str) -> Iterator[str]:
    """A hop to uncomment, with the settings that the catalog knows."""
    kind = catalog.kind(name)
    if kind is None:
        return
    yield "#"
    yield "# [[hop]]"
    yield f'# kind = "{name}"  # {kind.title}'
    for key, setting in kind.settings.items():
        default = kind.defaults.get(setting.sets[0])
        value = default.at(None) if default else None
        if isinstance(value, int | float) and value != math.inf:
            unit = {0.001: "milliseconds", 1.0: "seconds", 60.0: "minutes", 3600.0: "hours"}.get(setting.factor, "")
            bare = key if re.fullmatch(r"[A-Za-z0-9_.-]+", key) else f'"{key}"'
            yield padded(f"# {bare} = {shown(value / setting.factor)}", 44) + f"  # {unit}"


def _station(server: Subject, pool: Subject | None, kernel: Mapping[str, Mapping[str, Fact]], number: int) -> list[str]:
    """A hop with what the configuration states, each value with its place."""
    kind = _kind(server)
    assert kind is not None
    found = "Found on this host" if number == 0 else "Found behind it"
    found += ", but not running" if reach.stopped(server) else ""
    lines = ["", *_said(f"{found}: {printable(server.name, 200)}")]
    lines += ["[[hop]]", f'kind = "{kind.name}"', f"name = {stated.name_of(server.name)}"]
    version = ".".join(map(str, _tuple(server, "version")))
    if hops.VERSION.fullmatch(version):
        lines.append(f'version = "{version}"')
    sides = [("server", server), *([("upstream", pool)] if pool else [])]
    values = [line for side, one in sides for line in stated.values(kind, side, one)]
    lines += values or _said("Its configuration states no timers.")
    lines += stated.probing(sides, kernel)
    told = [one for side, subject in sides for one in stated.left_out(side, subject)]
    if told:
        lines += _said(f"Defaults of it: {', '.join(told)}")
    if pool is not None:
        addresses = ", ".join(reach.texts(pool, "addresses"))
        lines += _said(
            f"Its pool: {printable(pool.name, 200)}{f', to {printable(addresses, 200)}' if addresses else ''}"
        )
    return lines


def _others(candidates: Sequence[Subject], stations: Sequence[Station]) -> Iterator[str]:
    used = {one.name for one, _ in stations}
    others = [one for one in candidates if one.name not in used]
    others.sort(key=reach.stopped)
    if others:
        yield ""
        yield from _said("Other servers of this host, each worth a path of its own if clients reach it:")
        for one in others[:OTHERS_SHOWN]:
            mark = " (not running)" if reach.stopped(one) else ""
            yield f"#     {stated.ending(one.name, WIDTH - 6 - len(mark))}{mark}"
        if len(others) > OTHERS_SHOWN:
            yield f"#     and {len(others) - OTHERS_SHOWN} more: audit-tcp host shows them"


def _last(stations: Sequence[Station]) -> Iterator[str]:
    """What ends the path, where nothing was found that does."""
    if not stations:
        yield ""
        yield from _said("No server was found here. Write what answers, and how long it keeps idle connections:")
        yield from ("[[hop]]", 'kind = "server"  # or nginx, tomcat, gunicorn, node...', "# idle_timeout_s = 65")
    elif _is_proxy(stations[-1][0]):
        yield ""
        yield from _said("What the proxy passes requests to was not found here. Remove the # and write what it is:")
        yield from ("# [[hop]]", '# kind = "tomcat"', "# keepAliveTimeout = 65000  # milliseconds")


def _called() -> Iterator[str]:
    """An example of a path that a server itself begins."""
    yield ""
    yield from _said(
        "What a server calls is a path of its own, in a second file: its connection pool, what stands between, and "
        "the database. For example:"
    )
    yield from ('# name = "database"', "#", "# [[hop]]", '# kind = "hikaricp"  # a pool of Java')
    yield "# maxLifetime = 1800000  # milliseconds"
    yield from _suggested("nat-gateway")
    yield from ("#", "# [[hop]]", '# kind = "mysql"', "# wait_timeout = 28800  # seconds")


def _tuple(subject: Subject, name: str) -> tuple[object, ...]:
    value = subject.facts[name].value if name in subject.facts else ()
    return value if isinstance(value, tuple) else ()
