"""What the catalog says of each kind of hop: servers, proxies, clients, databases and what stands between them.

A kind is a table of a TOML file in this folder; one that has many entries has a file of its own name. docs/path.md
lists the kinds and says how to add one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from audit_tcp import tables
from audit_tcp.errors import ProfileError
from audit_tcp.model import UNLIMITED, Value

HERE = os.path.dirname(__file__)

KERNEL = "kernel.toml"
"""Defaults of sysctls, which are no kind of hop."""

SIDES = ("server", "upstream", "middle")
"""What a hop shows: to its clients, toward its servers, or, on layer 4, to both. A client has `upstream` alone."""

ROLES = ("client", "middle", "proxy", "server", "database")

_SIDES_OF = {"client": ("upstream",), "middle": ("middle",), "proxy": ("server", "upstream")}


def sides_of(role: str) -> tuple[str, ...]:
    """The sides that a hop of a role has."""
    return _SIDES_OF.get(role, ("server",))


"""The sides that a hop of a role has; of the others it is `server`."""

Version = tuple[int, ...]


class Default(NamedTuple):
    """A value that holds unless a configuration says otherwise, by the version since which; values are in seconds.

    Versions before the first one have no value, and no say where the version is unknown.
    """

    values: tuple[tuple[Version, Value], ...]
    source: str

    def at(self, version: Version | None) -> Value | None:
        """The value of a version; of an unknown one only where all versions agree. None: there is none."""
        if version is None:
            known = {value for _, value in self.values}
            return known.pop() if len(known) == 1 else None
        whole = (*version, 0, 0, 0)
        found = [value for since, value in self.values if whole >= since]
        return found[-1] if found else None


class Setting(NamedTuple):
    """A product's own name for what the facts say: which facts it sets, and in what unit it is written.

    `range` is legal, in that unit; below `floor[0]` seconds the product takes `floor[1]` seconds instead.
    """

    sets: tuple[str, ...]
    factor: float
    unlimited: tuple[Value, ...]
    range: tuple[float, float] | None = None
    floor: tuple[float, float] | None = None


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


@lru_cache(maxsize=256)  # names come from hosts, too
def kind(name: str) -> Kind | None:
    """The kind of that name, or None."""
    own = f"{name}.toml"
    files = _files()
    for file in [own] if own in files else files:
        if name in _tables(file):
            return _kind(name, _tables(file), file)
    return None


def _files() -> list[str]:
    return sorted(name for name in os.listdir(HERE) if name.endswith(".toml") and name != KERNEL)


@cache
def _tables(file: str) -> Mapping[str, Any]:
    return tables.read(os.path.join(HERE, file), ProfileError)


_KEYS = {
    "title": str, "role": str, "note": str, "like": str, "setting": dict, "shipped": dict,
    **dict.fromkeys(SIDES, dict),
}  # fmt: skip
_DEFAULT_KEYS = {"default": object, "source": (str, list)}
_SETTING_KEYS = {"sets": (str, list), "unit": str, "unlimited": list, "range": list, "floor": list}
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "": 1.0}
"""How products write their timers; a setting that is no timer has no unit."""


def _kind(name: str, kinds: Mapping[str, Any], file: str) -> Kind:
    where = f"{file}: {name}"
    table = tables.check(kinds[name], _KEYS, where, ProfileError, needed=("title",))
    if "like" in table:
        table = _merged(_model(table["like"], kinds, where), table)
    tables.check(table, _KEYS, where, ProfileError, needed=("role",))
    if table["role"] not in ROLES:
        raise ProfileError(f"{where}: role: {table['role']!r} is none of {', '.join(ROLES)}")
    sides = sides_of(table["role"])
    defaults = {name: _default(entry, name, f"{where}.{name}") for name, entry in _facts(table, sides, where)}
    settings = {
        key: _setting(entry, sides, f"{where}.setting.{key}") for key, entry in table.get("setting", {}).items()
    }
    shipped = {key: _shipped(entry, sides, f"{where}.shipped.{key}") for key, entry in table.get("shipped", {}).items()}
    return Kind(name, table["title"], table["role"], defaults, settings, shipped, table.get("note", ""))


def _model(name: str, kinds: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The table that another one takes everything from that it does not say itself."""
    if name not in kinds or not isinstance(kinds[name], dict) or "like" in kinds[name]:
        raise ProfileError(f"{where}: like: {name!r} is no kind of this file with facts of its own")
    return tables.check(kinds[name], _KEYS, where, ProfileError)


def _merged(model: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of facts and settings are joined entry by entry; everything else is replaced."""
    joined = {key: {**model[key], **value} for key, value in table.items() if isinstance(value, dict) and key in model}
    return {**model, **table, **joined}


def _facts(table: Mapping[str, Any], sides: Sequence[str], where: str) -> Iterator[tuple[str, Any]]:
    """What a table says of the sides, as `side.fact`. Raises ProfileError where the kind has no such side."""
    for side in SIDES:
        if side in table and side not in sides:
            raise ProfileError(f"{where}: {side}: a hop of this role has facts of {' and '.join(sides)}")
        for fact, value in table.get(side, {}).items():
            yield f"{side}.{fact}", value


def _shipped(entry: object, sides: Sequence[str], where: str) -> dict[str, Value]:
    table = tables.check(entry, dict.fromkeys(SIDES, dict), where, ProfileError)
    return {name: value_of(raw, name, f"{where}.{name}") for name, raw in _facts(table, sides, where)}


def value_of(raw: Any, fact: str = "", where: str = "") -> Value:
    """A value of the catalog as facts have it: a timer without end is infinite. Raises ProfileError if it is none."""
    if raw == UNLIMITED:
        return math.inf
    number = isinstance(raw, int | float) and not isinstance(raw, bool)
    if number and 0 <= raw < math.inf:
        return raw  # type: ignore[no-any-return]
    if fact.endswith("_s"):
        raise ProfileError(f'{where}: seconds from 0 or "{UNLIMITED}" are needed, not {raw!r:.80}')
    if number or not isinstance(raw, bool | str) or raw == "":
        raise ProfileError(f'{where}: a number from 0, "{UNLIMITED}", true, false or a text is needed, not {raw!r:.80}')
    return raw


def _default(entry: object, fact: str, where: str) -> Default:
    """`default` is one value, or [[since version], value] for each change, the oldest first."""
    table = tables.check(entry, _DEFAULT_KEYS, where, ProfileError, needed=("default", "source"))
    raw = table["default"]
    steps = [_step(step, where) for step in raw] if isinstance(raw, list) else [((0,), raw)]
    versions = [since for since, _ in steps]
    if not steps or any(later <= earlier for earlier, later in pairwise(versions)):
        raise ProfileError(f"{where}: default: versions are needed, the oldest first, not {raw!r:.80}")
    values = tuple((since, value_of(value, fact, f"{where}: default")) for since, value in steps)
    sources = [table["source"]] if isinstance(table["source"], str) else table["source"]
    if not sources or not all(isinstance(one, str) and one.strip() for one in sources):
        raise ProfileError(f"{where}: source: a text that says where the value is from is needed, not {sources!r:.80}")
    return Default(values, "; ".join(sources))


def _step(step: object, where: str) -> tuple[Version, Any]:
    if not isinstance(step, list) or len(step) != 2 or not isinstance(step[0], list) or not step[0]:
        raise ProfileError(f"{where}: default: [[since version], value] for each change is needed, not {step!r:.80}")
    if not all(isinstance(part, int) and not isinstance(part, bool) and part >= 0 for part in step[0]):
        raise ProfileError(f"{where}: default: a version such as [1, 19, 10] is needed, not {step[0]!r:.80}")
    return tuple(step[0]), step[1]


def _setting(entry: object, sides: Sequence[str], where: str) -> Setting:
    table = tables.check(entry, _SETTING_KEYS, where, ProfileError, needed=("sets",))
    unit = table.get("unit", "")
    if unit not in UNITS:
        raise ProfileError(f"{where}: unit: {unit!r} is none of ms, s, min, h")
    sets = [table["sets"]] if isinstance(table["sets"], str) else table["sets"]
    for name in sets or [""]:
        side, _, fact = name.partition(".") if isinstance(name, str) else ("", "", "")
        if side not in sides or not fact:
            wanted = f"a fact such as {sides[0]}.idle_timeout_s"
            raise ProfileError(f"{where}: sets: {wanted} is needed, not {name!r:.80}")
    never = table.get("unlimited", [])
    if not all(isinstance(value, int | float | str) and not isinstance(value, bool) for value in never):
        raise ProfileError(f"{where}: unlimited: values of this setting are needed, not {never!r:.80}")
    floor = _pair(table, "floor", where)
    return Setting(tuple(sets), UNITS[unit], tuple(never), _pair(table, "range", where, ascending=True), floor)


def _pair(table: Mapping[str, Any], key: str, where: str, ascending: bool = False) -> tuple[float, float] | None:
    """Two numbers; a range is open above where it ends with inf."""
    if key not in table:
        return None
    pair = table[key]
    numbers = len(pair) == 2 and all(isinstance(one, int | float) and not isinstance(one, bool) for one in pair)
    if not numbers or not pair[0] < math.inf or not pair[1] >= (pair[0] if ascending else 0):
        wanted = "two numbers, the lower first," if ascending else "two numbers of seconds"
        raise ProfileError(f"{where}: {key}: {wanted} are needed, not {pair!r:.80}")
    return pair[0], pair[1]
