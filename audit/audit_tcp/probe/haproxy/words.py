"""The words of one line of HAProxy's configuration: quotes, escapes, comments, environment variables."""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Match, Optional

    Variables = Dict[str, str]


MOST_EXPANDED = 65536
"""Characters that variables may add to one line."""

MOST_IN_ALL = 8 << 20
"""Characters that variables may add to one configuration."""


MOST_WORDS = 64
"""Words that a variable may give; HAProxy permits no more in a line."""


class Refused(Exception):
    """A line that HAProxy refuses, or that is too much; the message says why and quotes nothing of it."""


class FromVariable(str):
    """A word that a variable is part of; `written` is how it stands in the file, which says nothing of the value."""

    __slots__ = ("written",)
    written: str


def written(word: str) -> str:
    """A word as it stands in the file: `${NAME}` where a variable gives it."""
    return word.written if isinstance(word, FromVariable) else word


class Room:
    """Bounds what variables add to all lines of a configuration."""

    def __init__(self) -> None:
        self._left = MOST_IN_ALL

    def take(self, count: int) -> None:
        """Raises Refused where there is no room left."""
        if count > self._left:
            raise Refused("more than {} characters come from variables in all".format(MOST_IN_ALL))
        self._left -= count


_SPECIAL = re.compile(
    "[\\\\'\"\x1c-\x1f\x85\xa0\u1680\u2000-\u3000]"
)  # quotes, escapes, and what str.split() takes for blanks alone
_OUTSIDE = re.compile(r"([ \t\n\v\f\r]+)|([^ \t\n\v\f\r\\'\"#]+)|'([^']*)'|(\")|(#)|\\")
_INSIDE = re.compile(r"([^\"\\$]+)|(\")|(\$)|\\")
_ESCAPED = re.compile(r"\\(?:([ \\tnr#'\"])|x([0-9A-Fa-f]{2})|(x))")
_LETTERS = {"t": "\t", "n": "\n", "r": "\r"}
_NAME = re.compile(r"\$(\{?)([A-Za-z_.][A-Za-z0-9_]*)")
_REST = re.compile(r"(\[\*\])?(?:-([^}]*))?\}")
_USED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]{0,199})|\bdefined\([ \t'\"\\]*([A-Za-z_][A-Za-z0-9_]{0,199})")


def variables_in(text: str) -> "set[str]":
    """The names of the environment variables that a configuration may ask for."""
    return {one or other for one, other in _USED.findall(text)}


def split(line: str, variables: "Variables", room: "Optional[Room]" = None) -> "List[str]":
    """The words of a line, without its comment. Raises Refused with the reason."""
    if _SPECIAL.search(line) is None:
        return line.partition("#")[0].split()
    return _Line(line, variables, room or Room()).words()


class _Line:
    """A line that is being cut; `_parts` are the pieces of the word that is being read, None between words."""

    def __init__(self, line: str, variables: "Variables", room: Room) -> None:
        self._line, self._variables, self._room = line, variables, room
        self._words: "List[str]" = []
        self._parts: "Optional[List[str]]" = None
        self._written: "List[str]" = []
        self._left, self._expanded = MOST_EXPANDED, False

    def words(self) -> "List[str]":
        at = 0
        while at < len(self._line):
            found = _OUTSIDE.match(self._line, at)
            if found is None:
                raise Refused("unmatched quote")
            blank, plain, single, double, comment = found.groups()
            at = found.end()
            if comment:
                break
            if blank:
                self._end()
            elif double:
                at = self._quoted(at)
            elif plain is None and single is None:
                at = self._escape(at - 1, inside=False)
            else:
                self._add(plain if single is None else single)
        self._end()
        return self._words

    def _add(self, text: str, written: "Optional[str]" = None) -> None:
        """Adds to the word; `written` is what stands in the file for the value of a variable."""
        if self._parts is None:
            self._parts, self._written, self._expanded = [], [], False
        self._parts.append(text)
        self._written.append(text if written is None else written)
        if written is not None:
            self._expanded = True
            self._left -= len(text)
            if self._left < 0:
                raise Refused("more than {} characters come from variables".format(MOST_EXPANDED))
            self._room.take(len(text))

    def _end(self) -> None:
        if self._parts is None:
            return
        word = "".join(self._parts)
        if self._expanded:
            word = told = FromVariable(word)
            told.written = "".join(self._written)
        self._words.append(word)
        self._parts = None

    def _quoted(self, at: int) -> int:
        """Reads on after a double quote, returns where its partner ends."""
        self._add("")
        while True:
            found = _INSIDE.match(self._line, at)
            if found is None:
                raise Refused("unmatched quote")
            plain, quote, dollar = found.groups()
            if quote:
                return found.end()
            if plain:
                self._add(plain)
                at = found.end()
            elif dollar:
                at = self._variable(at)
            else:
                at = self._escape(at, inside=True)

    def _escape(self, at: int, inside: bool) -> int:
        if inside and self._line.startswith("\\$", at):
            self._add("$")
            return at + 2
        found = _ESCAPED.match(self._line, at)
        if found is None:
            self._add("\\")
            return at + 1
        letter, number, bad = found.groups()
        if bad:
            raise Refused("invalid hexadecimal sequence")
        self._add(_LETTERS.get(letter, letter) if letter else chr(int(number, 16)))
        return found.end()

    def _variable(self, at: int) -> int:
        found = _NAME.match(self._line, at)
        if found is None:
            raise Refused("forbidden first character in the name of an environment variable")
        value = self._variables.get(found.group(2))
        if not found.group(1):
            self._add(value or "", found.group())
            return found.end()
        rest = _REST.match(self._line, found.end())
        if rest is None:
            raise Refused("unmatched brace or wrong expansion of an environment variable")
        self._expand(rest, rest.group(2) if value is None else value, "${" + found.group(2) + "}")
        return rest.end()

    def _expand(self, rest: "Match[str]", value: "Optional[str]", written: str) -> None:
        if not value:
            return
        if not rest.group(1) or len(value) > self._left:
            self._add(value, written)
            return
        words = re.split(r"[ \t\n\v\f\r]+", value, maxsplit=MOST_WORDS)
        if len(words) > MOST_WORDS:
            raise Refused("more than {} words come from a variable".format(MOST_WORDS))
        for number, word in enumerate(words):
            if number:
                self._end()
            self._add(word, written)
