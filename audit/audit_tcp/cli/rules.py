"""List every rule: severity, id, and what it is about"""

from __future__ import annotations

import argparse

from audit_tcp import profile
from audit_tcp.cli import _options
from audit_tcp.wording import fold, printable, prose

EXAMPLES = """examples:
  audit-tcp rules
  audit-tcp rules --profile aws
"""

INDENT = " " * 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp rules`."""
    _options.add_profile(parser, default=None)


def run(arguments: argparse.Namespace) -> int:
    """Prints each rule, of a profile or of all: what it is called, and below it what it is about."""
    taken = profile.load(arguments.profile).rules if arguments.profile else profile.builtin_rules().values()
    for rule in taken:
        print("\n".join(fold(f"{printable(rule.id)} ({rule.of})", first=f"{rule.severity:8}", rest=INDENT)))
        print("\n".join(fold(prose(rule.title), first=INDENT, rest=INDENT)))
    return 0
