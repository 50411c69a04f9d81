"""The probe: turns a host into a snapshot document, with the standard library of Python 3.6 alone.

It runs here by import, and on other hosts piped into a bare python3 (see remote.py), so it imports nothing else of
the package, writes nothing, and starts no program. A collector is a module with `collect(host)`, which yields
`(kind, name, facts)`; facts map names to bare values, whose origin follows from the name (the sysctl's file below
/proc/sys, the counter's table below /proc/net), or to `{"value": ..., "origin": ...}`.
"""

import importlib
import pkgutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .host import Host
    from .values import Facts

SCHEMA = 1


def collectors() -> "list[str]":
    """The names of the modules here that collect subjects, found by walking the folder."""
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__))


def take(host: "Host", names: "list[str]") -> "dict[str, Any]":
    """The snapshot document of `host`: what every collector yields, and what could not be read."""
    subjects: "dict[tuple[str, str], Facts]" = {}
    for name in names:
        module = importlib.import_module(__name__ + "." + name)
        collect = getattr(module, "collect", None)
        if collect is None:
            continue
        try:
            for kind, subject, facts in collect(host):
                subjects.setdefault((kind, subject), {}).update(facts)
        except Exception as error:  # a collector that fails is data: the others' subjects still arrive
            host.unread("collector " + name, "{}: {}".format(type(error).__name__, error))
    return {
        "schema": SCHEMA,
        "host": host.name(),
        "kernel": host.kernel(),
        "os": host.os_name(),
        "taken": host.now(),
        "subjects": [{"kind": kind, "name": name, "facts": facts} for (kind, name), facts in subjects.items()],
        "errors": [{"where": where, "what": what} for where, what in host.errors],
    }
