"""`config` and `server` subjects of Hypercorn, from a file of TOML or Python, and its command line.

hypercorn/config.py reads it, and is imported only where there is one.
"""

from ..host import Host
from ..python_servers import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects


def collect(host: Host) -> "Subjects":
    """One instance for each Hypercorn that was started by its own command."""
    found = commands(host, "hypercorn")
    if found:
        from . import config

        yield from config.subjects(found)
