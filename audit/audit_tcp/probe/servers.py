"""What the collectors of servers share: facts with their places, unique names, bounded includes, and units.

A collector of a server yields `server` subjects, one for each place that has timeouts of its own (a server block, a
connector, a frontend, a location that overrides), and `upstream` subjects, one for each pool toward backends.
docs/servers.md lists the facts. Values are in seconds, a timer that never ends is UNLIMITED, what a configuration
leaves unsaid is left out: the catalog fills it by version.
"""

import fnmatch
import re

from .host import Host, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Facts = Dict[str, Any]

UNLIMITED = "unlimited"
"""The value of a timer that never ends."""

MOST_FILES = 2000
"""Files of one server's configuration that are read."""

MOST_BYTES = 32 << 20
"""Bytes of one server's configuration in all."""

DEEPEST = 60
"""Files that include one another, and blocks within blocks."""

LONGEST_NAME = 200
"""Characters of a name that a configuration gives to a subject."""


def fact(value: "Any", origin: str) -> "dict[str, Any]":
    """A value and where it stands."""
    return {"value": value, "origin": origin}


def place(path: str, line: int) -> str:
    """`/etc/nginx/nginx.conf:31`."""
    return "{}:{}".format(path, line)


def seconds(number: "int | float") -> "int | float":
    """Whole seconds as an int, others with the milliseconds that they have."""
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded


class Names:
    """Gives each subject a name of its own: the second of one name gets the place where it stands."""

    def __init__(self) -> None:
        self._given: "set[str]" = set()
        self._numbers: "dict[str, int]" = {}

    def unique(self, name: str, where: str) -> str:
        """`name`, or with ` (where)` where it is taken, or numbered."""
        candidate = name = name[:LONGEST_NAME]
        placed = "{} ({})".format(name, where)
        while candidate in self._given:
            number = self._numbers[placed] = self._numbers.get(placed, 0) + 1
            candidate = placed if number == 1 else "{} #{}".format(placed, number)
        self._given.add(candidate)
        return candidate


class Budget:
    """Bounds what is read of one server's configuration: files, bytes, and includes within includes."""

    def __init__(self, files: Host) -> None:
        self.files = files
        self._files = self._bytes = 0

    def read(self, path: str) -> str:
        """The text of a file. Raises FileNotFoundError, or Unreadable with the reason, also where it is too much."""
        if self._files >= MOST_FILES:
            raise Unreadable("more than {} files".format(MOST_FILES))
        text = self.files.text(path)
        self._files += 1
        self._bytes += len(text)
        if self._bytes > MOST_BYTES:
            raise Unreadable("more than {} bytes in all".format(MOST_BYTES))
        if "\0" in text:
            raise Unreadable("not a text file")
        return text


def matching(files: Host, pattern: str) -> "list[str]":
    """The paths that match a pattern as glob(3) does: sorted, `*` not across `/` and not a leading dot."""
    found = [""]
    for part in pattern.strip("/").split("/"):
        if re.search(r"[*?\[]", part):
            found = [
                "{}/{}".format(folder, name)
                for folder in found
                for name in files.entries(folder or "/")
                if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
            ][: MOST_FILES + 1]
        else:
            found = ["{}/{}".format(folder, part) for folder in found]
    return [path for path in found if files.exists(path)]


def version_of(text: str) -> "list[int] | None":
    """[1, 22, 1] of 1.22.1 and what follows it."""
    found = re.match(r"v?([0-9]{1,5})\.([0-9]{1,5})(?:\.([0-9]{1,5}))?", text)
    return [int(part or 0) for part in found.groups()] if found else None


_USERINFO = re.compile(r"//[^/@\s]*@")


def address_of(url: str) -> str:
    """Scheme, host and port of a URL: no user, password, path or query, which may hold secrets."""
    bare = _USERINFO.sub("//", url)
    found = re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#\s]*", bare)
    address = found.group() if found else ""
    return address.rpartition("@")[2] if "@" in address else address
