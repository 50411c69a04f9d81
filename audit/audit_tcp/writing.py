"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def whole(path: str, mode: int) -> Iterator[TextIO]:
    """A file to write that replaces `path` when the block ends well, with `mode` less the umask; links are followed.

    What is no regular file, such as a device, a pipe or a terminal, is written to as it stands. Raises OSError.
    """
    if _is_special(path):
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    real = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(real), prefix=".audit-tcp-")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
        os.chmod(temporary, mode & ~_umask())
        os.replace(temporary, real)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path)
    except OSError:
        return False


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
