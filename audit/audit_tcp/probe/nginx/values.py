"""What nginx's directives about connections take: values by its own rules, and where each may stand.

A `Scope` is what one block states; what it leaves unsaid is looked for in the blocks around it. nginx refuses a value
that it cannot read, a second statement in one block, and a directive in the wrong block: all three are faults here.
"""

import re

from ..servers import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

    from .files import Block, Notes
    from .syntax import Directive

    Read = Callable[["list[str]"], Any]
    Table = Dict[str, Tuple[str, Read]]

LARGEST = (1 << 63) - 1
"""What nginx's integers hold."""

LONGEST = 100
"""Characters of a number or a time that are looked at."""

_PART = re.compile("([0-9]*)(?:(ms|[yMwdhms ]) *|$)")
_UNITS = {
    "y": (1, 365 * 86400000), "M": (2, 30 * 86400000), "w": (3, 7 * 86400000), "d": (4, 86400000), "h": (5, 3600000),
    "m": (6, 60000), "s": (7, 1000), "ms": (8, 1), " ": (7, 1000),
}  # fmt: skip
"""The rank of each unit from the largest to the smallest, and its milliseconds; a blank ends a number of seconds."""

_TIME = "a number of seconds, or numbers with w, d, h, m, s, ms, the largest unit first"
_WHOLE_TIME = "a number of seconds, or numbers with y, M, w, d, h, m, s, the largest unit first"


class Refused(Exception):
    """A value that nginx does not take; the message says what is legal."""


def duration(text: str, whole: bool = False) -> "int | float":
    """A time as nginx reads it, in seconds. `whole`: where it takes years and months, and no milliseconds.

    Raises Refused.
    """
    total = position = 0
    legal = _WHOLE_TIME if whole else _TIME
    rank = 0 if whole else 2
    if len(text) > LONGEST or not re.search("[0-9]", text):
        raise Refused(legal)
    while position < len(text):
        found = _PART.match(text, position)
        if found is None:
            raise Refused(legal)
        number, unit = int(found.group(1) or 0), found.group(2)
        position = found.end()
        if unit is None:
            total += number * 1000
            continue
        own, length = _UNITS[unit]
        if rank >= own or (whole and unit == "ms"):
            raise Refused(legal)
        rank = 9 if unit == " " else own
        total += number * length
    if total > LARGEST * (1000 if whole else 1):
        raise Refused("a time that a machine word holds")
    return seconds(total / 1000.0) if total % 1000 else total // 1000


def one_time(args: "list[str]") -> "int | float":
    """The argument of a timer."""
    if len(args) != 1:
        raise Refused("one time")
    return duration(args[0])


def time_once(args: "list[str]") -> "int | float | None":
    """The argument of a timer that became obsolete, since when nginx does not look at it: None where it is no time."""
    try:
        return one_time(args)
    except Refused:
        return None


def idle_times(args: "list[str]") -> "tuple[int | float, int | float]":
    """keepalive_timeout toward clients: when nginx closes, and what it tells them (0: nothing)."""
    if len(args) not in (1, 2):
        raise Refused("one time or two")
    return duration(args[0]), duration(args[1], whole=True) if len(args) == 2 else 0


def count(args: "list[str]") -> int:
    """The argument of a limit."""
    if len(args) != 1 or not re.match("[0-9]{1,19}$", args[0]) or int(args[0]) > LARGEST:
        raise Refused("one whole number, 0 or more")
    return int(args[0])


def pool(args: "list[str]") -> int:
    """keepalive of an upstream: connections, and perhaps `local` (since 1.29.7)."""
    if len(args) == 2 and args[1] == "local":
        return count(args[:1])
    return count(args)


def flag(args: "list[str]") -> bool:
    """on or off, in letters of either case."""
    value = args[0].lower() if len(args) == 1 else ""
    if value not in ("on", "off"):
        raise Refused("on or off")
    return value == "on"


def http_version(args: "list[str]") -> "int | float":
    """The argument of proxy_http_version."""
    versions = {"1.0": 1.0, "1.1": 1.1, "2": 2}
    if len(args) != 1 or args[0] not in versions:
        raise Refused("1.0, 1.1 or 2")
    return versions[args[0]]


def target(args: "list[str]") -> str:
    """Where a *_pass directive leads."""
    if len(args) != 1 or not args[0]:
        raise Refused("one address, URL or name of an upstream")
    return args[0]


def header(args: "list[str]") -> "tuple[str, str]":
    """A header that is set toward a backend: its name in small letters, and its value."""
    if len(args) != 2:
        raise Refused("a header's name and its value")
    return args[0].lower(), args[1]


PROTOCOLS = ("proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached")
"""How nginx speaks to backends; the directives of each begin with its name."""

ALL = "http server location"

HTTP: "Table" = {
    "keepalive_timeout": (ALL, idle_times),
    "keepalive_requests": (ALL, count),
    "keepalive_time": (ALL, one_time),
    "client_header_timeout": ("http server", one_time),
    "client_body_timeout": (ALL, one_time),
    "send_timeout": (ALL, one_time),
    "http2": ("http server", flag),
    "http2_idle_timeout": ("http server", time_once),
    "http2_recv_timeout": ("http server", time_once),
    "http2_max_requests": ("http server", time_once),
    "proxy_http_version": (ALL, http_version),
    "fastcgi_keep_conn": (ALL, flag),
    "proxy_set_header": (ALL, header),
}
for _protocol in PROTOCOLS:
    HTTP[_protocol + "_connect_timeout"] = HTTP[_protocol + "_read_timeout"] = (ALL, one_time)
    HTTP[_protocol + "_socket_keepalive"] = (ALL, flag)
    HTTP[_protocol + "_pass"] = ("location if limit_except" if _protocol == "proxy" else "location if", target)

UPSTREAM: "Table" = {
    "keepalive": ("upstream", pool),
    "keepalive_timeout": ("upstream", one_time),
    "keepalive_requests": ("upstream", count),
    "keepalive_time": ("upstream", one_time),
}

STREAM: "Table" = {
    "proxy_timeout": ("stream server", one_time),
    "proxy_connect_timeout": ("stream server", one_time),
    "proxy_socket_keepalive": ("stream server", flag),
    "proxy_pass": ("server", target),
}

MANY = ("proxy_set_header",)
"""Directives that may stand in one block more than once."""


class Setting:
    """A value that a block states, and where."""

    __slots__ = ("origin", "value")

    def __init__(self, value: "Any", origin: str) -> None:
        self.value, self.origin = value, origin


class Scope:
    """What one block states of `table`, and the block around it."""

    def __init__(
        self, block: "Block", kind: str, table: "Table", notes: "Notes", above: "Optional[Scope]" = None
    ) -> None:
        self.above = above
        self.own: "dict[str, Setting]" = {}
        self.headers: "list[Setting]" = []
        for one in block:
            if one.name not in table or one.block is not None:
                continue
            contexts, read = table[one.name]
            if kind not in contexts.split():
                notes.fault(one.origin, "{} is not allowed in {}".format(one.name, kind))
            elif one.name in self.own and one.name not in MANY:
                notes.fault(one.origin, "a second {} in one block, which nginx refuses".format(one.name))
            else:
                self._take(one, read, notes)

    def _take(self, one: "Directive", read: "Read", notes: "Notes") -> None:
        try:
            setting = Setting(read(one.args), one.origin)
        except Refused as error:
            value = _shown(one.args)
            notes.fault(one.origin, "{}{} is refused; it takes {}".format(one.name, value, error))
            return
        if one.name in MANY:
            self.headers.append(setting)
        else:
            self.own[one.name] = setting
            trap(one, setting, notes)

    def find(self, name: str) -> "Setting | None":
        """What holds in this block: its own statement, else that of the nearest block around it."""
        scope: "Optional[Scope]" = self
        while scope is not None:
            if name in scope.own:
                return scope.own[name]
            scope = scope.above
        return None

    def headers_set(self) -> "list[Setting]":
        """The headers set toward backends: of the nearest block that sets any, and then of that block alone."""
        scope: "Optional[Scope]" = self
        while scope is not None:
            if scope.headers:
                return scope.headers
            scope = scope.above
        return []


_SHOWN = re.compile("-?[0-9]{1,10}(?:[.][0-9]{1,3})? ?[A-Za-z]{0,3}$")


def _shown(args: "list[str]") -> str:
    """The values of a refused directive, where each looks like a time or a count; others are not repeated."""
    if 0 < len(args) < 4 and all(_SHOWN.match(arg) for arg in args):
        return " " + " ".join(args)
    return ""


_THOUSANDS = re.compile("[0-9]{2,9}000$")


def trap(one: "Directive", setting: "Setting", notes: "Notes") -> None:
    """Tells where a timer's unit is likely not the one that was meant, or its two arguments are at odds."""
    if not one.name.endswith(("_timeout", "_time")) or "connect" in one.name:
        return
    text = one.args[0]
    written = "{} {}".format(one.name, " ".join(one.args))
    if _THOUSANDS.match(text) and int(text) >= 30000 and int(text) % 3600:
        notes.trap(one.origin, "{} means {} s, {} hours".format(written, int(text), round(int(text) / 3600.0, 1)))
    if isinstance(setting.value, tuple) and setting.value[1] > setting.value[0] > 0:
        what = "{} tells clients {} s and closes after {} s".format(written, setting.value[1], setting.value[0])
        notes.trap(one.origin, what)
