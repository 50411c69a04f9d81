"""Sysctl keys and values: from file names to keys and back, from what the kernel prints to numbers."""

import os

from .host import Host

TYPE_CHECKING = False  # typing costs a start 2 ms, and more on old interpreters
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple, Union

    Value = Union[int, str, List[int]]
    Facts = Dict[str, Any]
    Subjects = Iterator[Tuple[str, str, Facts]]

LARGEST = 1 << 16
"""Bytes of one sysctl; the widest, a bitmap of ports, prints less."""

SECRET = ("tcp_fastopen_key", "stable_secret")
"""Last parts of keys that are key material: neither their values nor the lines that set them leave the host."""

TEXT_KEYS = ("net.ipv4.ip_local_reserved_ports",)
"""Keys whose value is a text even where it looks like a number."""


def raw(path: str) -> str:
    """What a file of /proc/sys says, without the newline. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, LARGEST).decode("utf-8", "backslashreplace").strip()
    finally:
        os.close(handle)


def parsed(key: str, text: str) -> "Value":
    """A sysctl's value: an int, a list of ints where it has several fields, else the text."""
    if key in TEXT_KEYS:
        return text
    fields = text.split()
    if not all(_is_number(field) for field in fields):
        return text
    if len(fields) == 1:
        return int(text)
    return [int(field) for field in fields] if fields else text


def _is_number(text: str) -> bool:
    digits = text[1:] if text[:1] == "-" else text
    return digits.isdigit() and digits.isascii() if hasattr(str, "isascii") else digits.isdigit()


def path_of(key: str) -> str:
    """The file of a key written with dots, where a dot inside a name (eth0.100) stands as a slash."""
    return "/proc/sys/" + key.translate({ord("."): "/", ord("/"): "."})


def key_of(path: str) -> str:
    """The key of a path below /proc/sys, the inverse of path_of."""
    return path.translate({ord("."): "/", ord("/"): "."})


def memory_bytes(host: Host) -> "int | None":
    """MemTotal in bytes, or None."""
    for line in (host.value("/proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def ports(text: str) -> "list[tuple[int, int]]":
    """The ranges of a port list such as 8080,9000-9010. Raises ValueError on anything else."""
    ranges: "list[tuple[int, int]]" = []
    for part in filter(None, text.replace(" ", "").split(",")):
        low, _, high = part.partition("-")
        ranges.append((int(low), int(high or low)))
    return ranges
