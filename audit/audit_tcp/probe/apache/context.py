"""What httpd knows while it reads a configuration (modules, variables, ServerRoot), and the sections that test it."""

import fnmatch
import os
import re

from ..host import Host, Unreadable
from .words import LONGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Answer = tuple[bool, str]

CORE = ("core", "http", "so")
"""Modules that every httpd has compiled in."""

DEBIAN = ("watchdog", "log_config", "logio", "version", "unixd")
"""Modules that Debian's apache2 has compiled in besides."""

NEWEST = (2, 4, 9999)
"""The version that <IfVersion> is held against where it is unknown: it is nearly always a question for 2.2."""

_VARIABLE = r"\$\{([^${}]{1,200})\}"


class Context:
    """The state of a reading httpd. `lookup` gives a variable of its environment, or None."""

    def __init__(self, files: Host, root: str, lookup: "Callable[[str], str | None]") -> None:
        self.files, self.root, self._lookup = files, root, lookup
        self.version: "tuple[int, ...]" = NEWEST
        self.modules: "dict[str, str]" = {}
        self.knows_modules = False
        self._defined: "dict[str, str]" = {}

    def absolute(self, path: str) -> str:
        """A path as ServerRoot makes it whole."""
        return os.path.normpath(path if path.startswith("/") else self.root.rstrip("/") + "/" + path).replace("//", "/")

    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a directory."""
        try:
            return os.path.isdir(self.files.real(path))
        except Unreadable:
            return False

    def fitting(self, folder: str, pattern: str) -> "list[str]":
        """The names in a folder that match; a leading dot must stand in the pattern."""
        dotted = pattern.startswith(".")
        return [
            name
            for name in self.files.entries(folder)
            if (dotted or name[0] != ".") and fnmatch.fnmatchcase(name, pattern)
        ]

    # variables

    def define(self, name: str, value: str) -> None:
        """`Define name value`, also by -D."""
        self._defined[name] = value

    def undefine(self, name: str) -> None:
        """`UnDefine name`."""
        self._defined.pop(name, None)

    def is_defined(self, name: str) -> bool:
        """What <IfDefine> asks."""
        return name in self._defined

    def resolved(self, word: str) -> str:
        """A word with its ${VARIABLES}; an unknown one stays as it is, and so does a word that would grow too long."""
        if "${" not in word:
            return word
        made = re.sub(_VARIABLE, self._value, word)
        return made if len(made) <= LONGEST else word

    def _value(self, found: "Any") -> str:
        name = found.group(1)
        value = self._defined.get(name) or (self._lookup(name) if ":" not in name else None)
        return str(found.group()) if value is None else value

    # modules

    def load(self, symbol: str, path: str, place: str) -> None:
        """`LoadModule symbol path`: the module goes by its symbol, and by the file of its source."""
        self.knows_modules = True
        bare = symbol[: -len("_module")] if symbol.endswith("_module") else symbol
        names = [symbol, "mod_{}.c".format(bare)]
        if bare.startswith("mpm_"):
            names = [symbol, bare[len("mpm_") :] + ".c"]
        elif path.endswith(".so"):
            names.append(os.path.basename(path)[: -len(".so")] + ".c")
        for name in names:
            self.modules.setdefault(name, place)

    def compiled_in(self, names: "list[str]", place: str) -> None:
        """Modules that the program brings along."""
        for name in names:
            self.modules.setdefault(name + "_module", place)
            self.modules.setdefault("{}.c".format("http_core" if name == "http" else "mod_" + name), place)
        self.modules.setdefault("core.c", place)
        self.modules.setdefault("core_module", place)

    def loaded(self, symbol: str) -> "bool | None":
        """Whether a module is there; None where nothing tells which ones are."""
        return symbol in self.modules if self.knows_modules else (True if symbol in self.modules else None)


def _turned(words: "list[str]") -> "tuple[bool, str]":
    word = words[0] if words else ""
    return (True, word[1:]) if word.startswith("!") else (False, word)


def _module(context: Context, words: "list[str]") -> "Answer":
    """A module of which nothing is known is neither there nor missed: both sections say what is usual."""
    turned, name = _turned(words)
    loaded = context.loaded(name)
    return (not turned if loaded is None else loaded != turned), ""


def _defined(context: Context, words: "list[str]") -> "Answer":
    turned, name = _turned(words)
    return context.is_defined(name) != turned, ""


def _file(context: Context, words: "list[str]") -> "Answer":
    turned, name = _turned(words)
    return context.files.exists(context.absolute(name)) != turned, ""


def _usual(context: Context, words: "list[str]") -> "Answer":
    """A directive or a section: those that matter here are in every httpd that can be asked."""
    return not _turned(words)[0], ""


def _version(context: Context, words: "list[str]") -> "Answer":
    operator, wanted = ("=", words[0]) if len(words) == 1 else (words[0], words[1]) if words else ("", "")
    turned = operator.startswith("!") and len(operator) > 1
    operator = operator[1:] if turned else operator
    if operator == "~" or wanted.startswith("/"):
        return False, "<IfVersion> with a regular expression is not evaluated"
    if not re.match(r"[0-9]{1,9}(\.[0-9]{1,9}){0,2}$", wanted) or operator not in _COMPARED:
        return False, "<IfVersion> without a version to compare"
    parts = [int(part) for part in wanted.split(".")]
    other = tuple(parts + [0] * (3 - len(parts)))
    order = (context.version[:3] > other) - (context.version[:3] < other)
    return (order in _COMPARED[operator]) != turned, ""


_COMPARED = {"=": (0,), "==": (0,), ">": (1,), ">=": (0, 1), "<": (-1,), "<=": (-1, 0)}

CONDITIONS: "dict[str, Callable[[Context, list[str]], Answer]]" = {
    "ifmodule": _module,
    "ifdefine": _defined,
    "ifversion": _version,
    "iffile": _file,
    "ifdirective": _usual,
    "ifsection": _usual,
}
"""The sections that httpd decides on while it reads."""


def _define(context: Context, words: "list[str]", place: str) -> str:
    if words:
        context.define(words[0], words[1] if len(words) > 1 else "")
    return "" if words else "Define takes a name"


def _undefine(context: Context, words: "list[str]", place: str) -> str:
    if words:
        context.undefine(words[0])
    return "" if words else "UnDefine takes a name"


def _load(context: Context, words: "list[str]", place: str) -> str:
    if len(words) != 2:
        return "LoadModule takes two arguments"
    context.load(words[0], words[1], place)
    return ""


def _root(context: Context, words: "list[str]", place: str) -> str:
    if words:
        context.root = words[0]
    return "" if words else "ServerRoot takes a path"


STATEMENTS: "dict[str, Callable[[Context, list[str], str], str]]" = {
    "define": _define,
    "undefine": _undefine,
    "loadmodule": _load,
    "serverroot": _root,
}
"""Directives that change what is known at once; they return what is wrong with them."""
