"""Explain a rule: what it compares, why it matters, its source and proof, and the fix"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from audit_tcp import profile
from audit_tcp.cli import _options
from audit_tcp.errors import UsageError
from audit_tcp.judge import condition_text, wanted_of
from audit_tcp.model import Rule
from audit_tcp.wording import care, fold, printable, prose

EXAMPLES = """examples:
  audit-tcp explain keepalive-probes-zero
  audit-tcp explain our-retries --profile ./mine.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `audit-tcp explain`."""
    parser.add_argument("rule", metavar="RULE", help="the id of a rule, as a report names it")
    _options.add_profile(parser, default=None)


def run(arguments: argparse.Namespace) -> int:
    """Prints the explanation, of a rule as it is shipped or as a profile has it."""
    rules = dict(profile.builtin_rules())
    if arguments.profile:
        rules |= {rule.id: rule for rule in profile.load(arguments.profile).rules}
    if arguments.rule not in rules:
        raise UsageError(profile.unknown_rule(arguments.rule, rules))
    print("\n".join(lines(rules[arguments.rule])))
    return 0


def lines(rule: Rule) -> Iterator[str]:
    """The explanation, 80 columns wide."""
    yield from fold(f"{printable(rule.id)} ({rule.severity})")
    yield from fold(prose(rule.title))
    yield ""
    yield from _paragraph("Wanted", f"{rule.fact} {wanted_of(rule)}, of each {rule.of}")
    for condition in rule.when:
        yield from _paragraph("Only if", condition_text(condition))
    yield from _paragraph("Why", rule.why)
    yield from _paragraph("Fix", f"{rule.fix.text} ({care(rule.fix)})")
    for cite in rule.cite:
        yield from _paragraph("Source", cite)
    for proof in rule.proof:
        yield from _paragraph("Proof", f"{proof}, docs/experiments.md" if proof[1:].isdigit() else f"Linux {proof}")
    for name in profile.builtin_names():
        taken = next((one for one in profile.load(name).rules if one.id == rule.id), None)
        if taken:
            changed = "" if taken == rule else f": {taken.severity}, {wanted_of(taken)}"
            yield from _paragraph("Profile", f"{name}{changed}")


def _paragraph(title: str, text: str) -> list[str]:
    return fold(prose(text), first=f"{title + ':':9}", rest=" " * 9)
