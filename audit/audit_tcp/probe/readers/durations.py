"""Durations as Go programs write them: 90s, 1m30s, 1.5h; Caddy adds days."""

import re

from ..servers import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Union

    Number = Union[int, float]

_UNITS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WHOLE = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h|d)){1,8}\Z")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|\u00b5s|\u03bcs|ms|s|m|h|d)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")

LONGEST = 80


def go(text: str, days: bool = False, bare: "Optional[Number]" = None) -> "Optional[Number]":
    """The seconds of a duration, None where it is none; `bare` is the unit in seconds of a number that has none."""
    text = text.strip()
    if len(text) > LONGEST:
        return None
    if _NUMBER.match(text):
        number = float(text)
        if bare is None and number:
            return None
        return seconds(number * (bare or 1))
    if not _WHOLE.match(text) or ("d" in text and not days):
        return None
    total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return seconds(-total if text.startswith("-") else total)
