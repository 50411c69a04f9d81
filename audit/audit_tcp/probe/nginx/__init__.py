"""nginx: one `config` subject for each that runs or is installed, its `server` and its `upstream` subjects.

Where one is stands in nginx_found, syntax in nginx_syntax, includes in nginx_files, values and inheritance in
nginx_values, and nginx_instance puts them together; docs/servers.md says what is read and what is not.
"""

from ..servers import Names
from .found import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host import Host
    from ..values import Subjects


def collect(host: "Host") -> "Subjects":
    """The subjects of every nginx of a host."""
    names = Names()
    for one in find(host):
        from .instance import subjects  # a host without nginx does not pay for its grammar

        try:
            yield from subjects(one, names)
        except RecursionError:
            one.files.unread(one.main, "blocks too deep within one another")
