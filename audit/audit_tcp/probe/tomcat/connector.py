"""What one Connector of Tomcat says about its connections: its attributes, which are in milliseconds, as facts.

A timeout that is 0 or negative never ends. HTTP/2 has an idle timeout of its own, and AJP has defaults of its own.
"""

import re

from .. import servers
from .settings import OLD_SAME, SAME, Notes, Settings, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..values import Facts
    from .properties import Properties
    from .xml import Element

_ADDRESS = re.compile(r"[A-Za-z0-9.:_%-]{1,100}\Z")
_PATH = re.compile(r"[A-Za-z0-9./@_-]{1,150}\Z")

HTTP2 = "org.apache.coyote.http2.Http2Protocol"
AJP_DEFAULT = "default of AJP/1.3"
HTTP_DEFAULT_S = 60
HTTP2_DEFAULT_S = 20
UPLOAD_DEFAULT_S = 300
HEADER_SINCE = [9, 0, 29]
"""Since when a response has `Keep-Alive: timeout=`, if the request asks for keep-alive."""


def is_connector(path: str) -> bool:
    """Whether the last element of a path is a Connector in any spelling."""
    return path.rpartition("/")[2].lower() == "connector"


class Connector:
    """One Connector element. `proxied` is where a RemoteIpValve around it stands."""

    def __init__(
        self, element: "Element", properties: "Properties", notes: Notes, offset: int, version: "Optional[list[int]]"
    ) -> None:
        self.where = servers.place(element.file, element.line)
        self.proxied = ""
        self._properties, self._notes, self._offset, self._version = properties, notes, offset, version
        same = dict(SAME, **OLD_SAME) if version and version < [9] else SAME
        self._settings = Settings(element, properties, notes, same)
        self._protocol = _protocol(properties.resolve(element.get("protocol") or "HTTP/1.1"))
        self._listens: "Optional[str]" = None
        self._http2: "Optional[Settings]" = None
        self._http2_where = ""
        for one in element.attributes:
            meant = unknown(one.name, version)
            if meant:
                what = "{}: no such attribute: Tomcat warns and ignores it, {} is meant"
                notes.idle(servers.place(element.file, one.line), what.format(one.name, meant))

    def upgrade(self, element: "Element") -> None:
        """Takes an UpgradeProtocol element of this connector; HTTP/2 is the one that there is."""
        if self._protocol == "HTTP" and self._properties.resolve(element.get("className") or "") == HTTP2:
            self._http2 = Settings(element, self._properties, self._notes, {})
            self._http2_where = servers.place(element.file, element.line)

    def opens(self) -> bool:
        """Whether Tomcat opens it: it needs a protocol that there is, and a port."""
        if not self._protocol:
            self._notes.unread(self.where, "Connector: the protocol is none that Tomcat has")
            return False
        self._listens = self._listen()
        if self._settings.get("unixDomainSocketPath"):
            return True
        if self._settings.has("port") and self._settings.get("port") is None:
            return True
        port = self._settings.number("port")
        if port is None or not -1 < port[0] < 65536:
            self._notes.idle(self.where, "a Connector without a port of its own does not start")
            return False
        return True

    @property
    def name(self) -> str:
        """`HTTP *:8080`; without the address where it cannot be told."""
        return "{} {}".format(self._protocol, self._listens or "*")

    def _listen(self) -> "Optional[str]":
        path = self._settings.get("unixDomainSocketPath")
        if path:
            return "unix:" + path.value if _PATH.match(path.value) else None
        port = self._settings.number("port")
        address = self._settings.get("address")
        if port is None or (address is None and self._settings.has("address")):
            return None
        number = port[0] + self._offset if port[0] else 0
        if address is None or not address.value:
            return "{}:{}".format("127.0.0.1" if self._ajp_is_local() else "*", number)
        if not _ADDRESS.match(address.value):
            self._notes.unread(address.where, "address: not an address or host name")
            return None
        return ("[{}]:{}" if ":" in address.value else "{}:{}").format(address.value, number)

    def _ajp_is_local(self) -> bool:
        """AJP without an address takes the loopback one since 9.0.31 and 8.5.51."""
        new = self._version is None or self._version >= [9, 0, 31] or [8, 5, 51] <= self._version < [9]
        return self._protocol == "AJP" and new

    def facts(self) -> "Facts":
        """What the configuration says of it. Timers in seconds."""
        facts: "Facts" = {"mode": servers.fact(self._protocol.lower(), self.where)}
        if self._listens:
            facts["listen"] = servers.fact([self._listens], self.where)
        facts.update(self._timers())
        facts.update(self._http() if self._protocol == "HTTP" else self._ajp())
        facts.update(self._sockets())
        facts.update(self._use())
        return facts

    def _timers(self) -> "Facts":
        settings = self._settings
        first, idle = settings.timer("connectionTimeout"), settings.timer("keepAliveTimeout")
        if self._protocol == "AJP" and first is None:
            first = servers.fact(servers.UNLIMITED, AJP_DEFAULT)
        found = {"header_timeout_s": first, "body_timeout_s": first, "idle_timeout_s": idle or first}
        return {name: fact for name, fact in found.items() if fact}

    def _ajp(self) -> "Facts":
        limit = self._settings.number("maxKeepAliveRequests")
        if limit:
            self._notes.idle(limit[1], "maxKeepAliveRequests has no effect on an AJP connector")
        return {"max_requests": servers.fact(servers.UNLIMITED, AJP_DEFAULT)}

    def _http(self) -> "Facts":
        settings = self._settings
        facts = self._upload()
        limit = settings.number("maxKeepAliveRequests")
        own = settings.number("keepAliveTimeout")
        if limit:
            facts["max_requests"] = servers.fact(limit[0] if limit[0] > 0 else servers.UNLIMITED, limit[1])
        if limit and limit[0] == 1:
            facts["idle_timeout_s"] = servers.fact(0, limit[1])
            facts["keepalive"] = servers.fact(False, limit[1])
            if own:
                self._notes.idle(own[1], "keepAliveTimeout has no effect: maxKeepAliveRequests is 1")
        else:
            facts.update(self._advertised())
        facts.update(self._http2_facts(own))
        return facts

    def _upload(self) -> "Facts":
        """With disableUploadTimeout false, the body has a timeout of its own."""
        off, own = self._settings.flag("disableUploadTimeout"), self._settings.timer("connectionUploadTimeout")
        if off and not off[0]:
            return {"body_timeout_s": own or servers.fact(UPLOAD_DEFAULT_S, off[1])}
        if own:
            what = "connectionUploadTimeout has no effect: disableUploadTimeout is not false"
            self._notes.idle(own["origin"], what)
        return {}

    def _advertised(self) -> "Facts":
        """What the response header tells: whole seconds, and nothing of a timer that never ends."""
        header = self._settings.flag("useKeepAliveResponseHeader")
        if self._version is None or self._version < HEADER_SINCE or (header and not header[0]):
            return {}
        found = self._settings.number("keepAliveTimeout") or self._settings.number("connectionTimeout")
        if found is None:
            return {"advertised_idle_s": servers.fact(HTTP_DEFAULT_S, "default of connectionTimeout")}
        return {"advertised_idle_s": servers.fact(found[0] // 1000, found[1])} if found[0] > 0 else {}

    def _http2_facts(self, stated: "Optional[tuple[int, str]]") -> "Facts":
        """HTTP/2 has an idle timeout of its own, which ends at once where it is 0; `stated` is HTTP/1.1's."""
        settings = self._http2
        if settings is None:
            return {"http2": servers.fact(False, self.where)}
        own = settings.number("keepAliveTimeout")
        idle = servers.fact(HTTP2_DEFAULT_S, "default of Http2Protocol at {}".format(self._http2_where))
        if own:
            idle = servers.fact(0, own[1]) if own[0] == 0 else settings.timer("keepAliveTimeout") or idle
        ignores = stated is not None and own is None
        return {
            "http2": servers.fact(True, self._http2_where),
            "h2_ignores_idle": servers.fact(ignores, stated[1] if stated and ignores else self._http2_where),
            "h2_idle_timeout_s": idle,
        }

    def _sockets(self) -> "Facts":
        settings = self._settings
        facts: "Facts" = {}
        keep = settings.flag("socket.soKeepAlive")
        if keep:
            facts["so_keepalive"] = servers.fact(*keep)
        backlog = settings.number("acceptCount")
        if backlog and backlog[0] > 0:
            facts["backlog"] = servers.fact(*backlog)
        elif backlog:
            self._notes.idle(backlog[1], "acceptCount has no effect: it is not above 0")
        most = settings.number("maxConnections")
        if most:
            facts["max_connections"] = servers.fact(servers.UNLIMITED if most[0] == -1 else most[0], most[1])
        return facts

    def _use(self) -> "Facts":
        """Who talks to it, as far as the configuration says so: a proxy, or browsers."""
        settings = self._settings
        tells = self._proxy()
        if tells:
            return {"behind_proxy": servers.fact(True, tells), "use": servers.fact("proxy", tells)}
        tls = settings.flag("SSLEnabled")
        encrypted = bool(tls and tls[0])
        scheme, secure = settings.get("scheme"), settings.flag("secure")
        if not encrypted and self.proxied:
            return {"behind_proxy": servers.fact(True, self.proxied), "use": servers.fact("proxy", self.proxied)}
        if not encrypted and scheme and scheme.value == "https":
            return {"behind_proxy": servers.fact(True, scheme.where)}
        if not encrypted and secure and secure[0]:
            return {"behind_proxy": servers.fact(True, secure[1])}
        if self.proxied:
            return {"behind_proxy": servers.fact(True, self.proxied)}
        port = settings.number("port")
        number = port[0] + self._offset if port else 0
        if number == 80 or (encrypted and number in (443, 8443)):
            return {"behind_proxy": servers.fact(False, self.where), "use": servers.fact("browser", self.where)}
        return {}

    def _proxy(self) -> str:
        """Where it is said plainly that a proxy talks to it; empty where it is not."""
        if self._protocol == "AJP":
            return self.where
        name, port = self._settings.get("proxyName"), self._settings.number("proxyPort")
        if name and name.value:
            return name.where
        return port[1] if port and port[0] > 0 else ""


def _protocol(text: str) -> str:
    """HTTP or AJP; empty for a class that is neither."""
    if text == "HTTP/1.1" or text.startswith("org.apache.coyote.http11."):
        return "HTTP"
    return "AJP" if text == "AJP/1.3" or text.startswith("org.apache.coyote.ajp.") else ""
