"""Words of HAProxy's configuration language that its readers look for."""

TIMERS = frozenset((
    "check", "client", "client-fin", "client-hs", "connect", "http-keep-alive", "http-request", "queue", "server",
    "server-fin", "tarpit", "tunnel",
))  # fmt: skip
"""What may follow `timeout` in a proxy."""

SMALL_MS = 1000
"""A number of milliseconds without a unit below this was probably meant in seconds."""

LARGE_S = {"clitcpka-idle": 10000, "srvtcpka-idle": 10000, "clitcpka-intvl": 1000, "srvtcpka-intvl": 1000}
"""A number without a unit from here on was probably meant in milliseconds, but these keywords count seconds."""

REMOVED = {"contimeout": "connect", "clitimeout": "client", "srvtimeout": "server"}
"""Old names of timers, which 2.1 refuses."""

HTTP_MODES = {
    "httpclose": "httpclose",
    "forceclose": "httpclose",
    "http-server-close": "http-server-close",
    "http-keep-alive": "http-keep-alive",
}
"""Options of which the last one holds."""

OPTIONS = frozenset(("clitcpka", "srvtcpka", "http-buffer-request", "http-pretend-keepalive"))

MODES = frozenset(("http", "tcp", "log", "spop", "haterm", "health", "peers"))

REUSE = frozenset(("never", "safe", "aggressive", "always"))

CLIENT_SIDE = frozenset((
    "timeout client", "timeout client-fin", "timeout client-hs", "option clitcpka", "clitcpka-idle", "clitcpka-intvl",
    "clitcpka-cnt", "backlog", "maxconn",
))  # fmt: skip
"""Settings that a backend ignores."""

SERVER_SIDE = frozenset((
    "timeout server", "timeout server-fin", "timeout connect", "timeout queue", "timeout check", "timeout tunnel",
    "option srvtcpka", "srvtcpka-idle", "srvtcpka-intvl", "srvtcpka-cnt", "http-reuse",
    "option http-pretend-keepalive",
))  # fmt: skip
"""Settings that a frontend ignores."""

PROXIES = frozenset(("defaults", "frontend", "backend", "listen"))

SECTIONS = PROXIES | frozenset((
    "global", "userlist", "peers", "mailers", "namespace_list", "resolvers", "cache", "fcgi-app", "http-errors",
    "log-forward", "log-profile", "ring", "program", "crt-store", "acme", "traces",
))  # fmt: skip
"""The words that begin a section wherever they stand at the start of a line."""
