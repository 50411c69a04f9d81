"""The command line: one file a command here, imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from types import ModuleType

from audit_tcp import __version__
from audit_tcp.errors import AuditTcpError, UsageError

DESCRIPTION = "The doctor for the life of TCP connections: audits what a host's kernel and files really do."

WIDTH = 80

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

EPILOG = """exit codes: 0 nothing at or above --fail-on, 1 the audit itself failed, 2 usage, 3 findings

examples:
  audit-tcp host                            this machine, every network namespace
  audit-tcp host --profile web web1 web2    two hosts over ssh, judged as web servers
  audit-tcp explain tw-buckets-lowered      why, with source and proof
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code. No traceback reaches the user unless AUDIT_TCP_DEBUG is set."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
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
    except BrokenPipeError:
        return _without_output(EXIT_FAILED)
    except OSError as error:
        return _without_output(_told(f"{error.filename or 'standard output'}: {error.strerror}", EXIT_FAILED))
    except Exception as error:
        if os.environ.get("AUDIT_TCP_DEBUG"):
            raise
        return _told(f"internal error, please report it: {type(error).__name__}: {error}", EXIT_FAILED)


def _without_output(code: int) -> int:
    """Gives up standard output, or the interpreter would complain of it once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _told(message: str, code: int) -> int:
    from audit_tcp.wording import printable

    print(f"audit-tcp: {printable(message, 2000)}", file=sys.stderr)
    return code


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of a fixed width: asking the terminal imports shutil, at every option that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH)


def commands() -> list[str]:
    """The names of the commands, found by walking this folder."""
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_"))


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="audit-tcp", description=DESCRIPTION, epilog=EPILOG, formatter_class=_Formatter
    )
    parser.add_argument("--version", action="version", version=f"audit-tcp {__version__}")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = [argument for argument in arguments[:1] if argument in commands()]
    for name in named or commands():
        module = importlib.import_module(f"{__name__}.{name}")
        _add(parsers, name, module)
    parsed = parser.parse_args(arguments)
    return int(parsed.run(parsed))


def _add(parsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, module: ModuleType) -> None:
    summary = (module.__doc__ or "").splitlines()[0]
    command = parsers.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=module.EXAMPLES,
        formatter_class=_Formatter,
    )
    module.add_arguments(command)
    command.set_defaults(run=module.run)
