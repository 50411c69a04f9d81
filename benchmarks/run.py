"""What an audit costs, beside its peers, in one run: `make bench`. Times are medians of whole processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import configured
from audit_tcp import snapshot
from audit_tcp.lab import net

BIN = Path(sys.executable).parent
AUDIT = (str(BIN / "audit-tcp"), "host", "--fail-on", "never")
HERE = Path(__file__).parent
RUNS = 11
NAMESPACES = 49
SNAPSHOTS = 10_000

LIMITS = {
    "audit-tcp host: seconds": 0.12,
    "audit-tcp host: MiB": 40,
    "with three servers of 2,000 lines: seconds": 0.12,
    "each further namespace: ms": 8,
    "10,000 snapshots: seconds": 20,
}
"""What must hold on a machine of 2 cores."""


@dataclass(frozen=True)
class Cost:
    """Medians of whole processes: wall and CPU seconds, peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run_once(command: Sequence[str]) -> Cost:
    """One process from start to exit, by the kernel's own accounting."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(commands: dict[str, Sequence[str]], runs: int) -> dict[str, Cost]:
    """The commands in turn, A B C A B C …, so that a change of the machine's speed meets them all; medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for command in commands.values():
        run_once(command)  # fills the caches
    for _ in range(runs):
        for name, command in commands.items():
            costs[name].append(run_once(command))
    return {name: _median(several) for name, several in costs.items()}


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        *(statistics.median(getattr(cost, field) for cost in costs) for field in ("wall_s", "cpu_s", "peak_mib"))
    )


def peers() -> dict[str, Sequence[str]]:
    """What else answers such questions on this machine; what is missing is named and left out."""
    wanted: dict[str, Sequence[str]] = {
        "sysctl -a": ("sysctl", "-a"),
        "testinfra, 20 keys": (
            str(BIN / "pytest"),
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            str(HERE / "testinfra_keys.py"),
        ),
        "lynis, its kernel tests": (
            "lynis",
            "audit",
            "system",
            "--tests-from-group",
            "kernel",
            "--quick",
            "--no-colors",
        ),
    }
    found = {name: command for name, command in wanted.items() if shutil.which(command[0])}
    for name in wanted.keys() - found.keys():
        print(f"left out, not installed: {name}")
    return found


@contextlib.contextmanager
def namespaces(number: int) -> Iterator[None]:
    """So many network namespaces more."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(net.Namespace())
        yield


def copies(folder: str, number: int) -> None:
    """So many snapshots of this machine, each under another name."""
    subprocess.run([*AUDIT, "--save", f"{folder}/one"], check=True, stdout=subprocess.DEVNULL)
    taken = snapshot.document(snapshot.load(f"{folder}/one"))
    os.unlink(f"{folder}/one")
    for n in range(number):
        Path(folder, f"host{n:05}.json").write_text(json.dumps({**taken, "host": f"host{n:05}"}, separators=(",", ":")))


def with_servers(base: Cost) -> dict[str, float]:
    """The audit of a host with three servers; what the mounts that put them there cost is taken off."""
    reason = configured.missing()
    if reason:
        print(f"left out, {reason}: configurations of servers")
        return {}
    with configured.on_host(AUDIT) as command, configured.on_host(["true"]) as nothing:
        costs = in_turn({"configured": command, "mounts": nothing}, RUNS)
    row("with three servers of 2,000 lines", costs["configured"], base)
    row("the mounts for it, without an audit", costs["mounts"], base)
    return {"with three servers of 2,000 lines: seconds": costs["configured"].wall_s - costs["mounts"].wall_s}


def row(name: str, cost: Cost, base: Cost) -> None:
    """One line of the table, with the ratio to the first."""
    ratio = cost.wall_s / base.wall_s
    print(f"{name:34} {cost.wall_s:8.3f} s  {cost.cpu_s:8.3f} s cpu  {cost.peak_mib:6.1f} MiB  {ratio:7.2f}x")


def main() -> int:
    """Prints every figure; 1 where a limit does not hold."""
    figures: dict[str, float] = {}
    floor = run_once(["true"]).peak_mib
    print(f"a peak of {floor:.1f} MiB or less is the measuring process's own")
    costs = in_turn({"audit-tcp host": AUDIT, **peers()}, RUNS)
    for name, cost in costs.items():
        row(name, cost, costs["audit-tcp host"])
    figures["audit-tcp host: seconds"] = costs["audit-tcp host"].wall_s
    figures["audit-tcp host: MiB"] = costs["audit-tcp host"].peak_mib
    figures |= with_servers(costs["audit-tcp host"])
    reason = net.require()
    if reason:
        print(f"left out, {reason}: namespaces")
    else:
        with namespaces(NAMESPACES):
            many = in_turn({"many": AUDIT}, RUNS)["many"]
        row(f"with {NAMESPACES} namespaces more", many, costs["audit-tcp host"])
        figures["each further namespace: ms"] = 1000 * (many.wall_s - costs["audit-tcp host"].wall_s) / NAMESPACES
    with tempfile.TemporaryDirectory() as folder:
        copies(folder, SNAPSHOTS)
        judged = {f: run_once([*AUDIT, "--from", folder, "--format", f]) for f in ("text", "json")}
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)[100:]:
            os.unlink(entry.path)
        few = run_once([*AUDIT, "--from", folder, "--format", "json"])
    for name, cost in judged.items():
        row(f"{SNAPSHOTS:,} snapshots, {name}", cost, costs["audit-tcp host"])
    row("100 snapshots, json", few, costs["audit-tcp host"])
    figures["10,000 snapshots: seconds"] = max(cost.wall_s for cost in judged.values())
    print()
    for name, figure in figures.items():
        print(f"{name:42} {figure:8.3f}, at most {LIMITS[name]:g}{'' if figure <= LIMITS[name] else '   NOT HELD'}")
    return int(any(figure > LIMITS[name] for name, figure in figures.items()))


if __name__ == "__main__":
    sys.exit(main())
