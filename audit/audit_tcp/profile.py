"""Rules and profiles: TOML files into validated values. Each refusal names file, entry, key and what is legal."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from audit_tcp import tables
from audit_tcp.errors import ProfileError, UsageError
from audit_tcp.judge import ANY, LIST, NUMBER, OPERATORS
from audit_tcp.model import KINDS, SEVERITIES, Condition, Fix, Profile, Rule, Value

HERE = os.path.dirname(__file__)
RULES = os.path.join(HERE, "rules")
PROFILES = os.path.join(HERE, "profiles")
DEFAULT = "baseline"

PROOF = re.compile(r"E(?:[1-9]|1[0-3])|[\w./-]+\.(?:c|h|py|java|js|go|rst)(?::\d+)? \S.*")
"""An experiment (E1 to E13), or a file of source code or of this project's tests with what to see there."""

RULE_KEYS = {
    "id": str, "title": str, "of": str, "fact": str, "op": str, "value": object, "than": str, "plus": (int, float),
    "when": list, "severity": str, "why": str, "cite": list, "proof": list, "fix": dict,
}  # fmt: skip
NEEDED = ("id", "title", "of", "fact", "op", "severity", "why", "cite", "proof", "fix")
FIX_KEYS = {"text": str, "safe": bool, "set": dict}
PROFILE_KEYS = {"summary": str, "extends": (str, list), "rules": list, "drop": list, "override": dict, "rule": list}


DEEPEST = 100
"""Links of `extends` from one profile to the next."""


@cache
def builtin_rules() -> Mapping[str, Rule]:
    """Every rule that is shipped, by id, in the order of the files."""
    rules: dict[str, Rule] = {}
    for name in sorted(os.listdir(RULES)):
        if name.endswith(".toml"):
            path = os.path.join(RULES, name)
            _add(rules, tables.read(path, ProfileError).get("rule", []), path)
    return rules


def builtin_names() -> list[str]:
    """The names of the shipped profiles, the default first."""
    names = sorted(name[:-5] for name in os.listdir(PROFILES) if name.endswith(".toml"))
    return sorted(names, key=lambda name: name != DEFAULT)


def load(name: str) -> Profile:
    """The profile of that name, or in that file where it has a slash or ends in .toml.

    Raises UsageError for a name that does not exist and ProfileError for a file that says something impossible.
    """
    path = _path(name)
    rules, summary = _resolve(path, (), {})
    own = "" if path != name else name
    return Profile(os.path.basename(name).removesuffix(".toml"), summary, tuple(rules.values()), own)


def _path(name: str) -> str:
    if "/" in name or name.endswith(".toml"):
        return name
    if name not in builtin_names():
        raise UsageError(f"no profile {name!r}; there are {', '.join(builtin_names())}, or give a file: ./{name}.toml")
    return os.path.join(PROFILES, f"{name}.toml")


Resolved = tuple[dict[str, Rule], str]


def _resolve(path: str, trail: tuple[str, ...], known: dict[str, Resolved]) -> Resolved:
    """The rules of a profile by id, after all that it extends, and its summary; each file is read once."""
    here = os.path.realpath(path)
    if here in trail:
        circle = " -> ".join(os.path.basename(one) for one in [*trail[trail.index(here) :], here])
        raise ProfileError(f"{path}: `extends` goes round in a circle: {circle}")
    if len(trail) > DEEPEST:
        raise ProfileError(f"{path}: `extends` goes deeper than {DEEPEST} profiles")
    if here not in known:
        known[here] = _read(path, (*trail, here), known)
    return known[here]


def _read(path: str, trail: tuple[str, ...], resolved: dict[str, Resolved]) -> Resolved:
    table = tables.read(path, ProfileError)
    tables.check(table, PROFILE_KEYS, path, ProfileError)
    rules: dict[str, Rule] = {}
    bases = table.get("extends", [])
    for base in [bases] if isinstance(bases, str) else bases:
        rules |= _resolve(_base_path(base, path), trail, resolved)[0]
    own: dict[str, Rule] = {}
    _add(own, table.get("rule", []), path)
    rules |= own
    known = {**builtin_rules(), **rules}
    for rule in _known(table.get("rules", []), known, f"{path}: rules"):
        rules[rule] = known[rule]
    for rule in _known(table.get("drop", []), known, f"{path}: drop"):
        rules.pop(rule, None)
    for rule, changes in table.get("override", {}).items():
        where = f"{path}: override.{rule}"
        _known([rule], known, where)
        if rule not in rules:
            raise ProfileError(f"{where}: not in this profile: add it to `rules`")
        rules[rule] = _overridden(rules[rule], changes, where)
    return rules, table.get("summary", "")


def _base_path(base: object, path: str) -> str:
    if not isinstance(base, str):
        raise ProfileError(f"{path}: extends: names of profiles or files are needed, not {base!r}")
    if base in builtin_names():
        return os.path.join(PROFILES, f"{base}.toml")
    if "/" in base or base.endswith(".toml"):
        return os.path.join(os.path.dirname(path), base)
    raise ProfileError(f"{path}: extends: no profile {base!r}; there are {', '.join(builtin_names())}")


def _known(names: Iterable[object], rules: Mapping[str, Rule], where: str) -> list[str]:
    found: list[str] = []
    for name in names:
        if not isinstance(name, str) or name not in rules:
            raise ProfileError(f"{where}: {unknown_rule(name, rules)}")
        found.append(name)
    return found


def unknown_rule(name: object, rules: Iterable[str]) -> str:
    """What to say of a rule id that does not exist."""
    from difflib import get_close_matches

    near = get_close_matches(str(name), list(rules), 1)
    return f"no rule {name!r}" + (f"; did you mean {near[0]!r}?" if near else "; `audit-tcp rules` lists them")


def _add(rules: dict[str, Rule], entries: object, path: str) -> None:
    if not isinstance(entries, list):
        raise ProfileError(f"{path}: rules are written as [[rule]]")
    for number, entry in enumerate(entries, 1):
        name = entry.get("id") if isinstance(entry, dict) else None
        where = f"{path}: rule {number}" + (f" ({name})" if isinstance(name, str) else "")
        rule = _rule(entry, where)
        if rule.id in rules:
            raise ProfileError(f"{where}: id: there is a rule of this name already")
        rules[rule.id] = rule


def _rule(entry: object, where: str) -> Rule:
    table = tables.check(entry, RULE_KEYS, where, ProfileError, needed=NEEDED)
    for key in ("cite", "proof"):
        if not table[key] or not all(isinstance(one, str) and one.strip() for one in table[key]):
            raise ProfileError(f"{where}: {key}: at least one is needed, each a text")
    for proof in table["proof"]:
        if not PROOF.fullmatch(proof):
            raise ProfileError(
                f"{where}: proof: {proof!r} is neither an experiment, E1 to E13, nor `FILE.c what to see`"
            )
    fix = tables.check(table["fix"], FIX_KEYS, f"{where}: fix", ProfileError, needed=("text", "safe"))
    if ("value" in table) == ("than" in table):
        raise ProfileError(f"{where}: value: exactly one of `value` and `than` is needed")
    if table["of"] not in KINDS:
        raise ProfileError(f"{where}: of: {table['of']!r} is none of {', '.join(KINDS)}")
    frozen: dict[str, Any] = {key: _value(table[key], f"{where}: {key}") for key in table if key not in ("fix", "when")}
    sets = {key: _value(value, f"{where}: fix.set.{key}") for key, value in fix.get("set", {}).items()}
    when = tuple(_condition(one, f"{where}: when") for one in table.get("when", ()))
    rule = Rule(**frozen, fix=Fix(fix["text"], fix["safe"], sets), when=when)
    _check_severity(rule.severity, where)
    _check_plus(table, rule, where)
    _check_operator(rule.op, rule.value, f"{where}: op", limit=rule.than is None)
    return rule


def _value(value: object, where: str) -> Value:
    """A value that a fact can be compared with: TOML has dates, tables and nan too."""
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        if not isinstance(part, int | float | str) or (isinstance(part, float) and not math.isfinite(part)):
            raise ProfileError(
                f"{where}: a number, a text, true, false or a list of those is needed, not {value!s:.80}"
            )
    return tables.frozen(value)


def _condition(entry: object, where: str) -> Condition:
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[0], str):
        raise ProfileError(f'{where}: a condition is written ["fact", "operator", value], not {entry!r}')
    fact, op, value = entry[0], entry[1], _value(entry[2], where)
    _check_operator(op, value, where)
    return Condition(fact, op, value)


def _check_severity(severity: object, where: str) -> None:
    if severity not in SEVERITIES:
        raise ProfileError(f"{where}: severity: {severity!r} is none of {', '.join(SEVERITIES)}")


def _check_plus(table: Mapping[str, object], rule: Rule, where: str) -> None:
    if "plus" in table and rule.than is None:
        raise ProfileError(f"{where}: plus: a margin belongs to `than`; here it belongs into the value itself")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_operator(op: object, value: Value | None, where: str, limit: bool = True) -> None:
    """Refuses an operator that does not exist or does not fit the value's type; without `limit` a fact is compared."""
    if not isinstance(op, str) or op not in OPERATORS:
        raise ProfileError(f"{where}: {op!r:.80} is none of {', '.join(OPERATORS)}")
    needs = OPERATORS[op][1]
    ordered = _is_number(value) or (isinstance(value, tuple) and all(isinstance(part, int) for part in value))
    if not limit:
        fits = needs in (NUMBER, ANY)
    elif op == "between":
        fits = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
    else:
        fits = {ANY: True, NUMBER: ordered, LIST: isinstance(value, tuple)}[needs]
    if not fits:
        wants = {NUMBER: "a number", LIST: "a list of two numbers" if op == "between" else "a list"}.get(
            needs, "a value"
        )
        raise ProfileError(f"{where}: {op} compares with {wants}, not with {value!r:.80}")
    bounds: Any = value if limit and op == "between" else (0, 0)
    if bounds[0] > bounds[1]:
        raise ProfileError(f"{where}: between goes from low to high, not from {bounds[0]} to {bounds[1]}")


def _overridden(rule: Rule, changes: object, where: str) -> Rule:
    kinds = {"value": object, "severity": str, "plus": (int, float)}
    table: dict[str, Any] = tables.check(changes, kinds, where, ProfileError)
    if "value" in table and rule.than is not None:
        raise ProfileError(f"{where}: value: this rule compares with another fact, {rule.than}; only `plus` can change")
    _check_plus(table, rule, where)
    frozen: dict[str, Any] = {key: _value(value, f"{where}: {key}") for key, value in table.items()}
    changed = replace(rule, **frozen)
    _check_severity(changed.severity, where)
    _check_operator(changed.op, changed.value, f"{where}: value", limit=changed.than is None)
    return changed
