"""Where the keys of a path file stand: file and line, which the TOML reader does not tell."""

from __future__ import annotations

import re
import tomllib

from audit_tcp.errors import PathError

MOST_PARTS = 10
"""Of a dotted key; tomllib takes the square of their number."""

_TOKEN = re.compile(r"""[ \t\r]+|\#[^\n]*|\n|\"{3}|'{3}|["'\[\]{}=.,]|[^\s"'\#\[\]{}=.,]+""")
_CLOSING = {
    '"""': re.compile(r'\\.|"{3,5}', re.DOTALL),
    "'''": re.compile(r"'{3,5}"),
    '"': re.compile(r'\\.|["\n]', re.DOTALL),
    "'": re.compile(r"['\n]"),
}


class _Tokens:
    """The tokens of a TOML text one by one, without blanks and comments; "" at its end, and at what is no TOML."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text, self._at, self._line, self._dots = path, text, 0, 1, 0
        self.mark, self.line = "\n", 1

    def next(self) -> str:
        """Goes on to the next token. Raises PathError at a key of too many parts."""
        before, self.mark = self.mark, ""
        while self._at < len(self._text):
            start = self._at
            self._at = self._end(start)
            token = self._text[start : self._at]
            self.line, self._line = self._line, self._line + token.count("\n")
            if token[:1] not in (" ", "\t", "\r", "#"):
                self.mark = token
                break
        self._dots = self._dots + 1 if self.mark == "." else self._dots if before == "." else 0
        if self._dots >= MOST_PARTS:
            raise PathError(f"{self._path}:{self.line}: a key of more than {MOST_PARTS} parts")
        return self.mark

    def _end(self, start: int) -> int:
        found = _TOKEN.match(self._text, start)
        if found is None:
            return len(self._text)
        closing = _CLOSING.get(found.group())
        at = found.end()
        while closing is not None:
            found = closing.search(self._text, at)
            if found is None or found.group() == "\n":
                return len(self._text)
            at = found.end()
            if not found.group().startswith("\\"):
                break
        return at

    def skip(self) -> None:
        """Goes on behind the value that begins here."""
        depth = 0
        while self.mark:
            depth += (self.mark in ("[", "{")) - (self.mark in ("]", "}"))
            if self.next() in ("\n", ",", "]", "}") and depth <= 0:
                return

    def key(self) -> tuple[str, ...]:
        """The parts of the key that begins here; what ends it is the next token."""
        parts = []
        while self.mark and self.mark not in ("=", "]", "\n"):
            if self.mark != ".":
                parts.append(_unquoted(self.mark))
            self.next()
        return tuple(parts)


def _unquoted(key: str) -> str:
    if key.startswith('"') and "\\" in key:
        try:
            return str(tomllib.loads(f"key = {key}")["key"])
        except tomllib.TOMLDecodeError:
            return key
    return key[1:-1] if key[:1] in ('"', "'") else key


class Places:
    """Where the hops and keys of a file stand, which tomllib does not tell. What is no TOML it leaves to that."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._hops: list[int] = []
        self._keys: dict[tuple[int, str], int] = {}
        tokens = _Tokens(path, text)
        hop = 0
        table: tuple[str, ...] = ()
        while tokens.next():
            if tokens.mark == "[":
                hop, table = self._header(tokens)
            elif tokens.mark != "\n":
                self._pair(tokens, hop, table)

    def of(self, hop: int, key: str = "") -> str:
        """`shop.toml:12`, of a key of the hop of that number, else of the hop's own first line; of hop 0 the file's."""
        line = self._keys.get((hop, key)) if key else None
        if line is None and 0 < hop <= len(self._hops):
            line = self._hops[hop - 1]
        return self._path if line is None else f"{self._path}:{line}"

    def _header(self, tokens: _Tokens) -> tuple[int, tuple[str, ...]]:
        """The hop and the table in it that `[...]` or `[[...]]` begins."""
        line, several = tokens.line, tokens.next() == "["
        if several:
            tokens.next()
        parts = tokens.key()
        if several:
            tokens.next()
        if parts[:1] != ("hop",):
            self._seen(0, parts, line)
            return 0, parts
        if parts == ("hop",) and several:
            self._hops.append(line)
        self._seen(0, parts[:1], line)
        self._seen(len(self._hops), parts[1:], line)
        return len(self._hops), parts[1:]

    def _seen(self, hop: int, parts: tuple[str, ...], line: int) -> None:
        for number in range(1, len(parts) + 1):
            self._keys.setdefault((hop, ".".join(parts[:number])), line)

    def _pair(self, tokens: _Tokens, hop: int, table: tuple[str, ...]) -> None:
        """`key = value`, and what an inline table holds."""
        line, parts = tokens.line, (*table, *tokens.key())
        self._seen(hop, parts, line)
        if tokens.mark != "=":
            tokens.next()
            return
        if tokens.next() == "{" and len(parts) <= MOST_PARTS:
            self._inline(tokens, hop, parts)
        elif tokens.mark == "[" and (hop, parts) == (0, ("hop",)):
            tokens.next()
            while tokens.mark not in ("", "]"):
                self._element(tokens)
            tokens.next()
        else:
            tokens.skip()

    def _element(self, tokens: _Tokens) -> None:
        """One value of `hop = [...]`."""
        if tokens.mark in ("\n", ","):
            tokens.next()
            return
        self._hops.append(tokens.line)
        if tokens.mark == "{":
            self._inline(tokens, len(self._hops), ())
        else:
            tokens.skip()

    def _inline(self, tokens: _Tokens, hop: int, table: tuple[str, ...]) -> None:
        tokens.next()
        while tokens.mark not in ("", "}"):
            if tokens.mark in ("\n", ","):
                tokens.next()
            else:
                self._pair(tokens, hop, table)
        tokens.next()
