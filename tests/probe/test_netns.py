"""Namespaces, their sysctls, counters and listeners, on the running kernel."""

import os
import socket

import pytest

from audit_tcp import probe
from audit_tcp.lab.net import Namespace, link, wait_for
from audit_tcp.probe import counters, derived, listeners, namespaces, netns, sock_diag, values
from audit_tcp.probe.host import Host
from trees import PROC, grow


def netns_facts(name):
    return next(facts for kind, subject, facts in netns.collect(Host()) if subject == name)


def listeners_of(name):
    document = probe.take(Host(), ["listeners"])
    found = [subject for subject in document["subjects"] if subject["name"].startswith(f"{name} ")]
    return {s["name"].split()[1]: {key: fact["value"] for key, fact in s["facts"].items()} for s in found}


def test_a_named_namespace_is_read_from_within(namespace):
    namespace.sysctl("net.ipv4.tcp_keepalive_probes", 0)
    namespace.sysctl("net.ipv4.ip_local_reserved_ports", "8080")
    facts = netns_facts(namespace.name)
    assert facts["net.ipv4.tcp_keepalive_probes"] == 0
    assert facts["net.ipv4.ip_local_reserved_ports"] == "8080"
    assert facts["net.ipv4.ip_local_port_range"] == [32768, 60999]
    assert facts["scope"]["value"] == "named"
    assert facts["keepalive_detection_s"]["value"] == 7200
    assert netns_facts("host")["net.ipv4.tcp_keepalive_probes"] != 0


def test_counters_are_the_namespaces_own_in_any_thread(namespace):
    from concurrent.futures import ThreadPoolExecutor

    def inside():
        with namespace.entered(), socket.create_server(("127.0.0.1", 80)), socket.create_connection(("127.0.0.1", 80)):
            return netns_facts(namespace.name)

    with ThreadPoolExecutor(1) as pool:
        facts = pool.submit(inside).result()
    assert facts["sockstat.TCP.inuse"] == 3
    assert (facts["Tcp.ActiveOpens"], facts["Tcp.CurrEstab"]) == (1, 2)


def test_the_probe_returns_to_where_it_was(namespace):
    before = os.readlink("/proc/self/ns/net")
    list(netns.collect(Host()))
    assert os.readlink("/proc/self/ns/net") == before


def test_every_readable_key_of_the_tree_is_there(namespace):
    with namespace.entered():
        files = [os.path.join(folder, name) for folder, _, names in os.walk("/proc/sys/net") for name in names]
        keys = {
            path[len("/proc/sys/") :].translate({46: "/", 47: "."}) for path in files if os.stat(path).st_mode & 0o444
        }
    read = {key for key in netns_facts(namespace.name) if key.startswith("net.")}
    assert {key for key in keys - read if key.rsplit(".", 1)[1] not in values.SECRET} == set()
    assert not any(key.endswith(values.SECRET) for key in read)


def test_a_namespace_that_only_a_process_holds_is_named_after_it(namespace):
    child = namespace.popen(["unshare", "--net", "tail", "-f", "/dev/null"])
    inode = wait_for_other_inode(child)
    found = {space.name: space for space in namespaces.find(Host()) if os.stat(space.path or "/").st_ino == inode}
    assert [name.split()[0] for name in found] == ["tail"]
    assert next(iter(found.values())).scope == "process"


def command_of(child):
    with open(f"/proc/{child.pid}/comm") as file:
        return file.read().strip()


def wait_for_other_inode(child):
    own = os.stat("/proc/self/ns/net").st_ino

    def inode():
        found = os.stat(f"/proc/{child.pid}/ns/net").st_ino
        return found if command_of(child) == "tail" and found != own else 0

    return wait_for(inode, 5, "unshare to become tail")


CGROUPS = [
    ("0::/system.slice/docker-" + "a" * 64 + ".scope", ("a" * 12, "container")),
    ("0::/machine.slice/systemd-nspawn@web.service/payload", ("web", "container")),
    ("0::/lxc.payload.box/init.scope", ("box", "container")),
    ("9:name=systemd:/machine.slice/machine-web\\x2dprod.scope\n7:blkio:/x", ("web-prod", "container")),
    ("0::/system.slice/vpn.service", ("vpn.service", "unit")),
    ("0::/user.slice/user-7.slice/user@7.service/app.slice/web.service", ("web.service", "unit")),
    ("0::/user.slice/user-7.slice/user@7.service/app.slice/web.scope", ("cat (pid 7)", "process")),
    ("0::/", ("cat (pid 7)", "process")),
]


@pytest.mark.parametrize(("group", "named"), CGROUPS)
def test_names_from_control_groups(tmp_path, group, named):
    grow(tmp_path, {"/proc/7/cgroup": f"{group}\n", "/proc/7/comm": "cat\n"})
    assert namespaces._name_of(Host(str(tmp_path)), "7") == named


ID = "b" * 64
TASKS = "/run/containerd/io.containerd.runtime.v2.task"
STATES = [
    ({f"/var/lib/docker/containers/{ID}/config.v2.json": '{"ID": "b", "Name": "/web"}'}, ("web", "container")),
    (
        {
            f"{TASKS}/k8s.io/{ID}/config.json": '"io.kubernetes.cri.sandbox-name":"api-0","io.kubernetes.cri.sandbox-namespace":"shop"'
        },
        ("shop/api-0", "pod"),
    ),
    (
        {
            f"/var/lib/containers/storage/overlay-containers/{ID}/userdata/config.json": '"io.kubernetes.pod.name":"api-1","io.kubernetes.pod.namespace":"shop"'
        },
        ("shop/api-1", "pod"),
    ),
    ({namespaces.PODMAN: f'[{{"id":"{"c" * 64}","names":["x"]}},{{"id":"{ID}","names":["db"]}}]'}, ("db", "container")),
    ({}, (ID[:12], "container")),
]


@pytest.mark.parametrize(("state", "named"), STATES)
def test_containers_and_pods_have_their_users_names(tmp_path, state, named):
    grow(tmp_path, {"/proc/7/cgroup": f"0::/kubepods.slice/cri-{ID}.scope\n", **state})
    assert namespaces._name_of(Host(str(tmp_path)), "7") == named


def test_a_name_that_a_runtime_made_up_gives_way_once(monkeypatch, namespace):
    monkeypatch.setattr(namespaces, "_GENERATED", namespaces.re.compile(namespace.path))
    child = namespace.popen(["tail", "-f", "/dev/null"])
    inside = os.stat(namespace.path).st_ino
    wait_for(
        lambda: os.stat(f"/proc/{child.pid}/ns/net").st_ino == inside and command_of(child) == "tail",
        5,
        "tail runs inside",
    )
    names = [space.name for space in namespaces.find(Host()) if space.path == namespace.path]
    assert names == [f"tail (pid {child.pid})"]


def test_listeners_show_what_they_really_got(namespace):
    namespace.sysctl("net.core.somaxconn", 8)
    namespace.sysctl("net.ipv4.ip_local_reserved_ports", "40001")
    with namespace.entered():
        sockets = [listening("127.0.0.1", port, 1000) for port in (40000, 40001, 80)]
    namespace.sysctl("net.core.somaxconn", 64)
    try:
        found = listeners_of(namespace.name)
    finally:
        for one in sockets:
            one.close()
    assert {
        place: (facts["backlog"], facts["somaxconn"], facts["ephemeral_and_unreserved"])
        for place, facts in found.items()
    } == {
        "127.0.0.1:40000": (8, 64, True),
        "127.0.0.1:40001": (8, 64, False),
        "127.0.0.1:80": (8, 64, False),
    }


def listening(address, port, backlog):
    return socket.create_server((address, port), backlog=backlog)


def test_a_full_accept_queue_is_seen(namespace):
    server = namespace
    with Namespace() as client:
        address, _ = link(server, client)
        with server.entered():
            listener = listening(address, 8080, 1)
        with client.entered():
            clients = [socket.socket() for _ in range(2)]
        try:
            for one in clients:
                one.settimeout(5)
                one.connect((address, 8080))
            facts = listeners_of(server.name)[f"{address}:8080"]
        finally:
            for one in [listener, *clients]:
                one.close()
    assert (facts["accept_queue"], facts["backlog"]) == (2, 1)


def test_sockets_of_one_port_are_one_listener(namespace):
    with namespace.entered():
        sockets = [socket.create_server(("", 80), backlog=backlog, reuse_port=True) for backlog in (5, 3)]
    facts = listeners_of(namespace.name)["0.0.0.0:80"]
    for one in sockets:
        one.close()
    assert (facts["sockets"], facts["smallest_backlog"]) == (2, 3)


@pytest.mark.parametrize(("queues", "fullest"), [([(0, 5), (104, 4096)], (0, 5)), ([(6, 5), (104, 4096)], (6, 5))])
def test_the_fullest_socket_speaks_for_a_shared_port(queues, fullest):
    sockets = [sock_diag.Socket(socket.AF_INET, "0.0.0.0", 80, queue, backlog, 0, 0) for queue, backlog in queues]
    facts = {name: fact["value"] for name, fact in listeners._facts(sockets, {}).items()}
    assert (facts["accept_queue"], facts["backlog"]) == fullest


def test_ipv6_listeners_are_read(namespace):
    with namespace.entered(), socket.create_server(("::1", 81), family=socket.AF_INET6, backlog=7):
        found = sock_diag.listening(socket.AF_INET6)
    assert [(one.address, one.port, one.backlog) for one in found] == [("::1", 81, 7)]


def test_without_root_what_could_not_be_read_is_told(namespace):
    if os.geteuid() != 0:
        pytest.skip("needs root, to drop it")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        errors = probe.take(Host(), ["netns", "listeners"])["errors"]
        os.write(write, repr([error["where"] for error in errors]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read) as file:
        told = eval(file.read())
    assert told.count(f"netns {namespace.name}") == 1
    assert "network namespaces" in told


def ports(low, high, reserved=""):
    return {"net.ipv4.ip_local_port_range": [low, high], "net.ipv4.ip_local_reserved_ports": reserved}


DERIVED = [
    ({"net.ipv4.tcp_keepalive_time": 120, "net.ipv4.tcp_keepalive_intvl": 75}, None, {"keepalive_second_probe_s": 195}),
    (
        {"net.ipv4.tcp_keepalive_time": 2, "net.ipv4.tcp_keepalive_intvl": 1, "net.ipv4.tcp_keepalive_probes": 3},
        None,
        {"keepalive_second_probe_s": 3, "keepalive_detection_s": 5},
    ),
    (ports(32768, 60999), None, {"ephemeral_ports": 28232, "node_ports_unreserved": 0}),
    (ports(10000, 10199, "80,10000-10099"), None, {"ephemeral_ports": 100, "node_ports_unreserved": 0}),
    (ports(1024, 65535), None, {"ephemeral_ports": 64512, "node_ports_unreserved": 2768}),
    (ports(32000, 65535, "30000-32500"), None, {"ephemeral_ports": 33035, "node_ports_unreserved": 267}),
    (
        {"net.netfilter.nf_conntrack_buckets": 65536, "net.netfilter.nf_conntrack_max": 1048576},
        None,
        {"conntrack_entries_per_bucket": 16.0},
    ),
    (
        {"net.netfilter.nf_conntrack_count": 80, "net.netfilter.nf_conntrack_max": 100},
        None,
        {"conntrack_fill_percent": 80.0},
    ),
    ({"net.netfilter.nf_conntrack_count": 80, "net.netfilter.nf_conntrack_max": 0}, None, {}),
    ({"net.ipv4.tcp_ehash_entries": -262144}, None, {"tw_buckets_of_kernel": 131072}),
    ({"net.ipv4.tcp_ehash_entries": 1024}, None, {"tw_buckets_of_kernel": 512}),
    ({}, 2 << 30, {"tw_buckets_of_kernel": 8192}),
    ({}, 1 << 40, {"tw_buckets_of_kernel": 262144}),
    ({"net.ipv4.tcp_keepalive_time": "odd", "net.ipv4.tcp_keepalive_intvl": 75}, None, {}),
]


@pytest.mark.parametrize(("facts", "memory", "expected"), DERIVED)
def test_derived_facts(facts, memory, expected):
    assert {name: fact["value"] for name, fact in derived.of_netns(facts, memory).items()} == expected


def test_counters():
    text = "TcpExt: A B\nTcpExt: 1 2\nIpExt: C\nIpExt: 3\nTcpExt: cut\n"
    assert counters.table(text) == {"TcpExt.A": 1, "TcpExt.B": 2}
    assert counters.sockstat("sockets: used 1\nTCP: inuse 5 orphan 0 tw 7 alloc 6 mem 2\n")["sockstat.TCP.tw"] == 7
    assert counters.conntrack("entries drop\n000000ff 00000001\n00000000 0000000a\n") == {"conntrack.drop": 11}


def test_a_tree_shows_its_own_namespace(tmp_path):
    document = probe.take(Host(str(grow(tmp_path, PROC))), ["netns"])
    facts = document["subjects"][0]["facts"]
    assert facts["net.ipv4.conf.eth0/100.rp_filter"] == 0
    assert facts["is_host"]["value"] is True


def test_links_in_a_trees_proc_are_not_followed(tmp_path):
    (tmp_path / "secret").write_text("7")
    grow(tmp_path / "tree", PROC, {"/proc/sys/net/ipv4/evil": str(tmp_path / "secret")})
    assert "net.ipv4.evil" not in probe.take(Host(str(tmp_path / "tree")), ["netns"])["subjects"][0]["facts"]


ODD = {
    "/proc/net/netstat": "TcpExt: ListenDrops x\nTcpExt: many 5\n",
    "/proc/net/sockstat": "TCP: inuse x tw 7 alloc\n",
    "/proc/net/stat/nf_conntrack": "entries drop\nzz 1\n",
    "/proc/meminfo": "MemTotal:\n",
    "/proc/uptime": "inf",
    "/proc/sys/kernel/osrelease": "\u00b2.6",
    "/proc/sys/net/ipv4/tcp_fin_timeout": "9" * 5000,
    "/proc/sys/net/ipv4/tcp_retries2": "\u0661",
    "/proc/sys/net" + "/deep" * 40 + "/x": "1",
}


def test_one_odd_value_costs_only_itself(tmp_path):
    document = probe.take(Host(str(grow(tmp_path, {**PROC, **ODD}))), probe.collectors())
    facts = {(one["kind"], one["name"]): one["facts"] for one in document["subjects"]}
    assert [error["what"] for error in document["errors"]] == ["nested too deeply"]
    assert facts[("netns", "host")]["net.ipv4.tcp_keepalive_time"] == 7200
    assert facts[("netns", "host")]["sockstat.TCP.tw"] == 7
    assert facts[("netns", "host")]["net.ipv4.tcp_fin_timeout"] == "9" * 5000
    assert ("host", "") in facts


def test_an_interface_that_goes_away_costs_only_itself(namespace, monkeypatch):
    scan = os.scandir

    def vanishing(path):
        if str(path).endswith("/conf/lo"):
            raise FileNotFoundError(2, "No such file or directory")
        return scan(path)

    monkeypatch.setattr(netns.os, "scandir", vanishing)
    facts = netns_facts(namespace.name)
    assert facts["net.ipv4.tcp_keepalive_time"] == 7200
    assert not any(".conf.lo." in key for key in facts)


def test_interfaces_are_counted_without_lo():
    with Namespace() as one, Namespace() as other:
        link(one, other)
        assert netns_facts(one.name)["interfaces"]["value"] == 1
    with Namespace() as alone:
        assert netns_facts(alone.name)["interfaces"]["value"] == 0


def test_a_namespace_called_default_is_audited_and_a_pipe_among_the_names_is_told():
    with Namespace("default") as space:
        pipe = "/run/netns/atcp-pipe"
        os.mkfifo(pipe)
        try:
            document = probe.take(Host(), ["netns"])
        finally:
            os.unlink(pipe)
        assert space.name in [one["name"] for one in document["subjects"]]
    assert "netns atcp-pipe" in [error["where"] for error in document["errors"]]


def test_names_that_collide_are_told_apart():
    spaces = {(0, n): namespaces.Namespace(name, "x", "p") for n, name in enumerate(["a", "a", "a #2", "a"])}
    namespaces._tell_apart(spaces)
    assert [space.name for space in spaces.values()] == ["a", "a #2", "a #2 #2", "a #3"]
