"""`config`, `server` and `upstream` subjects of Traefik, from its static configuration.

traefik/static.py reads it, and is imported only where there is one.
"""

from ..host import Host
from ..processes import masters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects

USUAL = tuple("/etc/traefik/traefik." + end for end in ("toml", "yaml", "yml"))


def collect(host: Host) -> "Subjects":
    """One instance for each Traefik that runs, else for the file in a usual place."""
    found = masters(host, ("traefik",))
    paths = [] if found else [path for path in USUAL if host.exists(path)][:1]
    if found or paths:
        from . import static

        yield from static.subjects(host, found, paths)
