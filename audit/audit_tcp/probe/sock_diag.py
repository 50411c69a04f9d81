"""TCP sockets of the network namespace that the probe stands in, by NETLINK_SOCK_DIAG with the kernel's own state mask.

Layouts are those of linux/inet_diag.h and linux/netlink.h.
"""

import collections
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST_DUMP = 0x301
NLMSG_ERROR = 2
NLMSG_DONE = 3
LISTEN = 10
BUFFER = 1 << 17

_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=BBBB2s2s16s16sI8sIIIII")

Socket = collections.namedtuple("Socket", "family address port queue backlog uid inode")
Socket.__doc__ = "One socket; for a listener `queue` is the accept queue's length and `backlog` its limit in force."


def listening(family: int) -> "list[Socket]":
    """The listening sockets of AF_INET or AF_INET6. Raises OSError where the kernel has no sock_diag."""
    return list(_dump(family, 1 << LISTEN))


def _dump(family: int, states: int) -> "Iterator[Socket]":
    request = struct.pack("=BBBBI48s", family, socket.IPPROTO_TCP, 0, 0, states, b"")
    header = _HEADER.pack(_HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as channel:
        channel.settimeout(10)
        channel.sendto(header + request, (0, 0))
        while True:
            data, place = channel.recv(BUFFER), 0
            while place + _HEADER.size <= len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, place)
                if kind == NLMSG_DONE or length < _HEADER.size:
                    return
                if kind == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", data, place + _HEADER.size)[0]
                    raise OSError(number, "the kernel refused a list of sockets")
                yield _socket(data, place + _HEADER.size)
                place += (length + 3) & ~3


def _socket(data: bytes, place: int) -> Socket:
    family, _, _, _, port, _, address, _, _, _, _, queue, backlog, uid, inode = _MESSAGE.unpack_from(data, place)
    text = socket.inet_ntop(family, address[: 4 if family == socket.AF_INET else 16])
    return Socket(family, text, struct.unpack("!H", port)[0], queue, backlog, uid, inode)
