"""The probe on other hosts: piped over the user's own ssh into a bare python3, where it writes nothing.

ssh reads the user's configuration, so aliases, ProxyJump and agents work as at the prompt. BatchMode is on: many
hosts at once cannot ask for passwords.
"""

from __future__ import annotations

import importlib.resources
import os
import secrets
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

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
            package = name in ("audit_tcp", "audit_tcp.probe")
            return importlib.machinery.ModuleSpec(name, self, is_package=package)
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
    names = probe.collectors()
    package = importlib.resources.files(probe)
    sources = {"audit_tcp": "", "audit_tcp.probe": (package / "__init__.py").read_text()}
    sources |= {f"audit_tcp.probe.{name}": (package / f"{name}.py").read_text() for name in names}
    return BOOT % {"mark": mark, "sources": sources, "names": names}


def take(target: str, become: bool = False, timeout_s: float = 60, ssh: Sequence[str] = ("ssh",)) -> Snapshot:
    """The snapshot of an ssh destination, named as the destination is. Raises TargetError in one line."""
    mark = secrets.token_hex(16)
    sudo = ("sudo", "-n", "--") if become else ()
    command = [*ssh, "-T", "-o", "BatchMode=yes", "--", target, *sudo, *PYTHON]
    out, complaint, code = _converse(command, program(mark).encode(), timeout_s, target)
    head, found, body = out.partition(f"\n{mark} ".encode())
    if not found:
        raise TargetError(f"{target}: {_reason(complaint, code, head)}")
    length, _, document = body.partition(b"\n")
    if not length.isdigit():
        raise TargetError(f"{target}: {printable(length[2:].decode('ascii', 'replace'))}")
    try:
        return replace(snapshot.parse(document[: int(length)], target), host=target)
    except SnapshotError as error:
        raise TargetError(f"{printable(str(error))}: the host's answer is damaged") from None


def _reason(complaint: bytes, code: int, head: bytes) -> str:
    lines = [line.strip() for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    last = printable(lines[-1]) if lines else ""
    if code == 127:
        return f"no python3 there ({last})" if last else "no python3 there"
    if code == 255:
        return last or "ssh failed and gave no reason"
    said = last or (f"it answered {head[:60]!r} instead of a snapshot" if head.strip() else "it answered nothing")
    return f"the probe ended with exit code {code}: {said}"


def _converse(command: list[str], given: bytes, timeout_s: float, target: str) -> tuple[bytes, bytes, int]:
    """What a command answers and complains about when it is given some input, all of it bounded in size and time."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise TargetError(f"{target}: {command[0]}: {error.strerror}") from None
    try:
        out, complaint = _exchange(process, given, time.monotonic() + timeout_s, target)
        return out, complaint, process.wait(timeout_s)
    except (TimeoutError, subprocess.TimeoutExpired):
        raise TargetError(f"{target}: no answer within {timeout_s:g} s (--timeout)") from None
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def _exchange(process: subprocess.Popen[bytes], given: bytes, deadline: float, target: str) -> tuple[bytes, bytes]:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    answers = {process.stdout: bytearray(), process.stderr: bytearray()}
    rest = memoryview(given)
    with selectors.DefaultSelector() as selector:
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        for stream in answers:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    rest = _written(process.stdin.fileno(), rest)
                    ended = not rest
                else:
                    ended = not _received(key.fd, answers[key.fileobj], target)  # type: ignore[index]
                if ended:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
    return bytes(answers[process.stdout]), bytes(answers[process.stderr])


def _written(handle: int, rest: memoryview) -> memoryview:
    """What is left to write; nothing where the other side has gone."""
    try:
        return rest[os.write(handle, rest[: 1 << 16]) :]
    except BrokenPipeError:
        return rest[:0]


def _received(handle: int, answer: bytearray, target: str) -> bool:
    part = os.read(handle, 1 << 16)
    answer += part
    if len(answer) > LARGEST:
        raise TargetError(f"{target}: it sent more than {LARGEST >> 20} MiB")
    return bool(part)


def each(
    targets: Sequence[str], become: bool, timeout_s: float, done: Callable[[], None]
) -> Iterator[tuple[str, Snapshot | TargetError]]:
    """Each target's snapshot or what went wrong, in the order given; all side by side, `done` is called after each."""
    from concurrent.futures import ThreadPoolExecutor

    for target in targets:
        if not target or target.startswith("-") or not target.isprintable():
            raise UsageError(f"{target!r} is no ssh destination")
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(partial(_attempt, target, become, timeout_s, done)) for target in targets]
        for target, future in zip(targets, futures, strict=True):
            yield target, future.result()


def _attempt(target: str, become: bool, timeout_s: float, done: Callable[[], None]) -> Snapshot | TargetError:
    try:
        return take(target, become, timeout_s)
    except TargetError as error:
        return error
    finally:
        done()
