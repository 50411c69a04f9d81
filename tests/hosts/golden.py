"""Trees taken from hosts that booted, comments emptied, with the snapshots that the probe makes of them.

`python tests/hosts/golden.py` boots the hosts and writes trees/*.json again; review the difference before it is committed.
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "trees"

BLOG = """# from a blog: "tune TCP for high load"
net.ipv4.tcp_fin_timeout = 90
net.ipv4.tcp_tw_reuse = 1
net.ipv4.tcp_tw_recycle = 1
net.ipv4.tcp_timestamps = 0
net.ipv4.tcp_max_tw_buckets = 5000
net.ipv4.tcp_max_syn_backlog = 65535
net.ipv4.tcp_keepalive_time = 60
net.ipv4.tcp_keepalive_probes = 0
net.ipv4.tcp_user_timeout = 30000
net.core.somaxconn = 65535
net.ipv4.ip_local_port_range = 1000 65535
"""

HOSTS = {
    "debian-12": ("bookworm", {}),
    "debian-13": ("trixie", {}),
    "debian-12-blog": ("bookworm", {"/etc/sysctl.conf": BLOG, "/etc/sysctl.d/60-tcp": "net.ipv4.tcp_retries2 = 5\n"}),
    "debian-13-blog": ("trixie", {"/etc/sysctl.conf": BLOG}),
}

SCRIPT = r"""
import glob, json, os
patterns = [
    "/etc/hostname", "/etc/os-release", "/etc/sysctl.conf", "/etc/sysctl.d/*", "/run/sysctl.d/*", "/usr/lib/sysctl.d/*",
    "/proc/sys/kernel/osrelease", "/proc/sys/fs/file-max", "/proc/sys/fs/file-nr", "/proc/sys/net/core/somaxconn",
    "/proc/sys/net/ipv4/tcp_[!f]*", "/proc/sys/net/ipv4/tcp_fin_timeout", "/proc/sys/net/ipv4/ip_local_*",
    "/proc/sys/net/ipv4/conf/lo/rp_filter", "/proc/sys/net/netfilter/*",
    "/proc/net/dev", "/proc/net/stat/nf_conntrack", "/lib/systemd/systemd-sysctl", "/proc/net/sockstat", "/proc/net/snmp", "/proc/net/netstat", "/proc/meminfo",
]
files, links = {}, {}
for path in sorted(path for pattern in patterns for path in glob.glob(pattern) if not os.path.isdir(path)):
    if os.path.islink(path):
        links[path] = os.readlink(path)
        path = os.path.realpath(path)
    with open(path, errors="replace") as file:
        text = "" if path.endswith("systemd-sysctl") else file.read(20000)
    if "sysctl" in path and not path.startswith("/proc"):
        text = "".join("#\n" if line[0] in "#;" else line for line in text.splitlines(True))
    files[path] = text
print(json.dumps({"files": files, "links": links}))
"""


FIRST_NAMESPACE = {"/proc/sys/net/core/netdev_max_backlog": "1000\n"}
"""What the hosts here, which boot in a child namespace, do not show, and a host of metal does."""


def snapshot_of(root):
    """The probe's document of a tree, without the time."""
    from audit_tcp import probe
    from audit_tcp.probe.host import Host

    document = probe.take(Host(str(root)), probe.collectors())
    del document["taken"]
    return document


def main():
    import tempfile

    import machines
    from trees import grow

    for name, (release, files) in HOSTS.items():
        with machines.Machine("golden", release, files=files) as machine:
            tree = json.loads(machine.run(["python3", "-c", SCRIPT]).stdout)
        tree["files"] |= FIRST_NAMESPACE
        with tempfile.TemporaryDirectory() as folder:
            tree["snapshot"] = snapshot_of(grow(Path(folder), tree["files"], tree["links"]))
        (FOLDER / f"{name}.json").write_text(json.dumps(tree, indent=1, sort_keys=True) + "\n")
        print(f"wrote {name}")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2] / "audit"), str(Path(__file__).parents[1])]
    main()
