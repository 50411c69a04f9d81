"""HAProxy's configuration files as sections of statements, each with its line; conditional blocks are resolved."""

from ..servers import DEEPEST, place
from . import conditions as haproxy_conditions
from . import words as haproxy_words
from .keywords import SECTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    Statement = Tuple[int, List[str]]

MOST_STATEMENTS = 500000


class Section:
    """A section: its words (`frontend`, a name, …), where it stands, and its statements in order."""

    __slots__ = ("line", "path", "statements", "words")

    def __init__(self, words: "List[str]", path: str, line: int) -> None:
        self.words, self.path, self.line = words, path, line
        self.statements: "List[Statement]" = []

    @property
    def name(self) -> str:
        """What follows the section's keyword; empty where nothing does."""
        return self.words[1] if len(self.words) > 1 else ""

    @property
    def shown(self) -> str:
        """The name as it stands in the file: no value of a variable, which may be a secret."""
        return haproxy_words.written(self.name)

    @property
    def where(self) -> str:
        """Where it begins."""
        return place(self.path, self.line)


class _Block:
    """An `.if` that is open: whether its current branch is read, whether one was, and where it stands."""

    __slots__ = ("active", "closed", "done", "line")

    def __init__(self, line: int, active: bool, done: bool) -> None:
        self.line, self.active, self.done, self.closed = line, active, done, False


class Reader:
    """Reads files in turn: a section ends with its file, the environment that `setenv` changes stays."""

    def __init__(self, world: "haproxy_conditions.World", tell: "Callable[[str, str], None]") -> None:
        self._world, self._tell = world, tell
        self.sections: "List[Section]" = []
        self._path = ""
        self._blocks: "List[_Block]" = []
        self._deeper = 0
        self._count = 0
        self._room = haproxy_words.Room()

    def read(self, path: str, text: str, needs_end: bool) -> None:
        """Adds the sections of a file; `needs_end`: the last line must end with a line feed."""
        self._path, self._blocks, self._deeper = path, [], 0
        section: "Optional[Section]" = None
        lost = False
        lines = text.split("\n")
        if lines[-1] and needs_end:
            self._refuse(len(lines), "no line feed at the end of the last line, HAProxy refuses that since 2.3")
        for number, line in enumerate(lines, 1):
            words = self._words(number, line)
            if not words or self._is_directive(number, words) or not self._active:
                continue
            if words[0] in SECTIONS:
                section = Section(words, path, number)
                self.sections.append(section)
            elif section is not None:
                self._statement(section, number, words)
            elif not lost:
                lost = True
                self._refuse(number, "a keyword that stands before every section")
        for block in self._blocks:
            self._refuse(block.line, ".if without .endif")

    @property
    def _active(self) -> bool:
        return not self._deeper and (not self._blocks or self._blocks[-1].active)

    def _refuse(self, line: int, what: str) -> None:
        self._tell(place(self._path, line), what)

    def _words(self, number: int, line: str) -> "List[str]":
        try:
            return haproxy_words.split(line, self._world.variables, self._room)
        except haproxy_words.Refused as error:
            self._refuse(number, str(error))  # HAProxy cuts the lines of a block that it skips, too
            return []

    def _statement(self, section: Section, line: int, words: "List[str]") -> None:
        self._count += 1
        if self._count > MOST_STATEMENTS:
            if self._count == MOST_STATEMENTS + 1:
                self._refuse(line, "more than {} statements".format(MOST_STATEMENTS))
            return
        section.statements.append((line, words))
        change = _ENVIRONMENT.get(words[0]) if section.words[0] == "global" else None
        if change is not None and words[0] in ("setenv", "presetenv") and not self._world.room_for("".join(words[1:3])):
            self._refuse(line, "{}: more variables than are kept".format(words[0]))
        elif change is not None:
            change(self._world.variables, words[1:])

    # conditional blocks

    def _is_directive(self, line: int, words: "List[str]") -> bool:
        if not words[0].startswith("."):
            return False
        name = words[0]
        if name == ".if":
            self._open(line, words)
        elif name in (".elif", ".else", ".endif"):
            self._branch(line, name, words)
        elif self._active and name == ".alert":
            self._refuse(line, "an .alert: HAProxy stops here")
        elif self._active and name not in (".notice", ".warning", ".diag"):
            self._refuse(line, "an unknown directive that begins with a dot")
        return True

    def _open(self, line: int, words: "List[str]") -> None:
        if self._deeper or len(self._blocks) >= DEEPEST:
            if not self._deeper:
                self._refuse(line, ".if within more than {} others".format(DEEPEST))
            self._deeper += 1
        elif not self._active:
            self._blocks.append(_Block(line, active=False, done=True))
        else:
            holds = self._holds(line, words)
            self._blocks.append(_Block(line, active=holds is True, done=holds is not False))

    def _holds(self, line: int, words: "List[str]") -> "Optional[bool]":
        holds = haproxy_conditions.evaluate(" ".join(words[1:]), self._world)
        if holds is None:
            self._refuse(line, "a condition that cannot be decided here; its block is not taken")
        return holds

    def _branch(self, line: int, name: str, words: "List[str]") -> None:
        if self._deeper:
            self._deeper -= name == ".endif"
            return
        if not self._blocks:
            self._refuse(line, "{} without .if".format(name))
            return
        block = self._blocks[-1]
        if name == ".endif":
            self._blocks.pop()
            return
        if block.closed:
            self._refuse(line, "{} after .else".format(name))
            block.active = False
            return
        block.closed = name == ".else"
        block.active = False
        if not block.done:
            holds = True if block.closed else self._holds(line, words)
            block.active, block.done = holds is True, holds is not False


def _setenv(variables: "Dict[str, str]", given: "List[str]") -> None:
    if len(given) > 1:
        variables[given[0]] = given[1]


def _presetenv(variables: "Dict[str, str]", given: "List[str]") -> None:
    if len(given) > 1:
        variables.setdefault(given[0], given[1])


def _unsetenv(variables: "Dict[str, str]", given: "List[str]") -> None:
    for name in given:
        variables.pop(name, None)


def _resetenv(variables: "Dict[str, str]", given: "List[str]") -> None:
    for name in set(variables) - set(given):
        del variables[name]


_ENVIRONMENT = {"setenv": _setenv, "presetenv": _presetenv, "unsetenv": _unsetenv, "resetenv": _resetenv}
