"""What the kernel accepts for a sysctl. A write outside is refused with EINVAL and changes nothing, so it decides
which line of the files is in force. Ranges were measured on Linux 6.18 (docs/experiments.md, E10) and hold from
the version named, the first whose source has that check; an older kernel is taken to accept anything.
"""

from . import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Value

BYTE = (0, 255)
JIFFIES = (-1, (2**31 - 1) // 250)
INT = (-(2**31), 2**31 - 1)

U8_SINCE = (5, 13)
"""proc_dou8vec_minmax replaced proc_dointvec in the TCP table."""

_ANY = (0, 0)

RANGES = {
    "net.core.somaxconn": ((0, 2**31 - 1), _ANY),
    "net.ipv4.ip_autobind_reuse": ((0, 1), _ANY),
    "net.ipv4.tcp_abort_on_overflow": (BYTE, U8_SINCE),
    "net.ipv4.tcp_challenge_ack_limit": (INT, _ANY),
    "net.ipv4.tcp_early_retrans": ((0, 4), _ANY),
    "net.ipv4.tcp_fastopen": (INT, _ANY),
    "net.ipv4.tcp_fin_timeout": (JIFFIES, _ANY),
    "net.ipv4.tcp_keepalive_intvl": (JIFFIES, _ANY),
    "net.ipv4.tcp_keepalive_probes": (BYTE, U8_SINCE),
    "net.ipv4.tcp_keepalive_time": (JIFFIES, _ANY),
    "net.ipv4.tcp_max_syn_backlog": (INT, _ANY),
    "net.ipv4.tcp_max_tw_buckets": (INT, _ANY),
    "net.ipv4.tcp_migrate_req": ((0, 1), _ANY),
    "net.ipv4.tcp_moderate_rcvbuf": (BYTE, U8_SINCE),
    "net.ipv4.tcp_mtu_probing": (BYTE, U8_SINCE),
    "net.ipv4.tcp_no_metrics_save": (BYTE, U8_SINCE),
    "net.ipv4.tcp_notsent_lowat": ((0, 2**32 - 1), _ANY),
    "net.ipv4.tcp_orphan_retries": (BYTE, U8_SINCE),
    "net.ipv4.tcp_retries1": (BYTE, U8_SINCE),
    "net.ipv4.tcp_retries2": (BYTE, U8_SINCE),
    "net.ipv4.tcp_rfc1337": (BYTE, U8_SINCE),
    "net.ipv4.tcp_rto_max_ms": ((1000, 120000), _ANY),
    "net.ipv4.tcp_rto_min_us": ((1, 2**31 - 1), _ANY),
    "net.ipv4.tcp_slow_start_after_idle": (BYTE, U8_SINCE),
    "net.ipv4.tcp_syn_linear_timeouts": ((0, 127), _ANY),
    "net.ipv4.tcp_syn_retries": ((1, 127), _ANY),
    "net.ipv4.tcp_synack_retries": (BYTE, U8_SINCE),
    "net.ipv4.tcp_syncookies": (BYTE, U8_SINCE),
    "net.ipv4.tcp_timestamps": (BYTE, U8_SINCE),
    "net.ipv4.tcp_tw_reuse": ((0, 2), (4, 18)),
    "net.ipv4.tcp_tw_reuse_delay": ((1, 60000), _ANY),
    "net.netfilter.nf_conntrack_tcp_loose": ((0, 1), _ANY),
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": (JIFFIES, _ANY),
    "net.netfilter.nf_conntrack_tcp_timeout_established": (JIFFIES, _ANY),
}
"""Key: ((lowest, highest), first version with the check)."""

RANGE_KEY = "net.ipv4.ip_local_port_range"
RESERVED_KEY = "net.ipv4.ip_local_reserved_ports"
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


def _number(text: str) -> int:
    digits = text[1:] if text[:1] == "-" else text
    try:
        if not digits[:1].isdigit() or "_" in digits:
            raise ValueError
        octal = digits[0] == "0" and digits.isdigit()
        number = int(digits, 8) if octal else int(digits, 0)
    except ValueError:
        raise Refused("a number is needed") from None
    return -number if digits != text else number


def _check_range(key: str, number: int, version: "tuple[int, ...]") -> None:
    if key not in RANGES:
        return
    (low, high), since = RANGES[key]
    if tuple(version) >= since and not low <= number <= high:
        raise Refused("legal is {}..{}".format(low, high))


def _check_ports(fields: "list[int]", lowest_port: int) -> None:
    if not lowest_port <= fields[0] <= fields[1] <= LAST_PORT:
        raise Refused("legal is {} <= first <= last <= {}".format(lowest_port, LAST_PORT))


def _reserved(text: str) -> str:
    """The list as the kernel prints it back: sorted, neighbours joined."""
    try:
        ranges = sorted(values.ports(text))
    except ValueError:
        raise Refused("legal is a list such as 8080,9000-9010") from None
    joined: "list[list[int]]" = []
    for low, high in ranges:
        if not 0 <= low <= high <= LAST_PORT:
            raise Refused("legal are ports 0..{}".format(LAST_PORT))
        if joined and low <= joined[-1][1] + 1:
            joined[-1][1] = max(high, joined[-1][1])
        else:
            joined.append([low, high])
    return ",".join(str(low) if low == high else "{}-{}".format(low, high) for low, high in joined)
