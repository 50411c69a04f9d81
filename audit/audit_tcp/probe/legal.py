"""What the kernel accepts for a sysctl. A write outside is refused with EINVAL and changes nothing, so it decides
which line of the files is in force. Ranges were measured on Linux 6.18 (docs/experiments.md, E10) and hold from the
first version whose source has the check; what is not known to be refused is taken to be accepted.
"""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Value

BYTE = (0, 255)
INT = (-(2**31), 2**31 - 1)
JIFFIES = (-INT[1] // 100, INT[1] // 100)
"""Seconds that the kernel keeps as ticks: at most INT_MAX / HZ. 100 is the least HZ; no file tells the real one."""

ANY = (0, 0)
U8 = (5, 13)
"""proc_dou8vec_minmax replaced proc_dointvec in the TCP table; the 5.10 stable series has it too."""
U8_STABLE = (5, 10)

RANGES = {
    "net.core.somaxconn": ((0, 2**31 - 1), ANY),
    "net.ipv4.ip_autobind_reuse": ((0, 1), ANY),
    "net.ipv4.tcp_abort_on_overflow": (BYTE, U8),
    "net.ipv4.tcp_challenge_ack_limit": (INT, ANY),
    "net.ipv4.tcp_early_retrans": ((0, 4), ANY),
    "net.ipv4.tcp_child_ehash_entries": ((0, 16777216), ANY),
    "net.ipv4.tcp_ecn": ((0, 2), (5, 15)),
    "net.ipv4.tcp_fastopen": (INT, ANY),
    "net.ipv4.tcp_fin_timeout": (JIFFIES, ANY),
    "net.ipv4.tcp_keepalive_intvl": (JIFFIES, ANY),
    "net.ipv4.tcp_keepalive_probes": (BYTE, U8),
    "net.ipv4.tcp_keepalive_time": (JIFFIES, ANY),
    "net.ipv4.tcp_max_syn_backlog": (INT, ANY),
    "net.ipv4.tcp_max_tw_buckets": (INT, ANY),
    "net.ipv4.tcp_migrate_req": ((0, 1), ANY),
    "net.ipv4.tcp_moderate_rcvbuf": (BYTE, U8),
    "net.ipv4.tcp_mtu_probing": (BYTE, U8),
    "net.ipv4.tcp_no_metrics_save": (BYTE, U8),
    "net.ipv4.tcp_notsent_lowat": ((0, 2**32 - 1), ANY),
    "net.ipv4.tcp_orphan_retries": (BYTE, U8),
    "net.ipv4.tcp_retries1": (BYTE, U8),
    "net.ipv4.tcp_retries2": (BYTE, U8),
    "net.ipv4.tcp_rfc1337": (BYTE, U8),
    "net.ipv4.tcp_rmem": ((1, INT[1]), ANY),
    "net.ipv4.tcp_rto_max_ms": ((1000, 120000), ANY),
    "net.ipv4.tcp_rto_min_us": ((1, 2**31 - 1), ANY),
    "net.ipv4.tcp_slow_start_after_idle": (BYTE, U8),
    "net.ipv4.tcp_syn_linear_timeouts": ((0, 127), ANY),
    "net.ipv4.tcp_syn_retries": ((1, 127), ANY),
    "net.ipv4.tcp_synack_retries": (BYTE, U8),
    "net.ipv4.tcp_syncookies": (BYTE, U8),
    "net.ipv4.tcp_timestamps": (BYTE, U8),
    "net.ipv4.tcp_tw_reuse": ((0, 2), (4, 18)),
    "net.ipv4.tcp_tw_reuse_delay": ((1, 60000), ANY),
    "net.ipv4.tcp_wmem": ((1, INT[1]), ANY),
    "net.netfilter.nf_conntrack_tcp_loose": ((0, 1), (5, 3)),
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": (JIFFIES, ANY),
    "net.netfilter.nf_conntrack_tcp_timeout_established": (JIFFIES, ANY),
}
"""Key: ((lowest, highest), first version with the check)."""

WIDENED = {"net.ipv4.tcp_ecn": (7, 0)}
"""Key: the first version that accepts more again."""

RANGE_KEY = "net.ipv4.ip_local_port_range"
RESERVED_KEY = "net.ipv4.ip_local_reserved_ports"
DEFAULT_RANGE = [32768, 60999]
LOWEST_PORT = 1024
"""net.ipv4.ip_unprivileged_port_start, unless it was changed."""

LAST_PORT = 65535


class Refused(Exception):
    """The kernel would not take the value; the message names what is legal."""


def written(
    key: str, text: str, now: "Value | None", version: "tuple[int, ...]", lowest_port: int = LOWEST_PORT
) -> "Value":
    """The value of `key` after `text` is written to it, `now` being its value before (None: not known).

    Raises Refused. Numbers are read as the kernel reads them: only as many fields as the key has, in base 8, 10 or
    16, and what follows the last field is ignored; fewer fields change only the first ones.
    """
    if key == RESERVED_KEY:
        return _reserved(text)
    if isinstance(now, str) or (now is None and not _starts_with_number(text)):
        return text
    count = len(now) if isinstance(now, list) else 1
    fields = [_number(field) for field in (text.split()[:count] if now is not None else _leading(text))]
    if not fields:
        raise Refused("a number is needed")
    for field in fields:
        _check_range(key, field, version)
    if isinstance(now, list):
        fields += now[len(fields) :]
    if key == RANGE_KEY and len(fields) == 2:
        _check_ports(fields, lowest_port)
    return fields if isinstance(now, list) or len(fields) > 1 else fields[0]


def _starts_with_number(text: str) -> bool:
    return bool(_leading(text))


def _leading(text: str) -> "list[str]":
    fields = []
    for field in text.split():
        try:
            _number(field)
        except Refused:
            break
        fields.append(field)
    return fields


_NUMBER = re.compile(r"(-?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


def _number(text: str) -> int:
    """A number in base 8, 10 or 16, as simple_strtoul reads it."""
    found = _NUMBER.fullmatch(text)
    if not found or len(text) > 40:
        raise Refused("a number is needed")
    sign, digits = found.groups()
    octal = digits[0] == "0" and digits.isdigit()
    number = int(digits, 8) if octal else int(digits, 0)
    return -number if sign else number


def _check_range(key: str, number: int, version: "tuple[int, ...]") -> None:
    if key not in RANGES or version >= WIDENED.get(key, (99,)):
        return
    (low, high), since = RANGES[key]
    checked = version >= since or (since == U8 and version == U8_STABLE)
    if checked and not low <= number <= high:
        raise Refused("legal is {}..{}".format(low, high))


def _check_ports(fields: "list[int]", lowest_port: int) -> None:
    if not lowest_port <= fields[0] <= fields[1] <= LAST_PORT:
        raise Refused("legal is {} <= first <= last <= {}".format(lowest_port, LAST_PORT))


def _reserved(text: str) -> str:
    """The list as the kernel prints it back: sorted, neighbours joined."""
    ranges = sorted(_port_range(part) for part in text.split(",")) if text else []
    joined: "list[list[int]]" = []
    for low, high in ranges:
        if not 0 <= low <= high <= LAST_PORT:
            raise Refused("legal are ports 0..{}".format(LAST_PORT))
        if joined and low <= joined[-1][1] + 1:
            joined[-1][1] = max(high, joined[-1][1])
        else:
            joined.append([low, high])
    return ",".join(str(low) if low == high else "{}-{}".format(low, high) for low, high in joined)


def _port_range(text: str) -> "tuple[int, int]":
    low, _, high = text.partition("-")
    try:
        return _number(low), _number(high or low)
    except Refused:
        raise Refused("legal is a list such as 8080,9000-9010, without blanks") from None
