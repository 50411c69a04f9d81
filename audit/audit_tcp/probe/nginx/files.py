"""The configuration of one nginx: its main file with every include in its place."""

import posixpath
import re

from ..host import Host, Unreadable
from ..servers import DEEPEST, Budget, matching, place
from .syntax import Directive, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    Block = List[Directive]
    Include = Tuple[str, ...]

MOST_DIRECTIVES = 100000
"""Directives that are taken, those of a file that is included twice counted twice."""

MOST_REPORTS = 200
"""Faults that are told one by one; the rest is counted."""

_MASK = re.compile(r"[*?\[]")
_LINE = re.compile(":[0-9]+$")


class Notes:
    """What is said of a configuration: faults, traps of units, and settings without effect, each once."""

    def __init__(self, files: Host) -> None:
        self._files = files
        self._unreadable: "dict[str, None]" = {}
        self._untold = 0
        self._from = ""
        self.unit_traps: "dict[str, None]" = {}
        self.no_effect: "dict[str, None]" = {}

    def fault(self, where: str, what: str) -> None:
        """Tells what is wrong at `path:line`, or with a file, here and as an error of the snapshot."""
        where = where if _LINE.search(where) else place(where, 1)
        text = "{}: {}".format(where, what)
        if text in self._unreadable:
            return
        if len(self._unreadable) >= MOST_REPORTS:
            self._untold += 1
            self._from = self._from or where
            return
        self._unreadable[text] = None
        self._files.unread(where, what)

    @property
    def unreadable(self) -> "list[str]":
        rest = ["{}: {} further faults from here on".format(self._from, self._untold)] if self._untold else []
        return list(self._unreadable) + rest

    def trap(self, where: str, what: str) -> None:
        """Tells a value whose unit may not be what its author thought."""
        if len(self.unit_traps) < MOST_REPORTS:
            self.unit_traps["{}: {}".format(where, what)] = None

    def idle(self, where: str, what: str) -> None:
        """Tells a setting that does nothing where it stands."""
        if len(self.no_effect) < MOST_REPORTS:
            self.no_effect["{}: {}".format(where, what)] = None


class Configuration:
    """Reads a main file and what it includes; paths that are not absolute are below the main file's folder."""

    def __init__(self, files: Host, main: str, kept: "frozenset[str]", notes: Notes) -> None:
        self._files, self._notes, self._kept = files, notes, kept
        self._budget = Budget(files)
        self._folder = posixpath.dirname(main)
        self._parsed: "dict[str, Block | None]" = {}
        self._masks: "dict[str, list[str]]" = {}
        self._left = MOST_DIRECTIVES
        self.top = self._expanded(self._file(main, main), (posixpath.normpath(main),), 0)

    @property
    def paths(self) -> "list[str]":
        """The files that were read, in the order of their first include."""
        return [path for path, block in self._parsed.items() if block is not None]

    def _file(self, path: str, where: str) -> "Block":
        if path not in self._parsed:
            self._parsed[path] = None
            try:
                text = self._budget.read(path)
            except FileNotFoundError:
                self._notes.fault(where, "no such file" if where == path else "include of a file that does not exist")
            except Unreadable as error:
                self._notes.fault(path, str(error))
            else:
                notes = self._notes
                self._parsed[path] = parse(
                    text, path, self._kept, lambda line, what: notes.fault(place(path, line), what)
                )
        return self._parsed[path] or []

    def _expanded(self, block: "Block", within: "Include", deep: int) -> "Block":
        """The block with the content of files in the place of each include. `within` are the files that are open."""
        found: "Block" = []
        for one in block:
            if self._left <= 0:
                self._notes.fault(one.origin, "more than {} directives; the rest is not read".format(MOST_DIRECTIVES))
                break
            self._left -= 1
            if one.name == "include" and one.block is None:
                for path in self._included(one, within, deep):
                    found += self._expanded(self._file(path, one.origin), (*within, posixpath.normpath(path)), deep + 1)
            elif one.block:
                inner = self._expanded(one.block, within, deep + 1)
                found.append(Directive(one.name, one.args, one.path, one.line, inner))
            else:
                found.append(one)
        return found

    def _included(self, one: Directive, within: "Include", deep: int) -> "list[str]":
        """The files that an include leads to, without those that it would read for ever."""
        if len(one.args) != 1 or not one.args[0]:
            self._notes.fault(one.origin, "include takes one file or mask")
            return []
        if deep >= 2 * DEEPEST or len(within) >= DEEPEST:
            self._notes.fault(one.origin, "more than {} files that include one another".format(DEEPEST))
            return []
        paths = self._paths(one.args[0])
        looping = [path for path in paths if posixpath.normpath(path) in within]
        if looping:
            self._notes.fault(one.origin, "this include leads back to a file that is being read")
        return [path for path in paths if path not in looping]

    def _paths(self, pattern: str) -> "list[str]":
        path = pattern if pattern.startswith("/") else posixpath.join(self._folder, pattern)
        if not _MASK.search(path):
            return [path]
        if path not in self._masks:
            self._masks[path] = matching(self._files, path)
        return self._masks[path]
