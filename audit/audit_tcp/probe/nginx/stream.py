"""nginx's `stream`: servers that pass TCP on, and where to. A connection lasts as long as its clients want it to."""

from ..servers import fact
from .listen import Places, grouped
from .upstream import addresses, bare
from .values import STREAM, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    from .files import Block, Notes

    Facts = Dict[str, Any]
    Found = Iterator[Tuple[str, str, str, Facts]]

KIND = "nginx-stream"
"""The kind of the catalog."""

WAY = {
    "proxy_connect_timeout": "connect_timeout_s",
    "proxy_timeout": "tunnel_timeout_s",
    "proxy_socket_keepalive": "so_keepalive",
}


def subjects(block: "Block", notes: "Notes") -> "Found":
    """(kind, name, where, facts) of the servers and upstreams of one stream block."""
    whole = Scope(block, "stream", STREAM, notes)
    places = Places(notes)
    servers = []
    for one in block:
        if one.name == "server" and one.block is not None:
            scope = Scope(one.block, "server", STREAM, notes, whole)
            servers.append((one.origin, scope, [each.address for each in places.add(one.block, scope) if each.tcp]))
    for origin, scope, listens in servers:
        for group, options in grouped(listens, places.options):
            facts = {"listen": fact(group, origin), "mode": fact("tcp", origin)}
            timeout = scope.find("proxy_timeout")
            if timeout is not None:
                facts["tunnel_timeout_s"] = fact(timeout.value, timeout.origin)
            yield "server", "stream " + group[0], origin, dict(facts, **options)
    yield from _upstreams(block, whole, [scope for _, scope, listens in servers if listens])


def _upstreams(block: "Block", whole: Scope, scopes: "list[Scope]") -> "Found":
    """Each upstream block, and each address that a server passes to without one."""
    defined = {one.args[0]: one for one in block if one.name == "upstream" and one.block is not None and one.args}
    passes = [(scope.own["proxy_pass"], scope) for scope in scopes if "proxy_pass" in scope.own]
    used = {target.value: scope for target, scope in reversed(passes)}
    for name, one in defined.items():
        shown = name if name.isprintable() else "upstream"
        found = fact(addresses(one.block or []), one.origin)
        yield "upstream", "stream " + shown, one.origin, _way(used.get(name, whole), found, one.origin)
    for target, scope in passes:
        address = bare(target.value)
        if target.value not in defined and address and "$" not in target.value and used[target.value] is scope:
            yield (
                "upstream",
                "stream " + address,
                target.origin,
                _way(scope, fact([address], target.origin), target.origin),
            )


def _way(scope: Scope, found: "Facts", origin: str) -> "Facts":
    facts: "Facts" = {"addresses": found, "mode": fact("tcp", origin)}
    for directive, name in WAY.items():
        setting = scope.find(directive)
        if setting is not None:
            facts[name] = fact(setting.value, setting.origin)
    return facts
