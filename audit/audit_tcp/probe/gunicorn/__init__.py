"""`config` and `server` subjects of gunicorn, from its configuration file, GUNICORN_CMD_ARGS and command line.

gunicorn/config.py reads it, and is imported only where there is one.
"""

from ..host import Host
from ..python_servers import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects

USUAL = ("/etc/gunicorn.conf.py", "/etc/gunicorn/gunicorn.conf.py", "/app/gunicorn.conf.py", "/gunicorn_conf.py")
"""Where a configuration file may be where no gunicorn runs."""


def collect(host: Host) -> "Subjects":
    """One instance for each gunicorn that runs, else for each configuration file in a usual place."""
    found = commands(host, "gunicorn")
    paths = [] if found else [path for path in USUAL if host.exists(path)]
    if found or paths:
        from . import config

        yield from config.subjects(host, found, paths)
