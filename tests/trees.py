"""File trees that stand for a host, for `Host(root)` and `--root`."""


def grow(root, files, links=None):
    """Writes files {path: text or bytes} and links {path: target} below root, and returns root."""
    for path, content in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    for path, target in (links or {}).items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    return root


PROC = {
    "/proc/sys/kernel/osrelease": "6.1.0-44-amd64\n",
    "/proc/sys/net/ipv4/tcp_keepalive_time": "7200\n",
    "/proc/sys/net/ipv4/tcp_keepalive_intvl": "75\n",
    "/proc/sys/net/ipv4/tcp_keepalive_probes": "9\n",
    "/proc/sys/net/ipv4/tcp_fin_timeout": "60\n",
    "/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "/proc/sys/net/ipv4/ip_local_reserved_ports": "\n",
    "/proc/sys/net/ipv4/conf/all/rp_filter": "0\n",
    "/proc/sys/net/ipv4/conf/eth0.100/rp_filter": "0\n",
    "/proc/sys/net/core/somaxconn": "4096\n",
    "/proc/net/dev": "Inter-|   Receive\n face |bytes\n    lo: 0 0\n  eth0: 0 0\n",
}
"""The least that a running kernel shows."""
