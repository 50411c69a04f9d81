"""The probe on other hosts: piped over the user's own ssh into a bare python3, where it writes nothing.

ssh reads the user's configuration, so aliases, ProxyJump and agents work as at the prompt. BatchMode is on: many
hosts at once cannot ask for passwords.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import re
import secrets
import selectors
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources.abc import Traversable
from typing import IO, cast

from audit_tcp import probe, snapshot
from audit_tcp.errors import SnapshotError, TargetError, UsageError
from audit_tcp.model import Snapshot
from audit_tcp.wording import printable

LARGEST = 64 << 20
"""Bytes that a host may send; a snapshot of 1,000 namespaces has about 30 MB."""

PYTHON = ("python3", "-BIS", "-")
"""No bytecode is written, neither the user's site-packages nor the working folder is imported from."""

PARALLEL = 16
"""Hosts that are audited at once: each is one ssh, which is nearly all of the work on this side."""

POLL_S = 0.1
"""How often a conversation looks whether ssh has ended or nobody waits for the answer any more."""

GRACE_S = 0.5
"""What ssh gets to end by itself, after the answer is complete, and again after it was asked to."""

LENGTH = re.compile(rb"[0-9]{1,10}")
"""Bytes that a host announces: a number of thousands of digits is an attack."""

BOOT = """
import sys
if sys.version_info < (3, 6):
    sys.stdout.write("\\n%(mark)s 0 python3 there is " + sys.version.split()[0] + ", 3.6 is needed\\n")
    sys.exit(0)
import importlib
import importlib.machinery
SOURCES = %(sources)r
class Sources:
    def find_spec(self, name, path=None, target=None):
        if name in SOURCES:
            return importlib.machinery.ModuleSpec(name, self, is_package=name in %(packages)r)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(SOURCES[module.__name__], "<" + module.__name__ + ">", "exec"), module.__dict__)
sys.meta_path.insert(0, Sources())
from audit_tcp import probe
from audit_tcp.probe import host, wire
document = wire.dumps(probe.take(host.Host(), %(names)r))
sys.stdout.write("\\n%(mark)s " + str(len(document)) + "\\n" + document)
sys.stdout.flush()
"""


def program(mark: str) -> str:
    """The source text that a remote python3 reads from its standard input; its answer begins with `mark`."""
    sources = {"audit_tcp": "", **dict(_sources(importlib.resources.files(probe), "audit_tcp.probe"))}
    packages = {name.rpartition(".")[0] for name in sources} - {""}
    return BOOT % {"mark": mark, "sources": sources, "packages": packages, "names": probe.collectors()}


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, str]]:
    """Each module of a package by its full name, with its source text."""
    yield name, (folder / "__init__.py").read_text()
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if (entry / "__init__.py").is_file():
            yield from _sources(entry, f"{name}.{entry.name}")
        elif entry.name.endswith(".py") and entry.name != "__init__.py":
            yield f"{name}.{entry.name.removesuffix('.py')}", entry.read_text()


@dataclass(frozen=True)
class _Call:
    """One conversation with a host: with whom, until when, and whether somebody still wants to know."""

    target: str
    timeout_s: float
    deadline: float
    stop: threading.Event

    def patience_s(self) -> float:
        """How long to wait before asking again. Raises TargetError where time is up or the run is over."""
        if self.stop.is_set():
            raise TargetError(f"{self.target}: interrupted")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TargetError(f"{self.target}: no answer within {self.timeout_s:g} s (--timeout)")
        return min(left, POLL_S)


class _Answer:
    """What a host sends, as far as it has come: whatever its shell says, a line `MARK LENGTH`, the document."""

    def __init__(self, mark: str) -> None:
        self._mark = f"\n{mark} ".encode()
        self._data = bytearray()
        self._sought = 0
        self._said: int | None = None
        self._begun: int | None = None
        self.length: int | None = None

    def add(self, part: bytes) -> None:
        """Takes what came next; what was searched already is not searched again."""
        self._data += part
        if self._said is None:
            place = self._data.find(self._mark, self._sought)
            self._sought = max(0, len(self._data) - len(self._mark))
            if place < 0:
                return
            self._said = self._sought = place + len(self._mark)
        if self._begun is None:
            end = self._data.find(b"\n", self._sought)
            self._sought = len(self._data)
            if end >= 0:
                self._begun = end + 1
                self.length = int(self.said()) if LENGTH.fullmatch(self.said()) else None

    def __len__(self) -> int:
        return len(self._data)

    def marked(self) -> bool:
        """Whether the mark has come: the probe runs there."""
        return self._said is not None

    def before(self) -> bytes:
        """The first of what came where no mark did."""
        return bytes(self._data[:60])

    def said(self) -> bytes:
        """The rest of the line of the mark: the length of the document, or what is wrong there."""
        return bytes(self._data[self._said : self._begun]).rstrip(b"\n")

    def complete(self) -> bool:
        """Whether all that was announced is here."""
        return self._begun is not None and len(self._data) >= self._begun + (self.length or 0)

    def document(self) -> bytes:
        """As much of the document as was announced and has come."""
        begun = len(self._data) if self._begun is None else self._begun
        return bytes(self._data[begun : begun + (self.length or 0)])


def take(
    target: str,
    become: bool = False,
    timeout_s: float = 60,
    ssh: Sequence[str] = ("ssh",),
    stop: threading.Event | None = None,
) -> Snapshot:
    """The snapshot of an ssh destination, named as the destination is. Raises TargetError in one line.

    Where `stop` is set meanwhile, ssh is ended and TargetError raised at once.
    """
    mark = secrets.token_hex(16)
    sudo = ("sudo", "-n", "--") if become else ()
    command = [*ssh, "-T", "-o", "BatchMode=yes", "--", target, *sudo, *PYTHON]
    answer = _Answer(mark)
    call = _Call(target, timeout_s, time.monotonic() + timeout_s, stop or threading.Event())
    complaint, code = _converse(command, program(mark).encode(), answer, call)
    if not answer.marked():
        raise TargetError(f"{target}: {_reason(complaint, code, answer.before())}")
    if answer.length is None:
        raise TargetError(f"{target}: {_objection(answer.said())}")
    try:
        return replace(snapshot.parse(answer.document(), target), host=target)
    except SnapshotError as error:
        raise TargetError(f"{printable(str(error))}: the host's answer is damaged") from None


def _objection(said: bytes) -> str:
    """What the probe's first lines say against this host; they announce no bytes."""
    text = printable(said.decode("ascii", "replace"), 200)
    return text[2:] if text.startswith("0 ") else f"it announces {text or 'nothing'!r} instead of a length"


def _reason(complaint: bytes, code: int, head: bytes) -> str:
    lines = [line.strip() for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    last = printable(lines[-1]) if lines else ""
    if code == 127:
        return f"no python3 there ({last})" if last else "no python3 there"
    if code == 255:
        return last or "ssh failed and gave no reason"
    said = last or (f"it answered {head!r} instead of a snapshot" if head.strip() else "it answered nothing")
    return f"the probe ended with exit code {code}: {said}"


def _converse(command: list[str], given: bytes, answer: _Answer, call: _Call) -> tuple[bytes, int]:
    """Fills `answer`; what the command complains of, and its exit code, which is 0 where the answer is complete."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise TargetError(f"{call.target}: {command[0]}: {error.strerror}") from None
    try:
        complaint = _exchange(process, given, answer, call)
        return complaint, 0 if answer.complete() else _exit_code(process, call)
    finally:
        _end(process, answer.complete())


def _exit_code(process: subprocess.Popen[bytes], call: _Call) -> int:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(call.patience_s())


def _end(process: subprocess.Popen[bytes], complete: bool) -> None:
    """Leaves no process and no pipe: after a complete answer ssh may end by itself, else it is asked, then killed."""
    if not (complete and _ended(process)):
        process.terminate()
        if not _ended(process):
            process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _exchange(process: subprocess.Popen[bytes], given: bytes, answer: _Answer, call: _Call) -> bytes:
    """Talks until the answer is complete, both pipes are closed, or ssh has ended and nothing more comes.

    The end of the pipes is not waited for: a ControlPersist master of ssh keeps standard error open.
    """
    complaint = bytearray()
    stdin, stdout, stderr = (cast(IO[bytes], one) for one in (process.stdin, process.stdout, process.stderr))
    rest = memoryview(given)
    with selectors.DefaultSelector() as selector:
        os.set_blocking(stdin.fileno(), False)
        selector.register(stdin, selectors.EVENT_WRITE)
        selector.register(stdout, selectors.EVENT_READ, answer.add)
        selector.register(stderr, selectors.EVENT_READ, complaint.extend)
        while selector.get_map() and not answer.complete():
            ready = selector.select(call.patience_s())
            if not ready and process.poll() is not None:
                break
            for key, _ in ready:
                if key.fileobj is stdin:
                    rest = _written(key.fd, rest)
                    more = bool(rest)
                else:
                    part = os.read(key.fd, 1 << 16)
                    more = bool(part)
                    key.data(part)
                if not more:
                    selector.unregister(key.fileobj)
                    cast(IO[bytes], key.fileobj).close()
            if max(len(answer), len(complaint), answer.length or 0) > LARGEST:
                raise TargetError(f"{call.target}: it sent more than {LARGEST >> 20} MiB")
    return bytes(complaint)


def _written(handle: int, rest: memoryview) -> memoryview:
    """What is left to write; nothing where the other side has gone."""
    try:
        return rest[os.write(handle, rest[: 1 << 16]) :]
    except BrokenPipeError:
        return rest[:0]


def each(
    targets: Sequence[str], become: bool, timeout_s: float, done: Callable[[], None]
) -> Iterator[tuple[str, Snapshot | TargetError]]:
    """Each target's snapshot or what went wrong, in the order given; all side by side, `done` is called after each.

    Where the reader gives up, hosts that wait are not begun and those under way are ended.
    """
    from concurrent.futures import ThreadPoolExecutor

    for target in targets:
        if not target or target.startswith("-") or not target.isprintable():
            raise UsageError(f"{target!r} is no ssh destination")
    stop = threading.Event()
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        futures = deque(pool.submit(partial(_attempt, target, become, timeout_s, stop, done)) for target in targets)
        for target in targets:
            yield target, futures.popleft().result()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _attempt(
    target: str, become: bool, timeout_s: float, stop: threading.Event, done: Callable[[], None]
) -> Snapshot | TargetError:
    """The snapshot or what went wrong, whatever it is: one host never ends the audit of the others."""
    try:
        return take(target, become, timeout_s, stop=stop)
    except TargetError as error:
        return error
    except Exception as error:
        said = printable(f"{type(error).__name__}: {error}")
        return TargetError(f"{target}: internal error, please report it: {said}")
    finally:
        done()
