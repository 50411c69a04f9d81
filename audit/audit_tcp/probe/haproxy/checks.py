"""Settings of HAProxy's sections that parse and do nothing, where that depends on other settings or sections."""

from .facts import buffers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from .facts import Proxies
    from .proxies import Proxy, Report

_HTTP_ONLY = ("timeout http-keep-alive", "timeout http-request", "http mode", "http-reuse")
_WAITS = ("timeout http-keep-alive", "timeout http-request")


def _waits(proxy: "Proxy") -> "Tuple[str, ...]":
    """The timers that only the side of the client has; where it buffers, `http-request` bounds the body, too."""
    return _WAITS[:1] if buffers(proxy) else _WAITS


def check(proxy: "Proxy", proxies: "Proxies", report: "Report") -> None:
    """Tells the settings of a section that parse and do nothing, as far as other sections decide it."""
    if proxy.kind == "backend" and not any(one.mode == "tcp" for one in proxies.users(proxy)):
        _tell(proxy, _waits(proxy), report, "in a backend: the frontend's holds")
    if proxy.mode == "tcp" and not proxies.upgrades(proxy):
        _tell(proxy, _HTTP_ONLY, report, "in mode tcp")
    if proxy.faces_clients and proxy.mode == "http" and "timeout client" not in _set_timers(proxy):
        _tell(proxy, _waits(proxy), report, "without timeout client: nothing ends an idle connection")


def _set_timers(proxy: "Proxy") -> "List[str]":
    return [key for key, one in proxy.settings.items() if key.startswith("timeout ") and one.value]


def _tell(proxy: "Proxy", keys: "Tuple[str, ...]", report: "Report", why: str) -> None:
    for key in keys:
        found = proxy.own.get(key)
        if found is not None:
            report.useless(found.where, "{} has no effect {}".format(found.shown, why))
