"""Apache httpd: its configuration, its servers and their keep-alive, and the pools of mod_proxy.

docs/servers.md says what is read and how it is inherited. What reads it is imported where there is one to read.
"""

from .. import processes, servers
from ..host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..values import Subjects

NAMES = ("apache2", "httpd")

USUAL = (
    # configuration, ServerRoot that the program was built with, program
    ("/etc/apache2/apache2.conf", "/etc/apache2", "/usr/sbin/apache2"),
    ("/etc/httpd/conf/httpd.conf", "/etc/httpd", "/usr/sbin/httpd"),
    ("/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2", "/usr/local/apache2/bin/httpd"),
)
"""Where packages put it."""


def collect(host: Host) -> "Subjects":
    """A `config` subject for each httpd, and its `server` and `upstream` subjects."""
    running = processes.masters(host, NAMES)
    if not running and not any(host.exists(path) for path, _, _ in USUAL):
        return
    from . import config as apache_config
    from . import instances as apache_instances

    names = servers.Names()
    for instance in apache_instances.find(host, running, USUAL):
        for one in apache_config.subjects(instance, names):
            yield one
