"""A bounded reader of TOML: tables, arrays of tables, dotted keys, strings, numbers, arrays and inline tables.

Python has one of its own since 3.11 only, and it keeps no lines. Dates and times are taken as text.
"""

import re

from ..servers import DEEPEST
from .tree import Leaf, Node, Refused, plain, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    Problems = List[Tuple[int, str]]

_TOKEN = re.compile(
    r'[ \t\r]+|\#[^\n]*|(?P<long>"""|\'\'\')|(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|\'[^\'\n]*\')'
    r"|(?P<newline>\n)|(?P<mark>\[\[|\]\]|[][{}=,])|(?P<bare>[^][{}=,\"'\#\s]+)",
)
_KEY_PARTS = re.compile(r"[A-Za-z0-9_-]+")


def parse(text: str) -> "Tuple[Node, Problems]":
    """The file as a tree, and what is wrong with it as (line, text): what stands before it is kept."""
    reader = _Reader(text[1:] if text.startswith("\ufeff") else text)
    root = Node({}, 1)
    problems: "Problems" = []
    try:
        reader.document(root)
    except Refused as refused:
        problems.append((refused.line, refused.what))
    return root, problems


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.line = text, 0, 1
        self.first = 1  # the line where the setting begins that is read

    # tokens

    def token(self) -> "Tuple[str, str]":
        """The next token as (kind, text); ("end", "") behind the last."""
        while self.at < len(self.text):
            found = _TOKEN.match(self.text, self.at)
            if found is None:
                raise Refused(self.line, "a string does not end, or a character is out of place")
            self.at = found.end()
            kind = found.lastgroup
            if kind == "newline":
                self.line += 1
            if kind == "long":
                return "long", self._long(found.group())
            if kind is not None:
                return kind, found.group()
        return "end", ""

    def _long(self, quote: str) -> str:
        """A string over several lines; its escapes are left as they are: no setting that is read has any."""
        end = self.text.find(quote, self.at)
        if end < 0:
            raise Refused(self.line, "a string does not end")
        text = self.text[self.at : end]
        self.line += text.count("\n")
        self.at = end + 3
        while self.text.startswith(quote[0], self.at) and self.at < end + 5:
            self.at += 1
        return text[1:] if text.startswith("\n") else text

    def solid(self) -> "Tuple[str, str]":
        """The next token that is no end of a line."""
        kind, text = self.token()
        while kind == "newline":
            kind, text = self.token()
        return kind, text

    # lines

    def document(self, root: Node) -> None:
        table = root
        while True:
            kind, text = self.solid()
            if kind == "end":
                return
            self.first = self.line
            if kind == "mark" and text in ("[", "[["):
                table = self._header(root, text)
            elif kind in ("bare", "string"):
                self._setting(table, kind, text, 0)
            else:
                raise Refused(self.line, "no key where one is needed")
            kind, _ = self.token()
            if kind not in ("newline", "end"):
                raise Refused(self.line, "something stands behind a value")

    def _header(self, root: Node, mark: str) -> Node:
        kind, text = self.token()
        keys, (kind, text) = self._keys(kind, text)
        if kind != "mark" or text != ("]" if mark == "[" else "]]"):
            raise Refused(self.first, "a bracket is not closed")
        table = self._below(root, keys[:-1])
        if mark == "[":
            return self._below(table, keys[-1:])
        rows = table.value.setdefault(keys[-1], Node([], self.line))
        if not isinstance(rows.value, list):
            raise Refused(self.line, "a table and an array of tables have one name")
        rows.value.append(Node({}, self.line))
        last: Node = rows.value[-1]
        return last

    def _below(self, table: Node, keys: "List[str]") -> Node:
        for key in keys:
            node = table.value.get(key)
            if node is None:
                node = table.value[key] = Node({}, self.line)
            if isinstance(node.value, list) and node.value:
                node = node.value[-1]
            if not isinstance(node.value, dict):
                raise Refused(self.line, "a key is a value and a table")
            table = node
        return table

    def _keys(self, kind: str, text: str) -> "Tuple[List[str], Tuple[str, str]]":
        """A dotted key from this token on, and the token behind it."""
        keys: "List[str]" = []
        dot = True
        while kind in ("bare", "string"):
            if kind == "string":
                parts = [str(_string(text))]
                joined = dot
                dot = False
            else:
                joined = dot or text.startswith(".")
                dot = text.endswith(".")
                parts = [part for part in text.strip(".").split(".") if part] if text != "." else []
                if not all(_KEY_PARTS.match(part) for part in parts):
                    raise Refused(self.line, "a key with a character that needs quotes")
            if not joined:
                raise Refused(self.line, "two keys without a dot")
            keys += parts
            if len(keys) > DEEPEST:
                raise Refused(self.line, "nested more than {} deep".format(DEEPEST))
            kind, text = self.token()
        if not keys or dot:
            raise Refused(self.line, "a key ends with a dot")
        return keys, (kind, text)

    def _setting(self, table: Node, kind: str, text: str, depth: int) -> None:
        keys, (kind, text) = self._keys(kind, text)
        if (kind, text) != ("mark", "="):
            raise Refused(self.first, "no = behind a key")
        inner = self._below(table, keys[:-1])
        if keys[-1] in inner.value:
            raise Refused(self.line, "a key stands twice in one table")
        node = inner.value[keys[-1]] = Node(None, self.line)
        self._value(node, self.token(), depth)

    # values

    def _value(self, node: Node, token: "Tuple[str, str]", depth: int) -> None:
        kind, text = token
        if depth > DEEPEST:
            raise Refused(self.line, "nested more than {} deep".format(DEEPEST))
        if kind == "string":
            node.value = _string(text)
        elif kind == "long":
            node.value = plain(text)
        elif kind == "bare":
            node.value = Leaf(text.replace("_", ""))
        elif kind == "mark" and text in ("[", "[["):
            node.value = []
            self._array(node, depth, nested=text == "[[")
        elif kind == "mark" and text == "{":
            node.value = {}
            self._inline(node, depth)
        else:
            raise Refused(self.line, "no value where one is needed")

    def _array(self, node: Node, depth: int, nested: bool) -> None:
        """The entries up to the closing bracket; `[[` and `]]` of nested arrays are taken apart."""
        token: "Optional[Tuple[str, str]]" = ("mark", "[") if nested else None
        while True:
            kind, text = token or self.solid()
            token = None
            if kind == "mark" and text == "]":
                return
            if kind == "mark" and text == "]]":
                self.at -= 1  # the second bracket closes the array around this one
                return
            entry = Node(None, self.line)
            node.value.append(entry)
            self._value(entry, (kind, text), depth + 1)
            kind, text = self.solid()
            if (kind, text) != ("mark", ","):
                token = (kind, text)
                if kind != "mark" or text not in ("]", "]]"):
                    raise Refused(self.line, "a bracket is not closed")

    def _inline(self, node: Node, depth: int) -> None:
        kind, text = self.solid()
        while (kind, text) != ("mark", "}"):
            if kind not in ("bare", "string"):
                raise Refused(self.line, "a brace is not closed")
            self._setting(node, kind, text, depth + 1)
            kind, text = self.solid()
            if (kind, text) == ("mark", ","):
                kind, text = self.solid()
            elif (kind, text) != ("mark", "}"):
                raise Refused(self.line, "a brace is not closed")


def _string(text: str) -> Leaf:
    return quoted(text[1:-1]) if text[0] == '"' else plain(text[1:-1])
