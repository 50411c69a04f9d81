"""The harness that boots hosts: they are real, keep their files over a reboot and nothing else, and leave nothing."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import machines as harness
from audit_tcp.lab import net
from audit_tcp.lab.net import LabError, Namespace, wait_for
from machines import Machine, Rack, Scenario, boot_cycle, machines

REASON = harness.require()
needs_hosts = pytest.mark.skipif(REASON is not None, reason=str(REASON))
RELEASES = ("bookworm", "trixie")

FIN_TIMEOUT = "net.ipv4.tcp_fin_timeout"
DROP_IN = "/etc/sysctl.d/50-test.conf"


class BoomError(Exception):
    pass


def net_sysctls(namespace: Namespace) -> dict[str, str]:
    """The namespace-wide TCP keys with their values: what a boot could change without naming an interface."""
    listed = namespace.run(["sysctl", "--all", "--pattern", r"^net\.(ipv4\.tcp_|ipv4\.ip_local|core\.somaxconn)"])
    return dict(line.split(" = ", 1) for line in listed.stdout.splitlines())


def leavings(pid: int | None = None) -> dict[str, list[str]]:
    """What is there of a run, this one or that of `pid`, known by the prefix of its names."""
    prefix = f"atcp{pid or os.getpid():x}-"
    with open("/proc/self/mounts") as file:
        mounts = [line for line in file if prefix in line]
    places = {"namespaces": net.NAMESPACES, "interfaces": "/sys/class/net", "directories": tempfile.gettempdir()}
    found = {kind: [name for name in os.listdir(place) if name.startswith(prefix)] for kind, place in places.items()}
    groups = [name for mount in harness._cgroup_mounts() for name in os.listdir(mount) if name.startswith(prefix)]
    return {**found, "mounts": mounts, "cgroups": groups, "processes": host_processes(prefix)}


def host_processes(prefix: str) -> list[str]:
    """Processes in a cgroup of a run's hosts, or with a file of the run in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as command, open(f"/proc/{pid}/cgroup") as group:
                arguments, groups = command.read().replace("\0", " "), group.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        dead = not arguments  # and waits for init to reap it
        if not dead and (f"/{prefix}" in groups or f"/{prefix}" in arguments):
            found.append(f"{pid} {arguments}")
    return found


@pytest.fixture(scope="module")
def rack() -> Iterator[Rack]:
    with Rack() as shared:
        yield shared


@pytest.fixture(scope="module", params=RELEASES)
def booted(request: pytest.FixtureRequest, rack: Rack) -> Iterator[Machine]:
    """A host that no test reboots or leaves changed."""
    with Machine(f"still-{request.param}", request.param, rack=rack) as machine:
        yield machine


class TestRequire:
    def test_names_each_missing_tool_with_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        assert "mmdebstrap (package mmdebstrap)" in str(harness.require())
        assert "systemd-nspawn (package systemd-container)" in str(harness.require())

    def test_passes_on_why_namespaces_do_not_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}")
        monkeypatch.setattr(net, "require", lambda: "not root")
        assert harness.require() == "not root"


class TestImage:
    """Its building, with a stand-in for mmdebstrap: what is kept, and what a failure or a neighbour does to it."""

    @pytest.fixture(autouse=True)
    def stand_in(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
        tools, cache = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("cache")
        script = tools / "mmdebstrap"
        script.write_text(
            '#!/bin/sh\necho "$@" >> "$BUILDS"\nfor tree; do :; done\nmkdir "$tree" || exit 9\n'
            'echo > "$tree/half"\n[ -z "$FAIL" ] || { echo E: no network >&2; exit 1; }\necho > "$tree/whole"\n'
        )
        script.chmod(0o755)
        self.builds = tools / "builds"
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        monkeypatch.setenv("BUILDS", str(self.builds))
        monkeypatch.setenv("FAIL", "")
        monkeypatch.setenv("AUDIT_TCP_CACHE", str(cache))

    def count(self) -> int:
        return len(self.builds.read_text().splitlines())

    def test_is_built_once(self) -> None:
        assert harness.image("bookworm") == harness.image("bookworm")
        assert self.count() == 1

    def test_is_built_once_by_many_at_the_same_time(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            trees = set(pool.map(harness.image, ["bookworm"] * 8))
        assert len(trees) == self.count() == 1

    def test_each_recipe_has_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        trees = {harness.image("bookworm"), harness.image("trixie"), harness.image("trixie", "minimal")}
        monkeypatch.setattr(harness, "PACKAGES", (*harness.PACKAGES, "nginx"))
        trees.add(harness.image("trixie"))
        assert len(trees) == self.count() == 4

    def test_a_failed_build_tells_why_and_leaves_no_half(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAIL", "1")
        with pytest.raises(LabError, match=r"mmdebstrap .*: exit 1: E: no network"):
            harness.image("bookworm")
        monkeypatch.setenv("FAIL", "")
        assert sorted(os.listdir(harness.image("bookworm"))) == ["half", "whole"]

    def test_the_cache_follows_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDIT_TCP_CACHE", "/one")
        monkeypatch.setenv("XDG_CACHE_HOME", "/two")
        monkeypatch.setenv("HOME", "/three")
        found = [harness.cache_directory()]
        for variable in ("AUDIT_TCP_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(variable)
            found.append(harness.cache_directory())
        assert found == ["/one", "/two/audit-tcp", "/three/.cache/audit-tcp"]


@pytest.mark.parametrize("name", ["", "Web", "1st", "web.example", "web/../..", "-x"])
def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="not a host name"):
        Machine(name, "bookworm")


@pytest.mark.boots
@needs_hosts
class TestBooted:
    def test_systemd_is_content(self, booted: Machine) -> None:
        assert booted.state == "running"

    def test_it_is_the_release(self, booted: Machine) -> None:
        assert f"VERSION_CODENAME={booted.release}\n" in booted.run(["cat", "/etc/os-release"]).stdout

    def test_it_has_its_name(self, booted: Machine) -> None:
        assert booted.run(["hostname"]).stdout.strip() == booted.name
        assert booted.run(["sudo", "-n", "true"]).stderr == ""

    def test_arguments_arrive_as_they_are(self, booted: Machine) -> None:
        awkward = ["a b", "$HOME", "'", '"', "*", "", "\\n"]
        assert booted.run(["printf", "%s|", *awkward]).stdout == "".join(f"{each}|" for each in awkward)

    def test_input_and_exit_code_pass(self, booted: Machine) -> None:
        done = booted.run(["sh", "-c", "cat; exit 7"], check=False, stdin="said")
        assert (done.stdout, done.returncode) == ("said", 7)

    def test_failure_tells_command_code_and_stderr(self, booted: Machine) -> None:
        with pytest.raises(LabError, match=rf"{booted.name} ls /nowhere: exit 2: .*No such file"):
            booted.run(["ls", "/nowhere"])

    def test_a_users_own_ssh_reaches_it(self, booted: Machine) -> None:
        done = net.command(["ssh", "-F", booted.ssh_config, booted.name, "id -u; cat"], stdin="piped")
        assert done.stdout == "0\npiped"

    def test_a_written_file_is_there(self, booted: Machine) -> None:
        booted.write("/srv/some where/file", "ü\n'$x'\n")
        assert booted.run(["cat", "/srv/some where/file"]).stdout == "ü\n'$x'\n"

    def test_a_sysctl_write_stays_inside(self, booted: Machine) -> None:
        with Namespace() as fresh:
            before = fresh.sysctl(FIN_TIMEOUT)
            booted.run(["sysctl", "-w", f"{FIN_TIMEOUT}=41"])
            assert booted.namespace.sysctl(FIN_TIMEOUT) == "41"
            booted.run(["sysctl", "-w", f"{FIN_TIMEOUT}={before}"])
            assert fresh.sysctl(FIN_TIMEOUT) == before

    def test_it_has_the_kernels_defaults(self, booted: Machine) -> None:
        with Namespace() as fresh:
            assert net_sysctls(booted.namespace) == net_sysctls(fresh)

    def test_the_image_stays_as_it_was_built(self, booted: Machine) -> None:
        tree = harness.image(booted.release)
        booted.run(["touch", "/etc/touched"])
        assert not os.path.exists(f"{tree}/etc/touched")
        assert not [name for name in os.listdir(f"{tree}/etc/ssh") if name.startswith("ssh_host")]

    def test_two_of_a_rack_see_each_other(self, booted: Machine, rack: Rack) -> None:
        with Machine("other", "bookworm", rack=rack) as other:
            code = f"import socket; socket.create_connection(('{booted.address}', 22), 5)"
            other.run(["python3", "-c", code])


@pytest.mark.boots
@needs_hosts
@pytest.mark.parametrize("release", RELEASES)
class TestLife:
    def test_files_and_links_are_there_before_the_first_boot(self, release: str, rack: Rack) -> None:
        files = {
            DROP_IN: f"{FIN_TIMEOUT} = 31\n",
            "/lib/sysctl.d/40-test.conf": "net.ipv4.tcp_keepalive_time = 555\n",
            "/etc/sysctl.d/60-test.conf": "net.core.somaxconn = 99\n",
        }
        links = {"/etc/sysctl.d/70-linked.conf": "../linked.conf", "/run/sysctl.d/60-test.conf": "/dev/null"}
        with Machine("seeded", release, files=files, links=links, rack=rack) as machine:
            assert machine.namespace.sysctl(FIN_TIMEOUT) == "31"
            assert machine.namespace.sysctl("net.ipv4.tcp_keepalive_time") == "555"
            assert machine.run(["readlink", "/lib", "/etc/sysctl.d/70-linked.conf"]).stdout.split() == [
                "usr/lib",
                "../linked.conf",
            ]

    @pytest.mark.parametrize("orderly", [True, False], ids=["orderly", "plug pulled"])
    def test_a_reboot_keeps_files_and_nothing_else(self, release: str, orderly: bool, rack: Rack) -> None:
        with Machine("again", release, rack=rack) as machine:
            at_first = net_sysctls(machine.namespace)
            identity = machine.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
            machine.write(DROP_IN, f"{FIN_TIMEOUT} = 32\n")
            machine.run(["sysctl", "-w", "net.ipv4.tcp_keepalive_time=44", "net.core.somaxconn=45"])
            machine.reboot(orderly=orderly)
            assert machine.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout != identity
            assert machine.run(["cat", DROP_IN]).stdout == f"{FIN_TIMEOUT} = 32\n"
            assert net_sysctls(machine.namespace) == {**at_first, FIN_TIMEOUT: "32"}
            machine.run(["rm", DROP_IN])
            machine.reboot(orderly=orderly)
            assert net_sysctls(machine.namespace) == at_first

    def test_a_reboot_from_inside_comes_back_at_the_same_address(self, release: str, rack: Rack) -> None:
        with Machine("inside", release, rack=rack) as machine:
            net.command(["ssh", "-F", machine.ssh_config, machine.name, "systemctl reboot"], check=False)
            wait_for(lambda: machine.boots == 2, 30, "the second boot begins")
            wait_for(lambda: net.accepts(machine.address, 22), 30, "sshd is back")
            assert machine.run(["systemctl", "is-system-running", "--wait"]).stdout == "running\n"

    def test_the_minimal_variant_has_only_a_minimal_python(self, release: str, rack: Rack) -> None:
        with Machine("small", release, variant="minimal", rack=rack) as machine:
            assert machine.run(["python3", "-c", "import sys, os; print(sys.version_info[0])"]).stdout == "3\n"
            lacking = machine.run(["python3", "-c", "import ctypes"], check=False)
            assert "No module named 'ctypes'" in lacking.stderr

    def test_one_that_cannot_boot_says_why(self, release: str, rack: Rack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(harness, "BOOT_SCRIPT", "echo the disk is on fire; exit 3")
        with pytest.raises(LabError, match=rf"(?s)burnt \({release}\): went off by itself, exit 3.*disk is on fire"):
            Machine("burnt", release, rack=rack).__enter__()


@contextlib.contextmanager
def another_run(body: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that says "on" while `body` runs in the block of a host, killed at the end if it still lives."""
    code = (
        "import signal, sys, machines\n"
        "with machines.Machine('brief', 'bookworm') as machine:\n"
        "    machine.run(['sh', '-c', 'setsid sleep 600 >/dev/null 2>&1 &'])\n"
        "    print('on', flush=True)\n"
        f"    {body}\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "on\n"
            yield run
        finally:
            run.kill()


@pytest.mark.boots
@needs_hosts
class TestNothingIsLeft:
    @pytest.mark.parametrize(
        ("body", "ending"),
        [
            pytest.param("sys.stdin.read()", None, id="done"),
            pytest.param("sys.stdin.read(); 1 / 0", None, id="raises"),
            pytest.param("sys.stdin.read(); sys.exit(1)", None, id="exits"),
            pytest.param(
                "sys.stdin.read(); machine.run(['systemctl', 'poweroff'], check=False)", None, id="powers off"
            ),
            pytest.param(
                "sys.stdin.read(); machine.run(['systemctl', 'reboot'], check=False)", None, id="is rebooting"
            ),
            pytest.param("signal.pause()", signal.SIGINT, id="interrupted"),
        ],
    )
    def test_after_the_block_whatever_happened_in_it(self, body: str, ending: int | None) -> None:
        with another_run(body) as run:
            there = leavings(run.pid)
            if ending is not None:
                run.send_signal(ending)
            run.communicate(timeout=60)
            assert all(there.values())
            assert not any(leavings(run.pid).values())

    def test_by_a_killed_run_but_names_which_the_next_sweeps(self) -> None:
        with another_run("signal.pause()") as run:
            there = leavings(run.pid)
            (namespace,) = there["namespaces"]
            assert [line.split()[1] for line in there["mounts"]] == [f"{net.NAMESPACES}/{namespace}"]
            run.kill()
            run.wait()
            wait_for(lambda: not leavings(run.pid)["processes"], 10, "the killed run's host dies")
            with Rack():
                wait_for(lambda: not any(leavings(run.pid).values()), 10, "this sweep or a neighbour's ends")

    def test_by_one_that_does_not_boot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(harness, "BOOT_SCRIPT", "exit 3")
        with Rack() as rack:
            before = sorted(os.listdir(rack.directory))
            with pytest.raises(LabError, match="exit 3"):
                Machine("burnt", "bookworm", rack=rack).__enter__()
            assert sorted(os.listdir(rack.directory)) == before
            assert os.listdir(rack.file("hosts")) == []


@pytest.mark.boots
@needs_hosts
class TestMany:
    def test_machines_boot_together_and_are_apart(self) -> None:
        with machines(3) as hosts:
            assert [host.name for host in hosts] == ["host1", "host2", "host3"]
            hosts[0].run(["sysctl", "-w", f"{FIN_TIMEOUT}=51"])
            hosts[1].run(["systemctl", "stop", "cron.service", "systemd-logind.service"], check=False)
            assert hosts[1].namespace.sysctl(FIN_TIMEOUT) != "51"
            assert hosts[2].run(["systemctl", "is-active", "systemd-logind.service"]).stdout == "active\n"
            for host in hosts:
                assert net.command(["ssh", "-F", hosts[0].ssh_config, host.name, "hostname"]).stdout == f"{host.name}\n"

    def test_a_cycle_yields_in_order(self) -> None:
        scenarios = [
            Scenario(f"timeout of {value}", release, {DROP_IN: f"{FIN_TIMEOUT} = {value}\n"})
            for value in (21, 22)
            for release in RELEASES
        ]
        collected = boot_cycle(scenarios, lambda machine: (machine.release, machine.namespace.sysctl(FIN_TIMEOUT)))
        assert collected == [("bookworm", "21"), ("trixie", "21"), ("bookworm", "22"), ("trixie", "22")]

    def test_a_failing_scenario_is_named(self) -> None:
        def fail(machine: Machine) -> None:
            raise BoomError(machine.name)

        with pytest.raises(BoomError) as caught:
            boot_cycle([Scenario("drop-in wins", "trixie")], fail)
        assert caught.value.__notes__ == ["scenario drop-in wins on trixie"]
