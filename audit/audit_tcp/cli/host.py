"""Audit kernel settings, the files that set them, and listeners, of this machine or of hosts over ssh"""

from __future__ import annotations

import argparse
import datetime
import glob
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from audit_tcp import defaults, judge, profile, report, snapshot, waivers
from audit_tcp.cli import _options
from audit_tcp.errors import AuditTcpError, SnapshotError, UsageError
from audit_tcp.model import Profile, Report, Snapshot
from audit_tcp.wording import printable, rank, worst_first

EXAMPLES = """examples:
  audit-tcp host                                     this machine (as root: every namespace)
  audit-tcp host web1 root@db2 --become              hosts of your ssh configuration, with sudo there
  audit-tcp host --profile aws --format sarif --output audit.sarif
  audit-tcp host --save monday.json                  keep the snapshot; `audit-tcp compare` tells what changed
  audit-tcp host --from 'snapshots/*.json' --fail-on high
  audit-tcp host --root /mnt/image                   files of a mounted tree, without running values
"""

EXIT_FINDINGS = 3


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
    parser.add_argument("--waivers", metavar="FILE", help="TOML file of findings that are accepted for a time")
    parser.add_argument("--save", metavar="FILE|DIR", help="save the snapshot; with several targets a folder")
    parser.add_argument("--from", dest="source", metavar="FILE|DIR|GLOB", help="judge saved snapshots instead")
    parser.add_argument("--root", metavar="DIR", help="audit a mounted tree instead of the running system")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 86400 seconds")
    return seconds


@dataclass
class Tally:
    """What the exit code needs to know of the reports that went by."""

    failed: bool = False
    worst: int = -1

    def seen(self, one: Report) -> None:
        """Counts one report."""
        self.failed = self.failed or bool(one.failure)
        self.worst = max([self.worst, *(rank(finding) for finding in worst_first(one.findings)[:1])])


def run(arguments: argparse.Namespace) -> int:
    """Audits, renders and returns the exit code."""
    _check(arguments)
    chosen = profile.load(arguments.profile)
    accepted = _waivers(arguments.waivers, chosen)
    tally = Tally()
    reports = _judged(_snapshots(arguments), chosen, accepted, tally)
    render = report.renderer(arguments.format)
    with _options.destination(arguments.output) as file:
        colour = _options.wants_colour(file)
        for chunk in render(reports, fail_on=arguments.fail_on, colour=colour, width=_options.width(file)):
            file.write(chunk)
    if tally.failed:
        return 1
    least = _options.severity_rank(arguments.fail_on)
    return EXIT_FINDINGS if tally.worst >= least else 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuses options that contradict each other."""
    if arguments.root and (arguments.targets or arguments.source):
        raise UsageError("--root is a tree here: it goes with neither targets nor --from")
    if arguments.become and (not arguments.targets or arguments.source):
        raise UsageError("--become is for targets; on this machine run audit-tcp itself as root")
    if arguments.source and arguments.save:
        raise UsageError("--save with --from would copy the snapshots that you have")


def _waivers(path: str | None, chosen: Profile) -> tuple[waivers.Waiver, ...]:
    return waivers.load(path, (rule.id for rule in chosen.rules)) if path else ()


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
    """Saves each snapshot on its way."""
    if several:
        _make_folder(path)
    for name, found in taken:
        if isinstance(found, Snapshot):
            snapshot.save(found, _place(path, name))
        yield name, found


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise SnapshotError(f"--save {path}: {error.strerror}; with several targets a folder is needed") from None


def _place(path: str, name: str) -> str:
    if not os.path.isdir(path):
        return path
    safe = "".join(letter if letter.isalnum() or letter in "-_.@" else "_" for letter in name).lstrip(".") or "_"
    return os.path.join(path, f"{safe[:200]}.json")


def _judged(
    taken: Iterator[Taken], chosen: Profile, accepted: tuple[waivers.Waiver, ...], tally: Tally
) -> Iterator[Report]:
    today = datetime.datetime.now(datetime.UTC).date()
    for name, found in taken:
        if isinstance(found, Snapshot):
            one = judge.judge(defaults.fill(found), chosen)
            one = waivers.apply(one, accepted, today) if accepted else one
        else:
            print(f"audit-tcp: {printable(str(found))}", file=sys.stderr)
            one = Report(Snapshot(name, "", "", ""), chosen, failure=str(found))
        tally.seen(one)
        yield one
