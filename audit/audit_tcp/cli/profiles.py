"""List the profiles: what kind of host each describes"""

from __future__ import annotations

import argparse

from audit_tcp import profile
from audit_tcp.wording import fold

EXAMPLES = """example:
  audit-tcp profiles
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`audit-tcp profiles` has no options."""


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each profile, and goes on below it where the summary is long."""
    for name in profile.builtin_names():
        chosen = profile.load(name)
        first = f"{name:16} {len(chosen.rules):3} rules  "
        print("\n".join(fold(chosen.summary, first=first, rest=" " * len(first))))
    return 0
