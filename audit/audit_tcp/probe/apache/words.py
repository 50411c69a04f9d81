"""Lines and words of Apache httpd's configuration, and what they make: directives, sections and macros."""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Optional

LONGEST = 8192
"""Characters of a word after its variables are in place, and of a line that a macro makes."""

BLANKS = " \t\r\v\f"
"""What separates words; other blanks of Unicode do not."""

# patterns are texts, which re compiles when they are first needed: most hosts have no httpd
LINE = r"(?s)([^ \t\r\v\f]+)[ \t\r\v\f]*(.*)"
_WORD = r"""(?s)[ \t\r\v\f]*(?:"((?:[^"\\]|\\.?)*)"?|'((?:[^'\\]|\\.?)*)'?|([^ \t\r\v\f]+))"""
_ESCAPES = {'"': r'\\([\\"])', "'": r"\\([\\'])", "": r"\\(\\)"}


class Section:
    """A section that a directive stands in; `words` are its arguments, `server` its virtual host, if any."""

    __slots__ = ("name", "parent", "place", "server", "words")

    def __init__(self, name: str, words: "list[str]", place: str, parent: "Optional[Section]") -> None:
        self.name, self.words, self.place, self.parent = name, words, place, parent
        outer = parent.server if parent else None
        self.server: "Optional[Section]" = self if name == "virtualhost" else outer


class Directive:
    """One directive that counts, its name in lower case."""

    __slots__ = ("name", "place", "section", "words")

    def __init__(self, name: str, words: "list[str]", place: str, section: "Optional[Section]") -> None:
        self.name, self.words, self.place, self.section = name, words, place, section

    @property
    def server(self) -> "Optional[Section]":
        """The virtual host that it stands in, None for the main server."""
        return self.section.server if self.section else None


class Macro:
    """A macro's parameters and its lines, with where they stand."""

    def __init__(self, words: "list[str]", path: str) -> None:
        self.words, self.path = words, path
        self.lines: "list[tuple[int, str]]" = []


def lines(text: str) -> "Iterator[tuple[int, str]]":
    """The lines that say something, with their numbers: continued ones joined, under the number of the first.

    A comment that ends in a backslash goes on too.
    """
    numbered: "Iterable[tuple[int, str]]" = enumerate(text.split("\n"), 1)
    if "\\\n" in text or "\\\r\n" in text:
        numbered = _joined(numbered)
    for number, raw in numbered:
        line = raw.strip(BLANKS)
        if line and line[0] != "#":
            yield number, line


def _joined(numbered: "Iterable[tuple[int, str]]") -> "Iterator[tuple[int, str]]":
    first, parts = 0, []  # type: int, list[str]
    for number, raw in numbered:
        bare = raw[:-1] if raw.endswith("\r") else raw
        first = first or number
        if bare.endswith("\\"):
            parts.append(bare[:-1])
            continue
        parts.append(bare)
        yield first, "".join(parts)
        first, parts = 0, []
    if parts:
        yield first, "".join(parts)


def split(text: str) -> "list[str]":
    """The words of a directive's arguments, quotes and escapes resolved, variables not."""
    if '"' not in text and "'" not in text and "\\" not in text:
        return text.split()
    found = []
    for match in re.finditer(_WORD, text):
        double, single, bare = match.groups()
        quote, word = ('"', double) if double is not None else ("'", single) if single is not None else ("", bare)
        found.append(re.sub(_ESCAPES[quote], r"\1", word) if "\\" in word else word)
    return found


def substituted(macro: Macro, values: "list[str]") -> "Iterator[tuple[int, str]]":
    """The lines of a macro with its parameters replaced, the longest names first; nothing is replaced twice."""
    by_name = dict(zip(macro.words, values))
    longest = sorted((name for name in by_name if name), key=len, reverse=True)
    if not longest:
        return iter(macro.lines)
    names = re.compile("|".join(re.escape(name) for name in longest))
    return ((number, names.sub(lambda found: by_name[found.group()], line)[:LONGEST]) for number, line in macro.lines)
