"""`audit-tcp path` as a user calls it: what it prints in each format, and its exit codes."""

import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from audit_tcp import catalog, report
from audit_tcp.cli import main
from audit_tcp.path import file, terraform

INVERTED = '[[hop]]\nkind = "alb"\n[[hop]]\nkind = "node"\nname = "app"\nversion = "22.1.0"\n'
ORDERED = INVERTED + "keepAliveTimeout = 65000\n"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """(exit code, standard output, standard error) of `audit-tcp path` in a folder with the paths above."""
    monkeypatch.chdir(tmp_path)
    Path("inverted.toml").write_text(INVERTED)
    Path("ordered.toml").write_text(ORDERED)

    def call(*arguments):
        try:
            code = main(["path", *arguments])
        except SystemExit as stop:  # argparse ends so
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_an_inversion_is_drawn_and_told(run):
    code, out, err = run("inverted.toml")
    assert (code, err) == (3, "")
    assert "  ! <- not in order" in out
    assert "[backend-closes-first]" in out
    assert "set keepAliveTimeout of app to 65000 ms or more" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_path_in_order(run):
    code, out, _ = run("ordered.toml")
    assert code == 0
    assert "not in order" not in out
    assert "Nothing fails." in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("inverted.toml", "--fail-on", "never"), 0),
        (("ordered.toml", "inverted.toml"), 3),
        (("gone.toml",), 1),
        ((), 2),
        (("--init", "ordered.toml"), 2),
        (("--init", "--kinds"), 2),
        (("ordered.toml", "--snapshot", "x.json"), 2),
        (("ordered.toml", "--format", "latin"), 2),
        (("ordered.toml", "--terraform", "gone.json"), 1),
    ],
)
def test_exit_codes(run, arguments, code):
    assert run(*arguments)[0] == code


@pytest.mark.parametrize("name", report.formats())
def test_every_format(run, name):
    code, out, _ = run("inverted.toml", "--format", name)
    assert code == 3
    assert "backend-closes-first" in out


def test_json_holds_the_advice(run):
    found = json.loads(run("inverted.toml", "--format", "json")[1])["findings"]
    failing = [one for one in found if one["verdict"] == "fail"]
    assert [(one["subject"], one["note"]) for one in failing] == [
        ({"kind": "link", "name": "alb -> app"}, "set keepAliveTimeout of app to 65000 ms or more")
    ]


def test_one_broken_path_does_not_hide_the_others(run):
    Path("broken.toml").write_text(INVERTED.replace('"alb"', '"albb"'))
    code, out, err = run("broken.toml", "inverted.toml", "ordered.toml")
    assert code == 1
    assert "broken.toml:2: kind: no kind 'albb'" in err
    assert "[backend-closes-first]" in out
    assert "Nothing fails." in out


LEGAL = {
    "json": json.loads,
    "sarif": json.loads,
    "junit": ET.fromstring,
    "markdown": str,
    "prometheus": str,
    "text": str,
}
SHOP = str(Path(__file__).with_name("plans") / "shop.json")


@pytest.fixture
def broken(monkeypatch):
    """`bad.toml` breaks the program."""
    load = file.load

    def breaking(path, planned=None):
        return 1 / 0 if path == "bad.toml" else load(path, planned)

    monkeypatch.setattr(file, "load", breaking)


@pytest.mark.parametrize("name", report.formats())
def test_what_breaks_the_program_is_one_failed_path(run, broken, name):
    code, out, err = run("inverted.toml", "bad.toml", "ordered.toml", "--format", name)
    assert code == 1
    assert "bad.toml: internal error, please report it: ZeroDivisionError" in err
    assert LEGAL[name](out)
    assert "backend-closes-first" in out


def test_what_breaks_the_program_is_shown_to_who_mends_it(run, broken, monkeypatch):
    monkeypatch.setenv("AUDIT_TCP_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("inverted.toml", "bad.toml")


def test_facts_of_a_wrong_type_end_one_path_only(run):
    facts = {"program": "node", "idle_timeout_s": {"value": "65", "origin": "x"}}
    subject = {"kind": "server", "name": "node", "facts": facts}
    Path("web1.json").write_text(
        json.dumps({"schema": 1, "host": "h", "kernel": "", "os": "", "taken": "", "subjects": [subject], "errors": []})
    )
    Path("bad.toml").write_text(INVERTED.replace('version = "22.1.0"', 'snapshot = "web1.json"'))
    code, out, err = run("ordered.toml", "bad.toml", "ordered.toml", "--format", "json")
    assert code == 1
    assert "bad.toml:6: snapshot: web1.json: server node: idle_timeout_s: a number is needed, not '65'" in err
    assert [bool(one.get("failure")) for one in json.loads(out)] == [False, True, False]


def shop_of(idle_timeout):
    """A plan with a balancer whose timer is out of its range."""
    Path("plan.json").write_text(
        re.sub(r'"idle_timeout": ?\d+', f'"idle_timeout":{idle_timeout}', Path(SHOP).read_text())
    )
    return "plan.json"


PLANS = {
    "one illegal value": (lambda patch: shop_of(99999), "idle_timeout"),
    "too many paths": (lambda patch: patch.setattr(terraform, "MOST_PATHS", 1) or SHOP, "more than 1 paths"),
    "no plan": (lambda patch: "inverted.toml", "not JSON"),
}


@pytest.mark.parametrize("name", report.formats())
@pytest.mark.parametrize(("plan", "told"), PLANS.values(), ids=PLANS)
def test_a_plan_that_fails_is_one_failed_path(run, monkeypatch, name, plan, told):
    code, out, err = run("--terraform", plan(monkeypatch), "--format", name)
    assert code == 1
    assert told in err
    assert LEGAL[name](out)


def test_a_plan_that_fails_hides_no_path_that_needs_none(run):
    Path("needs.toml").write_text(INVERTED.replace('kind = "alb"', 'terraform = "aws_lb.web"'))
    code, out, err = run("inverted.toml", "needs.toml", "--terraform", "gone.json", "--format", "json")
    assert code == 1
    assert [bool(one.get("failure")) for one in json.loads(out)] == [True, False, True]
    assert err.count("gone.json: No such file") == 2


def test_a_path_from_a_pipe(run):
    command = [sys.executable, "-m", "audit_tcp", "path", "/dev/stdin"]
    done = subprocess.run(command, input=INVERTED, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")
    assert "[backend-closes-first]" in done.stdout


UNKNOWN = '[[hop]]\nkind = "client"\n[[hop]]\nkind = "server"\n'


def test_a_path_of_which_too_little_is_known(run):
    Path("unknown.toml").write_text(UNKNOWN)
    code, out, err = run("unknown.toml")
    assert code == 1
    assert "too little is known of the hops" in out
    assert "too little is known of the hops" in err
    assert run("unknown.toml", "ordered.toml")[0] == 0


def test_a_waiver_holds_for_a_path(run):
    Path("waivers.toml").write_text(
        '[[waiver]]\nrule = "backend-closes-first"\nsubject = "link alb -> app"\nreason = "soon"\nexpires = 2999-01-01\n'
    )
    code, out, _ = run("inverted.toml", "--waivers", "waivers.toml")
    assert code == 0
    assert "waived: backend-closes-first on link alb -> app" in out


def test_the_kinds(run):
    code, out, _ = run("--kinds")
    assert code == 0
    assert [name for name in catalog.names() if f"  {name} " not in out] == []


def test_init_writes_a_path_that_can_be_judged(run):
    code, out, _ = run("--init")
    assert code == 0
    assert tomllib.loads(out)["hop"]
    Path("mine.toml").write_text(out)
    assert run("mine.toml")[0] in (0, 3)


def test_hostile_texts_reach_no_terminal(run):
    Path("bad.toml").write_text(INVERTED.replace('"app"', '"\\u001b[31mapp\\u202e\\n"'))
    code, out, err = run("bad.toml")
    assert code == 3
    assert "\x1b" not in out + err
    assert "\u202e" not in out


def test_a_path_imports_nothing_of_the_audits():
    code = "import sys; from audit_tcp.cli import main; main(['path', '--kinds']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert loaded & {"rich", "yaml", "subprocess", "asyncio", "audit_tcp.cli.host", "audit_tcp.remote"} == set()
