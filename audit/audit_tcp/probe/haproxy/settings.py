"""The statements of one HAProxy section: timers, options and counts that are read, and what they cannot do there."""

from . import keywords
from . import values as haproxy_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from .proxies import Proxy, Report
    from .syntax import Statement


class Setting:
    """A value, the line that gives it, and how it is written there."""

    __slots__ = ("line", "shown", "value", "where")

    def __init__(self, value: "Any", where: str, line: int, shown: str) -> None:
        self.value, self.where, self.line, self.shown = value, where, line, shown


def read(proxy: "Proxy", statements: "List[Statement]", version: "Optional[List[int]]", report: "Report") -> None:
    """Reads the statements of a section into `proxy`."""
    reader = _Reader(proxy, version, report)
    for line, words in statements:
        handler = _HANDLERS.get(words[0])
        if handler is not None:
            try:
                handler(reader, line, words)
            except haproxy_values.Refused as error:
                report.refuse(proxy.place(line), "{}: {}".format(reader.label, error))


class _Reader:
    """What one section says, as its statements are read in turn; `label` names the one that is being read."""

    def __init__(self, proxy: "Proxy", version: "Optional[List[int]]", report: "Report") -> None:
        self._proxy, self._version, self._report = proxy, version, report
        self._defaults: "Dict[str, Setting]" = {}
        self.label = ""
        inherited = proxy.settings.get("default-server")
        if inherited is not None:
            self._defaults = dict(inherited.value)

    def _before(self, *version: int) -> bool:
        return self._version is not None and self._version < list(version)

    def _set(self, key: str, value: "Any", line: int, shown: str) -> None:
        proxy, where = self._proxy, self._proxy.place(line)
        ignored = {"backend": keywords.CLIENT_SIDE, "frontend": keywords.SERVER_SIDE}.get(proxy.kind, ())
        if key in ignored:
            other = "frontend" if proxy.kind == "backend" else "backend"
            self._report.useless(where, "{} has no effect in a {}: only a {} uses it".format(shown, proxy.kind, other))
            return
        earlier = proxy.own.get(key)
        if earlier is not None:
            text = "{} has no effect: overwritten on line {}"
            if earlier.shown != shown:
                text = "{} has no effect: {} on line {} replaces it"
                text = text.format(earlier.shown, shown, line)
            self._report.useless(earlier.where, text.format(earlier.shown, line))
        proxy.own[key] = proxy.settings[key] = Setting(value, where, line, shown)

    # statements

    def timeout(self, line: int, words: "List[str]") -> None:
        self.label = "timeout"
        name = words[1] if len(words) > 1 else ""
        if name not in keywords.TIMERS:
            raise haproxy_values.Refused("none of the timers that HAProxy has")
        self._timer("timeout " + name, line, words[2:])

    def _timer(self, key: str, line: int, given: "List[str]") -> None:
        self.label = key
        value, has_unit = haproxy_values.timer(given[0] if given else "")
        if len(given) > 1 and given[1]:
            raise haproxy_values.Refused("an argument after the value")
        if not has_unit and 0 < value < keywords.SMALL_MS:
            text = "{}: {} {} means {} ms, a number without a unit counts milliseconds"
            self._report.trap(text.format(self._proxy.place(line), key, given[0], value))
        self._set(key, value, line, key)

    def removed(self, line: int, words: "List[str]") -> None:
        key = "timeout " + keywords.REMOVED[words[0]]
        if not self._before(2, 1):
            what = "{} was removed in HAProxy 2.1, which refuses it; {} replaces it"
            self._report.refuse(self._proxy.place(line), what.format(words[0], key))
        self._timer(key, line, words[1:])

    def keepalive_timer(self, line: int, words: "List[str]") -> None:
        self.label = key = words[0]
        text = words[1] if len(words) > 1 else ""
        if key.endswith("-cnt"):
            self._set(key, haproxy_values.count(text), line, key)
            return
        value, has_unit = haproxy_values.timer(text, "s")
        if not has_unit and value >= keywords.LARGE_S[key]:
            shown = "{}: {} {} means {} s, this one counts seconds".format(self._proxy.place(line), key, text, value)
            self._report.trap(shown)
        self._set(key, value, line, key)

    def counter(self, line: int, words: "List[str]") -> None:
        self.label = words[0]
        self._set(words[0], haproxy_values.count(words[1] if len(words) > 1 else ""), line, words[0])

    def mode(self, line: int, words: "List[str]") -> None:
        self._choice(line, words, keywords.MODES)

    def reuse(self, line: int, words: "List[str]") -> None:
        self._choice(line, words, keywords.REUSE)

    def _choice(self, line: int, words: "List[str]", known: "frozenset[str]") -> None:
        self.label = words[0]
        value = words[1] if len(words) > 1 else ""
        if value not in known:
            raise haproxy_values.Refused("none of " + ", ".join(sorted(known)))
        self._set(words[0], value, line, words[0])

    def negated(self, line: int, words: "List[str]") -> None:
        if words[1:2] == ["option"]:
            self.option(line, words[1:], on=False)

    def option(self, line: int, words: "List[str]", on: bool = True) -> None:
        name = words[1] if len(words) > 1 else ""
        shown = "{}option {}".format("" if on else "no ", name)
        if name in keywords.HTTP_MODES:
            self._http_mode(name, line, shown, on)
        elif name in keywords.OPTIONS:
            self._set("option " + name, on, line, shown)
        elif name == "tcpka":
            for key, side in (("option clitcpka", "backend"), ("option srvtcpka", "frontend")):
                if self._proxy.kind != side:
                    self._set(key, on, line, shown)

    def _http_mode(self, name: str, line: int, shown: str, on: bool) -> None:
        if name == "forceclose" and not self._before(2, 0):
            what = "option forceclose was removed in HAProxy 2.0, which refuses it; option httpclose replaces it"
            self._report.refuse(self._proxy.place(line), what)
        current = self._proxy.settings.get("http mode")
        if on:
            self._set("http mode", keywords.HTTP_MODES[name], line, shown)
        elif current is not None and current.value == keywords.HTTP_MODES[name]:
            self._set("http mode", "http-keep-alive", line, shown)

    def bind(self, line: int, words: "List[str]") -> None:
        self.label = "bind"
        proxy = self._proxy
        if proxy.faces_clients:
            proxy.binds.append((line, words))
        elif proxy.kind == "backend":
            self._report.useless(proxy.place(line), "bind has no effect in a backend")
        else:
            raise haproxy_values.Refused("HAProxy refuses it in a defaults section")

    def server(self, line: int, words: "List[str]") -> None:
        self.label = words[0]
        proxy = self._proxy
        if not proxy.faces_servers:
            raise haproxy_values.Refused("HAProxy refuses it in a {} section".format(proxy.kind))
        skipped = {"server": 3, "server-template": 4, "dispatch": 2}[words[0]]
        if len(words) < skipped:
            raise haproxy_values.Refused("no name or no address")
        settings = dict(self._defaults)
        proxy.servers.append((line, [words[skipped - 1]], settings))
        self._parameters(settings, line, words[skipped:])

    def default_server(self, line: int, words: "List[str]") -> None:
        self.label = words[0]
        if self._proxy.kind == "frontend":
            raise haproxy_values.Refused("HAProxy refuses it in a frontend section")
        self._parameters(self._defaults, line, words[1:])
        where = self._proxy.place(line)
        self._proxy.settings["default-server"] = Setting(dict(self._defaults), where, line, words[0])

    def _parameters(self, settings: "Dict[str, Setting]", line: int, words: "List[str]") -> None:
        where = self._proxy.place(line)
        for number, word in enumerate(words):
            read = _PARAMETERS.get(word)
            if read is None:
                continue
            self.label = word
            text = words[number + 1] if number + 1 < len(words) else ""
            value: "Any" = read(text)
            if word == "pool-purge-delay":
                value, has_unit = value
                if not has_unit and 0 < value < keywords.SMALL_MS:
                    shown = "{}: pool-purge-delay {} means {} ms, a number without a unit counts milliseconds"
                    self._report.trap(shown.format(where, text, value))
            settings[word] = Setting(value, where, line, word)

    def default_backend(self, line: int, words: "List[str]") -> None:
        if len(words) > 1:
            self._set("default_backend", words[1], line, "default_backend")

    def use_backend(self, _line: int, words: "List[str]") -> None:
        if len(words) > 1:
            self._proxy.uses.append(words[1])

    def content(self, _line: int, words: "List[str]") -> None:
        if "switch-mode" in words:
            self._proxy.switches = True


def _plain(text: str) -> str:
    return text


_PARAMETERS: "Dict[str, Callable[[str], Any]]" = {
    "pool-max-conn": haproxy_values.count,
    "pool-purge-delay": haproxy_values.timer,
    "max-reuse": haproxy_values.count,
    "proto": _plain,
}
"""Parameters of `server` and `default-server` that are read."""

_HANDLERS: "Dict[str, Callable[[_Reader, int, List[str]], None]]" = {
    "timeout": _Reader.timeout,
    "contimeout": _Reader.removed,
    "clitimeout": _Reader.removed,
    "srvtimeout": _Reader.removed,
    "clitcpka-idle": _Reader.keepalive_timer,
    "clitcpka-intvl": _Reader.keepalive_timer,
    "clitcpka-cnt": _Reader.keepalive_timer,
    "srvtcpka-idle": _Reader.keepalive_timer,
    "srvtcpka-intvl": _Reader.keepalive_timer,
    "srvtcpka-cnt": _Reader.keepalive_timer,
    "backlog": _Reader.counter,
    "maxconn": _Reader.counter,
    "mode": _Reader.mode,
    "http-reuse": _Reader.reuse,
    "option": _Reader.option,
    "no": _Reader.negated,
    "bind": _Reader.bind,
    "server": _Reader.server,
    "server-template": _Reader.server,
    "dispatch": _Reader.server,
    "default-server": _Reader.default_server,
    "default_backend": _Reader.default_backend,
    "use_backend": _Reader.use_backend,
    "tcp-request": _Reader.content,
}
