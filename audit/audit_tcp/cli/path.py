"""Check that the timeouts along a request path are ordered: client, CDN, balancer, proxy, server, NAT, database"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from audit_tcp import catalog, profile
from audit_tcp.cli import _options
from audit_tcp.cli._reporting import Tally, accepted_by, failed, internal, waived, write
from audit_tcp.errors import AuditTcpError, UsageError
from audit_tcp.model import Profile, Report

if TYPE_CHECKING:
    from audit_tcp.path.file import Path, Planned
    from audit_tcp.waivers import Waiver

    Load = Callable[[], Path]

EXAMPLES = """examples:
  audit-tcp path --init > shop.toml       an example from this host's servers
  audit-tcp path shop.toml                judge it
  audit-tcp path --terraform plan.json --snapshot web1.json
  audit-tcp path shop.toml --format json
  audit-tcp path --kinds                  what a hop can be
"""

DEFAULT = "path"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp path`."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="TOML files, a path each")
    parser.add_argument(
        "--terraform", type=_options.filled, metavar="FILE", help="output of `terraform show -json`: a plan or a state"
    )
    parser.add_argument(
        "--snapshot",
        type=_options.filled,
        action="append",
        default=[],
        metavar="FILE",
        help="a saved snapshot of a host behind the balancers of --terraform; may be repeated",
    )
    parser.add_argument("--init", action="store_true", help="write an example from the servers found on this host")
    parser.add_argument("--kinds", action="store_true", help="list what a hop can be")
    _options.add_profile(parser, default=DEFAULT)
    _options.add_format(parser)
    _options.add_fail_on(parser)
    parser.add_argument(
        "--waivers", type=_options.filled, metavar="FILE", help="TOML file of findings that are accepted for a time"
    )


def run(arguments: argparse.Namespace) -> int:
    """Judges each path, renders, and returns the exit code."""
    _check(arguments)
    if arguments.kinds or arguments.init:
        text = kinds_page() if arguments.kinds else _example()
        with _options.destination(arguments.output) as file:
            file.write(text)
        return 0
    chosen = profile.load(arguments.profile)
    accepted = accepted_by(arguments.waivers, chosen)
    tally = Tally()
    return write(_judged(arguments, chosen, accepted, tally), arguments, accepted, tally)


def _check(arguments: argparse.Namespace) -> None:
    alone = [name for name in ("init", "kinds") if getattr(arguments, name)]
    if len(alone) > 1 or (alone and (arguments.files or arguments.terraform or arguments.snapshot)):
        raise UsageError(f"--{alone[0]} stands alone")
    if not alone and not arguments.files and not arguments.terraform:
        raise UsageError("no path: give a FILE, or --terraform, or write one with --init")
    if arguments.snapshot and not arguments.terraform:
        raise UsageError("--snapshot joins hosts with --terraform; in a FILE a hop says `snapshot = ...` itself")


def _judged(
    arguments: argparse.Namespace,
    chosen: Profile,
    accepted: tuple[Waiver, ...],
    tally: Tally,
) -> Iterator[Report]:
    from audit_tcp.path import judging

    now = datetime.datetime.now(datetime.UTC)
    for name, load in _paths(arguments):
        try:
            one = judging.report(load(), chosen, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
            one = waived(one, accepted, tally)
        except AuditTcpError as error:
            one = failed(name, chosen, error)
        except Exception as error:
            one = failed(name, chosen, internal(name, error))
        tally.seen(one)
        yield one


def _paths(arguments: argparse.Namespace) -> list[tuple[str, Load]]:
    """Each path by the name of its file and how to read it; without files those that the plan itself shows.

    All of a plan's paths are found before the first is judged: a report that has begun can tell of no failure but that
    of a path. So a plan that cannot be read stands in their place.
    """
    from audit_tcp.path import file

    planned: Planned | None = None
    found: list[tuple[str, Load]] = []
    try:
        if arguments.terraform:
            from audit_tcp.path import terraform

            plan = terraform.load(arguments.terraform)
            planned = plan.hop
            if not arguments.files:
                hosts = [terraform.host(one) for one in arguments.snapshot]
                found = [(path.name, partial(_itself, path)) for path in terraform.paths(plan, hosts)]
    except Exception as error:
        planned = partial(_fail, error)
        found = [(arguments.terraform, planned)]
    return [*found, *((one, partial(file.load, one, planned)) for one in arguments.files)]


def _fail(error: Exception, *_: str) -> NoReturn:
    raise error


def _itself(path: Path) -> Path:
    return path


def _example() -> str:
    from audit_tcp import defaults, probe, snapshot
    from audit_tcp.path import example
    from audit_tcp.probe.host import Host

    document = probe.take(Host(), probe.collectors())
    return example.text(defaults.fill(snapshot.from_document(document, "this machine")))


def kinds_page() -> str:
    """Every kind of hop, by role: its name, and what it is."""
    kinds = [kind for kind in map(catalog.kind, catalog.names()) if kind]
    lines = []
    for role in catalog.ROLES:
        lines += [f"{role}:", *(f"  {kind.name:24} {kind.title}" for kind in kinds if kind.role == role), ""]
    return "\n".join(lines)
