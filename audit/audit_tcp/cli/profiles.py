"""List the profiles: what kind of host each describes"""

from __future__ import annotations

import argparse

from audit_tcp import profile

EXAMPLES = """example:
  audit-tcp profiles
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`audit-tcp profiles` has no options."""


def run(arguments: argparse.Namespace) -> int:
    """Prints one line for each profile."""
    for name in profile.builtin_names():
        chosen = profile.load(name)
        print(f"{name:16} {len(chosen.rules):3} rules  {chosen.summary}")
    return 0
