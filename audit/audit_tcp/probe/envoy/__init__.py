"""`config`, `server` and `upstream` subjects of Envoy, from the static part of its bootstrap configuration.

envoy/bootstrap.py reads it, and is imported only where there is one.
"""

from ..host import Host
from ..processes import masters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects

USUAL = ("/etc/envoy/envoy.yaml", "/etc/envoy/envoy.yml", "/etc/envoy/envoy.json")


def collect(host: Host) -> "Subjects":
    """One instance for each Envoy that runs, else for the bootstrap in the usual place."""
    found = masters(host, ("envoy",))
    paths = [] if found else [path for path in USUAL if host.exists(path)]
    if found or paths:
        from . import bootstrap

        yield from bootstrap.subjects(host, found, paths)
