"""TOML files read and checked; each error names the file, the key, and what is legal."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from audit_tcp.errors import AuditTcpError
from audit_tcp.model import Value

LARGEST = 4 << 20
"""Bytes of a file of rules, profiles or waivers; such files are written by people."""

_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    list: "a list",
    dict: "a table",
    datetime.date: "a day such as 2026-12-31",
}


def bounded(path: str, limit: int, raises: type[AuditTcpError]) -> bytes:
    """The bytes of a file, at most `limit` of them. Raises `raises` naming the file."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise raises(f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise raises(f"{path}: larger than {limit >> 20} MiB")
    return data


def read(path: str, raises: type[AuditTcpError]) -> dict[str, Any]:
    """The table in a TOML file. Raises `raises` naming the file, and line and column where TOML is broken."""
    return parse(bounded(path, LARGEST, raises), path, raises)


def parse(data: bytes, path: str, raises: type[AuditTcpError]) -> dict[str, Any]:
    """The table in the bytes of a TOML file, as `read` gives it."""
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise raises(f"{path}: not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise raises(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise raises(f"{path}: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise raises(f"{path}: {error}") from None


def check(
    table: object, kinds: Mapping[str, Any], where: str, raises: type[AuditTcpError], needed: Iterable[str] = ()
) -> dict[str, Any]:
    """The table, its keys all known, of the right type, and complete. Raises `raises` naming the first that is not."""
    if not isinstance(table, dict):
        raise raises(f"{where}: a table is needed, not {table!r:.80}")
    for key, value in table.items():
        if key not in kinds:
            raise raises(f"{where}: {key}: no such key; there are {', '.join(kinds)}")
        kind = kinds[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            kinds_of = kind if isinstance(kind, tuple) else (kind,)
            words = " or ".join(dict.fromkeys(_WORDS.get(one, one.__name__) for one in kinds_of))
            raise raises(f"{where}: {key}: {words} is needed, not {value!r:.80}")
    for key in needed:
        if key not in table:
            raise raises(f"{where}: {key}: missing")
    return table


def frozen(value: Any) -> Value:
    """A TOML value as a fact's value: lists become tuples."""
    return tuple(value) if isinstance(value, list) else value
