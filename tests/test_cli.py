"""The commands as a user calls them: what they print, and their exit codes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit_tcp import profile, report
from audit_tcp.cli import commands, main
from audit_tcp.lab.net import Namespace, require
from trees import PROC, grow

CLEAN = {**PROC, "/etc/hostname": "clean\n"}
BAD = {**CLEAN, "/proc/sys/net/ipv4/tcp_keepalive_probes": "0\n"}


@pytest.fixture
def run(capsys):
    """(exit code, standard output, standard error) of a command."""

    def call(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse ends so
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def clean(tmp_path):
    return grow(tmp_path / "clean", CLEAN)


@pytest.fixture
def bad(tmp_path):
    return grow(tmp_path / "bad", BAD)


def test_exit_codes(run, clean, bad, tmp_path):
    assert run("host", "--root", clean)[0] == 0
    assert run("host", "--root", bad)[0] == 3
    assert run("host", "--root", bad, "--fail-on", "never")[0] == 0
    assert run("host", "--from", tmp_path / "clean" / "etc" / "hostname")[0] == 1
    assert run("host", "--root", tmp_path / "gone")[0] == 2


def test_fail_on_takes_the_severity_and_what_is_worse(run, tmp_path):
    low = grow(tmp_path / "low", {**CLEAN, "/proc/sys/net/ipv4/tcp_fin_timeout": "0\n"})
    assert [run("host", "--root", low, "--fail-on", level)[0] for level in ("info", "low", "medium", "high")] == [
        3,
        3,
        0,
        0,
    ]


USAGE = [
    ([], "COMMAND"),
    (["audit"], "invalid choice: 'audit'"),
    (["host", "--format", "xml"], "invalid choice: 'xml'"),
    (["host", "--fail-on", "bad"], "invalid choice: 'bad'"),
    (["host", "--timeout", "0", "x"], "'0' is not between 0 and 86400 seconds"),
    (["host", "--timeout", "soon", "x"], "invalid"),
    (["host", "--profile", "nope"], "no profile 'nope'; there are baseline"),
    (["host", "--become"], "--become is for targets"),
    (["host", "--root", "/", "web1"], "--root is a tree here"),
    (["host", "--from", "/x.json", "--save", "y"], "--save with --from"),
    (["host", "--from", "/nowhere/*.json"], "--from /nowhere/*.json: no such file"),
    (["explain", "keepalive-probes-zer"], "did you mean 'keepalive-probes-zero'?"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE)
def test_usage_is_told_with_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_output_is_written_whole_or_not_at_all(run, bad, tmp_path):
    path = tmp_path / "report.json"
    assert run("host", "--root", bad, "--format", "json", "--output", path) == (3, "", "")
    assert json.loads(path.read_text())["host"] == "clean"
    code, _, err = run("host", "--root", bad, "--output", tmp_path / "gone" / "report")
    assert code == 1
    assert err == f"audit-tcp: {tmp_path}/gone/report: No such file or directory\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bad", "report.json"]


@pytest.fixture
def saved(run, clean, bad, tmp_path):
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for name, root in (("bad", bad), ("clean", clean)):
        run("host", "--root", root, "--save", folder / f"{name}.json")
    return folder


def test_saved_snapshots_are_judged_from_a_file_a_folder_and_a_pattern(run, saved):
    assert run("host", "--from", saved / "bad.json")[0] == 3
    assert run("host", "--from", saved / "clean.json")[0] == 0
    for source in (saved, saved / "*.json"):
        reports = json.loads(run("host", "--from", source, "--format", "json")[1])
        assert [one["summary"]["verdicts"]["fail"] > 0 for one in reports] == [True, False]


def test_a_pattern_that_the_shell_expanded_means_the_same(run, saved):
    reports = json.loads(run("host", "--from", saved / "bad.json", saved / "clean.json", "--format", "json")[1])
    assert len(reports) == 2


def test_a_damaged_snapshot_among_good_ones_is_told_and_the_others_are_judged(run, saved):
    (saved / "broken.json").write_text('{"schema": 99}')
    code, out, err = run("host", "--from", saved, "--format", "json")
    assert code == 1
    assert "schema 99 is newer" in err
    assert len([one for one in json.loads(out) if "failure" not in one]) == 2


@pytest.mark.parametrize("name", report.formats())
def test_every_format_reports_a_damaged_snapshot_and_a_finding(run, saved, name):
    (saved / "broken.json").write_text("{")
    code, out, _ = run("host", "--from", saved, "--format", name)
    assert code == 1
    assert "broken.json" in out
    assert "keepalive-probes-zero" in out


def test_waivers(run, bad, tmp_path):
    waivers = tmp_path / "waivers.toml"
    entry = '[[waiver]]\nrule = "keepalive-probes-zero"\nsubject = "netns *"\nreason = "known"\nexpires = {}\n'
    waivers.write_text(entry.format("2999-01-01"))
    code, out, _ = run("host", "--root", bad, "--waivers", waivers)
    assert (code, "known (until 2999-01-01)" in out) == (0, True)
    waivers.write_text(entry.format("2001-01-01"))
    code, out, _ = run("host", "--root", bad, "--waivers", waivers)
    assert (code, "the waiver expired on 2001-01-01" in " ".join(out.split())) == (3, True)


def test_own_profile(run, clean, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "web"\n[override.somaxconn-small]\nvalue = 8192\nseverity = "high"\n')
    code, out, _ = run("host", "--root", clean, "--profile", mine, "--fail-on", "high")
    assert code == 3
    assert "somaxconn-small" in out


def test_compare_tells_what_changed_appeared_and_went(run, saved):
    code, out, _ = run("compare", saved / "clean.json", saved / "bad.json")
    assert code == 3
    assert "Findings that appeared: 1" in out
    assert "net.ipv4.tcp_keepalive_probes: 9 -> 0" in out
    code, out, _ = run("compare", saved / "bad.json", saved / "clean.json", "--format", "json")
    assert code == 0
    difference = json.loads(out)
    assert [finding["rule"] for finding in difference["gone"]] == ["keepalive-probes-zero"]
    assert difference["appeared"] == []


def test_explain_names_reason_source_proof_fix_and_profiles(run):
    code, out, _ = run("explain", "tw-reuse-delay-short")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for part in (
        "tcp_tw_reuse_delay >= 1000",
        "Only if:",
        "kernel.version >= 6.14",
        "Why:",
        "Fix:",
        "Source:",
        "Proof:",
        "baseline",
    ):
        assert part in out


def test_rules_and_profiles_are_listed(run):
    listed = run("rules")[1]
    assert all(rule in listed for rule in profile.builtin_rules())
    assert len(run("rules", "--profile", "aws")[1].splitlines()) == len(profile.load("aws").rules)
    assert [line.split()[0] for line in run("profiles")[1].splitlines()] == profile.builtin_names()


@pytest.mark.parametrize("command", commands())
def test_help_has_examples_and_fits_80_columns(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"audit-tcp {command}" in out.split("example", 1)[1]


HOSTILE = "\x1b]0;owned\x07<script>alert(1)</script>\u202e|`\r\n"


@pytest.mark.parametrize("name", report.formats())
def test_a_hostile_host_prints_no_control_character_and_no_markup(run, tmp_path, name):
    root = grow(tmp_path / "evil", {
        **PROC, "/etc/hostname": HOSTILE, "/etc/os-release": f"PRETTY_NAME={HOSTILE}",
        "/proc/sys/net/ipv4/tcp_fin_timeout": HOSTILE, "/proc/sys/kernel/osrelease": HOSTILE,
        "/etc/sysctl.d/1.conf": f"net.{HOSTILE} = 1\nnet.ipv4.tcp_keepalive_probes = {HOSTILE}",
    })  # fmt: skip
    code, out, err = run("host", "--root", root, "--format", name)
    assert code in (0, 3)
    assert all(letter == "\n" or letter.isprintable() for letter in out + err)
    if name in ("markdown", "junit"):
        assert "<script" not in out


def test_a_closed_pipe_is_no_traceback(bad):
    script = f"{sys.executable} -m audit_tcp host --root {bad} --format json | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", ["host --root / --format json", "rules"])
def test_a_full_disk_is_one_line(arguments):
    done = subprocess.run(
        f"{sys.executable} -m audit_tcp {arguments} > /dev/full", shell=True, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "audit-tcp: standard output: No space left on device\n")


def test_colour_is_for_terminals_without_no_color(monkeypatch):
    from audit_tcp.cli._options import wants_colour

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())


def test_an_internal_error_is_one_line(run, monkeypatch, clean):
    monkeypatch.setattr("audit_tcp.judge.judge", lambda *_: 1 / 0)
    code, _, err = run("host", "--root", clean)
    assert (code, err) == (1, "audit-tcp: internal error, please report it: ZeroDivisionError: division by zero\n")


def test_a_bad_namespace_among_fifty_is_found_and_named(run):
    if require():
        pytest.skip(require())
    from contextlib import ExitStack

    with ExitStack() as stack:
        spaces = [stack.enter_context(Namespace()) for _ in range(50)]
        spaces[37].sysctl("net.ipv4.tcp_keepalive_probes", 0)
        code, out, _ = run("host", "--format", "json")
    findings = json.loads(out)["findings"]
    judged = {finding["subject"]["name"] for finding in findings if finding["rule"] == "keepalive-probes-zero"}
    failing = [
        finding["subject"]["name"]
        for finding in findings
        if finding["rule"] == "keepalive-probes-zero" and finding["verdict"] == "fail"
    ]
    assert {space.name for space in spaces} <= judged
    assert failing == [spaces[37].name]
    assert code == 3


def test_the_command_is_installed_and_tells_its_version():
    command = Path(sys.executable).with_name("audit-tcp")
    if not command.exists():
        pytest.skip("audit-tcp is not installed beside this python")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, env={**os.environ})
    assert done.stdout.startswith("audit-tcp 0.")
