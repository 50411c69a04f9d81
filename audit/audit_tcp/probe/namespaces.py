"""Every network namespace of a host, named as its user knows it: by `ip netns`, container, pod, unit or process."""

import os
import re

from .host import SELF, Host, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    Spaces = Dict[Tuple[int, int], "Namespace"]
    """Namespaces by device and inode."""

HOST = "host"
"""The name of the namespace of process 1, the one that sysctl files tune."""

NAMED = ("/run/netns", "/run/docker/netns")
"""Where namespaces are bound to names: iproute2, Docker."""

_GENERATED = re.compile(NAMED[1] + "/|" + NAMED[0] + "/(cni-|[0-9a-f-]{32,}$)")
"""Names under which runtimes bind namespaces, and which no user knows."""

_CONTAINER = re.compile(r"([0-9a-f]{64})")
_MACHINE = re.compile(r"/(?:systemd-nspawn@|machine-|lxc\.payload\.)([^/\n]+?)(?:\.service|\.scope)?(?:/|$)", re.M)
_UNIT = re.compile(r"/([^/\n]+\.service)(?=/|$)", re.M)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
"""How systemd writes other characters in the name of a unit."""

_STATES = (
    "/var/lib/docker/containers/{}/config.v2.json",
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json",
    "/run/containerd/io.containerd.runtime.v2.task/default/{}/config.json",
    "/var/lib/containers/storage/overlay-containers/{}/userdata/config.json",
)
"""What Docker, containerd, nerdctl, CRI-O and Podman keep of a container, by its id."""

_POD = re.compile(r'"io\.kubernetes\.(?:cri\.sandbox-|pod\.)name":\s*"([a-z0-9.-]+)"')
_POD_NAMESPACE = re.compile(r'"io\.kubernetes\.(?:cri\.sandbox-|pod\.)namespace":\s*"([a-z0-9.-]+)"')
_NAME = re.compile(r'"(?:Name|nerdctl/name|io\.podman\.annotations\.name)":\s*"/?([A-Za-z0-9_.-]+)"')

PODMAN = "/var/lib/containers/storage/overlay-containers/containers.json"


class Namespace:
    """One network namespace: `path` leads into it, None meaning where the probe already is."""

    def __init__(self, name: str, scope: str, path: "str | None", origin: str = "") -> None:
        self.name = name
        self.scope = scope
        self.path = path
        self.origin = origin or path
        self.renamed = False
        self.inode: "Tuple[int, int] | None" = None


def find(host: Host) -> "list[Namespace]":
    """The namespaces that can be seen, the host's first; looked for once. What may not be seen becomes unread."""
    if host.spaces is None:
        host.spaces = _find(host)
    return host.spaces


def _find(host: Host) -> "list[Namespace]":
    if not host.live:
        return [Namespace(HOST, HOST, None, "the tree")] if host.exists("/proc/sys/net") else []
    path, origin = "/proc/1/ns/net", "the namespace of process 1"
    try:
        first = _inode(path)
    except OSError:  # without root
        path, origin = "/proc/self/ns/net", "the namespace that the audit was started in"
        first = _inode(path)
    spaces = {first: Namespace(HOST, HOST, None if _inode(SELF + "/ns/net") == first else path, origin)}
    _named(host, spaces)
    _of_processes(host, spaces)
    _tell_apart(spaces)
    for inode, space in spaces.items():
        space.inode = inode
    return list(spaces.values())


def _inode(path: str) -> "tuple[int, int]":
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _named(host: Host, spaces: "Spaces") -> None:
    for folder in NAMED:
        for name in host.entries(folder):
            path = folder + "/" + name
            try:
                inode = _inode(path)
            except OSError as error:
                host.unread("netns " + name, reason(error))
                continue
            scope = "named" if folder == NAMED[0] else "container"
            if inode not in spaces and path != NAMED[1] + "/default":
                spaces[inode] = Namespace(name, scope, path)


def _of_processes(host: Host, spaces: "Spaces") -> None:
    refused: "list[str]" = []
    for pid in sorted(filter(str.isdigit, host.entries("/proc")), key=int):
        path = "/proc/" + pid + "/ns/net"
        try:
            inode = _inode(path)
        except PermissionError:
            refused.append(pid)
            continue
        except OSError:
            continue  # the process ended meanwhile
        known = spaces.get(inode)
        if known is None:
            spaces[inode] = Namespace(*_name_of(host, pid), path=path)
        elif _GENERATED.match(known.path or "") and not known.renamed:
            known.name, known.scope = _name_of(host, pid)
            known.renamed = True
    if os.geteuid() != 0:
        host.unread("network namespaces", "not run as root: those of other users' processes are not seen")
    elif refused:
        host.unread("network namespaces", "those of process {} may not be looked at".format(", ".join(refused[:20])))


def _name_of(host: Host, pid: str) -> "tuple[str, str]":
    groups = host.value("/proc/" + pid + "/cgroup") or ""
    container = _CONTAINER.search(groups)
    if container:
        return _container(host, container.group(1))
    machine = _MACHINE.search(groups)
    if machine:
        return _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), machine.group(1)), "container"
    units = [unit for unit in _UNIT.findall(groups) if not unit.startswith("user@")]
    if units:
        return units[-1], "unit"
    command = host.value("/proc/" + pid + "/comm") or "?"
    return "{} (pid {})".format(command, pid), "process"


def in_container(host: Host, pid: int) -> bool:
    """Whether the control group of a process is that of a container or a machine."""
    groups = host.value("/proc/{}/cgroup".format(pid)) or ""
    return bool(_CONTAINER.search(groups) or _MACHINE.search(groups))


def _container(host: Host, identity: str) -> "tuple[str, str]":
    for pattern in _STATES:
        state = host.value(pattern.format(identity)) or ""
        pod, space = _POD.search(state), _POD_NAMESPACE.search(state)
        if pod and space:
            return space.group(1) + "/" + pod.group(1), "pod"
        name = _NAME.search(state)
        if name:
            return name.group(1), "container"
    listed = re.search(r'"id":"{}","names":\["([A-Za-z0-9_.-]+)"'.format(identity), host.value(PODMAN) or "")
    return (listed.group(1) if listed else identity[:12]), "container"


def _tell_apart(spaces: "Spaces") -> None:
    taken: "set[str]" = set()
    for space in spaces.values():
        name, number = space.name, 1
        while space.name in taken:
            number += 1
            space.name = "{} #{}".format(name, number)
        taken.add(space.name)
