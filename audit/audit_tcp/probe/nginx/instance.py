"""One nginx as subjects: its configuration, its servers and locations, and its upstreams."""

from ..namespaces import HOST
from ..servers import fact
from .files import Configuration, Notes
from .http import Http
from .stream import KIND
from .stream import subjects as stream_subjects
from .upstream import METHODS, Upstreams
from .values import HTTP, STREAM, UPSTREAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    from ..servers import Names
    from ..values import Subjects
    from .found import Instance

    Facts = Dict[str, Any]
    Found = Iterator[Tuple[str, str, str, Facts]]

KEPT = frozenset(["include", "listen", "server_name", "server", *HTTP, *UPSTREAM, *STREAM, *METHODS])
"""Directives that are taken; blocks are taken whatever their names."""

MOST_SUBJECTS = 5000
"""Servers, locations and upstreams of one nginx that become subjects."""


def subjects(one: "Instance", names: "Names") -> "Subjects":
    """The subjects of one nginx; `names` are those that are taken."""
    notes = Notes(one.files)
    read = Configuration(one.files, one.main, KEPT, notes)
    shown = "nginx" if one.namespace == HOST else "nginx ({})".format(one.namespace)
    label = names.unique(shown, one.main)
    common = {"program": fact("nginx", one.main), "running": fact(one.running, one.main)}
    if one.version is not None:
        common["version"] = fact(one.version, one.origin)
    found: "list[tuple[str, str, str, Facts]]" = []
    for subject in found_in(read, notes, one.version):
        if len(found) >= MOST_SUBJECTS:
            notes.fault(subject[2], "more than {} servers, locations and upstreams".format(MOST_SUBJECTS))
            break
        found.append(subject)
    yield (
        "config",
        label,
        dict(
            common,
            path=fact(one.main, one.main),
            files=fact(len(read.paths), one.main),
            unreadable=fact(notes.unreadable, one.main),
            unit_traps=fact(list(notes.unit_traps), one.main),
            no_effect=fact(list(notes.no_effect), one.main),
        ),
    )
    common["netns"] = fact(one.namespace, one.main)
    for kind, name, where, facts in found:
        yield kind, names.unique("{} {}".format(label, name), where), dict(common, **facts)


def found_in(read: Configuration, notes: Notes, version: "list[int] | None") -> "Found":
    """(kind, name, where, facts) of everything in the http and stream blocks."""
    seen = set()
    for block in read.top:
        if block.block is None or block.name not in ("http", "stream"):
            continue
        if block.name in seen:
            notes.fault(block.origin, "a second {} block, which nginx refuses".format(block.name))
            continue
        seen.add(block.name)
        if block.name == "http":
            yield from _http(block.block, notes, version)
        else:
            for kind, name, where, facts in stream_subjects(block.block, notes):
                yield kind, name, where, dict(facts, program=fact(KIND, where))


def _http(block: "Any", notes: Notes, version: "list[int] | None") -> "Found":
    http = Http(block, notes, version)
    for name, where, facts in http.subjects():
        yield "server", name, where, facts
    for name, where, facts in Upstreams(block, notes, version).subjects(http.passes, http.scope):
        yield "upstream", name, where, facts
