"""A bounded reader of the YAML (and the JSON) that people write as configuration.

Block and flow mappings and lists, plain and quoted scalars, block scalars, which are skipped, comments, and the
first document. Anchors, aliases, merge keys and explicit keys are not read: each is reported with its line.
"""

import re
from bisect import bisect_right

from ..servers import DEEPEST
from .tree import Leaf, Node, Refused, plain, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    Problems = List[Tuple[int, str]]

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*):(?:[ \t]|$)")
_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|\'([^\']*(?:\'\'[^\']*)*)\'', re.S)
_COLON = re.compile(r":(?=[ \t]|$)")
_COMMENT = re.compile(r"(?:^|[ \t])#")
_AFTER = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_BLOCK = re.compile(r"[|>][-+0-9]{0,3}[ \t]*(?:#.*)?$")
_TAG = re.compile(r"!\S*[ \t]*")
_FLOW = re.compile(
    r"""[ \t\r\n]+|\#[^\n]*|(?P<mark>[][{},])|(?P<colon>:(?=[ \t\r\n,\]}\["'{]|\Z))"""
    r"""|(?P<string>"[^"\\]*(?:\\.[^"\\]*)*"|'[^']*(?:''[^']*)*')"""
    r"""|(?P<plain>[^][{},"'\#\s:]*(?:(?::(?=[^ \t\r\n,\]}])|\#|["']|[ \t]+(?=[^\s\#:,\]}]))[^][{},"'\#\s:]*)*)""",
    re.S,
)
NULL = ("", "~", "null", "Null", "NULL")


def parse(text: str) -> "Tuple[Node, Problems]":
    """The first document as a tree, and what is wrong with it as (line, text): what stands before it is kept."""
    reader = _Reader(text[1:] if text.startswith("\ufeff") else text)
    root = Node(None, 1)
    try:
        reader.document(root)
    except Refused as refused:
        reader.problems.append((refused.line, refused.what))
    return root, reader.problems


class _Reader:
    """Goes through the lines that hold something: (indentation, where the content begins, content, number)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: "Problems" = []
        self.breaks: "List[int]" = []
        self.lines: "List[Tuple[int, int, str, int]]" = []
        self.at = 0
        self._tab: "Optional[int]" = None

    def line_of(self, offset: int) -> int:
        return bisect_right(self.breaks, offset - 1) + 1 if offset else 1

    def document(self, root: Node) -> None:
        self._split()
        if self.lines and self.lines[0][2][:1] in "{[":
            end = _Flow(self, self.lines[0][1]).into(root)
            self._after(end)
        elif self.lines:
            self.block(root, self.lines[0][0], 0)
        if self._tab is not None and (self.at >= len(self.lines)):
            raise Refused(self._tab, "a tab where the indentation is")
        if self.at < len(self.lines):
            raise Refused(self.lines[self.at][3], "the indentation fits nothing above")

    def _split(self) -> None:
        end = -1
        for number, raw in enumerate(self.text.split("\n"), 1):
            begin, end = end + 1, end + 1 + len(raw)
            self.breaks.append(end)
            content = raw.strip()
            if not content or content[0] == "#":
                continue
            indent = raw.find(content[0])
            if not indent and content[:3] in ("---", "...", "%YA") and self._mark(content):
                if self.lines:
                    break
                continue
            if indent and raw.find("\t", 0, indent) >= 0 and content[0] not in "{}[],\"'" and not self._flowing():
                self._tab = number
                break
            self.lines.append((indent, begin + indent, content, number))

    @staticmethod
    def _mark(content: str) -> bool:
        return content.rstrip() in ("---", "...") or content.startswith(("--- #", "%YAML"))

    def _flowing(self) -> bool:
        """Whether the document is JSON, in which tabs are blanks."""
        return bool(self.lines) and self.lines[0][2][:1] in "{["

    # blocks

    def block(self, node: Node, indent: int, depth: int) -> None:
        """Fills the node with the block that begins at this line; its lines have `indent` blanks before them."""
        if depth > DEEPEST:
            raise Refused(self.lines[self.at][3], "nested more than {} deep".format(DEEPEST))
        content = self.lines[self.at][2]
        if content == "-" or content.startswith("- "):
            node.value = []
            self._list(node.value, indent, depth)
        elif self._key(content, self.lines[self.at][1])[1] is not None:
            node.value = {}
            self._mapping(node.value, indent, depth)
        else:
            self._value(node, self.lines[self.at][1], content, indent - 1, depth)

    def _list(self, into: "List[Node]", indent: int, depth: int) -> None:
        while self.at < len(self.lines):
            at, start, content, number = self.lines[self.at]
            if at != indent or not (content == "-" or content.startswith("- ")):
                return
            node = Node(None, number)
            into.append(node)
            rest = content[1:].lstrip(" \t")
            if not rest or rest.startswith("#"):
                self.at += 1
                self._below(node, indent, depth)
                continue
            inner = at + len(content) - len(rest)
            self.lines[self.at] = (inner, start + len(content) - len(rest), rest, number)
            if rest == "-" or rest.startswith("- ") or self._key(rest, start)[1] is not None:
                self.block(node, inner, depth + 1)
            else:
                self._value(node, start + len(content) - len(rest), rest, indent, depth)

    def _mapping(self, into: "Dict[str, Node]", indent: int, depth: int) -> None:
        while self.at < len(self.lines):
            at, start, content, number = self.lines[self.at]
            if at != indent or content == "-" or content.startswith("- "):
                return
            key, after = self._key(content, start)
            if after is None:
                raise Refused(number, "no `key: value` here")
            node = Node(None, number)
            if key == "<<":
                self.problems.append((number, "a merge key is not read"))
            elif key in into:
                self.problems.append((number, "a key stands twice in one mapping"))
            else:
                into[key] = node
            rest = content[after:].lstrip(" \t")
            if not rest or rest.startswith("#"):
                self.at += 1
                self._below(node, indent, depth, lists=True)
            else:
                self._value(node, start + len(content) - len(rest), rest, indent, depth)

    def _below(self, node: Node, indent: int, depth: int, lists: bool = False) -> None:
        """What stands below `key:` or `-`: further in, or, for a list below a key, not even that."""
        if self.at >= len(self.lines):
            return
        inner, _, content, _ = self.lines[self.at]
        if inner > indent or (lists and inner == indent and (content == "-" or content.startswith("- "))):
            self.block(node, inner, depth + 1)

    def _key(self, content: str, start: int) -> "Tuple[str, Optional[int]]":
        """The key that a line begins with, and where its value begins in it; None where it has no key."""
        simple = _KEY.match(content)
        if simple is not None:
            return simple.group(1), simple.end()
        first = content[0]
        if first in "\"'":
            found = _STRING.match(content)
            if found is None or not content[found.end() :].lstrip().startswith(":"):
                return "", None
            return _string(found), content.index(":", found.end()) + 1
        if first in "{[|>&*!?@`%" and (first != "?" or content[1:2] in ("", " ")):
            if first in "&?" or (first == "*" and _COLON.search(content)):
                raise Refused(self.line_of(start), "anchors, aliases and explicit keys are not read")
            return "", None
        colon = _COLON.search(content)
        if colon is None:
            return "", None
        key = content[: colon.start()].rstrip()
        return ("", None) if _COMMENT.search(key) else (key, colon.end())

    # values

    def _value(self, node: Node, start: int, rest: str, indent: int, depth: int) -> None:
        """Fills the node with the value that begins here, and goes on behind it."""
        first = rest[0]
        if first == "!":
            tagged = _TAG.sub("", rest, 1)
            start, rest = start + len(rest) - len(tagged), tagged
            first = rest[:1]
            if not rest or first == "#":
                self.at += 1
                self._below(node, indent, depth, lists=True)
                return
        if first in "&*":
            self.problems.append((node.line, "anchors and aliases are not read"))
            self._skip(indent)
        elif first in "{[":
            self._after(_Flow(self, start).into(node))
        elif first in "\"'":
            found = _STRING.match(self.text, start)
            if found is None:
                raise Refused(node.line, "a string does not end")
            node.value = plain(_string(found)) if first == "'" else quoted(found.group(1))
            self._after(found.end())
        elif first in "|>":
            if not _BLOCK.match(rest):
                raise Refused(node.line, "not a block of text")
            self._skip(indent)
        elif first in "@`%":
            raise Refused(node.line, "a value cannot begin with {}".format(first))
        else:
            self._plain(node, rest, indent)

    def _skip(self, indent: int) -> None:
        """Goes behind what stands further in than `indent`."""
        self.at += 1
        while self.at < len(self.lines) and self.lines[self.at][0] > indent:
            self.at += 1

    def _plain(self, node: Node, rest: str, indent: int) -> None:
        parts = [_uncommented(rest)]
        if _COLON.search(parts[0]):
            raise Refused(node.line, "a colon within a value")
        self.at += 1
        while self.at < len(self.lines) and self.lines[self.at][0] > indent:
            further = _uncommented(self.lines[self.at][2])
            if _COLON.search(further):
                raise Refused(self.lines[self.at][3], "the indentation fits nothing above")
            parts.append(further)
            self.at += 1
        text = " ".join(parts)
        node.value = None if text in NULL else Leaf(text)

    def _after(self, end: int) -> None:
        """Goes to the line behind `end`; nothing but a comment may follow on its own."""
        if not _AFTER.match(self.text, end):
            raise Refused(self.line_of(end), "something stands behind a value")
        while self.at < len(self.lines) and self.lines[self.at][1] < end:
            self.at += 1


class _Flow:
    """A value in brackets, from an offset of the text on: JSON, and what YAML adds to it."""

    def __init__(self, reader: _Reader, start: int) -> None:
        self.reader, self.text, self.at = reader, reader.text, start

    def _token(self) -> "Tuple[str, str, int]":
        """The next token, as (kind, text, line). Raises Refused at the end of the text."""
        while True:
            found = _FLOW.match(self.text, self.at)
            if found is None or found.end() == self.at:
                raise Refused(self.reader.line_of(self.at), "a bracket is not closed")
            line, self.at = self.at, found.end()
            if found.lastgroup is not None:
                return found.lastgroup, found.group(), self.reader.line_of(line)

    def into(self, node: Node) -> int:
        """Fills the node, and returns the offset behind the value. A stack instead of recursion."""
        self._open(node, self._token()[1])
        stack = [node]
        while stack:
            top = stack[-1]
            child = self._member(top) if isinstance(top.value, dict) else self._entry(top)
            if child is None:
                stack.pop()
            elif isinstance(child.value, (dict, list)):
                stack.append(child)
                if len(stack) > DEEPEST:
                    raise Refused(child.line, "nested more than {} deep".format(DEEPEST))
        return self.at

    @staticmethod
    def _open(node: Node, mark: str) -> None:
        node.value = {} if mark == "{" else []

    def _fill(self, node: Node, kind: str, text: str) -> None:
        if kind == "mark" and text in "{[":
            self._open(node, text)
        elif kind == "string":
            node.value = quoted(text[1:-1]) if text[0] == '"' else plain(text[1:-1].replace("''", "'"))
        elif kind == "plain" and text[0] in "&*!":
            raise Refused(node.line, "anchors, aliases and tags are not read")
        elif kind == "plain":
            node.value = None if text in NULL else Leaf(text)
        else:
            raise Refused(node.line, "no value where one is needed")

    def _entry(self, node: Node) -> "Optional[Node]":
        """The next entry of a list, None at its end."""
        kind, text, line = self._token()
        if text == "," and kind == "mark" and node.value:
            kind, text, line = self._token()
        if kind == "mark" and text == "]":
            return None
        child = Node(None, line)
        self._fill(child, kind, text)
        node.value.append(child)
        return child

    def _member(self, node: Node) -> "Optional[Node]":
        """The value of the next member of a mapping, None at its end."""
        kind, text, line = self._token()
        if text == "," and kind == "mark" and node.value:
            kind, text, line = self._token()
        if kind == "mark" and text == "}":
            return None
        if kind not in ("string", "plain"):
            raise Refused(line, "no key where one is needed")
        name = kind
        key = text if kind == "plain" else str(quoted(text[1:-1]) if text[0] == '"' else text[1:-1])
        child = Node(None, line)
        if key in node.value:
            self.reader.problems.append((line, "a key stands twice in one mapping"))
        else:
            node.value[key] = child
        before = self.at
        if name == "string" and self.text.startswith(":", self.at):  # behind a quoted key no blank is needed
            kind, self.at = "colon", self.at + 1
        else:
            kind, text, _ = self._token()
        if kind != "colon":
            self.at = before  # {a, b}: keys without values
            if kind != "mark" or text not in ",}":
                raise Refused(line, "no colon behind a key")
            return child
        kind, text, child.line = self._token()
        if kind == "mark" and text in ",}":
            self.at -= 1
        else:
            self._fill(child, kind, text)
        return child


def _string(found: "Any") -> str:
    return quoted(found.group(1)) if found.group(1) is not None else found.group(2).replace("''", "'")


def _uncommented(text: str) -> str:
    found = _COMMENT.search(text)
    return text[: found.start()].rstrip() if found else text
