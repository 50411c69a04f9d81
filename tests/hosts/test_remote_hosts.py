"""`audit-tcp host` over real sshd: several hosts in one command, one of them gone, one with python3-minimal only."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import machines

pytestmark = pytest.mark.boots

AUDIT = str(Path(sys.executable).with_name("audit-tcp"))

NOT_LISTED = {
    "/proc": "no files: the kernel's view of processes that come and go",
    "/sys": "no files: the kernel's view of its devices and cgroups",
    "/run/agetty.reload": "agetty of the console makes it when it starts, and a boot does not wait for that",
    "/run/motd.dynamic": "pam_motd of sshd writes it anew at each login",
    "/var/log/journal/*/system.journal": "journald notes each login that sshd reports",
}
SKIPPED = " -o ".join(f"-path '{path}'" for path in NOT_LISTED)
LISTING = f"find / \\( {SKIPPED} \\) -prune -o -path /run -printf '%p\\n' -o -printf '%p %y %s %C@ %l\\n' | sort"
"""Whatever has a name, on every mount, with kind, size, time of change and target; of /run the name only, since the
new motd is renamed in it. A folder's own time tells of a file that was there for a moment."""

NAMESPACE = "ip netns add blue && ip netns exec blue sysctl -qw net.ipv4.tcp_keepalive_probes=0"


@pytest.fixture(scope="module")
def rack():
    reason = machines.require()
    if reason:
        pytest.skip(reason)
    with (
        machines.Rack() as rack,
        machines.Machine("web1", "bookworm", rack=rack) as web1,
        machines.Machine("web2", "trixie", rack=rack) as web2,
        machines.Machine("tiny", "bookworm", variant="minimal", rack=rack) as tiny,
    ):
        web1.run(["sh", "-c", NAMESPACE])
        web1.run(["useradd", "--create-home", "admin"])
        web1.write("/etc/sudoers.d/admin", "admin ALL=(ALL) NOPASSWD: ALL\n")
        yield {"rack": rack, "web1": web1, "web2": web2, "tiny": tiny}


@pytest.fixture
def audit(rack, tmp_path):
    """Runs audit-tcp as a user whose ssh knows the hosts of the rack."""
    client = tmp_path / "bin" / "ssh"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{rack["rack"].ssh_config}" "$@"\n')
    client.chmod(client.stat().st_mode | stat.S_IXUSR)

    def run(*arguments):
        environment = {**os.environ, "PATH": f"{client.parent}:{os.environ['PATH']}"}
        return subprocess.run([AUDIT, *arguments], capture_output=True, text=True, env=environment, timeout=120)

    return run


def listing(host):
    return set(host.run(["sh", "-c", LISTING]).stdout.splitlines())


def test_three_hosts_and_one_that_is_gone(audit, rack):
    hosts = [rack[name] for name in ("web1", "web2", "tiny")]
    before = [listing(host) for host in hosts]
    done = audit("host", "web1", "web2", "tiny", "gone.invalid", "--format", "json")
    reports = {report["host"]: report for report in json.loads(done.stdout)}
    assert done.returncode == 1
    assert list(reports) == ["web1", "web2", "tiny", "gone.invalid"]
    assert "gone.invalid" in reports["gone.invalid"]["failure"]
    assert len([line for line in done.stderr.splitlines() if line]) == 1
    for name in ("web1", "web2", "tiny"):
        assert "failure" not in reports[name]
        assert reports[name]["summary"]
        assert len(reports[name]["findings"]) > 20
    changes = [sorted(listing(host) ^ of_before) for host, of_before in zip(hosts, before, strict=True)]
    assert changes == [[], [], []]


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/run", "/dev/shm", "/root", "/var/log", "/etc"])
@pytest.mark.parametrize("name", ["web1", "web2", "tiny"])
def test_a_file_left_on_a_host_would_be_seen(rack, name, folder):
    before = listing(rack[name])
    rack[name].run(["touch", f"{folder}/left"])
    assert f"{folder}/left" in {line.split()[0] for line in listing(rack[name]) - before}
    rack[name].run(["rm", f"{folder}/left"])


def failing(report):
    return {(f["rule"], f["subject"]["name"]) for f in report["findings"] if f["verdict"] == "fail"}


def test_the_namespace_of_a_remote_host_is_audited(audit):
    done = audit("host", "web1", "--format", "json")
    assert done.returncode == 3
    assert ("keepalive-probes-zero", "blue") in failing(json.loads(done.stdout))


def test_a_host_without_json_and_ctypes_is_audited_and_says_what_it_could_not(audit, rack):
    rack["tiny"].run(["ip", "netns", "add", "green"])
    assert rack["tiny"].run(["python3", "-c", "import json"], check=False).returncode != 0
    report = json.loads(audit("host", "tiny", "--format", "json").stdout)
    why = "this python3 has neither os.setns (3.12) nor ctypes"
    assert {"where": "netns green", "what": why} in report["errors"]
    assert ("netns", "host") in {(f["subject"]["kind"], f["subject"]["name"]) for f in report["findings"]}


def test_become_reads_what_the_user_may_not(audit):
    plain, become = (
        json.loads(audit("host", "admin@web1", *option, "--format", "json").stdout) for option in ((), ("--become",))
    )
    assert any(error["where"] == "netns blue" for error in plain["errors"])
    assert ("keepalive-probes-zero", "blue") not in failing(plain)
    assert ("keepalive-probes-zero", "blue") in failing(become)


def test_snapshots_are_saved_by_target_and_judged_again(audit, tmp_path):
    folder = tmp_path / "snapshots"
    audit("host", "web1", "web2", "--save", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["web1.json", "web2.json"]
    done = audit("host", "--from", str(folder), "--format", "json", "--profile", "aws")
    assert [report["host"] for report in json.loads(done.stdout)] == ["web1", "web2"]
    assert all(("keepalive-time-half-of-350", "host") in failing(report) for report in json.loads(done.stdout))
