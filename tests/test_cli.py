"""The commands as a user calls them: what they print, and their exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
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
    (["host", "--timeout", "0", "x"], "'0' is no number of seconds between 0 and 86400"),
    (["host", "--timeout", "soon", "x"], "'soon' is no number of seconds between 0 and 86400"),
    (["host", "--timeout", "nan", "x"], "'nan' is no number of seconds between 0 and 86400"),
    *((["host", option, ""], f"argument {option}: a value is needed, not an empty text")
      for option in ("--from", "--root", "--save", "--waivers", "--output", "--profile")),
    (["rules", "--profile", ""], "argument --profile: a value is needed"),
    (["compare", "a", "b", "--output", ""], "argument --output: a value is needed"),
    (["host", "--root", "/proc/self/task"], "--root /proc/self/task: nothing is there to audit, none of etc, proc/sys"),
    (["explain", "our-rule", "--profile", "web"], "no rule 'our-rule'"),
    (["host", "--profile", "nope"], "no profile 'nope'; there are baseline"),
    (["host", "--become"], "--become is for targets"),
    (["host", "--root", "/", "web1"], "--root is a tree here"),
    (["host", "--from", "/x.json", "--save", "y"], "--save with --from"),
    (["host", "--from", "/nowhere/*.json"], "--from /nowhere/*.json: no such file"),
    (["explain", "keepalive-probes-zer"], "did you mean 'keepalive-probes-zero'?"),
]  # fmt: skip


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


def snapshot_file(path, host="h", subjects=(), errors=()):
    document = {"schema": 1, "host": host, "kernel": "6.1.0", "os": "", "taken": "2026-11-20T00:00:00Z",
                "subjects": [{"kind": kind, "name": name, "facts": facts} for kind, name, facts in subjects],
                "errors": [{"where": where, "what": what} for where, what in errors]}  # fmt: skip
    path.write_text(json.dumps(document))
    return path


GOOD = ("netns", "host", {"net.ipv4.tcp_keepalive_probes": 9})
ODD = ("netns", "odd", {"net.ipv4.tcp_keepalive_probes": "many\x1b"})
SHORTFALLS = [
    ({"subjects": [GOOD]}, 0, ""),
    ({"subjects": [GOOD], "errors": [("/etc/x", "denied")]}, 0, ""),
    ({"subjects": [GOOD], "errors": [("collector netns", "ValueError: x")]}, 1, "db: the audit is not complete: collector netns: ValueError: x"),
    ({"subjects": [GOOD], "errors": [("collector a", "b"), ("collector c", "d")]}, 1, "db: the audit is not complete: collector a: b (and 1 more)"),
    ({"subjects": [GOOD, ODD]}, 1, "db: could not be judged: keepalive-probes-zero on netns odd: the value is not of the type that the rule compares"),
    ({}, 1, "db: nothing could be judged: it has none of what profile baseline looks at"),
    ({"subjects": [("netns", "host", {"a": 1})]}, 1, "db: nothing could be judged: it has none of what profile baseline looks at"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "code", "line"), SHORTFALLS)
def test_an_audit_that_is_not_complete_is_told_in_one_line_with_code_1(run, tmp_path, what, code, line):
    path = snapshot_file(tmp_path / "s.json", host="db", **what)
    assert run("host", "--from", path)[::2] == (code, f"audit-tcp: {line}\n" if line else "")


def test_one_snapshot_that_breaks_the_program_never_stops_the_others(run, saved, monkeypatch):
    from audit_tcp import judge, snapshot

    whole, load = judge.judge, snapshot.load
    monkeypatch.setattr(judge, "judge", lambda one, profile: 1 / 0 if one.host == "evil" else whole(one, profile))
    monkeypatch.setattr(snapshot, "load", lambda path: {}["x\n"] if "worse" in path else load(path))
    snapshot_file(saved / "b-evil.json", "evil", [GOOD])
    snapshot_file(saved / "b-worse.json", "worse", [GOOD])
    code, out, err = run("host", "--from", saved, "--format", "json")
    assert (code, len(json.loads(out))) == (1, 4)
    assert err.splitlines() == [
        f"audit-tcp: {saved}/b-evil.json: internal error, please report it: ZeroDivisionError: division by zero",
        f"audit-tcp: {saved}/b-worse.json: internal error, please report it: KeyError: 'x\\n'",
    ]


def test_two_targets_of_one_file_name_are_saved_apart(run, tmp_path, monkeypatch):
    from audit_tcp import remote, snapshot

    names = ["a/b", "a_b", "a_b", "a_b-2"]
    taken = snapshot.load(str(snapshot_file(tmp_path / "s.json", "x", [GOOD])))
    monkeypatch.setattr(remote, "each", lambda targets, *_: ((name, replace(taken, host=name)) for name in targets))
    assert run("host", *names, "--save", tmp_path / "kept")[0] == 0
    kept = {path.name: json.loads(path.read_text())["host"] for path in (tmp_path / "kept").iterdir()}
    assert kept == {"a_b.json": "a/b", "a_b-2.json": "a_b", "a_b-3.json": "a_b", "a_b-2-2.json": "a_b-2"}


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


def test_a_waiver_that_matches_nothing_over_the_whole_run_is_told(run, saved, tmp_path):
    waivers = tmp_path / "waivers.toml"
    entry = '[[waiver]]\nrule = "keepalive-probes-zero"\nsubject = "{}"\nreason = "r"\nexpires = 2999-01-01\n'
    waivers.write_text(entry.format("netns *") + entry.format("netns gone"))
    code, _, err = run("host", "--from", saved, "--waivers", waivers)
    told = f"audit-tcp: {waivers}: waiver 2 (keepalive-probes-zero) matched no failing finding: is it needed?\n"
    assert (code, err) == (0, told)


def test_own_profile(run, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "web"\n[override.somaxconn-small]\nvalue = 8192\nseverity = "high"\n')
    somaxconn = ("netns", "host", {"net.core.somaxconn": 4096, "interfaces": 2})
    path = snapshot_file(tmp_path / "s.json", subjects=[somaxconn])
    code, out, _ = run("host", "--from", path, "--profile", mine, "--fail-on", "high")
    assert code == 3
    assert f"audit-tcp explain somaxconn-small --profile {mine}" in " ".join(out.split())
    assert run("host", "--from", path, "--profile", "web", "--fail-on", "high")[0] == 0


OURS = """
[[rule]]
id = "our\\u001b-rule"
title = "evil\\u001b title, which is so long that it does not fit into the columns of a terminal, does it?"
of = "netns"
fact = "evil\\u001b fact"
op = "<="
value = 4
severity = "low"
why = '''two
lines'''
cite = ["https://wiki.example/tcp"]
proof = ["E5"]
fix = { text = "f", safe = true }
"""


def test_a_rule_of_ones_own_is_explained_and_listed_harmlessly(run, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(OURS)
    code, out, _ = run("explain", "our\x1b-rule", "--profile", mine)
    assert code == 0
    for part in ("our\\x1b-rule (low)", "evil\\x1b fact <= 4, of each netns", "two lines", "Fix:     f (safe)"):
        assert part in out
    for text in (out, run("rules", "--profile", mine)[1]):
        assert all(letter == "\n" or letter.isprintable() for letter in text)
        assert max(map(len, text.splitlines())) <= 80
    assert run("explain", "our\x1b-rule")[0] == 2


def test_a_rule_is_explained_as_a_profile_has_it(run, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "web"\n[override.somaxconn-small]\nvalue = 8192\nseverity = "high"\n')
    assert "net.core.somaxconn >= 4096" in run("explain", "somaxconn-small")[1]
    assert "net.core.somaxconn >= 8192" in run("explain", "somaxconn-small", "--profile", mine)[1]


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


def compared(run, tmp_path, old, new, *options):
    paths = [snapshot_file(tmp_path / name, **what) for name, what in (("old.json", old), ("new.json", new))]
    return run("compare", *paths, *options)


def netns(name, probes, **more):
    facts = {} if probes is None else {"net.ipv4.tcp_keepalive_probes": probes}
    return "netns", name, {**facts, **more}


UNJUDGED = [
    ([netns("host", 9)], ["keepalive-probes-zero"], []),
    ([netns("host", None)], [], ["keepalive-probes-zero"]),
    ([netns("host", "many")], [], ["keepalive-probes-zero"]),
    ([], [], ["keepalive-probes-zero"]),
]


@pytest.mark.parametrize(("subjects", "gone", "unjudged"), UNJUDGED)
def test_a_finding_is_gone_only_where_it_was_judged_again(run, tmp_path, subjects, gone, unjudged):
    old, new = {"subjects": [netns("host", 0)]}, {"subjects": subjects}
    difference = json.loads(compared(run, tmp_path, old, new, "--format", "json")[1])
    assert [finding["rule"] for finding in difference["gone"]] == gone
    assert [finding["rule"] for finding in difference["unjudged"]] == unjudged
    out = compared(run, tmp_path, old, new)[1]
    assert ("No longer judged, so nobody knows: 1" in out) is bool(unjudged)


def test_a_subject_that_came_or_went_is_one_line(run, tmp_path):
    many = {f"net.x{number}": number for number in range(1000)}
    old, new = {"subjects": [GOOD, netns("old", 9, **many)]}, {"subjects": [GOOD, netns("new", 9, **many)]}
    code, out, _ = compared(run, tmp_path, old, new)
    assert (code, len(out.splitlines())) == (0, 15)
    assert "\nSubjects that appeared: 1\n  netns new  (1001 facts)\n" in out
    assert "\nSubjects that vanished: 1\n  netns old  (1001 facts)\n" in out
    difference = json.loads(compared(run, tmp_path, old, new, "--format", "json")[1])
    assert difference["subjects_appeared"] == [{"kind": "netns", "name": "new"}]
    assert difference["subjects_vanished"] == [{"kind": "netns", "name": "old"}]
    assert difference["settings"] == []


def test_compare_tells_what_could_not_be_read_on_one_side_only(run, tmp_path):
    old = {"subjects": [GOOD], "errors": [("/a", "denied"), ("/b", "denied")]}
    new = {"subjects": [GOOD], "errors": [("/a", "denied"), ("/c\x1b", "denied")]}
    out = compared(run, tmp_path, old, new)[1]
    assert "\nCould not be read, only now: 1\n  /c\\x1b: denied\n" in out
    assert "\nCould not be read, only before: 1\n  /b: denied\n" in out
    difference = json.loads(compared(run, tmp_path, old, new, "--format", "json")[1])
    assert difference["unread_now"] == [{"where": "/c\x1b", "what": "denied"}]
    assert difference["unread_before"] == [{"where": "/b", "what": "denied"}]


def test_compare_writes_json_that_others_can_read_and_lines_that_fit(run, tmp_path):
    endless = {"subjects": [netns("host" * 30, 0, x=[1, 2])]}
    paths = [snapshot_file(tmp_path / name, **endless) for name in ("old.json", "new.json")]
    paths[1].write_text(paths[1].read_text().replace("[1, 2]", "[1e999, 2]").replace(": 0}", ": 1e999}"))

    def refused(constant):
        raise AssertionError(constant)

    change = json.loads(run("compare", *paths, "--format", "json")[1], parse_constant=refused)["settings"][-1]
    assert (change["old"], change["new"]) == ([1, 2], ["unlimited", 2])
    assert max(map(len, run("compare", *paths)[1].splitlines())) <= 80


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
    named = [line.split()[1] for line in run("rules", "--profile", "aws")[1].splitlines() if not line.startswith(" ")]
    assert named == [rule.id for rule in profile.load("aws").rules]
    profiles = run("profiles")[1]
    assert [line.split()[0] for line in profiles.splitlines() if not line.startswith(" ")] == profile.builtin_names()
    assert max(map(len, (listed + profiles).splitlines())) <= 80


@pytest.mark.parametrize("command", commands())
def test_help_has_examples_and_fits_80_columns(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"audit-tcp {command}" in out.split("example", 1)[1]
    assert max(map(len, out.splitlines())) <= 80


def test_the_help_of_all_commands_fits_80_columns(run):
    code, out, _ = run("--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80


HOSTILE = "\x1b]0;owned\x07<script>alert(1)</script>\u202e|`\r\n"


@pytest.mark.parametrize("name", report.formats())
def test_a_hostile_host_prints_no_control_character_and_no_markup(run, tmp_path, name):
    root = grow(tmp_path / "evil", {
        **PROC, "/etc/hostname": HOSTILE, "/etc/os-release": f"PRETTY_NAME={HOSTILE}",
        "/proc/sys/net/ipv4/tcp_fin_timeout": HOSTILE, "/proc/sys/kernel/osrelease": HOSTILE,
        "/etc/sysctl.d/1.conf": f"net.{HOSTILE} = 1\nnet.ipv4.tcp_keepalive_probes = {HOSTILE}",
    })  # fmt: skip
    code, out, err = run("host", "--root", root, "--format", name)
    assert code == 1
    assert "could not be judged" in err
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


CLOSED = [
    ("host --from {} >&-", 1, "", "audit-tcp: standard output is closed: nothing can be reported\n"),
    ("rules --help >&-", 1, "", "audit-tcp: standard output is closed: nothing can be reported\n"),
    ("--version >/dev/full", 1, "", "audit-tcp: standard output: No space left on device\n"),
    ("host --from {} --output {}.out >&-", 3, "", ""),
    ("host --from {}.gone --format prometheus 2>&- | grep -c gone:", 1, "0\n", ""),
    ("explain nothing 2>&-", 2, "", ""),
    ("host --from {} --output {}.out 2>&- <&-", 3, "", ""),
    ("explain nothing 2>/dev/full", 2, "", ""),
]


@pytest.mark.parametrize(("arguments", "code", "out", "err"), CLOSED)
def test_a_stream_that_the_caller_closed(saved, arguments, code, out, err):
    command = f"{sys.executable} -m audit_tcp {arguments.replace('{}', str(saved / 'bad.json'))}"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=buffered)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize("arguments", ["--help", "host --help", "rules", "host --from {}"])
def test_it_works_without_docstrings(saved, arguments):
    arguments = arguments.replace("{}", str(saved / "clean.json")).split()
    done = subprocess.run([sys.executable, "-OO", "-m", "audit_tcp", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_that_the_caller_ignores_stays_ignored(clean, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["host", "--root", str(clean), "--output", str(tmp_path / "report")]) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


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
    assert (code, err) == (
        1,
        "audit-tcp: clean: internal error, please report it: ZeroDivisionError: division by zero\n",
    )


def test_a_bad_namespace_among_fifty_is_found_and_named(run):
    if require():
        pytest.skip(require())
    from contextlib import ExitStack

    with ExitStack() as stack:
        spaces = [stack.enter_context(Namespace()) for _ in range(50)]
        spaces[37].sysctl("net.ipv4.tcp_keepalive_probes", 0)
        code, out, _ = run("host", "--format", "json")
    ours = {space.name for space in spaces}
    verdicts = {
        finding["subject"]["name"]: finding["verdict"]
        for finding in json.loads(out)["findings"]
        if finding["rule"] == "keepalive-probes-zero" and finding["subject"]["name"] in ours
    }
    assert verdicts.keys() == ours
    assert [name for name, verdict in verdicts.items() if verdict == "fail"] == [spaces[37].name]
    assert code == 3


def test_the_command_is_installed_and_tells_its_version():
    command = Path(sys.executable).with_name("audit-tcp")
    if not command.exists():
        pytest.skip("audit-tcp is not installed beside this python")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, env={**os.environ})
    assert done.stdout.startswith("audit-tcp 0.")
