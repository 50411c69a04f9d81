"""Which line of which sysctl file is in force: the two programs that read them, each with its own order.

systemd-sysctl applies at boot: /{etc,run,usr/local/lib,usr/lib,lib}/sysctl.d/*.conf by file name over all folders,
the first folder winning for one name; it never reads /etc/sysctl.conf. `sysctl --system` of procps reads the same
files and then /etc/sysctl.conf. They also differ in small print, each noted where it is: E11 in docs/experiments.md.
"""

import collections
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

    Expand = Callable[[str], "list[str]"]
    """The paths that exist for a glob."""

FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
CONF = "/etc/sysctl.conf"
SUFFIX = ".conf"

GLOB = re.compile(r"[*?\[]")

Line = collections.namedtuple("Line", "file number path value")
Line.__doc__ = (
    """One setting of one file: `path` below /proc/sys, maybe with * ? [; `value` is None for an exclusion."""
)


def systemd_lines(file: str, text: str) -> "tuple[list[Line], list[int]]":
    """The settings that systemd-sysctl sees, and the numbers of the lines that it cannot use."""
    found: "list[Line]" = []
    bad: "list[int]" = []
    for number, line in enumerate(re.split(r"\r\n|[\n\r\0]", text), 1):
        line = line.strip(" \t\n\r")
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        minus = key.startswith("-")
        key = key[1:] if minus else key
        path = re.sub(r"/(?:\./|/)*", "/", _with_slashes(key.strip(" \t\n\r"))).strip("/")
        if path and (equals or minus):
            found.append(Line(file, number, path, value.strip(" \t\n\r") if equals else None))
        else:
            bad.append(number)
    return found, bad


def procps_lines(file: str, text: str) -> "tuple[list[Line], list[int]]":
    """The settings that `sysctl --system` sees, and the numbers of the lines that it cannot use."""
    found: "list[Line]" = []
    bad: "list[int]" = []
    blanks = " \t\n\v\f\r"
    for number, line in enumerate(text.split("\n"), 1):
        line = line.partition("\0")[0].lstrip(blanks)
        if len(line.rstrip("\n")) < 2 or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        minus = key.startswith("-")
        path = _with_slashes((key[1:] if minus else key).rstrip(blanks))
        if path and (equals or minus):
            found.append(Line(file, number, path, value.strip(blanks) if equals else None))
        else:
            bad.append(number)
    return found, bad


def _with_slashes(key: str) -> str:
    """Dots become slashes and slashes dots, unless the first of them is a slash already."""
    first = re.search(r"[./]", key)
    return key.translate({ord("."): "/", ord("/"): "."}) if first and first.group() == "." else key


def systemd_writes(lines: "list[Line]", expand: "Expand") -> "list[Line]":
    """The writes of systemd-sysctl in order: one for each key. `expand` turns a glob into the paths that exist.

    A later line takes an earlier one's place at the end, unless it says the same; an exclusion takes it away; a glob
    never touches a key that any line names.
    """
    table: "collections.OrderedDict[str, Line]" = collections.OrderedDict()
    for line in lines:
        if line.path in table:
            if table[line.path].value == line.value:
                continue
            del table[line.path]
        table[line.path] = line
    return _expanded(table.values(), table, expand)


def procps_writes(lines: "list[Line]", expand: "Expand") -> "list[Line]":
    """The writes of `sysctl --system`: every line in order. An exclusion keeps globs off, never an explicit line."""
    return _expanded(lines, {line.path for line in lines}, expand)


def _expanded(lines: "Iterable[Line]", named: "Iterable[str]", expand: "Expand") -> "list[Line]":
    writes: "list[Line]" = []
    for line in lines:
        if line.value is None:
            continue
        if GLOB.search(line.path):
            paths = [path for path in expand(line.path) if path not in named]
            writes += [line._replace(path=path) for path in paths]
        else:
            writes.append(line)
    return writes
