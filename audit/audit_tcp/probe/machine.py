"""The `host` subject: what has no namespace, such as the kernel's version, memory and open files."""

import os
import re

from . import values
from .host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .values import Facts, Subjects

KEYS = ("fs.file-max", "fs.nr_open", "fs.file-nr", "kernel.pid_max", "kernel.threads-max")
"""The sysctls outside net.* that bound how many connections a machine can hold."""


def collect(host: Host) -> "Subjects":
    """One subject, named as the host."""
    facts: "Facts" = {}
    release = host.kernel()
    version = values.version(release)
    if version:
        origin = values.path_of("kernel.osrelease")
        facts["kernel.release"] = {"value": release, "origin": origin}
        facts["kernel.version"] = {"value": version, "origin": origin}
    memory = values.memory_bytes(host)
    if memory is not None:
        facts["memory_bytes"] = {"value": memory, "origin": "/proc/meminfo"}
    for key in KEYS:
        text = host.value(values.path_of(key))
        if text is not None:
            facts[key] = values.parsed(key, text)
    uptime = re.match(r"[0-9]{1,12}", host.value("/proc/uptime") or "")
    if uptime:
        facts["uptime_s"] = {"value": int(uptime.group()), "origin": "/proc/uptime"}
    facts.update(_open_files(facts))
    if host.live:
        facts["audited_as_root"] = {"value": os.geteuid() == 0, "origin": "the user of the probe"}
    yield "host", "", facts


def _open_files(facts: "Facts") -> "Facts":
    """Percent of fs.file-max that is allocated; fs.file-nr is allocated, unused, maximum."""
    used = facts.get("fs.file-nr")
    if not isinstance(used, list) or len(used) != 3 or not used[2]:
        return {}
    origin = "fs.file-nr = {} of {}".format(used[0], used[2])
    return {"open_files_percent": {"value": round(100.0 * used[0] / used[2], 1), "origin": origin}}
