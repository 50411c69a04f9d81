"""A server in a mount namespace of its own is read with the files that it sees, under the namespace that it is in."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from audit_tcp.probe import haproxy, nginx, processes
from audit_tcp.probe.host import Host

pytestmark = pytest.mark.wire

CONFIG = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:8099;
        keepalive_timeout 17s;
    }}
}}
"""

DEADLINE_S = 20

WAYS = {
    # what a unit with BindPaths= does: the host's root, other files in /etc/nginx
    "mounts": 'mount --bind "$0" /etc/nginx && exec nginx',
    # what a container does: another root
    "root": (
        'mkdir -p "$0/root" && mount -t tmpfs none "$0/root" && cd "$0/root" && mkdir proc dev usr etc var tmp && '
        'for one in proc dev usr tmp var; do mount --rbind /$one $one || exit 1; done && '
        'for one in bin sbin lib lib64; do ln -s usr/$one $one; done && '
        'cp -r /etc/passwd /etc/group /etc/ld.so.cache etc/ && cp -r "$0/etc" etc/nginx && exec chroot . nginx'
    ),
}  # fmt: skip


def found():
    """The facts of the server below, None until it runs."""
    servers = {name: facts for kind, name, facts in nginx.collect(Host()) if kind == "server"}
    return next((f for n, f in servers.items() if f["listen"]["value"] == ["127.0.0.1:8099"]), None)


@pytest.mark.parametrize("way", WAYS)
def test_the_files_of_its_own_mounts_are_read(way, tmp_path, namespace):
    if not shutil.which("nginx") or os.geteuid() != 0:
        pytest.skip("needs nginx and root")
    folder = tmp_path / "etc" if way == "root" else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(CONFIG.format(folder=tmp_path))
    command = ["ip", "netns", "exec", namespace.name, "unshare", "-m", "sh", "-c", WAYS[way], str(tmp_path)]
    child = subprocess.Popen(command, start_new_session=True)
    try:
        deadline = time.monotonic() + DEADLINE_S
        facts = None
        while facts is None and child.poll() is None and time.monotonic() < deadline:
            facts = found()
        assert facts is not None, f"nginx ended with {child.poll()}"
        assert facts["idle_timeout_s"] == {"value": 17, "origin": "/etc/nginx/nginx.conf:10"}
        assert facts["netns"]["value"] == namespace.name
    finally:
        child.terminate()
        child.wait(DEADLINE_S)


@pytest.fixture
def started():
    """Starts programs, and ends them."""
    children = []

    def start(*command):
        children.append(
            subprocess.Popen([str(word) for word in command], start_new_session=True, stderr=subprocess.DEVNULL)
        )
        return children[-1]

    yield start
    for child in children:
        os.killpg(child.pid, signal.SIGKILL)  # with its workers
        child.wait(DEADLINE_S)


def until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise TimeoutError


def servers_of(module, path):
    return [facts for kind, _, facts in module.collect(Host()) if kind == "server" and path in facts["mode"]["origin"]]


def test_a_server_that_enters_a_directory_after_reading_its_files(tmp_path, started):
    if not shutil.which("haproxy") or os.geteuid() != 0:
        pytest.skip("needs haproxy and root")
    config = tmp_path / "haproxy.cfg"
    (tmp_path / "empty").mkdir()
    bind = f"unix@{tmp_path}/socket"
    config.write_text(f"global\n chroot {tmp_path}/empty\nfrontend f\n mode http\n timeout client 9s\n bind {bind}\n")
    child = started("haproxy", "-db", "-f", config)
    until(lambda: os.readlink(f"/proc/{child.pid}/root") == f"{tmp_path}/empty")
    (facts,) = until(lambda: servers_of(haproxy, str(config)))
    assert facts["idle_timeout_s"]["value"] == 9


def test_the_version_is_that_of_the_process_not_of_the_file(tmp_path, started):
    if not shutil.which("nginx"):
        pytest.skip("needs nginx")
    program, config = tmp_path / "nginx", tmp_path / "nginx.conf"
    shutil.copy(shutil.which("nginx"), program)
    config.write_text(CONFIG.format(folder=tmp_path).replace("127.0.0.1:8099", f"unix:{tmp_path}/socket"))
    child = started(program, "-c", config, "-p", tmp_path)
    (before,) = until(lambda: servers_of(nginx, str(config)))
    newer = program.read_bytes().replace(b"nginx/1.", b"nginx/9.")
    program.unlink()
    program.write_bytes(newer)
    (after,) = servers_of(nginx, str(config))
    assert child.poll() is None
    assert before["version"]["value"] == after["version"]["value"] != []
    assert after["version"]["value"][0] != 9


@pytest.mark.parametrize(
    ("group", "own"),
    [(f"0::/docker/{'a' * 64}", True), ("0::/machine.slice/machine-web1.scope", True), ("0::/nginx.service", False)],
)
def test_another_users_process_has_the_hosts_files_unless_it_is_in_a_container(group, own, tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(processes, "_inode", refused)
    host = Host(str(tmp_path))
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(group)
    host.live, host.real = True, lambda path: f"{tmp_path}{path}"  # the tree stands for a host that runs
    assert (processes.Process(host, 7, "nginx").files is not host) is own
