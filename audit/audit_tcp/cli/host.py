"""Audit kernel settings, the files that set them, and listeners, of this machine or of hosts over ssh"""

from __future__ import annotations

import argparse
import glob
import itertools
import os
import re
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

from audit_tcp import defaults, judge, profile, snapshot
from audit_tcp.cli import _options
from audit_tcp.cli._reporting import Tally, accepted_by, failed, internal, waived, write
from audit_tcp.errors import AuditTcpError, SnapshotError, UsageError
from audit_tcp.model import Profile, Report, Snapshot

if TYPE_CHECKING:
    from audit_tcp.waivers import Waiver

EXAMPLES = """examples:
  audit-tcp host                          this machine (root: every namespace)
  audit-tcp host web1 root@db2 --become   over your own ssh, with sudo there
  audit-tcp host --profile aws --format sarif --output audit.sarif
  audit-tcp host --save monday.json       keep the snapshot, to compare later
  audit-tcp host --from 'snapshots/*.json' --fail-on high
  audit-tcp host --root /mnt/image        the files of a mounted tree
"""

TREES = ("etc", "proc/sys", "usr/lib/sysctl.d")
"""A root without any of these is no host: the mount was forgotten, or a folder too many or too few was given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp host`."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="ssh destinations; none: this machine")
    parser.add_argument("--become", action="store_true", help="run the probe there with sudo -n")
    parser.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="for each target (default: 60)"
    )
    _options.add_profile(parser)
    _options.add_format(parser)
    _options.add_fail_on(parser)
    parser.add_argument(
        "--waivers", type=_options.filled, metavar="FILE", help="TOML file of findings that are accepted for a time"
    )
    parser.add_argument(
        "--save", type=_options.filled, metavar="FILE|DIR", help="keep the snapshot; of several targets in a folder"
    )
    parser.add_argument(
        "--from", type=_options.filled, dest="source", metavar="FILE|DIR|GLOB", help="judge saved snapshots instead"
    )
    parser.add_argument(
        "--root", type=_options.filled, metavar="DIR", help="audit a mounted tree instead of the running system"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds between 0 and 86400")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Audits, renders and returns the exit code."""
    _check(arguments)
    chosen = profile.load(arguments.profile)
    accepted = accepted_by(arguments.waivers, chosen)
    tally = Tally()
    return write(_judged(_snapshots(arguments), chosen, accepted, tally), arguments, accepted, tally)


def _check(arguments: argparse.Namespace) -> None:
    """Refuses options that contradict each other."""
    if arguments.root and (arguments.targets or arguments.source):
        raise UsageError("--root is a tree here: it goes with neither targets nor --from")
    if arguments.become and (not arguments.targets or arguments.source):
        raise UsageError("--become is for targets; on this machine run audit-tcp itself as root")
    if arguments.source and arguments.save:
        raise UsageError("--save with --from would copy the snapshots that you have")


Taken = tuple[str, Snapshot | AuditTcpError]


def _snapshots(arguments: argparse.Namespace) -> Iterator[Taken]:
    """(name, snapshot or what went wrong) of everything that was asked for, one at a time."""
    if arguments.source:
        return _loaded([arguments.source, *arguments.targets])
    taken = _remote(arguments) if arguments.targets else iter([_local(arguments.root)])
    return _saved(taken, arguments.save, len(arguments.targets) > 1) if arguments.save else taken


def _local(root: str | None) -> Taken:
    from audit_tcp import probe
    from audit_tcp.probe.host import Host

    if root and not os.path.isdir(root):
        raise UsageError(f"--root {root}: no such folder")
    if root and not any(os.path.lexists(os.path.join(root, tree)) for tree in TREES):
        raise UsageError(f"--root {root}: nothing is there to audit, none of {', '.join(TREES)}: is it mounted?")
    document = probe.take(Host(root or "/"), probe.collectors())
    return document["host"], snapshot.from_document(document, "this machine")


def _remote(arguments: argparse.Namespace) -> Iterator[Taken]:
    from audit_tcp import remote

    with _options.progress(len(arguments.targets)) as done:
        yield from remote.each(arguments.targets, arguments.become, arguments.timeout, done)


def _loaded(sources: list[str]) -> Iterator[Taken]:
    for source in sources:
        for path in _paths(source):
            try:
                yield path, snapshot.load(path)
            except SnapshotError as error:
                yield path, error
            except Exception as error:
                yield path, internal(path, error)


def _paths(source: str) -> Iterator[str]:
    """The files that --from means: a file, the *.json of a folder, or a pattern. Raises UsageError for none."""
    if os.path.isdir(source):
        found = sorted(entry.path for entry in os.scandir(source) if entry.name.endswith(".json"))
    elif glob.has_magic(source) and not os.path.exists(source):
        found = sorted(glob.glob(source))
    else:
        found = [source]
    if not found:
        raise UsageError(
            f"--from {source}: no *.json there" if os.path.isdir(source) else f"--from {source}: no such file"
        )
    yield from found


def _saved(taken: Iterator[Taken], path: str, several: bool) -> Iterator[Taken]:
    """Saves each snapshot on its way, each in a file of its own."""
    if several:
        _make_folder(path)
    written: set[str] = set()
    for name, found in taken:
        if isinstance(found, Snapshot):
            place = _place(path, name, written)
            written.add(place)
            snapshot.save(found, place)
        yield name, found


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise SnapshotError(f"--save {path}: {error.strerror}; with several targets a folder is needed") from None


def _place(path: str, name: str, written: Container[str]) -> str:
    """The file for a host; the names of two targets may differ only in what no file name should have."""
    if not os.path.isdir(path):
        return path
    safe = re.sub(r"[^A-Za-z0-9_.@-]", "_", name).lstrip(".")[:200] or "_"
    names = (safe if number == 1 else f"{safe}-{number}" for number in itertools.count(1))
    places = (os.path.join(path, f"{one}.json") for one in names)
    return next(place for place in places if place not in written)


def _judged(taken: Iterator[Taken], chosen: Profile, accepted: tuple[Waiver, ...], tally: Tally) -> Iterator[Report]:
    for name, found in taken:
        if isinstance(found, Snapshot):
            try:
                one = judge.judge(defaults.fill(found), chosen)
                one = waived(one, accepted, tally)
            except Exception as error:
                one = failed(name, chosen, internal(name, error))
        else:
            one = failed(name, chosen, found)
        tally.seen(one)
        yield one
