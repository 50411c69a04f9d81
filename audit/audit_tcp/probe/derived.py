"""Facts that follow from a namespace's sysctls, so that a rule stays one comparison."""

from . import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Facts

INPUTS = (
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_ehash_entries",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
)
"""The sysctls that derived facts are made of."""

LIMIT_OF_KERNEL = "tw_buckets_of_kernel"

SLOT_BYTES = 128 << 10
MOST_SLOTS = 512 << 10
"""One slot of the table of established connections for each 128 KiB of memory, at most 524,288 (tcp_init)."""

LAST_PORT = 65535
NODE_PORTS = (30000, 32767)
"""The default of kube-apiserver's --service-node-port-range."""


def of_netns(facts: "Facts", memory: "int | None") -> "Facts":
    """The derived facts whose inputs are there; what has an absent or odd input is absent."""
    found: "Facts" = {}
    for derive in (
        _detection,
        _second_probe,
        _ephemeral,
        _node_ports,
        _conntrack_fill,
        _conntrack_chain,
        _time_wait_default,
    ):
        try:
            found.update(derive(facts, memory))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            continue
    return found


def _fact(name: str, value: "int | float", how: str) -> "Facts":
    return {name: {"value": value, "origin": how}}


def _detection(facts: "Facts", _: "int | None") -> "Facts":
    """Seconds until an idle connection with SO_KEEPALIVE notices that its peer is gone (E3)."""
    time, interval, probes = (facts["net.ipv4.tcp_keepalive_" + name] for name in ("time", "intvl", "probes"))
    how = "tcp_keepalive_time + tcp_keepalive_intvl x tcp_keepalive_probes = {} + {} x {}"
    return _fact("keepalive_detection_s", time + interval * probes, how.format(time, interval, probes))


def _second_probe(facts: "Facts", _: "int | None") -> "Facts":
    """Seconds until the second keepalive probe of an idle connection: what counts where the first is lost."""
    time, interval = facts["net.ipv4.tcp_keepalive_time"], facts["net.ipv4.tcp_keepalive_intvl"]
    how = "tcp_keepalive_time + tcp_keepalive_intvl = {} + {}".format(time, interval)
    return _fact("keepalive_second_probe_s", time + interval, how)


def _ephemeral(facts: "Facts", _: "int | None") -> "Facts":
    """Local ports that connect() may take for one destination: the range less the reserved ones (E4)."""
    low, high, taken = _range(facts, 0, LAST_PORT)
    how = "ip_local_port_range = {} {}, of which {} are reserved".format(low, high, taken)
    return _fact("ephemeral_ports", high - low + 1 - taken, how)


def _node_ports(facts: "Facts", _: "int | None") -> "Facts":
    """NodePorts of Kubernetes that connect() may take: in the range and not reserved."""
    low, high, taken = _range(facts, *NODE_PORTS)
    how = "{}-{} within ip_local_port_range, less the reserved ports".format(*NODE_PORTS)
    return _fact("node_ports_unreserved", max(0, high - low + 1) - taken, how)


def _range(facts: "Facts", lowest: int, highest: int) -> "tuple[int, int, int]":
    """The ephemeral range within bounds: (first, last, how many of them are reserved)."""
    low, high = facts["net.ipv4.ip_local_port_range"]
    low, high = max(low, lowest), min(high, highest)
    reserved = values.ports(facts.get("net.ipv4.ip_local_reserved_ports", ""))
    return low, high, sum(max(0, min(high, last) - max(low, first) + 1) for first, last in reserved)


def _conntrack_fill(facts: "Facts", _: "int | None") -> "Facts":
    """Percent of the connection tracking table in use by this namespace."""
    count, most = facts["net.netfilter.nf_conntrack_count"], facts["net.netfilter.nf_conntrack_max"]
    how = "nf_conntrack_count / nf_conntrack_max = {} / {}".format(count, most)
    return _fact("conntrack_fill_percent", round(100.0 * count / most, 1), how)


def _conntrack_chain(facts: "Facts", _: "int | None") -> "Facts":
    """Entries that each bucket of a full connection tracking table holds."""
    most, buckets = facts["net.netfilter.nf_conntrack_max"], facts["net.netfilter.nf_conntrack_buckets"]
    how = "nf_conntrack_max / nf_conntrack_buckets = {} / {}".format(most, buckets)
    return _fact("conntrack_entries_per_bucket", round(most / buckets, 1), how)


def _time_wait_default(facts: "Facts", memory: "int | None") -> "Facts":
    """The tcp_max_tw_buckets that the kernel chose at boot: half of the table of established connections.

    tcp_ehash_entries tells its size (negative where it is shared); before Linux 6.1 memory does, here taken at half
    so that a rounding never accuses.
    """
    name = LIMIT_OF_KERNEL
    if "net.ipv4.tcp_ehash_entries" in facts:
        slots = abs(facts["net.ipv4.tcp_ehash_entries"])
        return _fact(name, slots // 2, "tcp_ehash_entries / 2 = {} / 2".format(slots))
    if memory is None:
        return {}
    slots = 1 << (memory // SLOT_BYTES).bit_length() - 1
    return _fact(name, min(slots, MOST_SLOTS) // 2, "memory of {} MiB".format(memory >> 20))
