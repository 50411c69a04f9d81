"""The attributes of one element of server.xml by their names, as Tomcat's digester takes them.

The first letter of a name may have either case, the last of two attributes of one meaning wins, and a number that is
none leaves the default.
"""

import re

from .. import servers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .properties import Properties
    from .xml import Element

KNOWN = (
    "port",
    "address",
    "unixDomainSocketPath",
    "connectionTimeout",
    "keepAliveTimeout",
    "maxKeepAliveRequests",
    "acceptCount",
    "maxConnections",
    "socket.soKeepAlive",
    "socket.soTimeout",
    "useKeepAliveResponseHeader",
    "disableUploadTimeout",
    "connectionUploadTimeout",
    "proxyName",
    "proxyPort",
    "scheme",
    "secure",
    "SSLEnabled",
)
BY_CASE = {name.lower(): name for name in KNOWN}

SAME = {"socket.soTimeout": "connectionTimeout"}
"""Attributes that set the same field."""

OLD_SAME = {"soTimeout": "connectionTimeout", "backlog": "acceptCount"}
"""The same before Tomcat 9."""

FOREIGN = {
    "soTimeout": "connectionTimeout",
    "timeout": "connectionTimeout",
    "backlog": "acceptCount",
    "soKeepAlive": "socket.soKeepAlive",
    "keepAlive": "maxKeepAliveRequests",
    "idleTimeout": "keepAliveTimeout",
}
"""Names that people write and Tomcat 10.1 does not know, and the one that is meant."""


class Notes:
    """Takes what is worth telling of a configuration: what could not be read, unit traps, and what has no effect."""

    def unread(self, where: str, what: str) -> None:
        raise NotImplementedError

    def trap(self, where: str, what: str) -> None:
        raise NotImplementedError

    def idle(self, where: str, what: str) -> None:
        raise NotImplementedError


class Setting:
    """The value of an attribute with its properties in place, and where it stands."""

    def __init__(self, value: str, where: str) -> None:
        self.value, self.where = value, where


_NUMBER = re.compile(r"[+-]?[0-9]{1,20}\Z")


class Settings:
    """The attributes of one element by Tomcat's names."""

    def __init__(self, element: "Element", properties: "Properties", notes: Notes, same: "dict[str, str]") -> None:
        self._found: "dict[str, Setting]" = {}
        self._notes = notes
        self._told: "set[str]" = set()
        for one in element.attributes:
            name, where = canonical(one.name), servers.place(element.file, one.line)
            self._found[same.get(name, name)] = Setting(properties.resolve(one.value), where)

    def get(self, name: str) -> "Optional[Setting]":
        """The setting, unless a property of it is not defined, which is told."""
        one = self._found.get(name)
        if one is None or "${" not in one.value:
            return one
        if name not in self._told:
            self._told.add(name)
            self._notes.unread(one.where, "{}: a property in it is not defined".format(name))
        return None

    def number(self, name: str) -> "Optional[tuple[int, str]]":
        """The number and where it stands; one that is none is told: Tomcat ignores it."""
        one = self.get(name)
        if one is None:
            return None
        if _NUMBER.match(one.value) and -(2**31) <= int(one.value) < 2**31:
            return int(one.value), one.where
        if name not in self._told:
            self._told.add(name)
            self._notes.idle(one.where, "{} is not a whole number: Tomcat warns and ignores it".format(name))
        return None

    def flag(self, name: str) -> "Optional[tuple[bool, str]]":
        """As Java does: true in any case is true, all else is false."""
        one = self.get(name)
        return (one.value.lower() == "true", one.where) if one else None

    def timer(self, name: str) -> "Optional[dict[str, Any]]":
        """The timer as a fact; below a second, it is told that its unit is the millisecond."""
        found = self.number(name)
        if found is None:
            return None
        value, where = found
        if 0 < value < 1000:
            text = "{} {} means {} s: it is in milliseconds".format(name, value, servers.seconds(value / 1000.0))
            if name not in self._told:
                self._told.add(name)
                self._notes.trap(where, text)
        return servers.fact(servers.UNLIMITED if value <= 0 else servers.seconds(value / 1000.0), where)

    def has(self, name: str) -> bool:
        return name in self._found


def canonical(name: str) -> str:
    """A name with its first letter as Tomcat's own names have it."""
    prefix, rest = ("socket.", name[7:]) if name.startswith("socket.") else ("", name)
    if rest == "SSLEnabled" or rest == "sSLEnabled":
        return prefix + "SSLEnabled"
    return prefix + rest[:1].lower() + rest[1:]


def unknown(name: str, version: "Optional[list[int]]") -> "Optional[str]":
    """The attribute that is meant by a name that Tomcat does not know; None for the others."""
    name = canonical(name)
    if name in KNOWN:
        return None
    meant = BY_CASE.get(name.lower())
    return meant or (FOREIGN.get(name) if version is None or version >= [10, 1] else None)
