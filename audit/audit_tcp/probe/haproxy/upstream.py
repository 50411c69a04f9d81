"""What HAProxy's backends and listen sections do toward their servers: timers, and the connections that they keep.

Measured on 2.6: an unused idle connection ends about three `pool-purge-delay` after its last response, and half of many
go with each delay from then on; one that is used now and then has no such end, so no idle timeout can be promised.
"""

from ..servers import UNLIMITED, fact, seconds
from . import values as haproxy_values
from .facts import MOST_ADDRESSES, endless, probes, put, timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from .facts import Proxies
    from .proxies import Proxy
    from .settings import Setting

    Facts = Dict[str, Any]
    Timer = Tuple[Any, str]


def upstream(back: "Proxy", proxies: "Proxies") -> "Facts":
    """What a backend or listen section does toward its servers."""
    mode = back.settings.get("mode")
    origin = mode.where if mode else "HAProxy's own default"
    facts: "Facts" = {"mode": fact(back.mode, origin)}
    named = (haproxy_values.connected(words[0]) for _, words, _ in back.servers)
    addresses = [one for one in dict.fromkeys(named) if one.strip(":")]
    if addresses:
        facts["addresses"] = fact(addresses[:MOST_ADDRESSES], back.place(back.servers[0][0]))
    put(facts, "connect_timeout_s", timer(back, "connect"))
    put(facts, "response_timeout_s", endless(back, "server"))
    put(facts, "tunnel_timeout_s", timer(back, "tunnel"))
    probes(back, "srv", facts)
    if back.mode == "http":
        _pool(back, facts)
        _closes(back, proxies, facts)
    else:
        facts["reuse"] = fact(False, "{}: no HTTP, no reuse".format(origin))
    return facts


def _pool(back: "Proxy", facts: "Facts") -> None:
    """What the `server` lines say of idle connections; of several servers the one that keeps most counts."""
    reuse = back.settings.get("http-reuse")
    if reuse is not None:
        facts["reuse"] = fact(reuse.value != "never", reuse.where)
    settings = [one for _, _, one in back.servers]
    if not settings:
        return
    kept = [_kept(one) for one in settings]
    if all(one is not None for one in kept):
        sizes = [one for one in kept if one is not None]
        most = next((one for one in sizes if one[0] == UNLIMITED), None) or max(sizes, key=lambda one: one[0])
        put(facts, "pool_size", most)
        if most[0] == 0:
            facts["reuse"] = fact(False, most[1])
    delays = [one.get("pool-purge-delay") for one in settings]
    if all(one is not None and one.value for one in delays):
        put(facts, "pool_purge_s", max((seconds(one.value / 1000.0), one.where) for one in delays if one is not None))
    limits = [one["max-reuse"] for one in settings if "max-reuse" in one and one["max-reuse"].value >= 0]
    if limits:
        put(facts, "max_requests", min((one.value + 1, one.where) for one in limits))
    protocols = [one.get("proto") for one in settings]
    if all(one is not None and one.value == "h2" for one in protocols) and protocols[0] is not None:
        facts["http_version"] = fact(2, protocols[0].where)


def _kept(settings: "Dict[str, Setting]") -> "Optional[Timer]":
    """How many idle connections one server keeps, None where its line does not say."""
    delay, size = settings.get("pool-purge-delay"), settings.get("pool-max-conn")
    if delay is not None and not delay.value:
        return 0, delay.where
    if size is None:
        return None
    return (UNLIMITED if size.value < 0 else size.value), size.where


_CLOSING = ("httpclose", "http-server-close")


def _closes(back: "Proxy", proxies: "Proxies", facts: "Facts") -> None:
    """Whether the connection to a server ends with each response: the backend says so, or all of its frontends do."""
    modes = [back.settings.get("http mode")]
    if modes[0] is None or modes[0].value not in _CLOSING:
        modes = [one.settings.get("http mode") for one in proxies.users(back)]
    if back.kind == "listen" and back.binds and modes and modes[0] is not back.settings.get("http mode"):
        return
    if not modes or any(one is None or one.value not in _CLOSING for one in modes):
        return
    closing = modes[0]
    if closing is None:
        return
    pretends = back.settings.get("option http-pretend-keepalive")
    if pretends is not None and pretends.value:
        facts["sends_close"] = fact(False, pretends.where)
    else:
        facts["sends_close"] = fact(True, closing.where)
    facts["reuse"] = fact(False, closing.where)
