"""The hops of a path: what a person states, what a snapshot or a Terraform plan tells, and the catalog's defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from audit_tcp import catalog, servers
from audit_tcp.catalog import SIDES, Kind
from audit_tcp.errors import PathError
from audit_tcp.model import UNLIMITED, Fact, Subject, Value
from audit_tcp.wording import shown

Stated = Mapping[str, Fact]
"""Facts by side and name: `upstream.idle_timeout_s`."""

SYSCTLS = {"net.ipv4.tcp_keepalive_time": "tcp_keepalive_time_s", "net.ipv4.tcp_retries2": "tcp_retries2"}
"""What may be said of a hop's kernel, and the facts that it becomes on each side."""

FLAGS = frozenset(
    ("reuse", "keepalive", "evicts", "honours_hint", "so_keepalive", "sends_close", "sends_reset", "http2",
     "pings_before_reuse", "pings_in_request", "hint_replaces", "validates_before_reuse", "ping_without_stream",
     "permit_ping_without_stream", "headers_timeout_bug", "h2_ignores_idle", "ignores_keepalive")
)  # fmt: skip
TEXTS = frozenset(("mode", "kind_of", "use"))
NUMBERS = frozenset(
    ("idle_timeout_s", "advertised_idle_s", "header_timeout_s", "body_timeout_s", "request_timeout_s", "send_timeout_s",
     "tunnel_timeout_s", "max_requests", "max_age_s", "keepidle_s", "keepintvl_s", "keepcnt", "backlog", "pool_size",
     "h2_idle_timeout_s", "http_version", "connect_timeout_s", "response_timeout_s", "hint_buffer_s", "hint_max_s",
     "ping_interval_s",
     "min_ping_interval_s", "user_timeout_s", "backend_timeout_s", "max_connections", "pool_purge_s", *SYSCTLS.values())
)  # fmt: skip
FACTS = FLAGS | TEXTS | NUMBERS
"""What a path file may say of one side of a hop; docs/path.md gives the meanings."""

UNIT_OF = {0.001: "milliseconds", 1.0: "seconds", 60.0: "minutes", 3600.0: "hours"}

LARGEST = 1e9
"""Seconds: thirty years."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One station of a path: what it is, and the facts of the sides that it has."""

    name: str
    kind: Kind
    facts: Stated
    version: tuple[int, ...] | None = None
    traps: tuple[str, ...] = ()

    def side(self, name: str) -> dict[str, Fact]:
        """The facts of one side; empty where the hop has no such side."""
        return {key.partition(".")[2]: fact for key, fact in self.facts.items() if key.startswith(f"{name}.")}

    @property
    def ends_connections(self) -> bool:
        """Whether this is an end of TCP connections; what only forwards their segments is not."""
        return self.kind.role != "middle"

    @property
    def calls(self) -> bool:
        """Whether it opens connections to the next hop."""
        return self.kind.role in ("client", "proxy")

    @property
    def serves(self) -> bool:
        """Whether it accepts connections from the hop before."""
        return self.kind.role in ("proxy", "server", "database")


@dataclass(frozen=True, slots=True)
class Stating:
    """Turns what a person or a plan states of a hop into facts. `where` begins an error, `origins` are keys' places."""

    kind: Kind
    where: str
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where the key stands."""
        return self.origins.get(key, self.where)

    def facts(self, table: Mapping[str, object]) -> tuple[dict[str, Fact], list[str]]:
        """The facts that the keys state, and what looks as if a unit was mistaken. Raises PathError.

        Of two settings of one fact the one that the catalog names first counts; a fact by its own name beats both.
        """
        facts: dict[str, Fact] = {}
        traps: list[str] = []
        rank = {name: number for number, name in enumerate(self.kind.settings)}
        for key, raw in sorted(table.items(), key=lambda stated: -rank.get(stated[0], -1)):
            facts |= dict(self._facts_of(key, raw, traps))
        return facts, traps

    def _facts_of(self, key: str, raw: object, traps: list[str]) -> Iterator[tuple[str, Fact]]:
        if key in self.kind.settings:
            yield from self._setting(key, raw, traps)
            return
        if key in SYSCTLS:
            value = self._number(key, raw)
            for side in self._sides():
                yield f"{side}.{SYSCTLS[key]}", Fact(value, self.origin(key))
            return
        side, dot, name = key.partition(".")
        if not dot:
            side, name = self._only_side(key), key
        if side not in self._sides():
            raise self._unknown(key)
        if name.endswith("_ms") and f"{name[:-3]}_s" in NUMBERS:
            yield f"{side}.{name[:-3]}_s", Fact(self._number(key, raw) / 1000, self.origin(key))
        elif name in FACTS:
            yield f"{side}.{name}", Fact(self._value(key, name, raw), self.origin(key))
        else:
            raise self._unknown(key)

    def _sides(self) -> tuple[str, ...]:
        return catalog.sides_of(self.kind.role)

    def _only_side(self, key: str) -> str:
        sides = self._sides()
        if len(sides) == 1:
            return sides[0]
        if key in FACTS:
            raise PathError(
                f"{self.origin(key)}: {key}: {self.kind.title} has two sides: write server.{key} for what it does to "
                f"its clients, upstream.{key} for its connections to the next hop"
            )
        raise self._unknown(key)

    def _unknown(self, key: str) -> PathError:
        legal = [*self.kind.settings, *(f"{side}.{name}" for side in self._sides() for name in sorted(FACTS))]
        if len(self._sides()) == 1:
            legal += sorted(FACTS)
        near = get_close_matches(key, legal, 1)
        told = f"did you mean {near[0]}?" if near else "docs/path.md lists what may be stated"
        own = f"; {self.kind.title} knows {', '.join(self.kind.settings)}" if self.kind.settings else ""
        return PathError(f"{self.origin(key)}: {key}: no such setting of {self.kind.title}; {told}{own}")

    def _setting(self, key: str, raw: object, traps: list[str]) -> Iterator[tuple[str, Fact]]:
        setting = self.kind.settings[key]
        fact = setting.sets[0].partition(".")[2]
        if fact in FLAGS and raw in (0, 1):
            value: Value = bool(raw)
        elif isinstance(raw, bool | str):
            value = self._value(key, fact, raw)
        elif raw in setting.unlimited:
            value = math.inf
        else:
            number = self._number(key, raw)
            low, high = setting.range or (0, LARGEST)
            if setting.range and not low <= number <= high:
                raise PathError(f"{self.origin(key)}: {key}: {number:g} is not between {low:g} and {high:g}")
            value = round(number * setting.factor, 6)
            if setting.factor == 0.001 and 0 < number < 1000:
                traps.append(f"{self.origin(key)}: {key} = {number:g} is in milliseconds: {number / 1000:g} s")
            if setting.floor and value < setting.floor[0]:
                traps.append(
                    f"{self.origin(key)}: {key}: below {setting.floor[0]:g} s {self.kind.title} takes "
                    f"{shown(setting.floor[1])} s instead"
                )
                value = setting.floor[1]
        for name in setting.sets:
            yield name, Fact(value, self.origin(key))

    def _value(self, key: str, name: str, raw: object) -> Value:
        if name in FLAGS:
            if not isinstance(raw, bool):
                raise PathError(f"{self.origin(key)}: {key}: true or false is needed, not {raw!r:.80}")
            return raw
        if name in TEXTS:
            if not isinstance(raw, str) or not raw:
                raise PathError(f"{self.origin(key)}: {key}: a text is needed, not {raw!r:.80}")
            return raw
        return self._number(key, raw)

    def _number(self, key: str, raw: object) -> int | float:
        if raw == UNLIMITED:
            return math.inf
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= LARGEST:
            setting = self.kind.settings.get(key)
            low, high = (setting.range if setting else None) or (0, LARGEST)
            timed = key.endswith("_s") or (setting and any(name.endswith("_s") for name in setting.sets))
            unit = UNIT_OF.get(setting.factor if setting else 1.0, "") if timed else "a number"
            raise PathError(
                f"{self.origin(key)}: {key}: {unit} from {low:.0f} to {high:.0f}"
                f' or "{UNLIMITED}", written as a number, not {raw!r:.80}'
            )
        return raw


def made(
    name: str,
    kind: Kind,
    stated: Stated,
    version: tuple[int, ...] | None = None,
    shipped: str = "",
    traps: tuple[str, ...] = (),
) -> Hop:
    """A hop with what is stated, else what a distribution's configuration states, else the defaults of its version."""
    facts: dict[str, Fact] = {}
    for side in SIDES:
        own = {key.partition(".")[2]: fact for key, fact in stated.items() if key.startswith(f"{side}.")}
        packaged = {
            key.partition(".")[2]: Fact(value, f"as {shipped} ships {kind.title}")
            for key, value in kind.shipped.get(shipped, {}).items()
            if key.startswith(f"{side}.")
        }
        default = servers.defaults(kind, version, side)
        if "ignores_keepalive" in default and "ignores_keepalive" not in own:
            own = _heeded(default, own)
        whole = {**default, **packaged, **own}
        from_snapshot = "program" in own  # which tells what is announced, too
        if "idle_timeout_s" in own and "advertised_idle_s" in default.keys() - own.keys() and not from_snapshot:
            whole["advertised_idle_s"] = own["idle_timeout_s"]
        if side != "middle" and (own or whole):
            servers.derive(whole, {"keepalive_time": whole.get("tcp_keepalive_time_s")})
        facts |= {f"{side}.{key}": fact for key, fact in whole.items()}
    return Hop(name, kind, facts, version, traps)


def _heeded(default: Stated, own: Stated) -> dict[str, Fact]:
    """What is stated, without the keep-alive timer where the worker does not look at it."""
    stated = own.get("idle_timeout_s")
    if not default["ignores_keepalive"].value or stated is None:
        return {**own, "ignores_keepalive": Fact(False, default["ignores_keepalive"].origin)}
    heeded = {name: fact for name, fact in own.items() if name != "idle_timeout_s"}
    return {**heeded, "ignores_keepalive": Fact(True, stated.origin)}


def of_subjects(
    name: str,
    kind: Kind,
    server: Subject | None,
    upstream: Subject | None,
    stated: Stated,
    traps: tuple[str, ...] = (),
) -> Hop:
    """A hop as a snapshot shows it, where nothing else is stated."""
    facts: dict[str, Fact] = {}
    for side, subject in (("server", server), ("upstream", upstream)):
        if subject is not None:
            facts |= {f"{side}.{key}": fact for key, fact in subject.facts.items()}
            said = {key.partition(".")[2] for key in stated if key.startswith(f"{side}.")}
            for derived, causes in servers.DERIVED.items():
                if derived not in said and said & causes:
                    facts.pop(f"{side}.{derived}", None)
    version = next((facts[f"{side}.version"].value for side in SIDES if f"{side}.version" in facts), None)
    known = tuple(part for part in version if isinstance(part, int)) if isinstance(version, tuple) else None
    return made(name, kind, {**facts, **stated}, known, traps=traps)


VERSION = re.compile(r"\d{1,5}(?:\.\d{1,5}){0,3}(?![\w.])")


def version_of(text: object, where: str) -> tuple[int, ...]:
    """(1, 22, 1) of "1.22.1". Raises PathError."""
    found = VERSION.match(text) if isinstance(text, str) else None
    if not found:
        raise PathError(f'{where}: version: a text such as "1.22.1" is needed, not {text!r:.80}')
    return tuple(int(part) for part in found.group().split("."))


def kind_of(name: object, where: str) -> Kind:
    """The catalog's kind. Raises PathError with the nearest names."""
    found = catalog.kind(name) if isinstance(name, str) else None
    if found is None:
        names = catalog.names()
        near = get_close_matches(str(name), names, 3)
        told = f"did you mean {', '.join(near)}?" if near else "`audit-tcp path --kinds` lists them"
        raise PathError(f"{where}: kind: no kind {name!r:.80}; {told}")
    return found


def flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of nested tables, joined by dots, as an unquoted `idle_timeout.timeout_seconds = 60` makes them."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, value
