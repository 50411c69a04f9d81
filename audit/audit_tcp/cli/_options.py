"""What several commands share: options, and how a report reaches its reader."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from audit_tcp import profile, report
from audit_tcp.errors import AuditTcpError
from audit_tcp.model import SEVERITIES

NEVER = "never"

EXIT_FINDINGS = 3


def filled(text: str) -> str:
    """The type of an option that needs a value: a variable that is empty in a script is not the option left out."""
    if not text:
        raise argparse.ArgumentTypeError("a value is needed, not an empty text")
    return text


def add_profile(parser: argparse.ArgumentParser, default: str | None = profile.DEFAULT) -> None:
    """--profile."""
    parser.add_argument(
        "--profile",
        type=filled,
        default=default,
        metavar="NAME|FILE",
        help=f"what the host should look like (default: {default or 'all rules'})",
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """--format and --output."""
    parser.add_argument("--format", default="text", choices=report.formats(), help="how to report (default: text)")
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """--output."""
    parser.add_argument(
        "--output", type=filled, metavar="FILE", help="write the report there instead of to standard output"
    )


def add_fail_on(parser: argparse.ArgumentParser) -> None:
    """--fail-on, the least severity that makes the exit code 3."""
    parser.add_argument(
        "--fail-on",
        default="medium",
        choices=(*SEVERITIES, NEVER),
        help="least severity of a finding that makes the exit code 3 (default: medium)",
    )


@contextlib.contextmanager
def destination(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole at the end or not at all. Raises AuditTcpError naming it."""
    if path is None or path == "-":
        yield sys.stdout
        return
    from audit_tcp import writing  # tempfile costs a start 3 ms

    try:
        with writing.whole(path, 0o666) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AuditTcpError(f"{path}: {error.strerror}") from None


def wants_colour(file: TextIO) -> bool:
    """Whether colour is welcome: a terminal, and NO_COLOR (https://no-color.org) unset or empty."""
    return file.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width(file: TextIO) -> int:
    """Columns of the text report: the terminal's, at most 80; 80 where it goes elsewhere."""
    if not file.isatty():
        return 80
    return max(40, min(80, os.get_terminal_size(file.fileno()).columns or 80))


def severity_rank(fail_on: str) -> int:
    """The rank from which on findings count; above all of them for `never`."""
    return len(SEVERITIES) if fail_on == NEVER else SEVERITIES.index(fail_on)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Something to call after each of `total` hosts; drawn on standard error where that is a terminal."""
    if total < 2 or not wants_colour(sys.stderr):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("auditing", total=total)
        yield lambda: bar.advance(task)
