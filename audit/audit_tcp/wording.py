"""How values and findings are written for people; what came from an audited host is made harmless here."""

from __future__ import annotations

import math
from collections.abc import Iterable

from audit_tcp.model import SEVERITIES, UNLIMITED, Finding, Fix, Value

LONGEST = 400
"""Characters of one text of a host that a report repeats; sizes are hostile too."""

LONGEST_PROSE = 4000
"""Characters of one text of a rule."""

WIDTH = 80
"""Columns of a page where no terminal says otherwise."""

_BIDI_AND_SEPARATORS = frozenset(
    [0x2028, 0x2029, 0x061C, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
)


def printable(text: str, longest: int = LONGEST) -> str:
    r"""`text` on one line without control, bidirectional or invisible characters: they become \x1b, \u202e…"""
    if text.isascii() and text.isprintable() and len(text) <= longest:
        return text
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(_escaped(character) for character in shown)


def prose(text: str, longest: int = LONGEST_PROSE) -> str:
    """A text of a rule, which a user's profile may have written over several lines, on one line and printable."""
    return printable(" ".join(text.split()), longest)


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "…" or (character.isprintable() and code not in _BIDI_AND_SEPARATORS):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(value: Value | None) -> str:
    """A value as an administrator writes it: sysctl fields separated by blanks, yes and no for truth."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return _shown_tuple(value)
    if isinstance(value, float):
        return UNLIMITED if value == math.inf else f"{value:g}"
    return printable(str(value)) if value != "" else "(empty)"


def _shown_tuple(value: tuple[int | float | str | bool, ...]) -> str:
    if not value:
        return "none"
    separator = " " if all(isinstance(part, int | float) for part in value) else "; "
    return printable(separator.join(shown(part) for part in value))


def care(fix: Fix) -> str:
    """Whether a fix may be applied unseen."""
    return "safe" if fix.safe else "needs care"


def rank(finding: Finding) -> int:
    """How bad a finding's rule is: 0 for info up to 3 for high."""
    return SEVERITIES.index(finding.rule.severity)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that fail, worst severity first; within one severity grouped by rule, in the order they came."""
    failing = [finding for finding in findings if finding.verdict == "fail"]
    order = {finding.rule.id: place for place, finding in reversed(list(enumerate(failing)))}
    return sorted(failing, key=lambda finding: (-rank(finding), order[finding.rule.id]))


def fold(text: str, width: int = WIDTH, first: str = "", rest: str = "  ") -> list[str]:
    """Lines of at most `width` columns, broken at blanks and, where a word is longer than a line, inside it.

    `first` stands before the text and `rest` before each line that follows.
    """
    line = first + text
    if columns(line) <= width:
        return [line]
    lines, line, begun = [], first, False
    for word in text.split():
        if begun and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line, begun = rest, False
        line += f" {word}" if begun else word
        begun = True
        while columns(line) > width:
            cut = width if line.isascii() else _fitting(line, width)
            lines.append(line[:cut])
            line = rest + line[cut:]
    return [*lines, line]


def columns(text: str) -> int:
    """The columns that a terminal takes for it, or more, never less."""
    return len(text) if text.isascii() else sum(_width(character) for character in text)


def _width(character: str) -> int:
    """Each version of Unicode makes further characters wide, and terminals follow when they like.

    So whatever comes after the alphabets of Europe and the Near East counts as wide, but for dashes, quotation marks,
    signs of currency and arrows.
    """
    code = ord(character)
    return 1 if code < 0x1100 or 0x2000 <= code < 0x2200 else 2


def _fitting(text: str, width: int) -> int:
    used = 0
    for place, character in enumerate(text):
        used += _width(character)
        if used > width:
            return place
    return len(text)


def padded(text: str, width: int) -> str:
    """The text and blanks up to so many columns."""
    return text + " " * (width - columns(text))
