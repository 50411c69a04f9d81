"""TCP counters of the network namespace that the probe stands in: TcpExt, Tcp, sockstat, conntrack."""

import re

from .host import SELF, Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Facts

NUMBER = re.compile(r"-?[0-9]{1,20}")
HEX = re.compile(r"[0-9a-f]{1,16}")
TABLES = ("snmp", "netstat")
PREFIXES = ("Tcp", "TcpExt")
CONNTRACK_COUNTERS = ("drop", "early_drop", "insert_failed")


def read(host: Host) -> "Facts":
    """Facts such as TcpExt.ListenOverflows, sockstat.TCP.tw and conntrack.drop; absent where the kernel has none."""
    folder = SELF + "/net/" if host.live else "/proc/net/"  # /proc/net is the main thread's
    facts: "Facts" = {}
    for name in TABLES:
        facts.update(table(host.value(folder + name) or ""))
    facts.update(sockstat(host.value(folder + "sockstat") or ""))
    facts.update(conntrack(host.value(folder + "stat/nf_conntrack") or ""))
    devices = host.value(folder + "dev")
    if devices is not None:
        facts["interfaces"] = {"value": interfaces(devices), "origin": "/proc/net/dev"}
    return facts


def table(text: str) -> "dict[str, int]":
    """The pairs of lines of /proc/net/snmp and netstat: names, then values."""
    counters = {}
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2]):
        prefix = names.partition(":")[0]
        if prefix in PREFIXES and numbers.startswith(prefix + ":"):
            for name, number in zip(names.split()[1:], numbers.split()[1:]):
                if NUMBER.fullmatch(number):
                    counters[prefix + "." + name] = int(number)
    return counters


def sockstat(text: str) -> "dict[str, int]":
    """The TCP line: inuse, orphan, tw, alloc (sockets) and mem (pages)."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == "TCP":
            fields = rest.split()
            pairs = zip(fields[::2], fields[1::2])
            return {"sockstat.TCP." + key: int(value) for key, value in pairs if NUMBER.fullmatch(value)}
    return {}


def interfaces(text: str) -> int:
    """How many interfaces there are beside lo; a namespace without any reaches nobody."""
    names = [line.partition(":")[0].strip() for line in text.splitlines() if ":" in line]
    return len([name for name in names if name != "lo"])


def conntrack(text: str) -> "dict[str, int]":
    """The sums over all processors of what conntrack refused; the file has one hexadecimal line a processor."""
    lines = text.splitlines()
    if len(lines) < 2:
        return {}
    names = lines[0].split()
    rows = [line.split() for line in lines[1:]]
    if not all(len(row) == len(names) and all(HEX.fullmatch(field) for field in row) for row in rows):
        return {}
    return {
        "conntrack." + name: sum(int(row[names.index(name)], 16) for row in rows)
        for name in CONNTRACK_COUNTERS
        if name in names
    }
