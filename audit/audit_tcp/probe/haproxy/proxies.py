"""HAProxy's proxies: sections with what they inherit from `defaults`, and what in them cannot work."""

import re

from ..servers import place
from . import settings as haproxy_settings
from .keywords import PROXIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

    from .settings import Setting
    from .syntax import Section

_NAME = re.compile(r"[A-Za-z0-9_.:-]+\Z")

FRONT, BACK = ("frontend", "listen"), ("backend", "listen")


class Proxy:
    """A frontend, backend, listen or defaults section: its settings, inherited ones among them."""

    def __init__(self, section: "Section", parent: "Optional[Proxy]") -> None:
        self.kind, self.name, self.path, self.where = section.words[0], section.name, section.path, section.where
        self.shown = section.shown
        self.settings: "Dict[str, Setting]" = dict(parent.settings) if parent else {}
        self.own: "Dict[str, Setting]" = {}
        self.binds: "List[Tuple[int, List[str]]]" = []
        self.servers: "List[Tuple[int, List[str], Dict[str, Setting]]]" = []
        self.uses: "List[str]" = []
        self.switches = False

    def place(self, line: int) -> str:
        """Where a line of this section stands."""
        return place(self.path, line)

    @property
    def mode(self) -> str:
        """http, tcp, …; HAProxy's own default is tcp."""
        mode = self.settings.get("mode")
        return str(mode.value) if mode else "tcp"

    @property
    def faces_clients(self) -> bool:
        """Whether it is a frontend or a listen section."""
        return self.kind in FRONT

    @property
    def faces_servers(self) -> bool:
        """Whether it is a backend or a listen section."""
        return self.kind in BACK


class Report:
    """What is found on the way: told as (where, what)."""

    def __init__(
        self, refuse: "Callable[[str, str], None]", useless: "Callable[[str, str], None]", trap: "Callable[[str], None]"
    ) -> None:
        self.refuse, self.useless, self.trap = refuse, useless, trap


def build(sections: "List[Section]", version: "Optional[List[int]]", report: Report) -> "List[Proxy]":
    """Every frontend, backend and listen section, in their order."""
    builder = _Builder(version, report)
    for section in sections:
        if section.words[0] in PROXIES:
            builder.add(section)
    return builder.proxies


class _Builder:
    """Proxies as they are read: the defaults so far, and the names that are taken."""

    def __init__(self, version: "Optional[List[int]]", report: Report) -> None:
        self._version, self._report = version, report
        self.proxies: "List[Proxy]" = []
        self._last: "Optional[Proxy]" = None
        self._named: "Dict[str, Proxy]" = {}
        self._twice: "Set[str]" = set()
        self._taken: "Dict[Tuple[str, str], str]" = {}
        self._explicit: "Set[str]" = set()
        self._implicit: "Set[str]" = set()

    def add(self, section: "Section") -> None:
        words = section.words
        if words[0] != "defaults" and len(words) < 2:
            self._report.refuse(section.where, "a {} without a name".format(words[0]))
            return
        proxy = Proxy(section, self._parent(section))
        haproxy_settings.read(proxy, section.statements, self._version, self._report)
        if proxy.kind == "defaults":
            self._add_defaults(proxy)
            return
        if not _NAME.match(proxy.name):
            self._report.refuse(section.where, "a {} with a name that HAProxy does not permit".format(proxy.kind))
        self._check_name(proxy)
        self.proxies.append(proxy)

    def _add_defaults(self, proxy: Proxy) -> None:
        if proxy.name == "from":
            proxy.name = ""
        self._last = proxy
        if proxy.name:
            if proxy.name in self._named:
                self._twice.add(proxy.name)
            self._named[proxy.name] = proxy

    def _parent(self, section: "Section") -> "Optional[Proxy]":
        """The defaults that a section inherits: those that it names, else the last ones; a defaults section none."""
        words, is_defaults = section.words, section.words[0] == "defaults"
        at = words.index("from", 1) if "from" in words[1:3] and (is_defaults or words[1] != "from") else 0
        if not at and not is_defaults and words[2:3]:
            self._report.refuse(section.where, "an address after the name: HAProxy wants a bind line")
        if at and len(words) > at + 1:
            return self._explicitly(words[at + 1], section)
        if is_defaults:
            return None
        if self._last is not None:
            self._mixed(self._last, section, self._implicit, self._explicit)
        return self._last

    def _explicitly(self, name: str, section: "Section") -> "Optional[Proxy]":
        found = self._named.get(name)
        if found is None:
            self._report.refuse(section.where, "the defaults section that it names with `from` does not exist")
            return None
        if name in self._twice:
            self._report.refuse(section.where, "two defaults sections have the name that stands after `from`")
        self._mixed(found, section, self._explicit, self._implicit)
        return found

    def _mixed(self, defaults: Proxy, section: "Section", these: "Set[str]", others: "Set[str]") -> None:
        these.add(defaults.where)
        if defaults.where in others and defaults.name:
            what = "the defaults section of {} is used with and without `from`, HAProxy refuses both at once"
            self._report.refuse(section.where, what.format(defaults.where))

    def _check_name(self, proxy: Proxy) -> None:
        """A listen section is looked for among the frontends alone, and is found among both."""
        side = FRONT[0] if proxy.faces_clients else BACK[0]
        other = self._taken.get((side, proxy.name))
        if other is not None:
            what = "a {} with the name of the one of {}, HAProxy refuses that"
            self._report.refuse(proxy.where, what.format(proxy.kind, other))
        for side, faces in ((FRONT[0], proxy.faces_clients), (BACK[0], proxy.faces_servers)):
            if faces:
                self._taken.setdefault((side, proxy.name), proxy.where)
