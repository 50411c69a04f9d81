"""server.xml as Tomcat's digester sees it: the elements that matter here in the order of the document, with lines.

Entities are the include mechanism of server.xml. Internal ones are measured before they grow, external ones are files
below the folder of server.xml and nothing else; every other device of a DTD ends the reading of that file.
"""

import re

from .. import servers
from ..host import Unreadable, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from ..servers import Budget

    Report = Callable[[str, int, str], None]

MOST_EXPANDED = 1 << 20
"""Characters that references to internal entities may grow to in all."""

MOST_INCLUDED = 200
"""References to external entities that are followed."""

MOST_ELEMENTS = 10000
"""Elements of the kinds that matter."""

KEPT = ("Server", "Service", "Connector", "UpgradeProtocol", "Valve")


class Element:
    """One start tag: where it stands in the tree (`Server/Service/Connector`), its file and line, its attributes."""

    def __init__(self, path: str, file: str, line: int, attributes: "list[Attribute]") -> None:
        self.path, self.file, self.line, self.attributes = path, file, line, attributes

    def get(self, name: str) -> "Optional[str]":
        """The value of an attribute of exactly that name, as it is written."""
        return next((one.value for one in self.attributes if one.name == name), None)


class Attribute:
    """One attribute and the line it stands on."""

    def __init__(self, name: str, value: str, line: int) -> None:
        self.name, self.value, self.line = name, value, line


class Refused(Exception):
    """What is not read of a document, and why."""


class _Source:
    """One file that is being parsed, and its parser."""

    def __init__(self, path: str, text: str, parser: "Any") -> None:
        self.path, self.text, self.data, self.parser = path, text, text.encode("utf-8", "replace"), parser

    @property
    def line(self) -> int:
        return self.parser.CurrentLineNumber  # type: ignore[no-any-return]


class Document:
    """Reads one server.xml with what it includes. `elements` has what could be read, also where a file breaks off."""

    def __init__(self, path: str, budget: "Budget", report: "Report") -> None:
        self.elements: "list[Element]" = []
        self.files = 0
        self._path, self._budget, self._report = path, budget, report
        self._stack: "list[str]" = []
        self._sources: "list[_Source]" = []
        self._entities = _Entities()
        self._included = 0

    def read(self) -> None:
        """Reads the file. Raises FileNotFoundError or Unreadable where server.xml itself cannot be read."""
        text = self._budget.read(self._path)
        try:
            import pyexpat  # what xml.parsers.expat is, without the package around it
        except ImportError:
            raise Unreadable("this python3 has no expat") from None
        parser: "Any" = pyexpat.ParserCreate("utf-8")
        parser.ordered_attributes = parser.specified_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EndDoctypeDeclHandler = self._declared
        parser.EntityDeclHandler = self._entity
        parser.ExternalEntityRefHandler = self._external
        parser.SkippedEntityHandler = self._skipped
        self._parse(_Source(self._path, text, parser))

    def _parse(self, source: _Source) -> None:
        """Parses one file to its end, or to where it breaks off, which is told."""
        import pyexpat

        self.files += 1
        depth = len(self._stack)
        self._sources.append(source)
        try:
            position = source.data.find(b"<!ATTLIST")
            if position >= 0:
                self._report(source.path, 1 + source.data.count(b"\n", 0, position), "attributes of a DTD are not read")
                return
            self._entities.count(source.text)
            source.parser.Parse(source.data, True)
        except pyexpat.ExpatError as error:
            self._report(source.path, error.lineno, "not well-formed: " + pyexpat.ErrorString(error.code))
        except Refused as error:
            self._report(source.path, source.line, str(error))
        finally:
            self._sources.pop()
            del self._stack[depth:]

    # elements

    def _start(self, name: str, attributes: "list[str]") -> None:
        self._stack.append(name)
        if len(self._stack) > servers.DEEPEST:
            raise Refused("elements nested deeper than {}".format(servers.DEEPEST))
        if len(self._stack) > 1 and name not in KEPT and name != "connector":
            return
        if len(self.elements) >= MOST_ELEMENTS:
            raise Refused("more than {} elements".format(MOST_ELEMENTS))
        source = self._sources[-1]
        line = source.line
        lines = _lines(source, name, line) if attributes else {}
        pairs = zip(attributes[::2], attributes[1::2])
        found = [Attribute(key, value, lines.get(key, line)) for key, value in pairs]
        self.elements.append(Element("/".join(self._stack), source.path, line, found))

    def _end(self, _: str) -> None:
        self._stack.pop()

    # entities

    def _doctype(self, _: str, system: "Optional[str]", *__: object) -> None:
        if system:
            self._report(self._path, self._sources[-1].line, "the external DTD is not read")

    def _entity(self, name: str, parameter: int, value: "Optional[str]", *names: "Optional[str]") -> None:
        """`names` are the base, the system and public identifiers, and the notation."""
        if parameter:
            raise Refused("parameter entities are not read")
        if names[3]:
            raise Refused("unparsed entities are not read")
        self._entities.declare(name, value or "")

    def _declared(self) -> None:
        """The DTD is over: nothing of it was expanded yet."""
        self._entities.measure()
        source = self._sources[-1]
        self._entities.count(source.data[source.parser.CurrentByteIndex :].decode("utf-8", "replace"))

    def _skipped(self, *_: object) -> None:
        self._report(self._sources[-1].path, self._sources[-1].line, "an entity that is not declared here is skipped")

    def _external(self, context: str, _: object, system: "Optional[str]", __: object) -> int:
        """Reads an included file in place. What is wrong with it is told, and the document goes on."""
        source = self._sources[-1]
        self._included += 1
        if self._included > MOST_INCLUDED:
            raise Refused("more than {} included files".format(MOST_INCLUDED))
        if len(self._sources) > servers.DEEPEST:
            raise Refused("included files nested deeper than {}".format(servers.DEEPEST))
        try:
            path = self._below(system or "")
            text = self._budget.read(path)
        except (OSError, Unreadable) as error:
            self._report(source.path, source.line, "the external entity is not read: " + reason(error))
            return 1
        self._parse(_Source(path, text, source.parser.ExternalEntityParserCreate(context, "utf-8")))
        return 1

    def _below(self, system: str) -> str:
        """The file that an external entity names, if it is one below the folder of server.xml."""
        if not re.match(r"[A-Za-z0-9_ .-]+(?:/[A-Za-z0-9_ .-]+)*\Z", system) or ".." in system.split("/"):
            raise Unreadable("it is not a relative path below the folder of server.xml")
        files, folder = self._budget.files, self._path.rpartition("/")[0]
        path = "{}/{}".format(folder, system)
        if not files.exists(path):
            raise Unreadable("{} does not exist".format(path))
        target = files.target(path)
        if not target.startswith(files.target(folder).rstrip("/") + "/"):
            raise Unreadable("a link leads out of the folder of server.xml")
        return path


_ATTRIBUTE = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")


def _lines(source: _Source, name: str, line: int) -> "dict[str, int]":
    """The line of each attribute of the tag that the parser is at; empty where the tag comes out of an entity."""
    data, place = source.data, source.parser.CurrentByteIndex
    tag = b"<" + name.encode("utf-8")
    if place < 0 or data[place : place + len(tag)] != tag:
        return {}
    found: "dict[str, int]" = {}
    place += len(tag)
    match = _ATTRIBUTE.match(data, place)
    while match:
        line += data.count(b"\n", place, match.start(1))
        found[match.group(1).decode("utf-8", "replace")] = line
        line += data.count(b"\n", match.start(1), match.end())
        place = match.end()
        match = _ATTRIBUTE.match(data, place)
    return found


_TOO_LARGE = "entities grow to more than {} characters".format(MOST_EXPANDED)
_TOO_DEEP = "entities refer to one another in a loop, or too deep"
_REFERENCE = re.compile(r"&([^;&#\s][^;&\s]*);")


class _Entities:
    """Internal entities: how much each one grows to, how deep, and what all references of the document grow to.

    Depth counts as size does: expat before 2.7 calls itself for each entity within an entity.
    """

    def __init__(self) -> None:
        self._values: "dict[str, str]" = {}
        self._measures: "dict[str, tuple[int, int]]" = {}
        self._total = 0

    def declare(self, name: str, value: str) -> None:
        self._values.setdefault(name, value)

    def measure(self) -> None:
        """Measures every entity, before any is expanded. Raises Refused for a bomb or a loop."""
        for name in self._values:
            self._measure(name, 0)

    def _measure(self, name: str, above: int) -> "tuple[int, int]":
        """Characters and depth of an entity, `above` being how many it was reached through."""
        known = self._measures.get(name)
        if known is not None:
            return known
        if above > servers.DEEPEST:
            raise Refused(_TOO_DEEP)
        value = self._values.get(name, "")
        inner = [self._measure(one, above + 1) for one in _REFERENCE.findall(value)]
        size = len(value) + sum(one[0] for one in inner)
        depth = 1 + max((one[1] for one in inner), default=0)
        if size > MOST_EXPANDED:
            raise Refused(_TOO_LARGE)
        if depth > servers.DEEPEST:
            raise Refused(_TOO_DEEP)
        self._measures[name] = size, depth
        return size, depth

    def count(self, text: str) -> None:
        """Adds what the references of a text grow to. Raises Refused where that is too much."""
        if self._measures:
            self._total += sum(self._measures[name][0] for name in _REFERENCE.findall(text) if name in self._measures)
        if self._total > MOST_EXPANDED:
            raise Refused(_TOO_LARGE)
