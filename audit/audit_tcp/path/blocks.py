"""Blocks of a Terraform document: what is known of them, and the expressions that they are configured by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

DEEPEST = 50
"""Blocks and values within one another that are read."""

HIDDEN: Final = object()
"""Stands for a value that the document marks as sensitive: it is not read."""


@dataclass(frozen=True, slots=True)
class Block:
    """A resource, or one of its nested blocks: what is known of it, and the expressions that it is configured by."""

    module: str
    index: object
    values: Mapping[str, Any]
    expressions: Mapping[str, Any]


def seen(value: object, sensitive: object, deeper: int = DEEPEST) -> object:
    """The value, HIDDEN wherever the document says that it is sensitive."""
    if sensitive is True or not deeper:
        return HIDDEN
    if isinstance(value, dict) and isinstance(sensitive, dict):
        return {key: seen(one, sensitive.get(key), deeper - 1) for key, one in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list) and len(value) == len(sensitive):
        return [seen(one, mark, deeper - 1) for one, mark in zip(value, sensitive, strict=True)]
    return value


def blocks(resource: Block, name: str, key: str) -> list[Block]:
    """The nested blocks of a name, each with its own expressions: told apart by `key`, as sets have no order."""
    written = dicts(resource.expressions.get(name))
    constants = {str(mapping(one.get(key)).get("constant_value")): one for one in written}
    found = []
    for values in dicts(resource.values.get(name)):
        own = written[0] if len(written) == 1 else constants.get(str(values.get(key)), {})
        found.append(Block(resource.module, resource.index, values, own))
    return found


def at(value: object, path: Sequence[str]) -> list[Any]:
    """What stands at a path of keys, in every block of a list on the way; null is left out."""
    found = [value]
    for key in path:
        found = [one.get(key) for block in found for one in _each(block) if isinstance(one, dict)]
    return [one for values in found for one in _each(values) if one is not None]


def references(expressions: object, path: Sequence[str]) -> list[str]:
    """What the expression at a path of keys refers to."""
    return [one for one in at(expressions, (*path, "references")) if isinstance(one, str) and len(one) <= 1000]


def _each(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects of a list; nothing where it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """The object that it is; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


INDEX = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|\d+)\]')


def plain(address: str) -> str:
    """An address without the indices of `count` and `for_each`."""
    return INDEX.sub("", address)


def word(text: str) -> str:
    """The first name of a reference."""
    return re.split(r"[.\[]", text, maxsplit=1)[0]


def most_exact(found: Sequence[str]) -> list[str]:
    """A reference to `a.b[0].arn` is listed as `a.b[0]` and `a.b`, too: only the longest counts."""
    longest: list[str] = []
    for one in found:
        if not longest or not longest[-1].startswith((f"{one}.", f"{one}[")):
            longest.append(one)
    return longest
