"""nginx's own syntax: words, quotes, escapes and blocks, as a tree of directives with their lines.

One regular expression reads a plain statement whole; only one that holds quotes, escapes or comments is read word by
word. A fault is told with its line and never with the text that stands there: it may be a secret.
"""

import re

from ..servers import DEEPEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    Report = Callable[[int, str], None]

_OTHER_BLANKS = "\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What str.split() takes for a blank and nginx for a letter."""

_SKIP = re.compile(r"[ \t\r\n]*(?:#[^\n]*(?:\n[ \t\r\n]*|\Z))*")
_PLAIN = re.compile("([^\"'\\\\#;{}" + _OTHER_BLANKS + "]*)(;|(?<!\\$)\\{)")
_WORD = re.compile(
    r"""[ \t\r\n]+|\#[^\n]*|(?P<end>[;{}])|(?P<double>"[^"\\]*(?:\\[\s\S][^"\\]*)*")"""
    r"""|(?P<single>'[^'\\]*(?:\\[\s\S][^'\\]*)*')|(?P<bare>(?!["'])(?:[^ \t\r\n;{\\$]+|\\[\s\S]|\$\{?)+)"""
)
_ESCAPE = re.compile(r"""\\([\\"'trn])""")
_MEANT = {"t": "\t", "r": "\r", "n": "\n"}

LUA = "_by_lua_block"
"""How the names of OpenResty's blocks end whose content is a Lua chunk."""


class Directive:
    """One statement: its name, its arguments without quotes, where it stands, and its block if it has one."""

    __slots__ = ("args", "block", "line", "name", "path")

    def __init__(
        self, name: str, args: "list[str]", path: str, line: int, block: "Optional[list[Directive]]" = None
    ) -> None:
        self.name, self.args, self.path, self.line, self.block = name, args, path, line, block

    @property
    def origin(self) -> str:
        """`/etc/nginx/nginx.conf:31`."""
        return "{}:{}".format(self.path, self.line)


class _Reader:
    """Reads one file; `kept` are the names of directives that are wanted, besides every block."""

    def __init__(self, text: str, path: str, kept: "frozenset[str]", report: "Report") -> None:
        self._text, self._path, self._kept, self._report = text, path, kept, report
        self._position = self._counted = 0
        self._line = 1
        self._top: "list[Directive]" = []
        self._open: "list[Directive]" = []
        self._deep = 0

    def line_at(self, position: int) -> int:
        """The line of a position that is not before the one asked for last."""
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def tree(self) -> "list[Directive]":
        text, size = self._text, len(self._text)
        skip, plain = _SKIP.match, _PLAIN.match
        while True:
            start = skip(text, self._position).end()  # type: ignore[union-attr]
            if start >= size:
                break
            line = self.line_at(start)
            if text[start] == "}":
                self._position = start + 1
                self._close(line)
                continue
            found = plain(text, start)
            if found is not None:
                self._position = found.end()
                words, end = found.group(1).split(), found.group(2)
            else:
                self._position = start
                words, end = self._words(line)
            self._take(words, end, line)
        for block in self._open[:1]:
            self._report(block.line, "this block is not closed")
        return self._top

    def _words(self, line: int) -> "tuple[list[str], str]":
        """The words of a statement, and what ends it: `;`, `{`, `}`, or nothing at the end of the file."""
        words: "list[str]" = []
        quoted = False
        while True:
            found = _WORD.match(self._text, self._position)
            if found is None:
                if self._position < len(self._text):
                    self._report(line, "a quote or an escape that does not end")
                else:
                    self._report(line, "the file ends before this statement does")
                self._position = len(self._text)
                return words, ""
            self._position = found.end()
            kind, text = found.lastgroup, found.group()
            if kind == "end":
                return words, text
            if kind is None:
                quoted = quoted and text[0] == "#"
                continue
            if quoted and text[0] != ")":
                self._report(line, "no blank after a quoted value")
            quoted = kind != "bare"
            words.append(_unescaped(text[1:-1] if quoted else text))

    def _take(self, words: "list[str]", end: str, line: int) -> None:
        if end == "}":
            self._report(line, "a statement without its semicolon")
        elif not words and end:
            self._report(line, 'unexpected "{}"'.format(end))
        if words and (end == "{" or words[0] in self._kept or self._whole()):
            self._add(words, end, line)
        elif end == "{":
            self._add(["{"], end, line)
        if end == "}":
            self._close(line)

    def _whole(self) -> bool:
        """Whether everything in this block is wanted: a map of the Upgrade header, which decides on Connection."""
        block = self._open[-1] if self._open else None
        return block is not None and block.name == "map" and block.args[:1] == ["$http_upgrade"]

    def _add(self, words: "list[str]", end: str, line: int) -> None:
        made = Directive(words[0], words[1:], self._path, line, [] if end == "{" else None)
        above = self._open[-1].block if self._open else self._top
        if above is not None and len(self._open) < DEEPEST:
            above.append(made)
        elif not self._deep:
            self._deep = line
            self._report(line, "more than {} blocks within one another; what is deeper is not read".format(DEEPEST))
        if end != "{":
            return
        if made.name.endswith(LUA):
            self._position = _end_of_lua(self._text, self._position)
            if self._position < 0:
                self._position = len(self._text)
                self._report(line, "this block of Lua is not closed")
        else:
            self._open.append(made)

    def _close(self, line: int) -> None:
        if self._open:
            self._open.pop()
        else:
            self._report(line, 'unexpected "}"')


def parse(text: str, path: str, kept: "frozenset[str]", report: "Report") -> "list[Directive]":
    """A file's blocks, and its directives named in `kept`. Faults go to `report(line, what)`; reading goes on."""
    if text.startswith("\ufeff"):
        text = text[1:]
    return _Reader(text, path, kept, report).tree()


def _unescaped(word: str) -> str:
    if "\\" not in word:
        return word
    return _ESCAPE.sub(lambda found: _MEANT.get(found.group(1), found.group(1)), word)


_LUA = re.compile(
    r"""--\[(?P<comment>=*)\[|--[^\n]*|\[(?P<long>=*)\[|(?P<brace>[{}])"""
    r"""|"[^"\\\n]*(?:\\[\s\S][^"\\\n]*)*"|'[^'\\\n]*(?:\\[\s\S][^'\\\n]*)*'"""
)


def _end_of_lua(text: str, position: int) -> int:
    """Where a Lua chunk ends, behind the brace that closes it; braces in strings and comments do not count. Else -1."""
    depth = 1
    while True:
        found = _LUA.search(text, position)
        if found is None:
            return -1
        position = found.end()
        level = found.group("comment") if found.group("comment") is not None else found.group("long")
        if level is not None:
            closed = text.find("]" + level + "]", position)
            if closed < 0:
                return -1
            position = closed + len(level) + 2
        elif found.group("brace"):
            depth += 1 if found.group() == "{" else -1
            if not depth:
                return position
