"""`config`, `server` and `upstream` subjects of HAProxy: its frontends and backends with their timers.

haproxy/instances.py finds what runs or would, haproxy/subjects.py reads it; both are imported only where there is one.
"""

from .. import processes
from ..host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple

    from ..values import Facts

PLACES = (
    "/etc/haproxy/haproxy.cfg",
    "/usr/local/etc/haproxy/haproxy.cfg",
    "/etc/default/haproxy",
    "/etc/sysconfig/haproxy",
)
"""One of these is there where HAProxy is configured: its file, or the one that its unit reads for the command line."""


def collect(host: Host) -> "Iterator[Tuple[str, str, Facts]]":
    """One `config` for each instance, then one `server` for each frontend and one `upstream` for each backend."""
    running = processes.masters(host, ("haproxy",))
    if not running and not any(host.exists(path) for path in PLACES):
        return
    from .. import instances
    from . import instances as haproxy_instances
    from . import subjects as haproxy_subjects

    names = instances.naming()
    for found in haproxy_instances.find(host, running):
        yield from haproxy_subjects.of(found, names)
