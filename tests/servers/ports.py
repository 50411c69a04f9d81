"""Ports of servers that tests start by configuration: a port is handed out once, below the range from which the kernel
takes the ports of connections, so that no connection of another test can hold it when its server starts."""

import contextlib
import os
import socket
from itertools import chain
from pathlib import Path

FIRST = 10_000
_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def _candidates():
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    span = max(end - FIRST, 0)
    start = FIRST + os.getpid() % max(span, 1)  # two runs on one machine seldom begin at the same port
    every = chain(range(start, end), range(FIRST, start))
    return (port for port in every if port % _workers == int(_worker))


_ports = _candidates()


def free_port():
    """A port of 127.0.0.1 and of the wildcard address that nobody listens on and no later call returns."""
    for port in _ports:
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("", port))
            return port
    raise AssertionError("no free port below the range of the kernel's own")
