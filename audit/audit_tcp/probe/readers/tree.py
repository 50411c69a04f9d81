"""A configuration file as a tree of values with lines: what the readers of YAML, JSON and TOML give."""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple


class Refused(Exception):
    """Something in a file that is wrong, or that its reader does not know, with its line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


class Leaf(str):
    """A scalar, as text. `bare` is whether it stands without quotes: only then 5 is a number."""

    bare = True


class Node:
    """A value and the line where it stands: a dict of nodes by key, a list of nodes, a Leaf, or None."""

    __slots__ = ("line", "value")

    def __init__(self, value: "Any", line: int) -> None:
        self.value, self.line = value, line

    def get(self, *keys: str) -> "Optional[Node]":
        """The node below the keys, one inside the other; None where one is not there."""
        node: "Optional[Node]" = self
        for key in keys:
            if node is None or not isinstance(node.value, dict):
                return None
            node = node.value.get(key)
        return node

    def text(self, *keys: str) -> "Optional[str]":
        """The scalar below the keys."""
        node = self.get(*keys)
        return node.value if node is not None and isinstance(node.value, str) else None

    def items(self) -> "Iterator[Tuple[str, Node]]":
        """The entries of a mapping; none where it is something else."""
        return iter(self.value.items() if isinstance(self.value, dict) else ())

    def each(self) -> "List[Node]":
        """The entries of a list; of a mapping or a scalar, itself; none of nothing."""
        if isinstance(self.value, list):
            return self.value
        return [] if self.value is None else [self]


_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(\r?\n[ \t]*)|(.))", re.S)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "e": "\x1b"}


def quoted(text: str) -> Leaf:
    r"""The text of a string in double quotes, its \-escapes resolved; one that means no character becomes `?`."""

    def one(found: "Any") -> str:
        digits = found.group(1) or found.group(2) or found.group(3)
        if digits:
            code = int(digits, 16)
            return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "?"
        return "" if found.group(4) else _NAMED.get(found.group(5), found.group(5))

    leaf = Leaf(_ESCAPE.sub(one, text) if "\\" in text else text)
    leaf.bare = False
    return leaf


def plain(text: str) -> Leaf:
    """The text of a string in single quotes: nothing in it is a number."""
    leaf = Leaf(text)
    leaf.bare = False
    return leaf


def snake(key: str) -> str:
    """`idle_timeout` of idleTimeout and of itself: protobuf takes both."""
    if key == key.lower() or not key.isalnum():
        return key
    return re.sub(r"[A-Z]", lambda found: "_" + found.group().lower(), key)


def folded(node: Node, how: "Any") -> None:
    """Gives every key of the tree its one spelling, such as str.lower; of two that become one the first stays."""
    waiting = [node]
    while waiting:
        value = waiting.pop().value
        if isinstance(value, dict):
            spelled: "Dict[str, Node]" = {}
            for key, below in value.items():
                spelled.setdefault(how(key), below)
            value.clear()
            value.update(spelled)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
