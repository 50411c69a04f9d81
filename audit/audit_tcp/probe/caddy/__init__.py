"""`config`, `server` and `upstream` subjects of Caddy, from its Caddyfile or its JSON.

caddy/config.py reads it, and is imported only where there is one.
"""

from ..host import Host
from ..processes import masters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects

USUAL = ("/etc/caddy/Caddyfile", "/etc/caddy/caddy.json", "/etc/caddy/config.json")


def collect(host: Host) -> "Subjects":
    """One instance for each Caddy that runs, else for the configuration in a usual place."""
    found = [one for one in masters(host, ("caddy",)) if one.argv[1:2] in (["run"], ["start"])]
    paths = [] if found else [path for path in USUAL if host.exists(path)]
    if found or paths:
        from . import config

        yield from config.subjects(host, found, paths)
