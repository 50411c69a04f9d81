"""Apache Tomcat: a `server` subject for each Connector of each server.xml, and a `config` subject for the whole.

Connectors share nothing: each has its own timeouts. What the attributes mean stands in connector.py.
"""

from .. import servers
from ..host import Host
from .find import instances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects


def collect(host: Host) -> "Subjects":
    """The Tomcats that run, else those that stand in the usual places."""
    names = servers.Names()
    for one in instances(host):
        from .instance import subjects  # a host without Tomcat does not pay for reading XML

        yield from subjects(one, names)
