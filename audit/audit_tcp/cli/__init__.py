"""The command line: one file a command here, imported only when it is called."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType

from audit_tcp import __version__
from audit_tcp.errors import AuditTcpError, UsageError
from audit_tcp.wording import WIDTH, fold, printable

DESCRIPTION = "The doctor for the life of TCP connections: audits what a host's kernel and files really do."

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What a service manager and a terminal that closes send; the exit code is 128 and the number."""

EPILOG = """exit codes: 0 nothing at or above --fail-on, 1 the audit itself failed, 2 usage,
            3 findings

examples:
  audit-tcp host                           this machine, every network namespace
  audit-tcp host --profile web web1 web2   two hosts over ssh, as web servers
  audit-tcp explain tw-buckets-lowered     why, with source and proof
"""


class _EndedError(BaseException):
    """One of ENDING came: the blocks that clean up run, and nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code. No traceback reaches the user unless AUDIT_TCP_DEBUG is set."""
    given = sys.argv[1:] if arguments is None else arguments
    _open_closed_streams()
    try:
        with _ended_by_signals():
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
            code = _run(given)
            sys.stdout.flush()
            return code
    except UsageError as error:
        return _told(str(error), EXIT_USAGE)
    except AuditTcpError as error:
        return _told(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        return _told("interrupted", EXIT_INTERRUPTED)
    except _EndedError as ended:
        return _without_output(ended.code)
    except BrokenPipeError:
        return _without_output(EXIT_FAILED)
    except OSError as error:
        return _without_output(_told(_failure(error), EXIT_FAILED))
    except Exception as error:
        if os.environ.get("AUDIT_TCP_DEBUG"):
            raise
        return _told(f"internal error, please report it: {type(error).__name__}: {error}", EXIT_FAILED)


def _open_closed_streams() -> None:
    """Puts something in the place of streams that the caller closed.

    Otherwise the next file to be opened takes their number, and what is meant for standard error comes out of standard
    output. Standard output cannot be written to then, which is told only where something is written.
    """
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if handle == 2 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turns the signals of ENDING into an exception, except those that the caller has ignored, as nohup does."""

    def end(number: int, _frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        raise _EndedError(number)

    before = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in before:
            signal.signal(number, end)
    except ValueError:
        before = []  # only the main thread may, and only there do signals arrive
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_DFL)


def _failure(error: OSError) -> str:
    if error.filename is None and error.errno == errno.EBADF:
        return "standard output is closed: nothing can be reported"
    return f"{error.filename or 'standard output'}: {error.strerror}"


def _without_output(code: int) -> int:
    _give_up(1)
    return code


def _give_up(stream: int) -> None:
    """Leads a stream nowhere, or the interpreter would complain of it once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _told(message: str, code: int) -> int:
    tell(message)
    return code


def tell(message: str) -> None:
    """One line on standard error; where that takes none, the exit code has to do."""
    try:
        print(f"audit-tcp: {printable(message, 2000)}", file=sys.stderr)
    except OSError:
        _give_up(2)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of a fixed width: asking the terminal imports shutil, at every option that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH)


def commands() -> list[str]:
    """The names of the commands, found by walking this folder."""
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_"))


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="audit-tcp", description=_folded(DESCRIPTION), epilog=EPILOG, formatter_class=_Formatter
    )
    parser.add_argument("--version", action="version", version=f"audit-tcp {__version__}")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = [argument for argument in arguments[:1] if argument in commands()]
    for name in named or commands():
        module = importlib.import_module(f"{__name__}.{name}")
        _add(parsers, name, module)
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit as stop:  # --help and --version too end so, and their text may not have found its way out yet
        return int(stop.code or 0)
    return int(parsed.run(parsed))


def _folded(text: str) -> str:
    return "\n".join(fold(text, rest=""))


def _add(parsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, module: ModuleType) -> None:
    summary = (module.__doc__ or name).splitlines()[0]  # python -OO has no docstrings
    command = parsers.add_parser(
        name,
        help=summary,
        description=_folded(summary),
        epilog=module.EXAMPLES,
        formatter_class=_Formatter,
    )
    module.add_arguments(command)
    command.set_defaults(run=module.run)
