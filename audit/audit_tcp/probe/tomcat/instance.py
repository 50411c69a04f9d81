"""The subjects of one Tomcat: its configuration, and each Connector that it opens."""

import re

from .. import servers
from ..host import Host, Unreadable, reason
from ..namespaces import HOST
from .connector import Connector, is_connector
from .find import Instance, version
from .properties import Properties
from .settings import Notes
from .xml import Document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..values import Facts, Subjects
    from .xml import Element

PROGRAM = "tomcat"

MOST_NOTES = 1000
"""Entries of each list of a `config` subject."""

MOST_CONNECTORS = 1000
"""Connectors of one server.xml."""

REMOTE_IP = "org.apache.catalina.valves.RemoteIpValve"


class _Notes(Notes):
    """What is wrong with a configuration, by kind; what could not be read is told of the host too."""

    def __init__(self, files: Host) -> None:
        self.lists: "dict[str, list[str]]" = {"unreadable": [], "unit_traps": [], "no_effect": []}
        self._files = files

    def _add(self, kind: str, where: str, what: str) -> None:
        if len(self.lists[kind]) < MOST_NOTES:
            self.lists[kind].append("{}: {}".format(where, what))

    def unread(self, where: str, what: str) -> None:
        where = where if re.search(":[0-9]+$", where) else servers.place(where, 1)
        self._add("unreadable", where, what)
        self._files.unread(where, what)

    def trap(self, where: str, what: str) -> None:
        self._add("unit_traps", where, what)

    def idle(self, where: str, what: str) -> None:
        self._add("no_effect", where, what)


def subjects(one: Instance, names: servers.Names) -> "Subjects":
    """One `config` subject, and a `server` subject a connector."""
    notes = _Notes(one.files)
    properties = Properties(one.properties, one.process.environment if one.process else None)
    problem = properties.load(one.files, one.folder)
    if problem:
        notes.unread(*problem)
    document = Document(
        one.config,
        servers.Budget(one.files),
        lambda path, line, what: notes.unread(servers.place(path, line), what),
    )
    try:
        document.read()
    except (OSError, Unreadable) as error:
        notes.unread(one.config, reason(error))
    common = _common(one)
    number = common["version"]["value"] if "version" in common else None
    found = [(c.name, c.where, c.facts()) for c in _connectors(document.elements, properties, notes, number)]
    config = dict(common, path=servers.fact(one.config, one.config))
    config["files"] = servers.fact(document.files + properties.files, one.config)
    config.update((kind, servers.fact(entries, one.config)) for kind, entries in notes.lists.items())
    yield "config", names.unique(_title(one), one.config), config
    for name, where, facts in found:
        if one.process:
            facts["netns"] = servers.fact(one.process.namespace, "/proc/{}/ns/net".format(one.process.pid))
        facts.update(common)
        yield "server", names.unique("{} {}".format(PROGRAM, name), where), facts


def _title(one: Instance) -> str:
    space = one.process.namespace if one.process else HOST
    return PROGRAM if space == HOST else "{} ({})".format(PROGRAM, space)


def _common(one: Instance) -> "Facts":
    """What holds for the configuration and for each of its connectors."""
    where = "/proc/{}".format(one.process.pid) if one.process else "no process has this configuration"
    facts: "Facts" = {
        "program": servers.fact(PROGRAM, one.config),
        "running": servers.fact(one.process is not None, where),
    }
    known = version(one)
    if known:
        facts["version"] = servers.fact(*known)
    return facts


def _connectors(elements: "list[Element]", properties: Properties, notes: Notes, number: "Any") -> "list[Connector]":
    """The connectors that Tomcat opens, each with what the elements around it say of it."""
    found: "list[Connector]" = []
    offset = first = 0
    if elements and elements[0].path != "Server":
        notes.unread(servers.place(elements[0].file, elements[0].line), "the root element is not Server")
    for element in elements:
        if element.path == "Server":
            offset = _offset(element, properties)
        elif element.path == "Server/Service":
            first = len(found)
        elif element.path == "Server/Service/Connector":
            if len(found) == MOST_CONNECTORS:
                notes.unread(_where(element), "more than {} connectors".format(MOST_CONNECTORS))
                break
            found.append(Connector(element, properties, notes, offset, number))
        else:
            _within(element, found[first:], properties, notes)
    return [one for one in found if one.opens()]


def _within(element: "Element", service: "list[Connector]", properties: Properties, notes: Notes) -> None:
    """Takes an element that says something of the connectors of its service so far."""
    if element.path == "Server/Service/Connector/UpgradeProtocol" and service:
        service[-1].upgrade(element)
    elif is_connector(element.path):
        what = "a Connector has no effect here: Tomcat takes those of Server/Service, spelled so"
        notes.idle(_where(element), what)
    elif _is_remote_ip(element, properties):
        for connector in service:
            connector.proxied = connector.proxied or _where(element)


def _where(element: "Element") -> str:
    return servers.place(element.file, element.line)


def _offset(server: "Element", properties: Properties) -> int:
    text = properties.resolve(server.get("portOffset") or "0")
    return int(text) if text.isdigit() and len(text) < 6 else 0


def _is_remote_ip(element: "Element", properties: Properties) -> bool:
    """Whether it is a valve of an engine or host that takes the client's address from a proxy's header."""
    inside = element.path.startswith("Server/Service/Engine/") and element.path.endswith("/Valve")
    return inside and properties.resolve(element.get("className") or "") == REMOTE_IP
