"""The documents say what the program does: every command, option, exit code and profile; generated pages are current."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from audit_tcp import cli, profile, render, report
from audit_tcp.cli import _options, commands
from audit_tcp.path import file, hops

ROOT = Path(__file__).parent.parent
DOCS = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
ALL = "\n".join(DOCS.values())


def options_of(command):
    parser = argparse.ArgumentParser()
    importlib.import_module(f"audit_tcp.cli.{command}").add_arguments(parser)
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]


@pytest.mark.parametrize("command", commands())
def test_each_command_and_option_is_documented(command):
    assert f"audit-tcp {command}" in ALL
    page = DOCS["path.md" if command == "path" else "host.md"]
    assert [option for option in options_of(command) if option != "--help" and f"`{option}" not in page] == []


@pytest.mark.parametrize("code", [0, cli.EXIT_FAILED, cli.EXIT_USAGE, _options.EXIT_FINDINGS])
def test_each_exit_code_is_documented(code):
    assert f"| {code} | " in DOCS["host.md"]
    assert f"{code} " in DOCS["README.md"].split("Exit codes: ")[1].split("\n\n")[0]


def test_each_profile_and_format_is_documented():
    assert [name for name in profile.builtin_names() if f"`{name}`" not in DOCS["README.md"]] == []
    assert [name for name in report.formats() if f"**{name}**" not in DOCS["host.md"]] == []


def test_generated_pages_are_current():
    assert render.outdated() == []


def test_each_proof_is_written_down():
    proofs = {
        proof for rule in profile.builtin_rules().values() for proof in rule.proof if re.fullmatch(r"E\d+", proof)
    }
    assert [proof for proof in proofs if f"## {proof}: " not in DOCS["experiments.md"]] == []


def test_each_test_that_a_proof_names_exists():
    named = {
        proof.split()[0]
        for rule in profile.builtin_rules().values()
        for proof in rule.proof
        if proof.startswith("tests/")
    }
    assert [path for path in named if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("name", sorted(DOCS))
def test_links_lead_somewhere(name):
    folder = ROOT if (ROOT / name).exists() else ROOT / "docs"
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", DOCS[name])
    assert [link for link in links if not (folder / link).exists()] == []


CASES = re.findall(r"```toml\n([^`]*)```\n\n```text\n([^`]*)```", DOCS["path.md"])


@pytest.mark.parametrize(("path", "printed"), CASES)
def test_the_worked_cases_print_what_the_page_says(path, printed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("case.toml").write_text(path)
    assert cli.main(["path", "case.toml"]) == _options.EXIT_FINDINGS
    assert capsys.readouterr().out.strip() == printed.strip()


def test_there_are_three_worked_cases():
    assert len(CASES) == 3


def test_the_path_in_the_documentation_loads(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(re.search(r"```toml\n(# shop\.toml.*?)```", DOCS["path.md"], re.S).group(1))
    assert len(file.load(str(path)).hops) == 5


def test_each_fact_of_a_path_is_explained():
    page = DOCS["path.md"] + DOCS["servers.md"]
    assert [name for name in sorted(hops.FACTS - set(hops.SYSCTLS.values())) if f"`{name}`" not in page] == []


def test_the_profile_in_the_documentation_loads(tmp_path):
    text = re.search(r"```toml\n(# mine\.toml.*?)```", DOCS["host.md"], re.S).group(1)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    rules = {rule.id: rule for rule in profile.load(str(path)).rules}
    assert rules["our-retries"].value == 4
    assert "listen-overflows" not in rules
