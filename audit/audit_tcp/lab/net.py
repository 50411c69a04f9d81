"""Network namespaces, links and switches that vanish when their `with` block ends, whatever happened in it.

    require() -> str | None                         why the kit cannot work here, or None
    with Namespace() as one:                        .name .path, lo is up
        one.run(argv, check=True, timeout=30)       CompletedProcess[str]
        one.popen(argv)                             Popen[str], killed at exit as all that run and popen started
        one.sysctl("net.ipv4.tcp_fin_timeout", 30)  write; without a value: read; always returns the value in force
        with one.entered(): ...                     this thread's sockets are inside
        one.defer(function, *arguments)             runs at exit, before the namespace goes
    here, there = link(one, two)                    addresses of a veth pair that is up at both ends
    with Switch(reachable=True) as switch:          a bridge; reachable: with an address in the machine's own namespace
        with Host(switch) as host: host.address     a Namespace on the switch; all hosts of a switch see each other
    wait_for(condition, timeout_s, what)            polls; TimeoutError names what did not happen
    wait_for_port(address, port, timeout_s)         until a connection is accepted; accepts(address, port) asks once
    command(argv)                                   on the machine itself, with the errors of Namespace.run

Names begin with `atcp`, the pid in hexadecimal, `-`: what a killed run left is known by its dead pid, and the next run
sweeps it. Nothing here writes a sysctl of the machine: only `net.*`, and only in a namespace that the kit made.

A process is killed only if it has AUDIT_TCP_LAB=<namespace> in its environment, as all have that `run` and `popen`
started: whoever else is in a namespace may be visiting. Daemons that leave their process group and lose their
environment (`env -i`, `sudo`, those that write a title over it) are spared too: start them in the foreground.
"""

import abc
import contextlib
import ctypes
import functools
import ipaddress
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Self, TypeVar

from audit_tcp.errors import AuditTcpError

NAMES = re.compile(r"atcp(?P<pid>[0-9a-f]+)-[0-9a-f]+")
NAMESPACES = "/run/netns"
CLONE_NEWNET = 0x40000000
MARK = "AUDIT_TCP_LAB"

REACHABLE_NETWORKS = tuple(ipaddress.IPv4Network("10.213.0.0/16").subnets(new_prefix=24))
SWITCH_NETWORKS = itertools.cycle(ipaddress.IPv4Network("198.18.0.0/16").subnets(new_prefix=24))
LINK_NETWORKS = itertools.cycle(ipaddress.IPv4Network("198.19.0.0/16").subnets(new_prefix=30))

COMMAND_TIMEOUT_S = 30.0
LINK_UP_TIMEOUT_S = 5.0
KILL_TIMEOUT_S = 1.0
POLL_FIRST_S = 0.001
POLL_SLOWEST_S = 0.05

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")

_counter = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(AuditTcpError):
    """The laboratory could not be set up or a command in it failed: command, exit code, stderr."""


def unique_name() -> str:
    """A name for a namespace, interface (at most 15 characters) or directory of this run, never given twice."""
    return f"atcp{os.getpid():x}-{next(_counter):x}"


def is_leftover(name: str) -> bool:
    """Whether `name` is one of `unique_name` whose process is dead."""
    match = NAMES.fullmatch(name)
    return match is not None and not os.path.exists(f"/proc/{int(match['pid'], 16)}")


def command(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = COMMAND_TIMEOUT_S,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs `argv` with `stdin` as its input, in this process's environment if none is given; returns what it said.

    LabError when it cannot be started, runs longer than `timeout` seconds, or, with `check`, exits other than 0.
    """
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: still running after {timeout:g} s") from error
    except OSError as error:
        raise LabError(f"{' '.join(argv)}: {error.strerror}") from error
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def wait_for(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """Polls `condition` until it returns something true, and returns that.

    TimeoutError with `what` after `timeout_s` seconds; whatever `condition` raises ends the waiting.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = POLL_FIRST_S
    while not (result := condition()):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 2, POLL_SLOWEST_S)
    return result


def accepts(address: str, port: int) -> bool:
    """Whether a TCP connection to `address`:`port` from the calling thread's namespace succeeds within a second."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def wait_for_port(address: str, port: int, timeout_s: float) -> None:
    """Waits until `address`:`port` accepts, seen from the calling thread's namespace. TimeoutError otherwise."""
    wait_for(lambda: accepts(address, port), timeout_s, f"{address} port {port} accepts connections")


class Temporary(abc.ABC):
    """What is there from entry to exit; what `_set_up` left in `_undo` is undone at exit, and when it fails."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._undo = undo
            self._set_up()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @abc.abstractmethod
    def _set_up(self) -> None:
        """Makes it, and adds to `_undo` how each part is removed."""


class Namespace(Temporary):
    """A network namespace with `lo` up, made on entry and removed with every process that was started in it on exit.

    Without `name` it gets one of `unique_name`; a given name is not swept when its run is killed.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name or unique_name()
        self.path = f"{NAMESPACES}/{self.name}"
        self._interfaces = itertools.count()

    def _set_up(self) -> None:
        sweep()
        command(["ip", "netns", "add", self.name])
        self.defer(command, ["ip", "netns", "delete", self.name])
        self.defer(_kill_inside, self.name)
        _ip(self, "link set dev lo up")

    def defer(self, function: Callable[..., object], *arguments: object) -> None:
        """Has `function(*arguments)` called at exit, last come first served, before the namespace is removed."""
        self._undo.callback(function, *arguments)

    def run(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = COMMAND_TIMEOUT_S, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` inside and returns what it said; errors as `command`."""
        inside = ["ip", "netns", "exec", self.name, *argv]
        return command(inside, check=check, timeout=timeout, stdin=stdin, environment=self._environment())

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdin: int | IO[str] = subprocess.DEVNULL,
        stdout: int | IO[str] = subprocess.PIPE,
        stderr: int | IO[str] = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Starts `argv` inside; it and its process group are killed at exit."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env=self._environment(),
        )
        self.defer(_kill, process)
        return process

    def _environment(self) -> dict[str, str]:
        return {**os.environ, MARK: self.name}

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Puts the calling thread inside; sockets it opens stay inside for good.

        Only this thread moves: /proc/net is the main thread's, /proc/thread-self/net the calling thread's.
        """
        with open("/proc/thread-self/ns/net") as outside:
            with open(self.path) as inside:
                _set_namespace(inside.fileno(), self.name)
            try:
                yield
            finally:
                _set_namespace(outside.fileno(), "the namespace it came from")

    def sysctl(self, key: str, value: int | str | None = None) -> str:
        """The value of `key` in this namespace, after writing `value` if one is given.

        LabError for a key outside `net.*` (it would be the machine's), one that does not exist, a value refused.
        """
        parts = key.split("/" if "/" in key else ".")
        if parts[0] != "net" or ".." in parts:
            raise LabError(f"{key}: not a sysctl of a network namespace; the kit reads and writes net.* only")
        path = "/".join(("/proc/sys", *parts))
        try:
            with self.entered():
                if value is not None:
                    with open(path, "w") as file:
                        file.write(str(value))
                with open(path) as file:
                    return file.read().strip()
        except OSError as error:
            attempt = "" if value is None else f" = {value}"
            raise LabError(f"{key}{attempt} in {self.name}: {error.strerror}") from error

    def next_interface(self) -> str:
        """The name of the interface to come: eth0, eth1, …"""
        return f"eth{next(self._interfaces)}"

    def interface_with(self, address: str) -> str:
        """The interface that carries `address`. LabError when none does."""
        for interface in json.loads(command(["ip", "-n", self.name, "-j", "address"]).stdout):
            if any(entry["local"] == address for entry in interface["addr_info"]):
                return str(interface["ifname"])
        raise LabError(f"{self.name}: no interface has {address}")

    def is_up(self, interface: str) -> bool:
        """Whether `interface` can carry packets now."""
        (state,) = json.loads(command(["ip", "-n", self.name, "-j", "link", "show", "dev", interface]).stdout)
        return bool(state["operstate"] == "UP")


class Switch(Temporary):
    """A bridge that hosts are connected to, so that they see each other.

    It sits in a namespace of its own. With `reachable` it sits in the machine's namespace and has an address there
    (`gateway`), in a free /24 of 10.213.0.0/16: the machine and the hosts reach each other, nothing is routed further.
    """

    def __init__(self, net: str | None = None, *, reachable: bool = False) -> None:
        super().__init__()
        self.reachable = reachable
        self.gateway: str | None = None
        self._wanted: Network | None = None if net is None else ipaddress.ip_network(net)
        self._home: Namespace | None = None
        self._bridge = unique_name()
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def _set_up(self) -> None:
        sweep()
        self._home = None if self.reachable else self._undo.enter_context(Namespace())
        _ip(self._home, f"link add name {self._bridge} type bridge")
        self._undo.callback(_remove_link, self._home, self._bridge)
        self.network = self._join_machine() if self.reachable else self._wanted or next(SWITCH_NETWORKS)
        _ip(self._home, f"link set dev {self._bridge} up")

    def _join_machine(self) -> Network:
        """Gives the bridge an address in a network that nobody else uses, also not one who chose at the same moment."""
        while True:
            network = self._wanted or _free_network()
            gateway = str(next(network.hosts()))
            _ip(
                None,
                f"link set dev {self._bridge} address {_mac(gateway)}",
                _add_address(self._bridge, gateway, network),
            )
            if self._wanted or sum(network.overlaps(used) for used in _machine_networks()) == 1:
                break
            _ip(None, f"address flush dev {self._bridge}")
        self.gateway = gateway
        self._taken.add(gateway)
        return network

    def allocate(self) -> str:
        """A free address of the switch's network, taken until `release`. LabError when there is none left."""
        with self._lock:
            free = next((a for a in map(str, self.network.hosts()) if a not in self._taken), None)
            if free is None:
                raise LabError(f"{self.network}: all addresses are taken")
            self._taken.add(free)
            return free

    def release(self, address: str) -> None:
        """Makes `address` free again."""
        with self._lock:
            self._taken.discard(address)

    def connect(self, namespace: Namespace, address: str | None = None) -> str:
        """Plugs `namespace` in until it ends and returns its address: `address`, or one allocated for that long."""
        if address is None:
            address = self.allocate()
            namespace.defer(self.release, address)
        port, interface = unique_name(), namespace.next_interface()
        peer = f"peer name {interface} address {_mac(address)} netns {namespace.name}"
        _ip(self._home, f"link add name {port} type veth {peer}")
        namespace.defer(_remove_link, self._home, port)
        _ip(self._home, f"link set dev {port} master {self._bridge} up")
        _ip(namespace, _add_address(interface, address, self.network), f"link set dev {interface} up")
        wait_for(lambda: namespace.is_up(interface), LINK_UP_TIMEOUT_S, f"{interface} of {namespace.name} is up")
        return address


class Host(Namespace):
    """A namespace on a switch; `address` is its own there."""

    def __init__(self, switch: Switch, name: str | None = None) -> None:
        super().__init__(name)
        self._switch = switch
        self.address = ""

    def _set_up(self) -> None:
        super()._set_up()
        self.address = self._switch.connect(self)


def link(a: Namespace, b: Namespace, net: str | None = None, names: tuple[str, str] | None = None) -> tuple[str, str]:
    """Joins `a` and `b` by a veth pair and returns their addresses once both ends are up.

    `net` is a network of at least two addresses, IPv4 or IPv6 (a /30 of 198.19.0.0/16 of its own without one);
    `names` are the interfaces' (the next `ethN` of each side without). The pair ends with either namespace.
    """
    network: Network = ipaddress.ip_network(net) if net else next(LINK_NETWORKS)
    ends = list(map(str, itertools.islice(network.hosts(), 2)))
    if len(ends) != 2:
        raise LabError(f"{network}: a link needs two addresses")
    interfaces = names or (a.next_interface(), b.next_interface())
    _ip(None, f"link add name {interfaces[0]} netns {a.name} type veth peer name {interfaces[1]} netns {b.name}")
    for namespace, interface, address in zip((a, b), interfaces, ends, strict=True):
        _ip(namespace, _add_address(interface, address, network), f"link set dev {interface} up")
    wait_for(
        lambda: a.is_up(interfaces[0]) and b.is_up(interfaces[1]),
        LINK_UP_TIMEOUT_S,
        f"the link between {a.name} and {b.name} is up",
    )
    return ends[0], ends[1]


@functools.cache
def require() -> str | None:
    """Why the kit cannot work on this machine, or None when it can. Found by trying, once a process."""
    if os.geteuid() != 0:
        return "not root: network namespaces need CAP_SYS_ADMIN"
    if shutil.which("ip") is None:
        return "no ip command: install iproute2"
    try:
        with Namespace() as trial:
            _ip(trial, "link add eth0 type veth peer name eth1")
    except LabError as error:
        return f"no network namespaces or veth here: {error}"
    return None


def sweep() -> None:
    """Removes the namespaces, with the processes started in them, and the interfaces of runs that are dead."""
    for name in filter(is_leftover, _listing(NAMESPACES)):
        with contextlib.suppress(LabError):  # another run may sweep it at the same time
            _kill_inside(name)
            command(["ip", "netns", "delete", name])
    for name in filter(is_leftover, _listing("/sys/class/net")):
        _remove_link(None, name)


def _listing(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _ip(namespace: Namespace | None, *lines: str) -> None:
    """Runs `lines` as one ip batch in `namespace`, or in the machine's own."""
    where = [] if namespace is None else ["-n", namespace.name]
    argv = ["ip", *where, "-batch", "-"]
    done = command(argv, check=False, stdin="".join(f"{line}\n" for line in lines))
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {'; '.join(lines)}: exit {done.returncode}: {done.stderr.strip()}")


def _add_address(interface: str, address: str, network: Network) -> str:
    at_once = "" if network.version == 4 else " nodad"
    return f"address add {address}/{network.prefixlen} dev {interface}{at_once}"


def _mac(address: str) -> str:
    """The hardware address that belongs to `address` alone: who takes it over is found without a stale neighbour."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0xA7, *ipaddress.ip_address(address).packed[-4:]))


def _remove_link(namespace: Namespace | None, name: str) -> None:
    """Removes an interface; one that went with its peer's namespace is fine too."""
    where = [] if namespace is None else ["-n", namespace.name]
    command(["ip", *where, "link", "delete", name], check=False)


def _machine_networks() -> list[Network]:
    """The IPv4 networks of the machine's own interfaces and routes, each interface's network once."""
    addresses: list[Network] = [
        ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}").network
        for interface in json.loads(command(["ip", "-4", "-j", "address"]).stdout)
        for entry in interface.get("addr_info", [])
    ]
    routes: list[Network] = [
        ipaddress.ip_network(route["dst"])
        for route in json.loads(command(["ip", "-4", "-j", "route"]).stdout)
        if route["dst"] != "default" and route.get("protocol") != "kernel"
    ]
    return [*addresses, *routes]


def _free_network() -> Network:
    used = _machine_networks()
    free: list[Network] = [
        network for network in REACHABLE_NETWORKS if not any(network.overlaps(other) for other in used)
    ]
    if not free:
        raise LabError("10.213.0.0/16: the machine already uses every /24 of it")
    return secrets.choice(free)


def _set_namespace(descriptor: int, name: str) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise LabError(f"setns to {name}: {os.strerror(ctypes.get_errno())}")


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
        with contextlib.suppress(OSError):  # what was still to be written to a dead process
            stream.close()


def _kill_inside(name: str) -> None:
    """Kills what was started in a namespace of ours and still runs there, such as daemons; nobody who visits it."""

    def is_quiet() -> bool:
        inside = map(int, command(["ip", "netns", "pids", name]).stdout.split())
        unsettled = [pid for pid in inside if pid != os.getpid() and _kill_if_started(name, pid)]
        return not unsettled

    with contextlib.suppress(TimeoutError):  # one that the kernel does not let die yet, a visitor with no environment
        wait_for(is_quiet, KILL_TIMEOUT_S, f"the processes started in {name} end")


def _kill_if_started(name: str, pid: int) -> bool:
    """Kills `pid` if it was started in `name`. Whether that must be asked again: it dies, or could not be told."""
    try:
        process = os.pidfd_open(pid)  # a process that is given the pid anew meanwhile is not hit
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read().split(b"\0")
        if f"{MARK}={name}".encode() in environment:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            return True
        return environment == [b""]  # so looks a process in the middle of an exec, whoever started it
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(process)
