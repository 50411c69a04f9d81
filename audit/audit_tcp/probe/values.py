"""Sysctl keys and values: from file names to keys and back, from what the kernel prints to numbers."""

import os
import re

from .host import Host

TYPE_CHECKING = False  # typing costs a start 2 ms, and more on old interpreters
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple, Union

    Value = Union[int, str, List[int]]
    Facts = Dict[str, Any]
    Subjects = Iterator[Tuple[str, str, Facts]]

LARGEST = 1 << 16
"""Bytes of one sysctl; the widest, a bitmap of ports, prints less."""

SECRET = ("tcp_fastopen_key", "stable_secret", "netdev_rss_key")
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


_NUMBER = re.compile(r"-?[0-9]{1,20}")


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def version(release: str) -> "list[int] | None":
    """[6, 1, 0] of a kernel's release such as 6.1.0-44-amd64."""
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?", release)
    return [int(part or 0) for part in found.groups()] if found else None


def path_of(key: str) -> str:
    """The file of a key written with dots, where a dot inside a name (eth0.100) stands as a slash."""
    return "/proc/sys/" + below_proc(key)


def below_proc(key: str) -> str:
    """The path of a key below /proc/sys."""
    return key.translate({ord("."): "/", ord("/"): "."})


def key_of(path: str) -> str:
    """The key of a path below /proc/sys, the inverse of path_of."""
    return path.translate({ord("."): "/", ord("/"): "."})


def memory_bytes(host: Host) -> "int | None":
    """MemTotal in bytes, or None."""
    found = re.search(r"^MemTotal:\s+([0-9]{1,15}) kB$", host.value("/proc/meminfo") or "", re.M)
    return int(found.group(1)) * 1024 if found else None


_PORTS = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?")


def ports(text: str) -> "list[tuple[int, int]]":
    """The ranges of a port list as the kernel prints it: 8080,9000-9010. Raises ValueError on anything else."""
    ranges: "list[tuple[int, int]]" = []
    for part in text.split(",") if text else []:
        if not _PORTS.fullmatch(part):
            raise ValueError(part)
        low, _, high = part.partition("-")
        ranges.append((int(low), int(high or low)))
    return ranges
