"""Running processes: their command lines, a few variables of their environments, and the files that they see.

A process in a container has files of its own: they are read below /proc/PID/root, links resolved within it.
"""

import os

from .host import Host, Unreadable
from .namespaces import HOST, find, in_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable


class Process:
    """One process, by its number; what is asked of it is read then."""

    def __init__(self, host: Host, pid: int, comm: str) -> None:
        self.host, self.pid, self.comm = host, pid, comm
        self._files: "Host | None" = None

    def _path(self, name: str) -> str:
        return "/proc/{}/{}".format(self.pid, name)

    @property
    def argv(self) -> "list[str]":
        """The command line; a process that renamed itself (`nginx: master process …`) shows that."""
        text = self.host.value(self._path("cmdline")) or ""
        return text.rstrip("\0").split("\0") if text else []

    @property
    def executable(self) -> "str | None":
        """The path of its program as it sees it, also when the file was replaced since."""
        path = self._seen("exe")
        return path[: -len(" (deleted)")] if path and path.endswith(" (deleted)") else path

    @property
    def directory(self) -> str:
        """Its working directory as it sees it."""
        return self._seen("cwd") or "/"

    def _seen(self, name: str) -> "str | None":
        """A link of /proc/PID as the process sees its target: the kernel writes it with the root that it was given."""
        path, root = self.host.link(self._path(name)), self.host.link(self._path("root"))
        inside = path is not None and root not in (None, "/") and (path + "/").startswith(str(root) + "/")
        return path[len(str(root)) :] or "/" if path is not None and inside else path

    @property
    def parent(self) -> int:
        """The number of its parent, 0 where it is unknown."""
        text = self.host.value(self._path("stat")) or ""
        fields = text.rpartition(")")[2].split()
        return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0

    def environment(self, names: "Iterable[str]") -> "dict[str, str]":
        """Those of the variables `names` that it was started with; no others are kept, they may be secrets."""
        wanted = set(names)
        found = {}
        for entry in (self.host.value(self._path("environ")) or "").split("\0"):
            name, equals, value = entry.partition("=")
            if equals and name in wanted:
                found[name] = value
        return found

    @property
    def files(self) -> Host:
        """The file tree that it sees: the host's own, its container's, or the host's with mounts of its own."""
        if self._files is None:
            self._files = self._tree() if self.host.live else self.host
        return self._files

    def _tree(self) -> Host:
        root = self._path("root")
        try:
            same_root = _inode("/") == _inode(root)
            same_mounts = _inode("/proc/self/ns/mnt") == _inode(self._path("ns/mnt"))
        except FileNotFoundError:  # it ended
            return self.host
        except OSError:  # another user's: what its control group says of it is all that is left
            return self.host.below(root) if in_container(self.host, self.pid) else self.host
        # HAProxy enters a directory of its own when it has read its files: its program does not lie below that
        if same_mounts and (same_root or not self._starts_below_root()):
            return self.host
        tree = self.host.below(root)
        if same_root:  # a unit with mounts of its own: its paths are those that an administrator knows
            tree.prefix = ""
        return tree

    def _starts_below_root(self) -> bool:
        program, root = self.host.link(self._path("exe")), self.host.link(self._path("root"))
        return program is None or root is None or (program + "/").startswith(root.rstrip("/") + "/")

    @property
    def namespace(self) -> str:
        """The name of its network namespace, as the `netns` subject has it."""
        if self.host.live:
            try:
                status = os.stat(self._path("ns/net"))
            except OSError:
                return HOST
            inode = (status.st_dev, status.st_ino)
            return next((space.name for space in find(self.host) if space.inode == inode), HOST)
        return HOST


def _inode(path: str) -> "tuple[int, int]":
    status = os.stat(path)
    return status.st_dev, status.st_ino


def running(host: Host) -> "list[Process]":
    """Every process, in the order of their numbers; looked for once."""
    if host.processes is None:
        numbers = sorted(int(name) for name in host.entries("/proc") if name.isdigit())
        found = ((number, host.value("/proc/{}/comm".format(number))) for number in numbers)
        host.processes = [Process(host, number, comm) for number, comm in found if comm]
    return host.processes


def masters(host: Host, names: "Iterable[str]") -> "list[Process]":
    """The processes whose short name is one of `names` and whose parent's is not: one for each server that runs."""
    wanted = set(names)
    found = {one.pid: one for one in running(host) if one.comm in wanted}
    return [one for one in found.values() if one.parent not in found]


LARGEST_PROGRAM = 64 << 20
"""Bytes of a program that are searched for its version."""


def program(process: Process) -> bytes:
    """The bytes of the program that a process runs, also of one that was replaced; empty where they cannot be read."""
    running = content(process.host, "/proc/{}/exe".format(process.pid))
    return running or content(process.files, process.executable or "/")


def content(files: Host, path: str) -> bytes:
    """The bytes of a program, empty where they cannot be read: its version is unknown then."""
    try:
        return files.read(path, LARGEST_PROGRAM)
    except (OSError, Unreadable):
        return b""
