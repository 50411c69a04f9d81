"""Hosts that misbehave: each is one clear line, in bounded time. A local program stands for ssh here, because a real
sshd does not lie; `hosts/test_remote_hosts.py` audits real ones."""

import os
import signal
import subprocess
import sys
import time

import pytest

from audit_tcp import remote
from audit_tcp.errors import TargetError, UsageError

LOCAL = """
import subprocess, sys
arguments = sys.argv[sys.argv.index("--") + 2:]
sys.exit(subprocess.run([sys.executable, *arguments[1:]]).returncode)
"""
"""Runs the probe here, as ssh would there."""


def ssh(code):
    return [sys.executable, "-c", code]


def take(code, **options):
    return remote.take("web1", ssh=ssh(code), **{"timeout_s": 20, **options})


def test_a_snapshot_arrives_under_the_targets_name():
    taken = take(LOCAL)
    assert taken.host == "web1"
    assert {subject.kind for subject in taken.subjects} >= {"host", "netns"}


def test_what_the_login_shell_says_first_does_no_harm():
    assert take("print('Welcome!\\n{\"schema\": 1}', flush=True)\n" + LOCAL).host == "web1"


READ = "import sys, os\nprogram = sys.stdin.read()\nmark = program.split('\"\\\\n')[1].split(' ')[0]\n"

MISBEHAVING = [
    ("import sys; sys.stderr.write('ssh: connect to host web1 port 22: Connection refused\\n'); sys.exit(255)",
     "web1: ssh: connect to host web1 port 22: Connection refused"),
    ("import sys; sys.exit(255)", "web1: ssh failed and gave no reason"),
    ("import sys; sys.stderr.write('sh: python3: not found\\n'); sys.exit(127)", "web1: no python3 there (sh: python3: not found)"),
    ("import sys; sys.stderr.write('sudo: a password is required\\n'); sys.exit(1)",
     "web1: the probe ended with exit code 1: sudo: a password is required"),
    ("print('garbage ' * 10)", "web1: the probe ended with exit code 0: it answered b'garbage garbage"),
    ("pass", "web1: the probe ended with exit code 0: it answered nothing"),
    (READ + "print('\\n' + mark + ' 0 python3 there is 3.5.3, 3.6 is needed')", "web1: python3 there is 3.5.3, 3.6 is needed"),
    (READ + "print('\\n' + mark + ' 9\\n{\"schema\"')", "web1:1:10: not JSON: Expecting ':' delimiter: the host's answer is damaged"),
    (READ + "print('\\n' + mark + ' 2\\n[]')", "web1: not a snapshot: a JSON object is needed: the host's answer is damaged"),
    (READ + "print('\\n' + mark + ' ' + '9' * 5000 + '\\n{}')", "web1: it announces '9999999"),
    (READ + "print('\\n' + mark + ' 9999999999\\n{}')", "web1: it sent more than 64 MiB"),
    (READ + "print('\\n' + mark)", "web1: the probe ended with exit code 0: it answered b'\\n"),
    (READ + "print('\\n' + mark + ' ', end='')", "web1: it announces 'nothing' instead of a length"),
    ("import sys; sys.stderr.write('\\x1b[31mred\\x07'); sys.exit(255)", "web1: \\x1b[31mred\\x07"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message"), MISBEHAVING)
def test_a_host_that_fails_is_one_clear_line(code, message):
    with pytest.raises(TargetError) as failure:
        take(code)
    assert str(failure.value).startswith(message)
    assert str(failure.value).isprintable()


HOLD = "import subprocess, sys; subprocess.Popen(['sleep', '10'], stdin=-3, stdout={out}, stderr={err}); "
"""What a ControlPersist master does: it outlives ssh and keeps its pipes."""


@pytest.mark.parametrize(("out", "err"), [("-3", "2"), ("1", "2")])
def test_an_answer_is_complete_though_another_process_keeps_the_pipes(out, err):
    begun = time.monotonic()
    assert take(HOLD.format(out=out, err=err) + LOCAL).host == "web1"
    assert time.monotonic() - begun < 8


def test_a_refusal_is_told_though_another_process_keeps_the_pipes():
    begun = time.monotonic()
    with pytest.raises(TargetError, match=r"web1: no python3 there \(not found\)"):
        take(HOLD.format(out="1", err="2") + "print('not found', file=sys.stderr); sys.exit(127)")
    assert time.monotonic() - begun < 8


def test_an_ssh_that_stays_after_a_complete_answer_is_ended():
    code = LOCAL.replace("sys.exit(", "code = (") + "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"
    assert take(code).host == "web1"


def test_a_host_that_hangs_ends_with_the_time():
    with pytest.raises(TargetError, match=r"no answer within 0\.5 s"):
        take("import signal; signal.pause()", timeout_s=0.5)


def test_a_host_that_floods_ends_with_the_size(monkeypatch):
    monkeypatch.setattr(remote, "LARGEST", 1 << 20)
    with pytest.raises(TargetError, match="it sent more than 1 MiB"):
        take("import os\nwhile True: os.write(1, b'x' * 65536)")


def test_a_host_that_says_it_is_done_but_stays_ends_with_the_time():
    with pytest.raises(TargetError, match="no answer within"):
        take("import os, signal; [os.close(n) for n in (0, 1, 2)]; signal.pause()", timeout_s=0.5)


def test_no_process_is_left_behind(tmp_path):
    pid = tmp_path / "pid"
    with pytest.raises(TargetError):
        take(f"import os, signal; open({str(pid)!r}, 'w').write(str(os.getpid())); signal.pause()", timeout_s=1)
    assert not os.path.exists(f"/proc/{pid.read_text()}")


@pytest.mark.parametrize("target", ["-oProxyCommand=x", "", "a\nb"])
def test_a_target_that_is_an_option_is_refused(target):
    with pytest.raises(UsageError):
        list(remote.each([target], False, 1, lambda: None))


def test_the_order_of_the_targets_is_kept_and_each_is_counted():
    done = []
    names = ["a.invalid", "b.invalid", "c.invalid"]
    found = list(remote.each(names, False, 20, lambda: done.append(1)))
    assert [name for name, _ in found] == names
    assert all(isinstance(result, TargetError) for _, result in found)
    assert len(done) == 3


def test_a_host_that_breaks_the_program_never_stops_the_others(monkeypatch):
    def broken(data, where):
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(remote, "program", lambda mark: broken(b"", ""))
    found = [str(result) for _, result in remote.each(["a", "b"], False, 20, lambda: None)]
    assert found == [f"{name}: internal error, please report it: ZeroDivisionError: a\\x0ab" for name in ("a", "b")]


SLOW_SSH = """#!{python}
import os, signal, time
open({folder!r} + "/" + str(os.getpid()), "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_ends_at_once_and_leaves_no_ssh(tmp_path, number, code):
    begun, programs = tmp_path / "begun", tmp_path / "bin"
    begun.mkdir()
    programs.mkdir()
    (programs / "ssh").write_text(SLOW_SSH.format(python=sys.executable, folder=str(begun)))
    (programs / "ssh").chmod(0o755)
    output = tmp_path / "report"
    command = [sys.executable, "-m", "audit_tcp", "host", *(f"h{n}" for n in range(40)), "--output", str(output)]
    path = f"{programs}:{os.environ['PATH']}"
    with subprocess.Popen(command, env={**os.environ, "PATH": path}, stderr=subprocess.PIPE, text=True) as run:
        while len(os.listdir(begun)) < remote.PARALLEL:
            assert run.poll() is None
            time.sleep(0.02)
        at = time.monotonic()
        run.send_signal(number)
        complaint = run.stderr.read()
        assert run.wait(10) == code
    assert time.monotonic() - at < 3
    assert "Traceback" not in complaint
    assert len(os.listdir(begun)) == remote.PARALLEL
    assert [pid for pid in os.listdir(begun) if os.path.exists(f"/proc/{pid}")] == []
    assert sorted(os.listdir(tmp_path)) == ["begun", "bin"]
