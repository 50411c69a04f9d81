"""The kit for network namespaces: what it makes works, stays inside, and vanishes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pytest

from audit_tcp.lab import net
from audit_tcp.lab.net import Host, LabError, Namespace, Switch, link, wait_for, wait_for_port

REASON = net.require()
needs_kit = pytest.mark.skipif(REASON is not None, reason=str(REASON))

KEY = "net.ipv4.tcp_fin_timeout"


def namespaces() -> set[str]:
    return set(os.listdir(net.NAMESPACES))


def interfaces() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def of_run(pid: int) -> set[str]:
    return {name for name in namespaces() | interfaces() if name.startswith(f"atcp{pid:x}-")}


def processes_in(namespace: str) -> list[str]:
    return net.command(["ip", "netns", "pids", namespace]).stdout.split()


def machine_value(key: str) -> str:
    with open("/proc/sys/" + key.replace(".", "/")) as file:
        return file.read().strip()


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def visitor(namespace: str, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process in a namespace, killed at the end."""
    with subprocess.Popen(["ip", "netns", "exec", namespace, "sleep", "600"], env=environment) as process:
        try:
            wait_for(lambda: str(process.pid) in processes_in(namespace), 5, "the visitor is inside")
            yield process
        finally:
            process.kill()


def survives(process: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.2)
    return process.returncode is None


@contextlib.contextmanager
def server(namespace: Namespace, address: str) -> Iterator[int]:
    with namespace.entered():
        listener = socket.create_server((address, 0))
    with listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def killed_run(block: str, body: str) -> Iterator[list[str]]:
    """The words that `body`, in the block of what another run made, printed; that run is killed at the end."""
    ending = "    print('', flush=True)\n    signal.pause()\n"
    code = f"import signal\nfrom audit_tcp.lab.net import Host, Namespace, Switch\nwith {block}:\n{body}{ending}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            yield "".join(iter(run.stdout.readline, "\n")).split()
        finally:
            run.kill()


class BoomError(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "leftover"),
    [
        pytest.param("atcp{dead:x}-0", True, id="ours of a dead run"),
        pytest.param("atcp{live:x}-0", False, id="ours of a live run"),
        pytest.param("atcp{dead:x}", False, id="no number"),
        pytest.param("xatcp{dead:x}-0", False, id="something before"),
        pytest.param("atcp{dead:x}-0-more", False, id="something after"),
        pytest.param("docker0", False, id="someone else's"),
    ],
)
def test_a_leftover_is_a_name_of_ours_with_a_dead_pid(name: str, leftover: bool) -> None:
    assert net.is_leftover(name.format(dead=dead_pid(), live=os.getpid())) is leftover


def test_unique_names_differ_and_fit_an_interface() -> None:
    names = {net.unique_name() for _ in range(100)}
    assert len(names) == 100
    assert max(map(len, names)) <= 15


class TestWaitFor:
    def test_returns_what_the_condition_returned(self) -> None:
        answers = iter([0, None, "", "ready"])
        assert wait_for(lambda: next(answers), 5, "readiness") == "ready"

    def test_names_what_did_not_happen(self) -> None:
        with pytest.raises(TimeoutError, match=r"the moon turns blue: not within 0\.05 s"):
            wait_for(lambda: False, 0.05, "the moon turns blue")

    def test_does_not_overrun(self) -> None:
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            wait_for(lambda: False, 0.1, "never")
        assert 0.1 <= time.monotonic() - begin < 1

    def test_asks_even_without_time(self) -> None:
        assert wait_for(lambda: True, 0, "at once")

    def test_an_exception_ends_it(self) -> None:
        with pytest.raises(ZeroDivisionError):
            wait_for(lambda: 1 / 0, 5, "infinity")

    def test_a_port_that_nobody_listens_on_is_named(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
            with pytest.raises(TimeoutError, match=rf"127\.0\.0\.1 port {port}"):
                wait_for_port("127.0.0.1", port, 0.05)


class TestCommand:
    def test_failure_tells_command_code_and_stderr(self) -> None:
        with pytest.raises(LabError, match=r"sh -c echo broken >&2; exit 3: exit 3: broken"):
            net.command(["sh", "-c", "echo broken >&2; exit 3"])

    def test_failure_is_data_without_check(self) -> None:
        assert net.command(["sh", "-c", "exit 3"], check=False).returncode == 3

    def test_a_command_that_hangs_is_named(self) -> None:
        with pytest.raises(LabError, match=r"sleep 60: still running after 0\.1 s"):
            net.command(["sleep", "60"], timeout=0.1)

    def test_a_command_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(LabError, match="no-such-command: No such file"):
            net.command(["no-such-command"])


@needs_kit
class TestNamespace:
    def test_is_there_and_then_gone(self) -> None:
        with Namespace() as one:
            assert one.name in namespaces()
            assert os.path.exists(one.path)
        assert one.name not in namespaces()

    def test_takes_a_given_name(self) -> None:
        name = f"{net.unique_name()}.mine"
        with Namespace(name) as one:
            assert one.name == name
            assert name in namespaces()
        assert name not in namespaces()

    def test_is_gone_when_the_body_raises(self) -> None:
        with pytest.raises(BoomError), Namespace() as one:
            raise BoomError
        assert one.name not in namespaces()

    def test_is_gone_when_setting_up_fails(self) -> None:
        class Broken(Namespace):
            def _set_up(self) -> None:
                super()._set_up()
                assert self.name in namespaces()
                raise BoomError

        broken = Broken()
        with pytest.raises(BoomError):
            broken.__enter__()
        assert broken.name not in namespaces()

    def test_a_name_that_is_taken_is_told_and_left_alone(self) -> None:
        with Namespace() as one:
            with pytest.raises(LabError, match=f"ip netns add {one.name}: exit 1: .*exists"), Namespace(one.name):
                pass
            assert one.name in namespaces()

    def test_lo_is_up(self) -> None:
        with Namespace() as one, server(one, "127.0.0.1") as port, one.entered():
            wait_for_port("127.0.0.1", port, 1)

    def test_run_is_inside(self) -> None:
        with Namespace() as one:
            shown = one.run(["ip", "-br", "link"]).stdout.splitlines()
        assert [line.split()[0] for line in shown] == ["lo"]

    def test_run_passes_input_and_exit_code(self) -> None:
        with Namespace() as one:
            done = one.run(["sh", "-c", "cat; exit 4"], check=False, stdin="said")
        assert (done.stdout, done.returncode) == ("said", 4)

    def test_run_failure_tells_all(self) -> None:
        with Namespace() as one, pytest.raises(LabError, match=f"{one.name} sh -c .*: exit 5: no luck"):
            one.run(["sh", "-c", "echo no luck >&2; exit 5"])

    def test_a_started_process_is_killed(self) -> None:
        with Namespace() as one:
            process = one.popen(["sleep", "600"])
            assert process.poll() is None
        assert process.returncode == -signal.SIGKILL

    def test_a_daemon_that_left_its_parent_is_killed(self) -> None:
        with Namespace() as one:
            pid = int(one.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"]).stdout)
            assert alive(pid)
        wait_for(lambda: not alive(pid), 5, "the daemon dies")

    def test_a_daemon_in_the_middle_of_an_exec_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = 0

        def empty_at_first(path: str, mode: str = "r") -> IO[Any]:
            nonlocal asked
            asked += path == f"/proc/{pid}/environ"
            return open(os.devnull if asked == 1 else path, mode)

        with Namespace() as one:
            pid = int(one.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"]).stdout)
            monkeypatch.setattr(net, "open", empty_at_first, raising=False)
        wait_for(lambda: not alive(pid), 5, "the daemon dies")

    @pytest.mark.parametrize(
        "environment",
        [
            pytest.param(None, id="that of a user"),
            pytest.param({}, id="none"),
            pytest.param({net.MARK: "atcp1-ffff"}, id="that of another lab"),
        ],
    )
    def test_a_process_that_merely_visits_is_left_alone(self, environment: Mapping[str, str] | None) -> None:
        with contextlib.ExitStack() as stack:
            with Namespace() as one:
                stranger = stack.enter_context(visitor(one.name, environment))
            assert survives(stranger)
            assert one.name not in namespaces()

    def test_deferred_calls_come_last_first_while_it_is_there(self) -> None:
        calls: list[tuple[str, bool]] = []
        with Namespace() as one:
            for name in ("first", "second"):
                one.defer(lambda name=name: calls.append((name, one.name in namespaces())))
        assert calls == [("second", True), ("first", True)]

    def test_entered_ends_with_its_block_even_when_that_raises(self) -> None:
        before = os.stat("/proc/thread-self/ns/net").st_ino
        with Namespace() as one, contextlib.suppress(BoomError), one.entered():
            assert os.stat("/proc/thread-self/ns/net").st_ino == os.stat(one.path).st_ino
            raise BoomError
        assert os.stat("/proc/thread-self/ns/net").st_ino == before


@needs_kit
class TestSysctl:
    def test_a_write_stays_inside(self) -> None:
        before = machine_value(KEY)
        with Namespace() as one, Namespace() as two:
            assert one.sysctl(KEY, int(before) + 7) == str(int(before) + 7)
            assert one.sysctl(KEY) == str(int(before) + 7)
            assert two.sysctl(KEY) == before
            assert machine_value(KEY) == before
        assert machine_value(KEY) == before

    def test_reads_what_sysctl_reads_inside(self) -> None:
        with Namespace() as one:
            one.sysctl("net.ipv4.ip_local_port_range", "20000 20999")
            assert one.run(["cat", "/proc/sys/net/ipv4/ip_local_port_range"]).stdout == "20000\t20999\n"

    def test_a_key_with_slashes_may_hold_an_interface_with_a_dot(self) -> None:
        with Namespace() as one, Namespace() as two:
            link(one, two, names=("eth0.5", "eth0"))
            assert one.sysctl("net/ipv4/conf/eth0.5/rp_filter", 2) == "2"

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            pytest.param("kernel.pid_max", None, "not a sysctl of a network namespace", id="the machine's"),
            pytest.param("net/../kernel/pid_max", 9, "not a sysctl of a network namespace", id="climbs out"),
            pytest.param("net.ipv4.no_such_key", None, "net.ipv4.no_such_key in atcp", id="unknown"),
            pytest.param("net.ipv4.tcp_mem", None, "net.ipv4.tcp_mem in atcp", id="the machine's alone"),
            pytest.param(KEY, "soon", f"{KEY} = soon in atcp.*Invalid argument", id="no number"),
        ],
    )
    def test_what_cannot_be_is_refused(self, key: str, value: int | str | None, message: str) -> None:
        with Namespace() as one, pytest.raises(LabError, match=message):
            one.sysctl(key, value)


@needs_kit
class TestLink:
    @pytest.mark.parametrize(
        ("net_given", "ends"),
        [
            pytest.param(None, None, id="one of its own"),
            pytest.param("198.18.200.0/24", ("198.18.200.1", "198.18.200.2"), id="IPv4"),
            pytest.param("198.18.200.0/31", ("198.18.200.0", "198.18.200.1"), id="no room to spare"),
            pytest.param("fd00:213::/64", ("fd00:213::1", "fd00:213::2"), id="IPv6"),
        ],
    )
    def test_passes_traffic_both_ways(self, net_given: str | None, ends: tuple[str, str] | None) -> None:
        with Namespace() as one, Namespace() as two:
            here, there = link(one, two, net_given)
            assert ends in (None, (here, there))
            for near, far, address in ((one, two, there), (two, one, here)):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                with far.entered():
                    listener = socket.create_server((address, 0), family=family)
                with listener, near.entered():
                    wait_for_port(address, listener.getsockname()[1], 2)

    def test_names_the_interfaces(self) -> None:
        with Namespace() as one, Namespace() as two:
            here, there = link(one, two, names=("up", "down"))
            link(one, two)
            assert (one.interface_with(here), two.interface_with(there)) == ("up", "down")
            assert one.is_up("up")
            assert one.is_up("eth0")

    def test_a_third_namespace_does_not_see_it(self) -> None:
        with Namespace() as one, Namespace() as two, Namespace() as three:
            _, there = link(one, two)
            with server(two, there) as port, three.entered():
                assert not net.accepts(there, port)

    def test_a_net_without_room_is_told(self) -> None:
        with Namespace() as one, Namespace() as two, pytest.raises(LabError, match="a link needs two addresses"):
            link(one, two, "198.18.200.0/32")

    def test_leaves_nothing_on_the_machine(self) -> None:
        with Namespace() as one, Namespace() as two:
            link(one, two, names=(net.unique_name(), net.unique_name()))
            assert not of_run(os.getpid()) & interfaces()

    def test_an_address_nobody_has_is_told(self) -> None:
        with Namespace() as one, pytest.raises(LabError, match=r"no interface has 192\.0\.2\.77"):
            one.interface_with("192.0.2.77")


@needs_kit
class TestSwitch:
    def test_its_hosts_see_each_other(self) -> None:
        with Switch() as switch, Host(switch) as one, Host(switch) as two, Host(switch) as three:
            assert len({one.address, two.address, three.address}) == 3
            with server(one, one.address) as port:
                for other in (two, three):
                    with other.entered():
                        wait_for_port(one.address, port, 2)

    def test_the_machine_does_not_see_them(self) -> None:
        with Switch() as switch, Host(switch) as host, server(host, host.address) as port:
            assert not of_run(os.getpid()) & interfaces()
            assert not net.accepts(host.address, port)

    def test_reachable_the_machine_sees_them_and_they_it(self) -> None:
        with Switch(reachable=True) as switch, Host(switch) as host, server(host, host.address) as port:
            wait_for_port(host.address, port, 2)
            assert switch.gateway is not None
            with socket.create_server((switch.gateway, 0)) as listener, host.entered():
                wait_for_port(switch.gateway, listener.getsockname()[1], 2)

    def test_reachable_ones_do_not_collide(self) -> None:
        with Switch(reachable=True) as one, Switch(reachable=True) as two:
            assert not one.network.overlaps(two.network)

    def test_nothing_is_left(self) -> None:
        with (
            contextlib.suppress(BoomError),
            Switch(reachable=True) as switch,
            Host(switch),
            Switch() as other,
            Host(other),
        ):
            assert of_run(os.getpid()) & namespaces()
            assert of_run(os.getpid()) & interfaces()
            raise BoomError
        assert not of_run(os.getpid())

    def test_an_address_is_free_again_and_works_at_once_for_its_next_host(self) -> None:
        with Switch("198.18.9.0/30", reachable=True) as switch:
            for _ in range(3):
                with Host(switch) as host, server(host, host.address) as port:
                    assert host.address == "198.18.9.2"
                    wait_for_port(host.address, port, 1)

    def test_a_full_one_is_told(self) -> None:
        full = pytest.raises(LabError, match="all addresses are taken")
        with Switch("198.18.9.0/30") as switch, Host(switch), Host(switch), full, Host(switch):
            pass


@needs_kit
class TestSweep:
    def test_removes_what_a_dead_run_left(self) -> None:
        with subprocess.Popen(["sleep", "600"]) as run:
            name = f"atcp{run.pid:x}-0"
            net.command(["ip", "netns", "add", name])
            net.command(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name])
            net.sweep()
            assert name in namespaces()
            run.kill()
        net.sweep()
        wait_for(lambda: name not in namespaces() | interfaces(), 5, "this sweep or a neighbour's ends")

    def test_ends_what_a_dead_run_started_and_nobody_who_visits(self) -> None:
        body = (
            "    print(one.name, one.popen(['sleep', '600']).pid, flush=True)\n"
            "    print(one.run(['sh', '-c', 'setsid sleep 600 >/dev/null 2>&1 & echo $!']).stdout, flush=True)\n"
        )
        with contextlib.ExitStack() as stack:
            with killed_run("Namespace() as one", body) as (name, *pids):
                stranger = stack.enter_context(visitor(name))
                assert all(alive(int(pid)) for pid in pids)
            net.sweep()
            wait_for(lambda: not any(alive(int(pid)) for pid in pids), 5, "this sweep or a neighbour's ends")
            wait_for(lambda: name not in namespaces(), 5, "the name goes")
            assert survives(stranger)

    def test_spares_a_live_run(self) -> None:
        with Namespace(f"atcp{1:x}-ffff") as of_init:
            net.sweep()
            assert of_init.name in namespaces()

    def test_a_killed_run_is_swept_by_the_next_namespace(self) -> None:
        block = "Switch(reachable=True) as switch, Host(switch) as host"
        with killed_run(block, "    print(host.name, flush=True)\n") as (name,):
            assert name in namespaces()
        pid = int(name.partition("-")[0].removeprefix("atcp"), 16)
        with Namespace():
            wait_for(lambda: not of_run(pid), 5, "this sweep or a neighbour's ends")


class TestRequire:
    @pytest.fixture(autouse=True)
    def asked_anew(self) -> Iterator[None]:
        net.require.cache_clear()
        yield
        net.require.cache_clear()

    def test_not_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert net.require() == "not root: network namespaces need CAP_SYS_ADMIN"

    def test_no_ip(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setenv("PATH", "/nonexistent")
        assert net.require() == "no ip command: install iproute2"

    @needs_kit
    def test_no_veth(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise LabError("RTNETLINK answers: Operation not supported")

        monkeypatch.setattr(net, "_ip", refuse)
        assert "Operation not supported" in str(net.require())
