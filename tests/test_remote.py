"""Hosts that misbehave: each is one clear line, in bounded time. A local program stands for ssh here, because a real
sshd does not lie; `test_hosts.py` audits real ones."""

import os
import sys

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
    ("import sys; sys.stderr.write('\\x1b[31mred\\x07'); sys.exit(255)", "web1: \\x1b[31mred\\x07"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message"), MISBEHAVING)
def test_a_host_that_fails_is_one_clear_line(code, message):
    with pytest.raises(TargetError) as failure:
        take(code)
    assert str(failure.value).startswith(message)
    assert str(failure.value).isprintable()


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
