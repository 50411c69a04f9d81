"""What the configuration of one Apache httpd says: its `config` subject, its servers, and the pools of mod_proxy."""

import re

from .. import servers
from ..host import Unreadable
from .context import CORE, DEBIAN, Context
from .instances import Instance
from .pools import Pools
from .proxy import TAKEN, Workers
from .scopes import PARSERS, Servers
from .syntax import Reader
from .values import Refused
from .words import Directive, lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from ..servers import Facts

SERVER_ONLY = (*PARSERS, "listen", "requestreadtimeout", "servername")
GLOBAL_ONLY = ("listen", "listenbacklog")
NOT_IN_DIRECTORY = ("proxypass", "proxypassmatch")

KNOWN = frozenset((*SERVER_ONLY, *TAKEN, "<virtualhost"))
"""The directives that are kept; `<` marks a section."""

DIRECTORIES = (
    "directory", "directorymatch", "files", "filesmatch", "location", "locationmatch", "proxy", "proxymatch", "if",
    "elseif", "else", "limit", "limitexcept",
)  # fmt: skip
"""Sections that hold for some requests: a server's directives are refused there."""

OF_MODULES = {
    "requestreadtimeout": "reqtimeout_module",
    "proxytimeout": "proxy_module",
    **dict.fromkeys(("proxypass", "proxypassmatch", "proxyset", "balancermember"), "proxy_module"),
}

_LOADS = r"(?im)^[ \t]*(?:LoadModule[ \t]|Include(?:Optional)?[ \t].*(?:mods-enabled|modules\.d))"
_COMPILED = rb"\0mod_([a-z0-9_]{1,40})\.c(?=\0)"


def subjects(instance: Instance, names: servers.Names) -> "Iterator[tuple[str, str, Facts]]":
    """The `config` subject of an httpd, and its `server` and `upstream` subjects."""
    reader, found, pools = read(instance)
    title = "apache" if instance.namespace == "host" else "apache ({})".format(instance.namespace)
    shared = _shared(instance)
    below = []
    for kind, source in (("server", found.subjects()), ("upstream", pools.subjects())):
        for name, place, facts in source:
            facts.update(shared)
            below.append((kind, names.unique("{} {}".format(title, name), place), facts))
    config = {
        "path": servers.fact(instance.path, "the configuration file"),
        "files": servers.fact(reader.count, instance.path),
        "unreadable": servers.fact(reader.problems, instance.path),
        "unit_traps": servers.fact(found.unit_traps, instance.path),
        "no_effect": servers.fact(found.no_effect, instance.path),
    }
    config.update((name, fact) for name, fact in shared.items() if name != "netns")
    yield "config", names.unique(title, instance.path), config
    for one in below:
        yield one


def _shared(instance: Instance) -> "Facts":
    origin = "process {}".format(instance.process.pid) if instance.process else instance.path
    facts = {
        "program": servers.fact("apache", origin),
        "running": servers.fact(instance.process is not None, origin),
        "netns": servers.fact(instance.namespace, origin),
    }
    if instance.version:
        facts["version"] = servers.fact(instance.version, "the program")
    return facts


def read(instance: Instance) -> "tuple[Reader, Servers, Pools]":
    """A whole configuration, with the options of the command line before and after it."""
    context = Context(instance.files, instance.root, instance.variable)
    if instance.version:
        context.version = tuple(instance.version)
    budget = servers.Budget(instance.files)
    reader = Reader(budget, context, KNOWN)
    _modules(instance, context)
    for option, value in instance.arguments:
        if option == "D":
            context.define(value, "")
        elif option == "C":
            reader.feed(lines(value), "-C", None)
    reader.file(instance.path, instance.path)
    for option, value in instance.arguments:
        if option == "c":
            reader.feed(lines(value), "-c", None)
    timed = context.modules.get("reqtimeout_module", "") if context.knows_modules else ""
    found = Servers(reader.problem, timed)
    prefork = bool(context.loaded("mpm_prefork_module"))
    workers = Workers(found, reader.problem)
    for one in reader.directives:
        _judge(one, found, workers, reader)
    _passed_over(reader, found)
    return reader, found, Pools(workers, prefork, context.version)


def _modules(instance: Instance, context: Context) -> None:
    """Which modules the program brings, and whether LoadModule tells the rest."""
    compiled = {name.decode() for name in re.findall(_COMPILED, instance.program)}
    origin = "the program"
    if compiled:
        context.compiled_in(sorted(compiled.union(CORE)), origin)
        context.knows_modules = True
        return
    context.compiled_in([*CORE, *(DEBIAN if instance.path.startswith("/etc/apache2/") else ())], origin)
    try:
        context.knows_modules = bool(re.search(_LOADS, instance.files.text(instance.path)))
    except (OSError, Unreadable):
        context.knows_modules = False


def _judge(one: Directive, found: Servers, workers: Workers, reader: Reader) -> None:
    """One directive to where it belongs; what httpd refuses is told."""
    try:
        if one.name == "<virtualhost":
            found.open(one)
            return
        _fits(one, reader.context)
        scope = found.scope(one.server)
        if scope is None:
            return
        if one.name in TAKEN:
            workers.take(one, scope)
        else:
            found.set(one, scope)
    except Refused as error:
        unset = any("${" in word for word in one.words)
        what = "has a variable that is not set where it is read" if unset else str(error)
        reader.problem(one.place, "{} {}".format(one.name.lstrip("<"), what))


def _fits(one: Directive, context: Context) -> None:
    """Raises Refused where httpd does not take the directive in its section, or lacks its module."""
    if one.name in GLOBAL_ONLY and one.server is not None:
        raise Refused("is not allowed within <VirtualHost>")
    module = OF_MODULES.get(one.name)
    if module and context.loaded(module) is False:
        raise Refused("needs {}, which is not loaded".format(module))
    refusing = DIRECTORIES if one.name in SERVER_ONLY else _NO_PROXYPASS if one.name in NOT_IN_DIRECTORY else ()
    section = one.section
    while section is not None and refusing:
        if section.name in refusing:
            raise Refused("is not allowed within <{}>".format(section.name))
        section = section.parent


_NO_PROXYPASS = ("directory", "directorymatch", "files", "filesmatch", "if", "elseif", "else")


def _passed_over(reader: Reader, found: Servers) -> None:
    for name, place, module in reader.skipped:
        shown = module if re.match(r"!?[A-Za-z0-9_.]{1,60}$", module) else "…"
        found.idle("{}: {} has no effect: <IfModule {}> does not hold".format(place, name, shown))
