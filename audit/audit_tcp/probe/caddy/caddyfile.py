"""A bounded reader of the Caddyfile: words, blocks, snippets and imports, as a tree of directives with places."""

import re

from ..host import Unreadable, reason
from ..servers import DEEPEST, Budget, matching, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

    Environ = Callable[[List[str]], Optional[Mapping[str, str]]]

_TOKEN = re.compile(
    r"[ \t\r]+|(?P<comment>\#[^\n]*)|(?P<joined>\\\r?\n)|(?P<newline>\n)"
    r'|(?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*"|`[^`]*`)|(?P<here><<[A-Za-z0-9_-]+)(?=\r?\n)|(?P<word>(?:[^\s\\]|\\(?!\r?\n))+)',
    re.S,
)
_VARIABLE = re.compile(r"\{\$([^{}\n:]{1,100})(?::([^{}\n]{0,400}))?\}")
_ARGUMENT = re.compile(r"\{args\[([0-9]{1,3})\]\}|\{args\.([0-9]{1,3})\}")
_ALL_ARGUMENTS = re.compile(r"\{args\[[0-9]{0,3}:[0-9]{0,3}\]\}\Z")

MOST_DIRECTIVES = 50000
"""Directives of one configuration, imports counted as often as they stand."""


MOST_WORDS, LONGEST_WORD = 1000, 4000
"""Words of a line, and characters of a word, that are kept."""


class Directive:
    """A line: its words, where it stands, and the lines of its block, None where it has none."""

    __slots__ = ("block", "line", "path", "words")

    def __init__(self, words: "List[str]", path: str, line: int) -> None:
        self.words, self.path, self.line = words, path, line
        self.block: "Optional[List[Directive]]" = None

    @property
    def where(self) -> str:
        return place(self.path, self.line)

    def below(self, name: str) -> "List[Directive]":
        """The lines of its block that begin with that word."""
        return [one for one in self.block or () if one.words and one.words[0] == name]


def variables(text: str) -> "List[str]":
    """The variables of the environment that a file asks for."""
    return [found.group(1) for found in _VARIABLE.finditer(text)]


def words(text: str) -> "Tuple[List[Tuple[str, int, bool]], Optional[Tuple[int, str]]]":
    """The words as (text, line, whether it stands in quotes), an end of line as ("\\n", line, False), and an error."""
    found: "List[Tuple[str, int, bool]]" = []
    at, line = 0, 1
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return found, (line, "a word that cannot be read")
        at, kind, part = token.end(), token.lastgroup, token.group()
        if kind == "newline":
            found.append(("\n", line, False))
            line += 1
        elif kind == "word":
            if part[0] in '"`':
                return found, (line, "a string does not end")
            found.append((part, line, False))
        elif kind == "quoted":
            found.append((part[1:-1].replace('\\"', '"') if part[0] == '"' else part[1:-1], line, True))
            line += part.count("\n")
        elif kind == "here":
            end = re.compile(r"\n[ \t]*" + re.escape(part[2:]) + r"(?=\s|\Z)").search(text, at)
            if end is None:
                return found, (line, "a heredoc does not end")
            found.append(("", line, True))
            line += text.count("\n", at, end.end())
            at = end.end()
        elif kind == "joined":
            line += 1
    return found, None


class Reader:
    """Reads one Caddyfile and what it imports. `refuse(where, what)` is told what cannot be read."""

    def __init__(self, budget: Budget, environ: "Environ", refuse: "Any") -> None:
        self.budget, self.environ, self.refuse = budget, environ, refuse
        self.snippets: "Dict[str, List[Directive]]" = {}
        self.within: "List[str]" = []
        self.count = 0
        self.files = 0

    def read(self, path: str, where: str) -> "List[Directive]":
        """The directives of a file, its imports still in it; none where it cannot be read, which is told."""
        try:
            text = self.budget.read(path)
        except (OSError, Unreadable) as error:
            what = reason(error)
            self.refuse(*((place(path, 1), what) if where == path else (where, "{}: {}".format(path, what))))
            return []
        self.files += 1
        return self.parse(text, path)

    def parse(self, text: str, path: str) -> "List[Directive]":
        """The directives of a text."""
        asked = variables(text)
        if asked:
            known = self.environ(asked)
            text = _VARIABLE.sub(lambda found: self._known(known, found), text)
        tokens, wrong = words(text[1:] if text.startswith("\ufeff") else text)
        if wrong:
            self.refuse(place(path, wrong[0]), wrong[1])
        return self._tree(tokens, path)

    @staticmethod
    def _known(known: "Optional[Mapping[str, str]]", found: "Any") -> str:
        """The variable's value, else its default; it stays as it is written where nobody knows the environment."""
        value: str = (known or {}).get(found.group(1)) or found.group(2) or ("" if known is not None else found.group())
        return value if "\n" not in value else ""

    def _tree(self, tokens: "List[Tuple[str, int, bool]]", path: str) -> "List[Directive]":
        top: "List[Directive]" = []
        blocks = [top]
        line: "Optional[Directive]" = None
        for index, (text, number, in_quotes) in enumerate(tokens):
            mark = "" if in_quotes else text
            if mark == "\n":
                if line is None or len(blocks) > 1 or not line.words[-1].endswith(","):
                    line = None  # addresses of a site go on in the next line behind a comma
            elif mark == "}" and line is None:
                if len(blocks) == 1:
                    self.refuse(place(path, number), "a brace that was not opened")
                    return top
                blocks.pop()
            elif mark == "{" and self._opens(tokens, index):
                blocks.append(self._block(blocks[-1], line or Directive([], path, number)))
                line = None
            else:
                line = self._word(blocks[-1], line, Directive([text], path, number))
            if len(blocks) > DEEPEST:
                self.refuse(place(path, number), "nested more than {} deep".format(DEEPEST))
                return top
        if len(blocks) > 1:
            self.refuse(place(path, tokens[-1][1]), "a brace is not closed")
        return top

    @staticmethod
    def _block(into: "List[Directive]", line: Directive) -> "List[Directive]":
        """The block of the line, which is a line of its own where nothing stands before the brace."""
        if not line.words:
            into.append(line)
        line.block = []
        return line.block

    @staticmethod
    def _word(into: "List[Directive]", line: "Optional[Directive]", new: Directive) -> Directive:
        if line is None:
            into.append(new)
            return new
        if len(line.words) < MOST_WORDS:
            line.words += new.words
        return line

    @staticmethod
    def _opens(tokens: "List[Tuple[str, int, bool]]", index: int) -> bool:
        """A brace opens a block at the end of its line."""
        return index + 1 >= len(tokens) or tokens[index + 1][0] == "\n"

    # imports

    def expanded(self, directives: "List[Directive]", depth: int = 0) -> "List[Directive]":
        """The directives with what they import in its place; snippets are taken out of the top."""
        found: "List[Directive]" = []
        for one in directives:
            first = one.words[0] if one.words else ""
            self.count += 1
            if self.count > MOST_DIRECTIVES:
                if self.count == MOST_DIRECTIVES + 1:
                    self.refuse(one.where, "more than {} directives".format(MOST_DIRECTIVES))
                return found
            if depth == 0 and len(one.words) == 1 and first[:1] == "(" and first[-1:] == ")" and one.block is not None:
                self.snippets[first[1:-1]] = one.block
            elif first == "import" and len(one.words) > 1:
                found += self._imported(one, depth)
            else:
                if one.block is not None:
                    copy = Directive(one.words, one.path, one.line)
                    copy.block = self.expanded(one.block, depth + 1)
                    one = copy
                found.append(one)
        return found

    def _imported(self, one: Directive, depth: int) -> "List[Directive]":
        if depth >= DEEPEST:
            self.refuse(one.where, "imports more than {} deep".format(DEEPEST))
            return []
        name, given = one.words[1], one.words[2:]
        if name in self.within:
            self.refuse(one.where, "imports in a circle")
            return []
        if name in self.snippets:
            parts = [self.snippets[name]]
        else:
            base = name if name.startswith("/") else one.path.rpartition("/")[0] + "/" + name
            paths = matching(self.budget.files, base)
            if not paths and not re.search(r"[*?\[]", name):
                self.refuse(one.where, "no such file or snippet")
            parts = [self.read(path, one.where) for path in paths]
        found: "List[Directive]" = []
        self.within.append(name)
        for part in parts:
            found += self.expanded([_filled(line, given) for line in part] if given else part, depth + 1)
        self.within.pop()
        return found


def _filled(one: Directive, given: "List[str]", depth: int = 0) -> Directive:
    """The directive with the arguments of its import in place of {args[0]}."""
    filled: "List[str]" = []
    for word in one.words:
        if _ALL_ARGUMENTS.match(word):
            filled += given
        else:
            filled.append(_ARGUMENT.sub(lambda found: _argument(given, found), word) if "{args" in word else word)
    filled = [word[:LONGEST_WORD] for word in filled[:MOST_WORDS]]  # arguments of arguments would double each time
    copy = Directive(filled, one.path, one.line)
    if one.block is not None and depth < DEEPEST:
        copy.block = [_filled(line, given, depth + 1) for line in one.block]
    return copy


def _argument(given: "List[str]", found: "Any") -> str:
    index = int(found.group(1) or found.group(2) or 0)
    return given[index] if index < len(given) else ""
