"""The version of an installed package, from the lists of dpkg and apk: cheap, and no program is run."""

from .host import Host, Unreadable
from .servers import version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

LISTS = (
    ("/var/lib/dpkg/status", b"Package: ", b"\nVersion: "),
    ("/lib/apk/db/installed", b"P:", b"\nV:"),
)
"""Where a package manager keeps its list, how an entry begins, and how the line of its version does."""

LARGEST = 32 << 20


def version(files: Host, name: str) -> "Optional[Tuple[List[int], str]]":
    """The version of the package `name` and the list it stands in; None where no list has it."""
    for path, start, field in LISTS:
        if not files.exists(path):
            continue
        try:
            entry = _entry(files.read(path, LARGEST), start + name.encode() + b"\n")
        except (OSError, Unreadable):
            continue
        text = entry.partition(field)[2].partition(b"\n")[0].decode("ascii", "replace")
        found = version_of(text.partition(":")[2] if ":" in text else text)
        if found:
            return found, "{}, package {}".format(path, name)
    return None


def _entry(data: bytes, head: bytes) -> bytes:
    at = 0 if data.startswith(head) else data.find(b"\n" + head)
    if at < 0:
        return b""
    end = data.find(b"\n\n", at + 1)
    return data[at : end if end >= 0 else len(data)]
