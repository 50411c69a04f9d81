"""The one door to a host: its files, /proc and network namespaces. Everything behind it is hostile, so sizes are
bounded, only regular files are read, and links of a mounted tree never lead out of it."""

import contextlib
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from .namespaces import Namespace
    from .processes import Process

LARGEST = 2 << 20
"""Bytes that are read of one configuration file; a larger one is reported instead."""

MOST_ERRORS = 1000
"""Things that could not be read and are told one by one; the rest is counted."""

MOST_LINKS = 40
"""Symbolic links followed in one path, the kernel's own limit (MAXSYMLINKS)."""


SELF = "/proc/thread-self" if os.path.isdir("/proc/thread-self") else "/proc/self"
"""The calling thread, which alone enters a namespace; before Linux 3.17 there is only the process."""


class Unreadable(Exception):
    """A path that exists but cannot be read; the message says why."""


def reason(error: Exception) -> str:
    """Why something failed, in words: the system's for an error of the system, else the message."""
    return getattr(error, "strerror", None) or str(error)


class Host:
    """A machine (`root` is /) or a mounted tree or fixture below `root`."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root).rstrip("/")
        self.live = not self.root
        self._unread: "dict[tuple[str, str], None]" = {}
        self._untold = 0
        self.spaces: "Optional[list[Namespace]]" = None
        self.processes: "Optional[list[Process]]" = None
        self.prefix = ""
        self._above: "Optional[Host]" = None

    def below(self, path: str) -> "Host":
        """The file tree below a path, such as a container's below /proc/PID/root; its errors are told of this host."""
        tree = Host(self.root + path)
        tree._above, tree.prefix = self, path
        return tree

    # what could not be read

    def unread(self, where: str, what: str) -> None:
        """Records something that could not be read; it becomes an error of the snapshot."""
        if self._above is not None:
            self._above.unread(self.prefix + where if where.startswith("/") else where, what)
        elif len(self._unread) < MOST_ERRORS:
            self._unread[(where, what)] = None
        else:
            self._untold += 1

    @property
    def errors(self) -> "list[tuple[str, str]]":
        """What could not be read, each once, as (where, why)."""
        rest = [("further errors", "{} more".format(self._untold))] if self._untold else []
        return list(self._unread) + rest

    # files

    def real(self, path: str) -> str:
        """The path outside the tree for `path` inside it; every link is resolved against the tree's own root."""
        if self.live:
            return path
        done: "list[str]" = []
        rest, links = path.split("/"), 0
        while rest:
            part = rest.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = "/".join([self.root, *done, part])
            if not os.path.islink(here):
                done.append(part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise Unreadable("too many symbolic links")
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            rest = target.split("/") + rest
        return "/".join([self.root, *done])

    def target(self, path: str) -> str:
        """Where a path of the host leads within the host: the file that an administrator would edit."""
        return os.path.realpath(path) if self.live else self.real(path)[len(self.root) :]

    def read(self, path: str, limit: int = LARGEST) -> bytes:
        """The bytes of a regular file. Raises FileNotFoundError, or Unreadable with the reason."""
        try:
            handle = os.open(self.real(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(reason(error)) from None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Unreadable("not a regular file")
            return self._drain(handle, limit)
        except OSError as error:
            raise Unreadable(reason(error)) from None
        finally:
            os.close(handle)

    @staticmethod
    def _drain(handle: int, limit: int) -> bytes:
        # a file of a known size comes in one piece; one of /proc says 0 and is read on
        parts = [os.read(handle, min(max(os.fstat(handle).st_size, 4096), limit) + 1)]
        size = len(parts[0])
        if size == 0:
            return b""
        while size <= limit:
            part = os.read(handle, min(1 << 20, limit + 1 - size))
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        raise Unreadable("larger than {} bytes".format(limit))

    def text(self, path: str, limit: int = LARGEST) -> str:
        r"""The file as text; bytes that are not UTF-8 become \xNN."""
        return self.read(path, limit).decode("utf-8", "backslashreplace")

    def value(self, path: str) -> "str | None":
        """A small file of /proc or /etc without the blanks around it, or None where it is absent or unreadable."""
        try:
            return self.text(path).strip()
        except (OSError, Unreadable):
            return None

    def entries(self, path: str) -> "list[str]":
        """The names in a directory, sorted; none where it does not exist, or cannot be read, which is recorded."""
        try:
            return sorted(os.listdir(self.real(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, Unreadable) as error:
            self.unread(path, reason(error))
            return []

    def exists(self, path: str) -> bool:
        """Whether the path leads to something."""
        try:
            return os.path.exists(self.real(path))
        except Unreadable:
            return False

    def same(self, one: str, other: str) -> bool:
        """Whether two paths lead to one directory, as /lib and /usr/lib do on a merged /usr."""
        try:
            return os.path.samefile(self.real(one), self.real(other))
        except (OSError, Unreadable):
            return False

    def link(self, path: str) -> "str | None":
        """Where a symbolic link points, as it is written; None where there is none or it may not be read."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return None

    def is_masked(self, path: str) -> bool:
        """Whether the path leads to /dev/null, which is how a file of the same name elsewhere is masked."""
        try:
            return self.target(path) == "/dev/null"
        except (OSError, Unreadable):
            return False

    # what the host is

    def name(self) -> str:
        """The host's own name."""
        if self.live:
            return os.uname().nodename
        return self.value("/etc/hostname") or os.path.basename(self.root)

    def kernel(self) -> str:
        """The running kernel's release, such as 6.1.0-44-amd64; empty for a tree without /proc."""
        return self.value("/proc/sys/kernel/osrelease") or ""

    def os_name(self) -> str:
        """PRETTY_NAME of os-release, else empty."""
        for path in ("/etc/os-release", "/usr/lib/os-release"):
            for line in (self.value(path) or "").splitlines():
                if line.startswith("PRETTY_NAME="):
                    return line.split("=", 1)[1].strip().strip("\"'")
        return ""

    @staticmethod
    def now() -> str:
        """The time in UTC, ISO 8601."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    # network namespaces

    @contextlib.contextmanager
    def inside(self, path: "str | None") -> "Iterator[None]":
        """Looks at the host from within the network namespace behind `path` (None: where the probe runs).

        Raises OSError where the kernel refuses, and Unreadable where this Python cannot ask it.
        """
        if path is None:
            yield
            return
        own = os.open(SELF + "/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                _setns(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _setns(own)
        finally:
            os.close(own)


CLONE_NEWNET = 0x40000000


def _setns(handle: int) -> None:
    own = getattr(os, "setns", None)
    if own is not None:
        own(handle, CLONE_NEWNET)
        return
    try:
        import ctypes
    except ImportError:
        raise Unreadable("this python3 has neither os.setns (3.12) nor ctypes") from None
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
