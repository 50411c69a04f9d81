"""`server` subjects of Node.js: its timers have no flags, so that the version decides what an HTTP server does."""

import re

from . import packages
from .host import Host
from .instances import Instance, naming
from .processes import running
from .servers import fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from .instances import ByKind
    from .processes import Process
    from .values import Subjects

COMMS = ("node", "nodejs", "MainThread")
_PROGRAM = re.compile(r"(?:node|nodejs)\Z")
_TOOL = re.compile(
    r"(?:^|/)(?:npm|npx|yarn|pnpm|pnpx|corepack|node-gyp|tsc|tsserver|webpack|rollup|esbuild|gulp|grunt|babel|eslint"
    r"|prettier|jest|mocha|vitest|playwright|cypress|lerna|nx|turbo|svgo|sass)(?:-cli)?(?:\.[cm]?js)?\Z"
)
_BUILD = ("build", "install", "ci", "lint", "test")
_VALUED = ("-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file")
_ASKS = ("-v", "--version", "-h", "--help", "-p", "--print", "-c", "--check", "-e", "--eval", "-pe", "-i", "--test")
_NUMBER = re.compile(r"#define NODE_(MAJOR|MINOR|PATCH)_VERSION ([0-9]{1,4})\b")
_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,60}\Z")


def collect(host: Host) -> "Subjects":
    """One subject for each script that a node runs, unless it is obviously a tool: whether it serves is not known."""
    names = naming()
    done = set()
    versions = {}
    for process in running(host):
        if process.comm not in COMMS:
            continue
        path = process.executable
        script = _script(process.argv) if path and _PROGRAM.match(path.rpartition("/")[2]) else None
        key = (process.namespace, process.files.prefix, path, process.directory, script)
        if script is None or path is None or key in done:
            continue
        done.add(key)
        here = (process.files.prefix, path)
        if here not in versions:
            versions[here] = _version(process.files, path)
        yield from _subjects(process, script, versions[here], names)


def _subjects(process: "Process", script: str, told: "Optional[Tuple[List[int], str]]", names: "ByKind") -> "Subjects":
    instance = Instance("node", process.files, process)
    if told:
        instance.version, instance.version_origin = told
    base = script.rpartition("/")[2]
    name = "node " + base if _SAFE.match(base) else "node"
    yield "config", instance.named(names["config"], name, process.directory), instance.config()
    yield (
        "server",
        instance.named(names["server"], name, process.directory),
        instance.subject({"mode": fact("http", "node")}),
    )


def _script(argv: "List[str]") -> "Optional[str]":
    """The script of a command line, empty where the process hides it; None for a tool, or where nothing serves."""
    if len(argv) == 1 and not _PROGRAM.match(argv[0].rpartition("/")[2]):
        return ""  # a title, such as `next-server (v15)`
    at = 1
    while at < len(argv) and argv[at].startswith("-"):
        if argv[at] in _ASKS:
            return None
        at += 2 if argv[at] in _VALUED else 1
    if at >= len(argv):
        return None
    script = argv[at]
    tool = _TOOL.search(script) or "/node_modules/npm/" in script
    return None if tool or (len(argv) > at + 1 and argv[at + 1] in _BUILD) else script


def _version(files: Host, path: str) -> "Optional[Tuple[List[int], str]]":
    """From the header that is installed beside the program, else from its package."""
    header = path.rpartition("/")[0].rpartition("/")[0] + "/include/node/node_version.h"
    found = dict(_NUMBER.findall(files.value(header) or ""))
    if len(found) == 3:
        return [int(found[part]) for part in ("MAJOR", "MINOR", "PATCH")], header
    return packages.version(files, "nodejs") if path.startswith("/usr/bin/") else None
