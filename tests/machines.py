"""Real Debian hosts for tests: systemd boots in systemd-nspawn, each in a network namespace of its own, reached by ssh.

    require() -> str | None                     why no host can be booted here, or None
    image(release, variant="full") -> str       the tree of "bookworm" or "trixie", built once a recipe;
                                                variant "minimal" has python3-minimal instead of python3: no
                                                ctypes, shutil, asyncio; in bookworm not even json; "servers" has
                                                the servers of SERVERS and a Tomcat, to be started one by one, not booted
    with Machine("web", "bookworm", files={"/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_fin_timeout = 30\\n"},
                 links={"/etc/sysctl.d/60-x.conf": "/dev/null"}) as web:
        web.run(argv, check=True)               CompletedProcess[str], over ssh as root
        web.write(path, text)                   kept over a reboot, except below /run and /tmp
        web.reboot()                            orderly; reboot(orderly=False) pulls the plug
        web.namespace                           the Namespace of this boot, for .sysctl(key)
        web.address  web.state                  "running" or "degraded"
        web.ssh_config                          `ssh -F CONFIG web` works, as does anything that reads ssh_config
    with machines(3, "trixie") as (one, two, three): ...        host1, host2, … see each other, booted together
    with Rack() as rack, Machine("a", "bookworm", rack=rack), Machine("b", "trixie", rack=rack): ...
    boot_cycle(scenarios, collect) -> list      boots each Scenario, several at once: collect(machine) of each

Every boot has a fresh network namespace, as a real one starts from the kernel's defaults. A reboot from inside works
too (`systemctl reboot`, Ansible's reboot module). Nothing is left at exit, and nothing but a few names, which the next
run sweeps, when the run is killed: the host dies with its keeper, its mounts are in a mount namespace of their own.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from audit_tcp.lab import net
from audit_tcp.lab.net import LabError, Namespace, Switch, wait_for

TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
PYTHONS = {"full": "python3", "minimal": "python3-minimal"}
SERVERS = ("nginx", "apache2", "haproxy", "default-jre-headless", "nodejs", "gunicorn", "uvicorn", "python3-hypercorn")
TOMCATS = {"bookworm": "tomcat10", "trixie": "tomcat11"}
PACKAGES = ("systemd", "systemd-sysv", "dbus", "openssh-server", "procps", "iproute2", "sudo")
HOOKS = (
    'rm -f "$1"/etc/ssh/ssh_host_*',  # each rack brings its own
    'chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer',  # no downloads in the middle of a test
)

BUILD_TIMEOUT_S = 900
BOOT_TIMEOUT_S = 60
HALT_TIMEOUT_S = 30
REBOOT_EXIT_CODE = 133
AT_ONCE = 4

NSPAWN = (
    "systemd-nspawn --quiet --boot --settings=no --register=no --keep-unit --link-journal=no"
    " --resolv-conf=off --timezone=off"
)
# The payload's cgroup must be its own: without it every host has /payload and systemd kills the neighbours' services.
# /run/systemd/nspawn is hidden since nspawn leaves directories there where /run is no tmpfs.
BOOT_SCRIPT = f"""
set -eu
for group in $CGROUPS; do echo 0 > "$group/cgroup.procs"; done
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
if [ -e "$WORK/seed.tar" ]; then
    chroot "$WORK/root" tar --extract --no-overwrite-dir --directory=/ < "$WORK/seed.tar"
    rm "$WORK/seed.tar"
fi
exec {NSPAWN} --directory="$WORK/root" --network-namespace-path="$NAMESPACE" --machine="$ID" --hostname="$HOST"
"""
# Its parent is the thread that keeps the host on; killing the first process of a pid namespace kills all in it.
POWER = ("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c")

T = TypeVar("T")


def require() -> str | None:
    """Why no host can be booted on this machine, or None when one can."""
    missing = [f"{tool} (package {package})" for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return net.require() or (None if _cgroup_mounts() else "no cgroup hierarchy for systemd is mounted")


def cache_directory() -> str:
    """Where images are kept: $AUDIT_TCP_CACHE, else audit-tcp below $XDG_CACHE_HOME or ~/.cache."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("AUDIT_TCP_CACHE") or os.path.join(caches, "audit-tcp")


def _recipe(release: str, variant: str) -> list[str]:
    if variant == "servers":
        return ["--variant=minbase", f"--include={','.join((*SERVERS, TOMCATS[release]))}", release]
    hooks = [f"--customize-hook={hook}" for hook in HOOKS]
    return ["--variant=minbase", f"--include={','.join((*PACKAGES, PYTHONS[variant]))}", *hooks, release]


def image(release: str, variant: str = "full") -> str:
    """The directory of a release's tree, built when there is none of this recipe yet.

    Complete or absent: it is built beside its place and renamed, by one process at a time. LabError with
    mmdebstrap's own words when the build fails, such as without a network.
    """
    recipe = _recipe(release, variant)
    images = os.path.join(cache_directory(), "images")
    name = f"{release}-{variant}-{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]}"
    tree, partial = os.path.join(images, name), os.path.join(images, f"{name}.partial")
    if os.path.isdir(tree):
        return tree
    os.makedirs(images, exist_ok=True)
    with open(os.path.join(images, f"{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(tree):
            shutil.rmtree(partial, ignore_errors=True)
            *options, suite = recipe
            net.command(["mmdebstrap", *options, suite, partial], timeout=BUILD_TIMEOUT_S)
            os.rename(partial, tree)
    return tree


class Rack(net.Temporary):
    """What the hosts of a test share: a switch that the machine reaches, a key pair, a host key, an ssh_config."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = ""
        self.switch = Switch(reachable=True)

    def _set_up(self) -> None:
        _sweep()
        self.directory = tempfile.mkdtemp(prefix=f"{net.unique_name()}.")
        self._undo.callback(shutil.rmtree, self.directory)
        os.mkdir(self.file("hosts"))
        for key in ("key", "host_key"):
            net.command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.file(key)])
        _write(self.file("known_hosts"), f"* {_read(self.file('host_key.pub'))}")
        _write(self.ssh_config, f'Include "{self.file("hosts")}/*"\n')
        self._undo.enter_context(self.switch)

    @property
    def ssh_config(self) -> str:
        """The file for `ssh -F` that knows every host which is on."""
        return self.file("ssh_config")

    def file(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def register(self, name: str, address: str) -> str:
        """Makes `ssh -F ssh_config NAME` work; returns the file to remove when the host goes."""
        options = {
            "HostName": address,
            "User": "root",
            "IdentityFile": self.file("key"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.file("known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "ServerAliveInterval": "5",
        }
        path = os.path.join(self.file("hosts"), name)
        _write(path, f"Host {name}\n" + "".join(f"    {key} {value}\n" for key, value in options.items()))
        return path


class Machine(net.Temporary):
    """A Debian host that has booted; off and gone at exit.

    `files` (path: text) and `links` (path: target) are there before the first boot and may replace the release's
    own. Hosts of one `rack` see each other; without one the host has its own. LabError when it does not come up,
    with the end of its console.
    """

    def __init__(
        self,
        name: str,
        release: str,
        *,
        files: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        variant: str = "full",
        rack: Rack | None = None,
    ) -> None:
        super().__init__()
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name):
            raise LabError(f"{name!r}: not a host name of small letters, digits and hyphens")
        self.name, self.release, self.variant = name, release, variant
        self.address = self.state = ""
        self.boots = 0
        self._files, self._links = dict(files or {}), dict(links or {})
        self._rack = rack
        self._line = _Line(self)

    def _set_up(self) -> None:
        undo = self._undo
        self.rack = self._rack or undo.enter_context(Rack())
        tree = image(self.release, self.variant)
        self._work = os.path.join(self.rack.directory, self.name)
        for part in ("upper", "work", "root"):
            os.makedirs(os.path.join(self._work, part))
        undo.callback(shutil.rmtree, self._work)
        self.address = self.rack.switch.allocate()
        undo.callback(self.rack.switch.release, self.address)
        undo.callback(os.unlink, self.rack.register(self.name, self.address))
        self._pack_seed()
        undo.callback(self._line.hang_up)
        self._power = undo.enter_context(_Power(self, tree))
        self._wait_for_boot(1)

    @property
    def ssh_config(self) -> str:
        """The file for `ssh -F`: it knows this host, by its name, and the others of its rack."""
        return self.rack.ssh_config

    @property
    def namespace(self) -> Namespace:
        """The network namespace of the present boot; it ends with it."""
        return self._power.namespace

    @property
    def console(self) -> str:
        """What the boots said so far, for messages."""
        return _read(self.file("console"))

    def file(self, name: str) -> str:
        return os.path.join(self._work, name)

    def run(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 60, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` as root and returns what it said. LabError as `net.command`; exit code 255 is ssh's own."""
        return net.command([*self._line.ssh(), shlex.join(argv)], check=check, timeout=timeout, stdin=stdin)

    def write(self, path: str, text: str) -> None:
        """Makes `path` hold `text`, with the directories above it."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1"'
        self.run(["sh", "-c", script, "sh", path], stdin=text)

    def reboot(self, *, orderly: bool = True) -> None:
        """Boots again and waits until that is done; without `orderly` services are not stopped before."""
        before = self.boots
        if orderly:
            self.run(["systemctl", "reboot"], check=False)
        else:
            self._power.cycle()
        self._wait_for_boot(before + 1)

    def hang_up(self) -> None:
        """Ends the ssh connection that `run` keeps."""
        self._line.hang_up()

    def _wait_for_boot(self, number: int) -> None:
        try:
            wait_for(lambda: self._has_booted(number), BOOT_TIMEOUT_S, f"{self.name} ({self.release}) boots")
        except TimeoutError as error:
            raise LabError(f"{error}; the end of its console:\n{self.console[-2000:]}") from error

    def _has_booted(self, number: int) -> bool:
        if self._power.failure is not None:
            raise LabError(f"{self.name} ({self.release}): {self._power.failure}\n{self.console[-2000:]}")
        if self.boots < number or not net.accepts(self.address, 22):
            return False
        self.state = self.run(["systemctl", "is-system-running", "--wait"], check=False).stdout.strip()
        return self.state in ("running", "degraded")

    def _pack_seed(self) -> None:
        host_key = self.rack.file("host_key")
        secrets = {"/etc/ssh/ssh_host_ed25519_key": _read(host_key)}
        files = {
            "/etc/hostname": f"{self.name}\n",
            "/etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{self.address} {self.name}\n",
            "/etc/ssh/ssh_host_ed25519_key.pub": _read(f"{host_key}.pub"),
            "/etc/ssh/sshd_config.d/keys.conf": "AuthorizedKeysFile /etc/ssh/keys\n",
            "/etc/ssh/keys": _read(self.rack.file("key.pub")),
            **self._files,
        }
        with tarfile.open(self.file("seed.tar"), "w") as seed:
            for mode, texts in ((0o600, secrets), (0o644, files)):
                for path, text in texts.items():
                    _add_file(seed, path, text, mode)
            for path, target in self._links.items():
                _add_link(seed, path, target)


class _Power:
    """Keeps a machine on from entry to exit: starts it again, in a fresh network namespace, when it reboots."""

    def __init__(self, machine: Machine, tree: str) -> None:
        self.machine, self.tree = machine, tree
        self.namespace: Namespace
        self.failure: BaseException | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted, self._again = True, False
        self._lock = threading.Lock()
        # the children are told to die with this thread, so it lives as long as they do
        self._thread = threading.Thread(target=self._keep_on, name=f"power of {machine.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pull(again=False)
        self._thread.join()

    def cycle(self) -> None:
        """Off and on again, at once."""
        self._pull(again=True)

    def _pull(self, *, again: bool) -> None:
        with self._lock:
            self._wanted = self._again = again
            if self._process is not None:
                self._process.kill()

    def _keep_on(self) -> None:
        try:
            while self._wanted:
                code = self._boot()
                if code != REBOOT_EXIT_CODE and self._wanted and not self._again:
                    raise LabError(f"went off by itself, exit {code}")
        except BaseException as error:
            self.failure = error

    def _boot(self) -> int:
        machine = self.machine
        with Namespace() as namespace, _cgroups(namespace.name) as groups, open(machine.file("console"), "ab") as log:
            machine.rack.switch.connect(namespace, machine.address)
            self.namespace = namespace
            environment = {
                **os.environ,
                "CGROUPS": " ".join(groups),
                "HOST": machine.name,
                "ID": namespace.name,
                "IMAGE": self.tree,
                "NAMESPACE": namespace.path,
                "WORK": machine.file(""),
                "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",  # what both releases boot with on hardware
            }
            with self._lock:
                if not self._wanted:
                    return 0
                self._again = False
                self._process = subprocess.Popen(
                    [*POWER, BOOT_SCRIPT],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            machine.boots += 1
            code = self._process.wait()
            machine.hang_up()
            return code


class _Line:
    """One ssh connection that the commands of a boot share; made when first needed, and again after a reboot."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._master: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ssh(self) -> list[str]:
        """The ssh command that a remote command is added to."""
        with self._lock:
            if self._master is None or self._master.poll() is not None:
                self._drop()
                self._dial()
        return self._client()

    def hang_up(self) -> None:
        """Ends the connection, if there is one."""
        with self._lock:
            self._drop()

    def _client(self, *options: str) -> list[str]:
        return ["ssh", "-F", self.machine.ssh_config, "-S", self.machine.file("line"), *options, self.machine.name]

    def _dial(self) -> None:
        """Waits for the connection or its failure, which the command that wanted it then reports itself."""
        master = subprocess.Popen(
            self._client("-M", "-N"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._master = master
        wait_for(
            lambda: os.path.exists(self.machine.file("line")) or master.poll() is not None,
            BOOT_TIMEOUT_S,
            f"ssh to {self.machine.name}",
        )

    def _drop(self) -> None:
        if self._master is not None:
            self._master.kill()
            self._master.wait()
            self._master = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.machine.file("line"))


@contextlib.contextmanager
def machines(
    number: int, release: str = "bookworm", *, variant: str = "full", files: Mapping[str, str] | None = None
) -> Iterator[list[Machine]]:
    """`number` hosts host1, host2, … on one rack, booted at the same time; they see each other."""
    with Rack() as rack, contextlib.ExitStack() as undo, ThreadPoolExecutor(AT_ONCE) as pool:
        image(release, variant)
        hosts = [Machine(f"host{n + 1}", release, files=files, variant=variant, rack=rack) for n in range(number)]
        boots = [pool.submit(undo.enter_context, host) for host in hosts]
        yield [boot.result() for boot in boots]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One host to boot once: the files and links that its first boot finds."""

    name: str
    release: str
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    links: Mapping[str, str] = dataclasses.field(default_factory=dict)
    variant: str = "full"


def boot_cycle(scenarios: Iterable[Scenario], collect: Callable[[Machine], T], at_once: int = AT_ONCE) -> list[T]:
    """What `collect` returns for the booted host of each scenario, in their order, `at_once` hosts at a time.

    Each host's plug is pulled when `collect` is done. The first exception ends it; hosts not yet begun stay off.
    """

    def cycle(numbered: tuple[int, Scenario]) -> T:
        number, scenario = numbered
        parts = {"files": scenario.files, "links": scenario.links}
        try:
            with Machine(f"cycle{number}", scenario.release, variant=scenario.variant, rack=rack, **parts) as machine:
                return collect(machine)
        except Exception as error:
            error.add_note(f"scenario {scenario.name} on {scenario.release}")
            raise

    with Rack() as rack, ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(cycle, enumerate(scenarios)))


@contextlib.contextmanager
def _cgroups(name: str) -> Iterator[list[str]]:
    """A cgroup `name` in each hierarchy that systemd uses, removed when the processes in them are gone."""
    groups = [os.path.join(mount, name) for mount in _cgroup_mounts()]
    with contextlib.ExitStack() as undo:
        for group in groups:
            os.mkdir(group)
            undo.callback(_end_cgroup, group)
        yield groups


def _cgroup_mounts() -> list[str]:
    """Where cgroup v2 and, beside it, systemd's own v1 hierarchy are mounted."""
    mounts = []
    for line in _read("/proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 ") or (kind.startswith("cgroup ") and "name=systemd" in kind):
            mounts.append(place.split()[4])
    return mounts


def _end_cgroup(group: str) -> None:
    """Removes a cgroup when the processes in it are gone: a host's all die with its first one, but not at once."""
    wait_for(lambda: _remove_cgroup(group), HALT_TIMEOUT_S, f"{group} is empty")


def _remove_cgroup(group: str) -> bool:
    try:
        for directory, _, _ in os.walk(group, topdown=False):
            os.rmdir(directory)
    except FileNotFoundError:  # another run sweeps it
        return False
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _sweep() -> None:
    """Removes what killed runs left: their interfaces and namespaces, cgroups, directories."""
    for mount in _cgroup_mounts():
        for name in filter(net.is_leftover, os.listdir(mount)):
            _end_cgroup(os.path.join(mount, name))
    net.sweep()
    for name in os.listdir(tempfile.gettempdir()):
        if net.is_leftover(name.partition(".")[0]):
            shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _add_file(tar: tarfile.TarFile, path: str, text: str, mode: int) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _add_link(tar: tarfile.TarFile, path: str, target: str) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)
