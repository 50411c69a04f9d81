"""A request path as a drawing: hop below hop, each timer as a bar, so that an inversion is seen.

Bars are drawn on a logarithmic scale, since timers reach from 2 s to hours; a longer timer always has the longer bar,
equal ones have equal bars, and one that never ends leaves the page.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping

from audit_tcp.model import Fact, Snapshot, Subject
from audit_tcp.wording import fold, padded, printable, shown

NUMBER_COLUMNS = 13
LABEL_COLUMNS = 23
BAR_STARTS = 4 + LABEL_COLUMNS + NUMBER_COLUMNS + 2

TIMERS = {
    "client": (
        ("client_idle_s", "drops idle connections"),
        ("client_max_age_s", "renews connections"),
        ("client_ping_interval_s", "pings every"),
        ("client_response_timeout_s", "waits for an answer"),
    ),
    "server": (
        ("server_idle_s", "closes idle connections"),
        ("server_tunnel_timeout_s", "cuts silent tunnels"),
        ("server_request_timeout_s", "cuts whole requests"),
    ),
}
"""The timers at the ends of a connection that are drawn, by fact."""


def is_path(snapshot: Snapshot) -> bool:
    """Whether the snapshot is a path and not a host."""
    return any(subject.kind == "link" for subject in snapshot.subjects)


def lines(snapshot: Snapshot, failing: Container[str], width: int) -> Iterator[str]:
    """The drawing, at most `width` columns wide; `failing` names the connections on which something is wrong."""
    links = [subject for subject in snapshot.subjects if subject.kind == "link"]
    unknown = {error.where.removeprefix("link ") for error in snapshot.errors}
    bars = _Bars([value for link in links for value in _values(link)], width)
    for number, link in enumerate(links):
        if number == 0:
            yield _name(link, "client", width)
        yield from _row_of(link, TIMERS["client"], bars)
        yield from _layer4(link, bars, width)
        if link.name in failing:
            yield from ("  !", "  ! <- not in order")
        else:
            yield from ("  ?", "  ? <- not judged") if link.name in unknown else ("  |", "  v")
        yield _name(link, "server", width)
        yield from _row_of(link, TIMERS["server"], bars)


def _name(link: Subject, end: str, width: int) -> str:
    name, kind = (printable(str(link.facts[key].value), 40) for key in (end, f"{end}_kind"))
    return fold(f"{name} ({kind})" if name != kind else name, width)[0]


def _row_of(link: Subject, timers: Iterable[tuple[str, str]], bars: _Bars) -> Iterator[str]:
    for fact, label in timers:
        if _speaks(link, fact):
            value = link.facts[fact].value
            yield "  | closes after each answer" if fact == "server_idle_s" and value == 0 else bars.row(label, value)


SPEAKS_WITH = {
    "server_tunnel_timeout_s": "ping_interval_s",
    "server_request_timeout_s": "longest_upload_s",
}
"""Timers that are drawn only where the path says how long something takes."""


def _speaks(link: Subject, fact: str) -> bool:
    if fact == "client_ping_interval_s" and fact in link.facts and link.facts[fact].value == math.inf:
        return False
    return fact in link.facts and SPEAKS_WITH.get(fact, fact) in link.facts


def _layer4(link: Subject, bars: _Bars, width: int) -> Iterator[str]:
    facts = link.facts
    if "first_probe_s" in facts:
        first = facts["first_probe_s"].value
        yield "  | no keepalive probes" if first == math.inf else bars.row("first probe, either end", first)
    for name, value in zip(_tuple(facts, "layer4_timed"), _tuple(facts, "layer4_timers_s"), strict=False):
        yield "  :"
        yield fold(f"{printable(str(name), 60)} (layer 4)", width, "  : ")[0]
        yield bars.row("forgets silent flows", value)


def _tuple(facts: Mapping[str, Fact], name: str) -> tuple[object, ...]:
    value = facts[name].value if name in facts else ()
    return value if isinstance(value, tuple) else ()


def _values(link: Subject) -> Iterator[object]:
    for fact, _ in (*TIMERS["client"], *TIMERS["server"], ("first_probe_s", "")):
        if _speaks(link, fact):
            yield link.facts[fact].value
    yield from _tuple(link.facts, "layer4_timers_s")


class _Bars:
    """Lengths for a set of timers: in their order, as long as the page has columns for it."""

    def __init__(self, values: Iterable[object], width: int) -> None:
        finite = sorted({float(v) for v in values if isinstance(v, int | float) and 0 < v < math.inf})
        self._room = max(width - BAR_STARTS, 0)
        most = math.log1p(finite[-1]) if finite else 1.0
        self._lengths: dict[float, int] = {}
        before = 0
        for number, value in enumerate(finite):
            fair = round(math.log1p(value) / most * (self._room - 2))
            before = max(min(max(fair, before + 1), self._room - 2 - (len(finite) - 1 - number)), 0)
            self._lengths[value] = before

    def row(self, label: str, value: object) -> str:
        """`  | closes idle connections after      5 s  ====`."""
        told = shown(value) if value == math.inf else f"{_rounded(value)} s"
        bar = ("=" * (self._room - 1) + ">" if self._room else "") if value == math.inf else "=" * self._length(value)
        return f"  | {padded(label, LABEL_COLUMNS)}{told:>{NUMBER_COLUMNS}}  {bar}".rstrip()

    def _length(self, value: object) -> int:
        return self._lengths.get(float(value), 0) if isinstance(value, int | float) else 0


def _rounded(value: object) -> str:
    """At most nine characters: what is below a millisecond is none."""
    return f"{round(value, 3):g}" if isinstance(value, int | float) else str(value)
