"""What HAProxy's collector yields of one instance: its files read, its proxies built, their facts.

haproxy/syntax.py cuts the files into sections, haproxy/proxies.py resolves what they inherit, haproxy/facts.py and
haproxy/upstream.py say what the timers mean.
"""

import os
import re

from ..host import Unreadable
from ..instances import MOST_TEXTS
from ..servers import Budget, place
from . import checks as haproxy_checks
from . import conditions as haproxy_conditions
from . import facts as haproxy_facts
from . import proxies as haproxy_proxies
from . import settings as haproxy_settings
from . import syntax as haproxy_syntax
from . import upstream as haproxy_upstream
from . import values as haproxy_values
from . import words as haproxy_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    from ..instances import ByKind
    from ..values import Facts
    from .instances import Found


def of(found: "Found", names: "ByKind") -> "Iterator[Tuple[str, str, Facts]]":
    """One `config`, then one `server` for each frontend and one `upstream` for each backend."""
    told = found.instance
    report = haproxy_proxies.Report(told.refuse, told.useless, lambda text: _add(told.unit_traps, text))
    sections = _sections(found)
    proxies = haproxy_facts.Proxies(
        haproxy_proxies.build(sections, told.version, report), _maxconn(sections, found.maxconn, report)
    )
    subjects: "List[Tuple[str, str, Facts]]" = []
    for proxy in proxies.all:
        name = "haproxy {} {}".format(proxy.kind, proxy.shown)
        haproxy_checks.check(proxy, proxies, report)
        if proxy.faces_clients:
            facts = haproxy_facts.server(proxy, proxies, report)
            subjects.append(("server", told.named(names["server"], name, proxy.where), told.subject(facts)))
        if proxy.servers or proxy.kind == "backend":
            facts = haproxy_upstream.upstream(proxy, proxies)
            subjects.append(("upstream", told.named(names["upstream"], name, proxy.where), told.subject(facts)))
    yield "config", told.named(names["config"], "haproxy"), told.config()
    yield from subjects


def _add(texts: "List[str]", text: str) -> None:
    if len(texts) < MOST_TEXTS and text not in texts:
        texts.append(text)


def _sections(found: "Found") -> "List[haproxy_syntax.Section]":
    """The sections of all of an instance's files, in the order in which it reads them."""
    told, budget = found.instance, Budget(found.instance.files)
    texts: "List[Tuple[str, str]]" = []
    for path in _expanded(found):
        try:
            texts.append((path, budget.read(path)))
        except FileNotFoundError:
            told.refuse(place(path, 1), "no such file")
        except Unreadable as error:
            told.refuse(place(path, 1), str(error))
    told.count = len(texts)
    told.path = texts[0][0] if texts else next(iter(found.paths), "")
    wanted: "set[str]" = set()
    for _, text in texts:
        wanted |= haproxy_words.variables_in(text)
    world = haproxy_conditions.World(found.variables(wanted), found.version_text, found.features)
    reader = haproxy_syntax.Reader(world, told.refuse)
    needs_end = told.version is None or told.version >= [2, 3]
    for path, text in texts:
        reader.read(path, text, needs_end)
    return reader.sections


def _expanded(found: "Found") -> "List[str]":
    """The files that the command line names; of a directory those that end in .cfg and are not hidden, sorted."""
    files = found.instance.files
    paths: "List[str]" = []
    for path in found.paths:
        try:
            is_directory = os.path.isdir(files.real(path))
        except (OSError, Unreadable):
            is_directory = False
        if is_directory:
            inside = [name for name in files.entries(path) if name.endswith(".cfg") and not name.startswith(".")]
            paths.extend("{}/{}".format(path.rstrip("/"), name) for name in inside)
        else:
            paths.append(path)
    return paths


_DIGITS = re.compile(r"[0-9]{1,10}\Z")


def _maxconn(
    sections: "List[haproxy_syntax.Section]", asked: str, report: haproxy_proxies.Report
) -> "Optional[haproxy_settings.Setting]":
    """The global `maxconn`, which bounds every frontend that has none; -n on the command line wins."""
    last: "Optional[haproxy_settings.Setting]" = None
    for section in sections:
        for line, words in section.statements if section.words[0] == "global" else ():
            if words[0] != "maxconn" or len(words) < 2:
                continue
            where = place(section.path, line)
            try:
                last = haproxy_settings.Setting(haproxy_values.count(words[1]), where, line, "maxconn")
            except haproxy_values.Refused as error:
                report.refuse(where, "maxconn: {}".format(error))
    if _DIGITS.match(asked) and int(asked):
        return haproxy_settings.Setting(int(asked), "-n on the command line", 0, "maxconn")
    return last
