"""What ${name} and ${name:-default} stand for in server.xml: catalina.properties, -D, and variables if asked for."""

import re

from ..host import Host, Unreadable, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, Optional

    Variables = Callable[[Iterable[str]], Dict[str, str]]

ROUNDS = 20
"""How often Tomcat replaces anew what a replacement brought."""

LONGEST = 4096
"""Characters of a value; one that grows longer stays as it is written."""

SOURCE = "org.apache.tomcat.util.digester.PROPERTY_SOURCE"
ENVIRONMENT = "org.apache.tomcat.util.digester.EnvironmentPropertySource"


class Properties:
    """The properties of one Tomcat. Their values are used where server.xml uses them, and shown nowhere."""

    def __init__(self, defined: "dict[str, str]", variables: "Optional[Variables]" = None) -> None:
        self._defined = dict(defined)
        self._variables = variables
        self.files = 0

    def load(self, files: Host, folder: str) -> "Optional[tuple[str, str]]":
        """Takes in catalina.properties, which overrides -D. What keeps it from being read: (path, why)."""
        name = self._defined.get("catalina.config", "catalina.properties")
        if "/" in name:
            return "catalina.config", "properties of another place are not read"
        path = "{}/{}".format(folder, name)
        try:
            text = files.text(path)
        except FileNotFoundError:
            return None
        except (OSError, Unreadable) as error:
            return path, reason(error)
        self.files = 1
        self._defined.update(parse(text))
        return None

    def resolve(self, text: str) -> str:
        """The text with all properties in place; one that nothing defines stays as it is written."""
        for _ in range(ROUNDS):
            if "${" not in text or len(text) > LONGEST:
                return text
            replaced = "".join(self._parts(text))
            if replaced == text:
                return text
            text = replaced[: LONGEST + 1]
        return text

    def _parts(self, text: str) -> "Iterable[str]":
        size = place = 0
        while size <= LONGEST:
            start = text.find("${", place)
            end = text.find("}", start) if start >= 0 else -1
            if end < 0:
                yield text[place:]
                return
            yield text[place:start]
            value = self._value(text[start + 2 : end])
            size += len(value) + start - place
            yield value
            place = end + 1

    def _value(self, name: str) -> str:
        found = self._find(name)
        if found is not None:
            return found
        bare, dash, default = name.partition(":-")
        found = self._find(bare) if dash else None
        return found if found is not None else default if dash else "${" + name + "}"

    def _find(self, name: str) -> "Optional[str]":
        """A variable of the environment comes before a property, where Tomcat is told to look at it at all."""
        if self._variables is not None and ENVIRONMENT in self._defined.get(SOURCE, ""):
            found = self._variables([name]).get(name)
            if found is not None:
                return found
        return self._defined.get(name)


_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ENTRY = re.compile(r"((?:[^\\:=\s]|\\.)*)[ \t\f]*[:=]?[ \t\f]*", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def parse(text: str) -> "dict[str, str]":
    """The entries of a .properties file: `name=value`, `name: value` or `name value`; a backslash continues a line."""
    found: "dict[str, str]" = {}
    parts: "list[str]" = []
    for line in text.splitlines():
        line = line.lstrip(" \t\f")
        if not parts and (not line or line[0] in "#!"):
            continue
        continued = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        parts.append(line[:-1] if continued else line)
        if not continued:
            _enter(found, "".join(parts))
            parts = []
    if parts:
        _enter(found, "".join(parts))
    return found


def _enter(found: "dict[str, str]", entry: str) -> None:
    match = _ENTRY.match(entry)
    if match:
        found[_plain(match.group(1))] = _plain(entry[match.end() :])


def _plain(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: "re.Match[str]") -> str:
    escape = match.group(1)
    return chr(int(escape[1:], 16)) if len(escape) == 5 else _CONTROLS.get(escape, escape)
