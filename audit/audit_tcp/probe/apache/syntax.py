"""Apache httpd's configuration language: lines, words, sections, and what httpd does while it reads.

Include, <IfModule>, <IfDefine>, Define, Use and their like are carried out here, in the order of the files, as httpd
does. What is left is a list of directives, each with its words, its section and its place.
"""

import re

from .. import servers
from ..host import Unreadable
from .context import CONDITIONS, STATEMENTS, Context
from .words import LINE, Directive, Macro, Section, lines, split, substituted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Container, Iterator, Optional

DEEPEST_INCLUDE = 20
"""Includes within includes, and directories within one that is included: httpd's own limits."""

MOST_EXPANDED = 100000
"""Lines that macros make in all."""

MOST_STARS = 5
"""Stars in one part of a pattern: more make matching slow and say no more."""

MOST_PROBLEMS = 200
"""What is told of one configuration, for each list."""

RAW = ("macro", "perl")
"""Sections whose lines are no directives yet, or never."""


class Reader:
    """Reads a configuration into `directives`; what httpd would refuse is in `problems`, told to the host too."""

    def __init__(self, budget: servers.Budget, context: Context, known: "Container[str]") -> None:
        self.budget, self.context, self._known = budget, context, known
        self.directives: "list[Directive]" = []
        self.problems: "list[str]" = []
        self.skipped: "list[tuple[str, str, str]]" = []
        self.count = 0
        self._open: "list[str]" = []
        self._macros: "dict[str, Macro]" = {}
        self._using: "list[str]" = []
        self._expanded = self._visited = 0
        self._at_once: "dict[str, Callable[[list[str], str, Optional[Section]], None]]" = {
            "include": self._include,
            "includeoptional": self._include_optional,
            "use": self._use,
        }

    def problem(self, place: str, what: str) -> None:
        """Records what is wrong at a place, or with a file."""
        place = place if re.search(":[0-9]+$", place) else servers.place(place, 1)
        text = "{}: {}".format(place, what)
        if len(self.problems) < MOST_PROBLEMS and text not in self.problems:
            self.problems.append(text)
        self.budget.files.unread(place, what)

    # files

    def file(self, path: str, place: str, section: "Optional[Section]" = None, optional: bool = False) -> None:
        """Reads a file, named at `place`; an absent one that is `optional` is passed over.

        The name of a file that is not there is not told: it may be a URL, or made of variables, and hold a secret.
        """
        if path in self._open:
            return self.problem(place, "an include loop: this file is being read")
        if len(self._open) > DEEPEST_INCLUDE:
            return self.problem(place, "more than {} includes within one another".format(DEEPEST_INCLUDE))
        try:
            text = self.budget.read(path)
        except FileNotFoundError:
            return None if optional else self.problem(place, "a file that does not exist")
        except Unreadable as error:
            return self.problem(path if self.budget.files.exists(path) else place, str(error))
        self.count += 1
        self._open.append(path)
        self.feed(lines(text), path, section)
        self._open.pop()
        return None

    def _include(self, words: "list[str]", place: str, section: "Optional[Section]", optional: bool = False) -> None:
        if len(words) != 1:
            return self.problem(place, "Include takes one argument")
        path = self.context.absolute(words[0])
        if not re.search(r"[*?\[]", path):
            return self._tree(path, place, section, optional, 0)
        found = self._matching(path, place)
        if not found and not optional:
            self.problem(place, "Include: nothing matches the wildcard")
        for name in found:
            self._tree(name, place, section, optional, 0)
        return None

    def _include_optional(self, words: "list[str]", place: str, section: "Optional[Section]") -> None:
        self._include(words, place, section, optional=True)

    def _tree(self, path: str, place: str, section: "Optional[Section]", optional: bool, depth: int) -> None:
        """Reads a file, or every file below a directory, in the order of their names. Links may lead in circles."""
        self._visited += 1
        if self._visited > servers.MOST_FILES:
            if self._visited == servers.MOST_FILES + 1:
                self.problem(place, "Include: more than {} files and directories".format(servers.MOST_FILES))
            return
        names = self.budget.files.entries(path) if self.context.is_folder(path) else None
        if names is None:
            self.file(path, place, section, optional)
        elif depth >= DEEPEST_INCLUDE:
            self.problem(place, "more than {} directories within one another".format(DEEPEST_INCLUDE))
        else:
            for name in names:
                self._tree(path.rstrip("/") + "/" + name, place, section, optional, depth + 1)

    def _matching(self, pattern: str, place: str) -> "list[str]":
        found = [""]
        for part in pattern.strip("/").split("/"):
            if part.count("*") > MOST_STARS:
                self.problem(place, "Include: more than {} stars".format(MOST_STARS))
                return []
            if re.search(r"[*?\[]", part):
                found = [folder + "/" + name for folder in found for name in self.context.fitting(folder or "/", part)][
                    : servers.MOST_FILES + 1
                ]
            else:
                found = [path for path in (folder + "/" + part for folder in found) if self.budget.files.exists(path)]
        return found

    # lines

    def feed(self, numbered: "Iterator[tuple[int, str]]", path: str, section: "Optional[Section]") -> None:
        """Reads lines; sections that they open must end within them."""
        stack: "list[tuple[str, str, Optional[Section]]]" = []
        cut = re.compile(LINE).match
        for number, line in numbered:
            if line[0] == "<":
                section = self._tag(line, servers.place(path, number), stack, section, numbered, path)
                continue
            match = cut(line)
            if match is None:
                continue
            name = match.group(1).strip("\"'").lower()
            at_once = self._at_once.get(name)
            if name in STATEMENTS:
                what = STATEMENTS[name](self.context, self.words(match.group(2)), servers.place(path, number))
                if what:
                    self.problem(servers.place(path, number), what)
            elif at_once is not None:
                at_once(self.words(match.group(2)), servers.place(path, number), section)
            elif name in self._known:
                place = servers.place(path, number)
                self.directives.append(Directive(name, self.words(match.group(2)), place, section))
        for name, place, _ in stack:
            if name not in CONDITIONS:
                self.problem(place, "<{}> is not closed".format(name))

    def words(self, text: str) -> "list[str]":
        """The words of arguments, with variables in their place."""
        found = split(text)
        return [self.context.resolved(word) for word in found] if "${" in text else found

    def _tag(self, line: str, place: str, stack: "Any", section: "Any", numbered: "Any", path: str) -> "Any":
        """Opens or closes a section, and returns the one that is open then."""
        if line[1:2] == "/":
            return self._close(line, place, stack, section)
        head = re.match(LINE, line[1:])
        name = head.group(1).rstrip(">").lower() if head else ""
        if not re.match(r"[a-z]{1,40}$", name):
            self.problem(place, "a tag without a name")
            return section
        rest = head.group(2) if head else ""
        if ">" not in line:
            self.problem(place, "<{}> has no closing >".format(name))
        words = self.words(rest[: rest.rfind(">")] if ">" in rest else rest)
        if name in RAW:
            self._macro(name, words, place, numbered, path)
        elif len(stack) >= servers.DEEPEST:
            self.problem(place, "more than {} sections within one another".format(servers.DEEPEST))
            self._soak(name, place, numbered, path, "")
        elif name in CONDITIONS:
            shown = words[:1] if "${" not in line else ["…"]
            self._condition(name, words, place, stack, section, numbered, path, shown)
        else:
            stack.append((name, place, section))
            section = Section(name, words, place, section)
            if "<" + name in self._known:
                self.directives.append(Directive("<" + name, words, place, section))
        return section

    def _condition(
        self,
        name: str,
        words: "list[str]",
        place: str,
        stack: "Any",
        section: "Any",
        numbered: "Any",
        path: str,
        shown: "list[str]",
    ) -> None:
        holds, what = CONDITIONS[name](self.context, words)
        if what:
            self.problem(place, what)
        if holds:
            stack.append((name, place, section))
        else:
            self._soak(name, place, numbered, path, shown[0] if name == "ifmodule" and words else "")

    def _close(self, line: str, place: str, stack: "Any", section: "Any") -> "Any":
        name = line[2:].rstrip(">").lower()
        if not line.endswith(">") or not any(name == one[0] for one in stack):
            shown = name if re.match(r"[a-z]{1,40}$", name) else "…"
            self.problem(place, "</{}> closes nothing that is open".format(shown))
            return section
        while stack:
            opened, where, before = stack.pop()
            if opened == name:
                return before
            self.problem(where, "<{}> is not closed before </{}>".format(opened, name))
        return section

    def _soak(self, name: str, place: str, numbered: "Any", path: str, module: str) -> None:
        """Passes over a section that does not count, to its end."""
        names = [name]
        for number, line in numbered:
            if line[0] != "<":
                if module:
                    self._passed(line, servers.place(path, number), module)
                continue
            words = line.split(None, 1)
            tag = words[0].rstrip(">").lower()
            if tag[1:2] != "/":
                names.append(tag[1:])
            elif tag[2:] != names.pop():
                return self.problem(servers.place(path, number), "a tag closes another section than the open one")
            if not names:
                return None
        return self.problem(place, "<{}> is not closed".format(name))

    def _passed(self, line: str, place: str, module: str) -> None:
        name = line.split(None, 1)[0].lower()
        if name in ("keepalive", "keepalivetimeout", "maxkeepaliverequests") and len(self.skipped) < MOST_PROBLEMS:
            self.skipped.append((name, place, module))

    # macros

    def _macro(self, kind: str, words: "list[str]", place: str, numbered: "Any", path: str) -> None:
        macro = Macro(words[1:], path)
        for number, line in numbered:
            if line[:2] == "</" and line[2:].rstrip(">").lower() == kind:
                break
            macro.lines.append((number, line))
        else:
            self.problem(place, "<{}> is not closed".format(kind))
        if words and kind == "macro":
            self._macros[words[0].lower()] = macro

    def _use(self, words: "list[str]", place: str, section: "Any") -> None:
        macro = self._macros.get(words[0].lower()) if words else None
        if macro is None:
            return self.problem(place, "Use names no macro")
        name = words[0].lower()
        if name in self._using or len(self._using) >= DEEPEST_INCLUDE:
            return self.problem(place, "a macro that uses itself")
        if len(words) - 1 != len(macro.words) or len(macro.words) > servers.DEEPEST:
            return self.problem(
                place, "Use gives {} arguments, the macro has {}".format(len(words) - 1, len(macro.words))
            )
        self._expanded += len(macro.lines)
        if self._expanded > MOST_EXPANDED:
            return self.problem(place, "macros make more than {} lines".format(MOST_EXPANDED))
        self._using.append(name)
        self.feed(substituted(macro, words[1:]), macro.path, section)
        self._using.pop()
        return None
