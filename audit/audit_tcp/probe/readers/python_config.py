"""Settings in a configuration file that is a Python program, which is read and never run.

Only plain assignments at the left margin count. A name that is set elsewhere too, or from something that is not
read here, is known to be set and unknown in value.
"""

import re
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

    Problems = List[Tuple[int, str]]

LONGEST = 2000
"""Characters of an assignment that is read: the parser of Python recurses within one expression."""

MOST_NESTED = 50
"""Brackets and signs within brackets and signs of an expression that is read."""

_TOKEN = re.compile(
    r"(?P<long>[A-Za-z]{0,2}(?:\"\"\"|'''))|(?P<string>\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"
    r"|(?P<comment>\#[^\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<joined>\\\r?\n)|(?P<newline>\n)|[^\"'#()\[\]{}\\\n]+|.",
    re.S,
)
_ASSIGNED = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]{0,80})[ \t]*(?::[^=\n]{1,80})?(?:[-+*/%|&]|//|\*\*)?=(?!=)")
_MARGIN = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,80})[ \t]*(?::[^=\n]{1,80})?=(?!=)")
_VARIABLE = re.compile(r"""(?:getenv|environ\.get|environ)\s*[(\[]\s*["']([A-Za-z_][A-Za-z0-9_]{0,80})["']""")
_OWN = re.compile(r"(?:async[ \t]+def|def|class)\b")
_PAIRS = {")": "(", "]": "[", "}": "{"}


class Unknown(Exception):
    """A value that depends on what is not read."""


class Settings:
    """What a file sets: `values` by name, `lines`, and `unknown`, the names whose values are not known."""

    def __init__(self) -> None:
        self.values: "Dict[str, Any]" = {}
        self.lines: "Dict[str, int]" = {}
        self.unknown: "Set[str]" = set()


def statements(text: str) -> "Tuple[List[Tuple[int, str]], Problems]":
    """The logical lines of a program as (line, text), and what is wrong with its strings and brackets."""
    found: "List[Tuple[int, str]]" = []
    open_at: "List[Tuple[str, int]]" = []
    at = begin = 0
    line = first = 1
    while at < len(text):
        token = _TOKEN.match(text, at)
        kind, part = (token.lastgroup, token.group()) if token else (None, text[at])
        at += len(part)
        if kind == "long":
            end = _long_end(text, at, part[-3:])
            if end < 0:
                return found, [(line, "a string does not end")]
            line += text.count("\n", at, end)
            at = end
        elif part in ("'", '"'):
            return found, [(line, "a string does not end")]
        elif kind == "open":
            open_at.append((part, line))
        elif kind == "close":
            if not open_at or open_at.pop()[0] != _PAIRS[part]:
                return found, [(line, "a bracket that was not opened")]
        elif kind == "newline" and not open_at:
            found.append((first, text[begin : at - 1]))
            begin = at
        line += part.count("\n") if kind != "long" else 0
        if begin == at:
            first = line
    found.append((first, text[begin:]))
    return found, [(open_at[0][1], "a bracket is not closed")] if open_at else []


def _long_end(text: str, at: int, quote: str) -> int:
    """The offset behind the end of a string of three quotes, -1 where it has none."""
    while True:
        end = text.find(quote, at)
        if end < 0:
            return -1
        slashes = end
        while slashes > at and text[slashes - 1] == "\\":
            slashes -= 1
        if (end - slashes) % 2 == 0:
            return end + 3
        at = end + 1


def variables(text: str) -> "Set[str]":
    """The variables of the environment that a file asks for by name."""
    return set(_VARIABLE.findall(text))


def settings(text: str, environment: "Optional[Mapping[str, str]]") -> "Tuple[Settings, Problems]":
    """What a program sets. `environment` holds the variables that it asks for, None where it is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an odd escape sequence, which would quote the line
        return _settings(text, environment)


def _settings(text: str, environment: "Optional[Mapping[str, str]]") -> "Tuple[Settings, Problems]":
    found = Settings()
    lines, problems = statements(text)
    within = False
    for number, statement in lines:
        if not statement.strip() or statement.lstrip()[0] == "#":
            continue
        if statement[0] in " \t":
            name = None if within else _ASSIGNED.match(statement)
            if name:
                _forget(found, name.group(1), number)
            continue
        within = bool(_OWN.match(statement))
        margin = _MARGIN.match(statement)
        if margin:
            _assign(found, margin.group(1), number, statement, environment)
        elif _ASSIGNED.match(statement):
            _forget(found, statement.split("=")[0].rstrip("+-*/%|& \t").split(":")[0].strip(), number)
    return found, problems


def _forget(found: Settings, name: str, line: int) -> None:
    found.values.pop(name, None)
    found.unknown.add(name)
    found.lines[name] = line


def _assign(found: Settings, name: str, line: int, text: str, environment: "Optional[Mapping[str, str]]") -> None:
    import ast

    _forget(found, name, line)
    if len(text) > LONGEST or _nested(text) > MOST_NESTED:
        return
    try:
        tree = ast.parse(text)
        (node,) = tree.body
        value = _Value(found, environment).of(getattr(node, "value", None))
    except (SyntaxError, ValueError, Unknown, MemoryError, RecursionError, ArithmeticError, TypeError):
        return
    names = [target.id for target in getattr(node, "targets", [getattr(node, "target", None)]) if hasattr(target, "id")]
    for one in names:
        found.values[one], found.lines[one] = value, line
        found.unknown.discard(one)


def _nested(text: str) -> int:
    return sum(text.count(sign) for sign in "([{-+~*/") + text.count(" not ") + text.count(".")


class _Value:
    """The value of an expression of literals, names known before, arithmetic, and variables of the environment."""

    def __init__(self, known: Settings, environment: "Optional[Mapping[str, str]]") -> None:
        self.known, self.environment = known, environment
        self.depth = 0

    def of(self, node: "Any") -> "Any":
        """Raises Unknown where it depends on anything else."""
        how = getattr(self, "_" + type(node).__name__.lower(), None)
        self.depth += 1
        if how is None or self.depth > MOST_NESTED:
            raise Unknown
        value = how(node)
        self.depth -= 1
        if isinstance(value, int) and abs(value) > 1 << 60:
            raise Unknown
        if isinstance(value, (str, list)) and len(value) > LONGEST:
            raise Unknown
        return value

    def _constant(self, node: "Any") -> "Any":
        if node.value is None or isinstance(node.value, (str, int, float)):
            return node.value
        raise Unknown

    def _nameconstant(self, node: "Any") -> "Any":  # these three before Python 3.8
        return node.value

    def _num(self, node: "Any") -> "Any":
        return node.n

    def _str(self, node: "Any") -> "Any":
        return node.s

    def _list(self, node: "Any") -> "Any":
        return [self.of(one) for one in node.elts]

    _tuple = _list

    def _name(self, node: "Any") -> "Any":
        if node.id not in self.known.values:
            raise Unknown
        return self.known.values[node.id]

    def _unaryop(self, node: "Any") -> "Any":
        if type(node.op).__name__ != "USub":
            raise Unknown
        return -self.of(node.operand)

    def _binop(self, node: "Any") -> "Any":
        left, right = self.of(node.left), self.of(node.right)
        operator = type(node.op).__name__
        if isinstance(left, str) and isinstance(right, str) and operator == "Add":
            return left + right
        how = _ARITHMETIC.get(operator)
        if how is None or not all(type(one) in (int, float) for one in (left, right)):
            raise Unknown
        return how(left, right)

    def _boolop(self, node: "Any") -> "Any":
        """`a or b or c`: the first that is true."""
        if type(node.op).__name__ != "Or":
            raise Unknown
        value = None
        for one in node.values:
            value = self.of(one)
            if value:
                break
        return value

    def _joinedstr(self, node: "Any") -> str:
        return "".join(str(self.of(one)) for one in node.values)

    def _formattedvalue(self, node: "Any") -> "Any":
        if node.format_spec is not None or node.conversion != -1:
            raise Unknown
        return self.of(node.value)

    def _subscript(self, node: "Any") -> "Any":
        if _dotted(node.value) not in ("os.environ", "environ"):
            raise Unknown
        index = getattr(node.slice, "value", node.slice)
        return self._variable(index if isinstance(index, str) else self.of(index))

    def _call(self, node: "Any") -> "Any":
        name = _dotted(node.func)
        given = [self.of(one) for one in node.args]
        if node.keywords or not given or len(given) > 2:
            raise Unknown
        if name in ("os.environ.get", "os.getenv", "environ.get", "getenv"):
            return self._variable(given[0], given[1:] or [None])
        if name in ("int", "str", "float") and len(given) == 1 and type(given[0]) in (int, str, float):
            return {"int": int, "str": str, "float": float}[name](given[0])
        raise Unknown

    def _variable(self, name: "Any", default: "Optional[List[Any]]" = None) -> "Any":
        if self.environment is None or not isinstance(name, str):
            raise Unknown
        if name in self.environment:
            return self.environment[name]
        if default is None:
            raise Unknown
        return default[0]


_ARITHMETIC = {
    "Add": lambda left, right: left + right,
    "Sub": lambda left, right: left - right,
    "Mult": lambda left, right: left * right,
    "Div": lambda left, right: left / right,
    "FloorDiv": lambda left, right: left // right,
}


def _dotted(node: "Any") -> str:
    """`os.environ.get` of the expression that names it; empty for another."""
    parts: "List[str]" = []
    while type(node).__name__ == "Attribute" and len(parts) < 4:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if type(node).__name__ == "Name" else ""
