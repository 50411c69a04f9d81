"""Values of HAProxy's configuration: timers, counts, and the addresses of `bind` and `server` lines."""

import re

from ..servers import address_of
from . import words as haproxy_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

LARGEST_MS = 2147483647
"""The longest timer, 24.8 days; HAProxy refuses a longer one."""

MOST_PORTS = 100
"""Ports of one range that are listed one by one; a wider range stays as it is written."""

LONGEST = 200
"""Characters of an address."""

_TIMER = re.compile(r"([0-9]+)(us|ms|s|m|h|d|)\Z")
_US = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_COUNT = re.compile(r"-?[0-9]{1,10}\Z")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_FAMILY = re.compile(r"(ipv4|ipv6|udp4|udp6|udp|quic4|quic6|tcp4|tcp6|tcp|mptcp4|mptcp6|mptcp)@")
_OTHER = re.compile(r"(unix|abns|abnsz|fd|sockpair|uxst|uxdg|rhttp|rev)@(.*)\Z", re.S)


class Refused(Exception):
    """A value that HAProxy refuses; the message says why and does not quote it."""


def timer(text: str, unit: str = "ms") -> "Tuple[int, bool]":
    """A timer in `unit`s (ms or s), rounded up as HAProxy does, and whether its own unit is written. Raises Refused."""
    found = _TIMER.match(text)
    if not found:
        raise Refused("no whole number with one of the units us, ms, s, m, h, d")
    digits, own = found.groups()
    if len(digits) > 20:
        raise Refused("a timer above {} ms".format(LARGEST_MS))
    value = -(-int(digits) * _US[own or unit] // _US[unit])
    if value > LARGEST_MS:
        raise Refused("a timer above {} {}".format(LARGEST_MS, unit))
    return value, bool(own)


def count(text: str) -> int:
    """A whole number. Raises Refused."""
    if not _COUNT.match(text):
        raise Refused("no whole number")
    return int(text)


def bound(text: str) -> "List[str]":
    """Where a `bind` listens: `*:80`, `[::1]:80`, `unix:/path`. Raises Refused where a port is missing."""
    return [place for one in text.split(",") for place in _listens(one) if plausible(text, place)]


def _listens(text: str) -> "List[str]":
    local = _local(text)
    if local is not None:
        return [local]
    address, colon, port = _FAMILY.sub("", text, count=1).rpartition(":")
    found = _RANGE.match(port)
    if not colon or not found:
        raise Refused("an address without a port")
    first, last = int(found.group(1)), int(found.group(2) or found.group(1))
    if last > 65535 or first > last:
        raise Refused("a port that does not exist")
    address = _bracketed(address_of(address)[:LONGEST]) or "*"
    if last - first >= MOST_PORTS:
        return ["{}:{}-{}".format(address, first, last)]
    return ["{}:{}".format(address, number) for number in range(first, last + 1)]


def _bracketed(address: str) -> str:
    return "[{}]".format(address) if ":" in address and not address.startswith("[") else address


def _local(text: str) -> "Optional[str]":
    found = _OTHER.match(text)
    if found:
        kind, rest = found.groups()
        prefix = {"unix": "unix:", "uxst": "unix:", "uxdg": "unix:"}.get(kind, kind + ":")
        return (prefix + rest)[:LONGEST]
    return ("unix:" + text)[:LONGEST] if text.startswith("/") else None


def connected(text: str) -> str:
    """The address of a `server` line: `10.0.0.5:8080`, `unix:/path`; empty where a variable gave something else."""
    local = _local(text)
    address = local if local is not None else address_of(_FAMILY.sub("", text, count=1))[:LONGEST]
    return address if plausible(text, address) else ""


_ADDRESS = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,60}\]|[A-Za-z0-9._*-]{0,200}):[0-9]{1,5}(?:-[0-9]{1,5})?\Z"  # host:port, host:first-last
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z|\[?[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f:.]{1,60}\]?\Z"  # a bare IPv4 or IPv6 address
    r"|(?:unix|abnsz?):[A-Za-z0-9._:/-]{1,200}\Z|fd:[0-9]{1,9}\Z"
)
_SECRET = re.compile(r"pass|pw|secret|token|key|cred|auth", re.I)


def plausible(word: str, address: str) -> bool:
    """Whether an address may be told: one that a variable gave must look like one, since it may hold a secret."""
    if not isinstance(word, haproxy_words.FromVariable):
        return True
    return _ADDRESS.match(address) is not None and _SECRET.search(word.written) is None
