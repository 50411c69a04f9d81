"""What the catalog says of each kind of hop: servers, proxies, clients, databases and what stands between them.

A kind is a table of a TOML file in this folder; one that has many entries has a file of its own name. docs/path.md
lists the kinds and says how to add one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from audit_tcp import tables
from audit_tcp.errors import ProfileError
from audit_tcp.model import UNLIMITED, Value

HERE = os.path.dirname(__file__)

KERNEL = "kernel.toml"
"""Defaults of sysctls, which are no kind of hop."""

SIDES = ("server", "upstream", "middle")
"""What a hop shows: to its clients, toward its servers, or, on layer 4, to both. A client has `upstream` alone."""

ROLES = ("client", "middle", "proxy", "server", "database")

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Default:
    """A value that holds unless a configuration says otherwise, by the version since which; values are in seconds."""

    values: tuple[tuple[Version, Value], ...]
    source: str

    def at(self, version: Version | None) -> Value | None:
        """The value of a version; of an unknown one only where all versions agree. None: there is none."""
        if version is None:
            known = {value for _, value in self.values}
            return known.pop() if len(known) == 1 else None
        found = [value for since, value in self.values if version >= since]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Setting:
    """A product's own name for what the facts say: which facts it sets, and in what unit it is written."""

    sets: tuple[str, ...]
    factor: float
    unlimited: tuple[Value, ...]
    range: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of hop. `defaults` and `shipped` are by side and fact: `upstream.idle_timeout_s`."""

    name: str
    title: str
    role: str
    defaults: Mapping[str, Default]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    shipped: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    note: str = ""


def names() -> list[str]:
    """The kinds that exist, sorted."""
    return sorted(name for file in _files() for name in _tables(file))


@cache
def kind(name: str) -> Kind | None:
    """The kind of that name, or None."""
    own = f"{name}.toml"
    files = _files()
    for file in [own] if own in files else files:
        if name in _tables(file):
            return _kind(name, _tables(file)[name], f"{file}: {name}")
    return None


def _files() -> list[str]:
    return sorted(name for name in os.listdir(HERE) if name.endswith(".toml") and name != KERNEL)


@cache
def _tables(file: str) -> Mapping[str, Any]:
    return tables.read(os.path.join(HERE, file), ProfileError)


_KEYS = {
    "title": str, "role": str, "note": str, "setting": dict, "shipped": dict, **dict.fromkeys(SIDES, dict),
}  # fmt: skip
_DEFAULT_KEYS = {"default": object, "source": (str, list)}
_SETTING_KEYS = {"sets": (str, list), "unit": str, "unlimited": list, "range": list}
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "": 1.0}
"""How products write their timers; a setting that is no timer has no unit."""


def _kind(name: str, table: object, where: str) -> Kind:
    checked = tables.check(table, _KEYS, where, ProfileError, needed=("title", "role"))
    if checked["role"] not in ROLES:
        raise ProfileError(f"{where}: role: {checked['role']!r} is none of {', '.join(ROLES)}")
    defaults = {
        f"{side}.{fact}": _default(entry, f"{where}.{side}.{fact}")
        for side in SIDES
        for fact, entry in checked.get(side, {}).items()
    }
    settings = {key: _setting(entry, f"{where}.setting.{key}") for key, entry in checked.get("setting", {}).items()}
    shipped = {
        config: {fact: value_of(value) for fact, value in _flat(entries)}
        for config, entries in checked.get("shipped", {}).items()
    }
    return Kind(name, checked["title"], checked["role"], defaults, settings, shipped, checked.get("note", ""))


def _flat(entries: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for side in SIDES:
        for fact, value in entries.get(side, {}).items():
            yield f"{side}.{fact}", value


def value_of(raw: Any) -> Value:
    """A value of the catalog as facts have it: a timer without end is infinite."""
    return math.inf if raw == UNLIMITED else tables.frozen(raw)


def _default(entry: object, where: str) -> Default:
    """`default` is one value, or [[since version], value] for each change, the oldest first."""
    table = tables.check(entry, _DEFAULT_KEYS, where, ProfileError, needed=("default", "source"))
    raw = table["default"]
    stepped = isinstance(raw, list) and raw and all(isinstance(step, list) and len(step) == 2 for step in raw)
    steps = raw if stepped else [[[0], raw]]
    source = table["source"] if isinstance(table["source"], str) else "; ".join(table["source"])
    return Default(tuple((tuple(since), value_of(value)) for since, value in steps), source)


def _setting(entry: object, where: str) -> Setting:
    table = tables.check(entry, _SETTING_KEYS, where, ProfileError, needed=("sets",))
    unit = table.get("unit", "")
    if unit not in UNITS:
        raise ProfileError(f"{where}: unit: {unit!r} is none of ms, s, min, h")
    sets = (table["sets"],) if isinstance(table["sets"], str) else tuple(table["sets"])
    limits = table.get("range")
    return Setting(sets, UNITS[unit], tuple(table.get("unlimited", ())), (limits[0], limits[1]) if limits else None)
