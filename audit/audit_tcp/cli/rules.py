"""List every rule: severity, id, and what it is about"""

from __future__ import annotations

import argparse

from audit_tcp import profile
from audit_tcp.cli import _options

EXAMPLES = """examples:
  audit-tcp rules
  audit-tcp rules --profile aws
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp rules`."""
    _options.add_profile(parser, default=None)


def run(arguments: argparse.Namespace) -> int:
    """Prints one line for each rule, of a profile or of all."""
    taken = profile.load(arguments.profile).rules if arguments.profile else profile.builtin_rules().values()
    for rule in taken:
        print(f"{rule.severity:7} {rule.id:40} {rule.of:9} {rule.title}")
    return 0
