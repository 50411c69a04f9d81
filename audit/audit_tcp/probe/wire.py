"""How a snapshot document crosses the wire: JSON in ASCII, written without the json module, which a minimal Debian
python3 does not have."""

import re

_ESCAPED = re.compile(r"[^ !#-\[\]-~]")


def dumps(value: object) -> str:
    """The JSON text of a document made of dicts, lists, texts, numbers and booleans."""
    if isinstance(value, dict):
        return "{" + ",".join(_text(str(key)) + ":" + dumps(value[key]) for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dumps(part) for part in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, (int, float)) else _text(str(value))


def _text(value: str) -> str:
    return '"' + _ESCAPED.sub(lambda match: _code(ord(match.group())), value) + '"'


def _code(number: int) -> str:
    if number < 0x10000:
        return "\\u{:04x}".format(number)
    number -= 0x10000
    return "\\u{:04x}\\u{:04x}".format(0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))
