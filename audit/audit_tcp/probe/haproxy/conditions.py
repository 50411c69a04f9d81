"""Conditions of HAProxy's `.if` and `.elif`: true, false, or None where they cannot be decided here."""

import re

from ..servers import DEEPEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple


MOST_STORED = 1 << 20
"""Characters of variables that a configuration may set."""


class World:
    """What conditions ask about: the environment, the version, the features that the program was built with."""

    def __init__(self, variables: "Dict[str, str]", version: str, features: "Callable[[], Dict[str, bool]]") -> None:
        self.variables, self.version, self._features = variables, version, features
        self._known: "Optional[Dict[str, bool]]" = None
        self._left = MOST_STORED

    def room_for(self, text: str) -> bool:
        """Whether a configuration may set another variable to `text`; what it set before counts, too."""
        self._left -= len(text)
        return self._left >= 0

    def feature(self, name: str) -> "Optional[bool]":
        """Whether the program has a feature; None where its list of features cannot be read."""
        if self._known is None:
            self._known = self._features()
        return self._known.get(name, False) if self._known else None

    def compare(self, version: str) -> "Optional[int]":
        """-1, 0 or 1 as the program is older than, as old as, or newer than a version; None if either is unclear."""
        own, other = _rank(self.version), _rank(version)
        return None if own is None or other is None else (own > other) - (own < other)


_VERSION = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,5}){0,3})(?:-(dev|rc|pre)([0-9]{1,5}))?\Z")
_SUFFIX = re.compile(r"[-+~](?!dev|rc|pre).*\Z", re.S)


def _rank(text: str) -> "Optional[Tuple[List[int], int, int]]":
    found = _VERSION.match(text)
    if not found:
        return None
    numbers = [int(part) for part in found.group(1).split(".")]
    stage = {"dev": 0, "rc": 1, "pre": 2}.get(found.group(2) or "", 3)
    return numbers + [0] * (4 - len(numbers)), stage, int(found.group(3) or 0)


def bare(version: str) -> str:
    """`2.6.12` of a distribution's `2.6.12-1+deb12u4`; `2.6-dev3` stays."""
    return _SUFFIX.sub("", version)


def evaluate(text: str, world: World) -> "Optional[bool]":
    """Whether a condition holds; an empty one does not. None: unknown, or HAProxy refuses it."""
    text = text.strip(" \t")
    if not text:
        return False
    try:
        reader = _Reader(text, world)
        value = reader.either(0)
        return value if reader.at == len(text) else None
    except _Unclear:
        return None


class _Unclear(Exception):
    """A condition that cannot be read."""


_BLANKS = re.compile(r"[ \t]*")
_NUMBER = re.compile(r"[+-]?(?:0[xX]([0-9A-Fa-f]{1,30})|([0-9]{1,30}))")
_CALL = re.compile(r"([a-z_]{1,30})\(")
_PIECE = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\([\\'\" ])|([^,()'\"\\]+|\\)|(,)|(\))|(\()")
_BACKSLASH = re.compile(r"\\([\\'\" ])")
_SAME = {"streq": True, "strneq": False}


class _Reader:
    """A recursive descent over one condition: `||` binds looser than `&&`, that looser than `!`."""

    def __init__(self, text: str, world: World) -> None:
        self._text, self._world, self.at = text, world, 0

    def _blanks(self) -> None:
        found = _BLANKS.match(self._text, self.at)
        self.at = found.end() if found else self.at

    def _takes(self, token: str) -> bool:
        self._blanks()
        if not self._text.startswith(token, self.at):
            return False
        self.at += len(token)
        self._blanks()
        return True

    def either(self, depth: int) -> "Optional[bool]":
        values = [self._both(depth)]
        while self._takes("||"):
            values.append(self._both(depth))
        return True if True in values else None if None in values else False

    def _both(self, depth: int) -> "Optional[bool]":
        values = [self._term(depth)]
        while self._takes("&&"):
            values.append(self._term(depth))
        return False if False in values else None if None in values else True

    def _term(self, depth: int) -> "Optional[bool]":
        if depth > DEEPEST:
            raise _Unclear
        negated = False
        while self._takes("!"):
            negated = not negated
        value = self._primary(depth)
        return value if value is None else value != negated

    def _primary(self, depth: int) -> "Optional[bool]":
        number = _NUMBER.match(self._text, self.at)
        if number:
            self.at = number.end()
            return bool(int(number.group(1), 16) if number.group(1) else int(number.group(2)))
        if self._takes("("):
            value = self.either(depth + 1)
            if not self._takes(")"):
                raise _Unclear
            return value
        call = _CALL.match(self._text, self.at)
        if not call:
            raise _Unclear
        self.at = call.end()
        return self._ask(call.group(1), self._arguments())

    def _arguments(self) -> "List[str]":
        found: "List[List[str]]" = [[]]
        while True:
            piece = _PIECE.match(self._text, self.at)
            if not piece:
                raise _Unclear
            self.at = piece.end()
            single, double, escaped, plain, comma, closing, opening = piece.groups()
            if closing:
                return ["".join(parts) for parts in found]
            if comma:
                found.append([])
            elif double is not None:
                found[-1].append(_BACKSLASH.sub(r"\1", double))
            else:
                found[-1].append(next(one for one in (single, escaped, plain, opening) if one is not None))

    def _ask(self, name: str, given: "List[str]") -> "Optional[bool]":
        if name in _SAME and len(given) == 2:
            return (given[0] == given[1]) is _SAME[name]
        if name == "strstr" and len(given) == 2:
            return given[1] in given[0]
        if len(given) != 1:
            raise _Unclear
        if name == "defined":
            return given[0] in self._world.variables
        if name == "feature":
            return self._world.feature(given[0])
        if name in ("version_atleast", "version_before"):
            order = self._world.compare(given[0])
            return None if order is None else (order >= 0) is (name == "version_atleast")
        raise _Unclear
