"""A server in a mount namespace of its own is read with the files that it sees, under the namespace that it is in."""

import os
import shutil
import subprocess
import time

import pytest

from audit_tcp.probe import nginx
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
