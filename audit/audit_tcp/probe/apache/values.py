"""The values of httpd's directives, read as httpd reads them: three parsers for timers, and no two alike."""

import re

from .. import servers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    Number = int | float

LONG_KEEPALIVE = 1000
"""A KeepAliveTimeout without unit above this many seconds was meant in milliseconds."""


class Refused(Exception):
    """A value that httpd does not start with; the message says why and quotes nothing."""


_WHOLE = r"\s*([+-]?[0-9]{1,15})"
_DURATION = r"(?s)([+]?[0-9]{1,15})(.*)$"
_SUFFIXES = (("ms", 1), ("mi", 60000), ("s", 1000), ("h", 3600000))
_SHORT = r"(?i)[0-9]{1,15}(?:ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)?$"


def whole(word: str) -> int:
    """What atoi() makes of a word: the digits that it begins with, else 0; a unit after them counts for nothing."""
    found = re.match(_WHOLE, word)
    return int(found.group(1)) if found else 0


def duration(word: str, unit: str = "s") -> "Number":
    """Seconds of a timer with an optional ms, s, mi (minutes) or h, which letters may follow. Raises Refused."""
    found = re.match(_DURATION, word)
    if found is None:
        raise Refused("is no time")
    written = found.group(2) or unit
    for suffix, milliseconds in _SUFFIXES:
        if written.startswith(suffix):
            return servers.seconds(int(found.group(1)) * milliseconds / 1000.0)
    raise Refused("has a unit that is none of ms, s, mi and h")


def at_least_a_millisecond(word: str) -> "Number":
    """A timer of a worker, which may not be 0. Raises Refused."""
    value = duration(word)
    if value < 0.001:
        raise Refused("is less than a millisecond")
    return value


def at_least_one(word: str) -> int:
    """Whole seconds or a count of at least 1. Raises Refused."""
    value = whole(word)
    if value < 1:
        raise Refused("is less than 1")
    return value


def count(word: str) -> int:
    """A count of at least 0. Raises Refused."""
    value = whole(word)
    if value < 0:
        raise Refused("is less than 0")
    return value


def flag(word: str) -> bool:
    """On or Off. Raises Refused."""
    if word.lower() not in ("on", "off"):
        raise Refused("is neither On nor Off")
    return word.lower() == "on"


def requests(word: str) -> "int | str":
    """MaxKeepAliveRequests: 0 is without end."""
    return whole(word) or servers.UNLIMITED


def has_unit(word: str) -> bool:
    """Whether something follows the digits, which atoi() drops."""
    found = re.match(_WHOLE, word)
    return found is not None and found.end() < len(word)


def shown(word: str) -> str:
    """The word where it is a plain timer, else what may be said of it: it could hold anything."""
    return word if re.match(_SHORT, word) else "with a unit"


class Stage:
    """One stage of RequestReadTimeout: seconds without data, and the most that data may add to them."""

    def __init__(self, first: int, last: "Optional[int]") -> None:
        self.first, self.last = first, last


DEFAULT_STAGES = {"header": Stage(20, 40), "body": Stage(20, None)}
"""What mod_reqtimeout holds clients to where nothing is said."""

_STAGE = r"(?i)(handshake|header|body)=([0-9]{1,9})(?:-([0-9]{1,9}))?(?:,minrate=([0-9]{1,9}))?$"


def stages(words: "list[str]") -> "dict[str, Stage]":
    """What RequestReadTimeout sets, by stage. Raises Refused."""
    found: "Dict[str, Stage]" = {}
    for word in words:
        match = re.match(_STAGE, word)
        if match is None:
            raise Refused("has a part that is no stage=seconds[-seconds][,MinRate=bytes]")
        name, first, last, rate = match.groups()
        if last is not None and (rate is None or int(last) <= int(first)):
            raise Refused("has a range without MinRate, or one that ends before it begins")
        longest = None if rate is not None and last is None else int(last or first)
        found[name.lower()] = Stage(int(first), longest)
    return found


WORKER: "dict[str, Callable[[str], Any]]" = {
    "ttl": at_least_one,
    "timeout": at_least_one,
    "max": count,
    "keepalive": flag,
    "disablereuse": flag,
    "enablereuse": flag,
    "ping": at_least_a_millisecond,
    "connectiontimeout": at_least_a_millisecond,
}
"""Parameters of a worker that count here, and how they are read."""

UNITLESS = ("ttl", "timeout")
"""Those that are whole seconds whatever unit follows."""
