"""`server` subjects of Node.js: its timers have no flags, so that the version decides what an HTTP server does.

Code may set them, too: the script that was started, and no other file, is searched for their names. A timer that it
mentions, and each one where it is a framework's program or cannot be read, stands in `set_by_code`: no default holds.
"""

import re

from . import packages
from .host import Host, Unreadable
from .instances import Instance, absolute, naming
from .processes import running
from .servers import UNLIMITED, fact, place, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from .instances import ByKind
    from .processes import Process
    from .values import Facts, Subjects

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
    facts = {"mode": fact("http", "node")}
    _code(process, script, instance.version, facts)
    yield "server", instance.named(names["server"], name, process.directory), instance.subject(facts)


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


_SETS = {
    "keepAliveTimeout": ("idle_timeout_s", "advertised_idle_s"),
    "headersTimeout": ("header_timeout_s",),
    "requestTimeout": ("request_timeout_s", "header_timeout_s"),
}
"""Which facts each timer that code may set is about; headersTimeout is never longer than requestTimeout."""

_LAUNCHER = re.compile(
    r"(?:^|/)node_modules/|(?:^|/)(?:next|nest|nuxt|nuxi|vite|astro|remix-serve|react-scripts|vue-cli-service|ng|gatsby"
    r"|strapi|directus|ts-node|tsx|nodemon|pm2|forever|serve|http-server)(?:\.[cm]?js)?\Z"
)
"""Programs of packages: what they load sets the timers, or not."""

_COMMENT = re.compile(
    r"/\*[\s\S]*?(?:\*/|\Z)|//[^\n]*"
    r"|\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"?|'[^'\\\n]*(?:\\.[^'\\\n]*)*'?|`[^`\\]*(?:\\[\s\S][^`\\]*)*`?"
)
_MENTION = re.compile(r"keepAliveTimeout|headersTimeout|requestTimeout")
_STATED = re.compile(
    r"(?:^|;)[ \t]*[A-Za-z_$][A-Za-z0-9_$.]{0,100}\.(?:keepAliveTimeout|headersTimeout|requestTimeout)[ \t]*=[ \t]*"
    r"([0-9][0-9_]{0,12}(?:[ \t]*\*[ \t]*[0-9][0-9_]{0,12}){0,3})[ \t\r]*(?:;|\Z|(?=\n))",
    re.M,
)

ADVERTISED_SINCE = [14, 8]


def _code(process: "Process", script: str, version: "Optional[List[int]]", facts: "Facts") -> None:
    """What the script sets by a plain number, and of which timers no default may be taken for known."""
    path, text = _read(process, script)
    if text is None:
        by_code = [name for names in _SETS.values() for name in names]
        facts["set_by_code"] = fact(list(dict.fromkeys(by_code)), path or "the process")
        return
    bare = _COMMENT.sub(lambda found: _blank(found.group()), text) if _MENTION.search(text) else ""
    mentioned = [found.group() for found in _MENTION.finditer(bare)]
    stated = {}
    for found in _STATED.finditer(bare):
        name = found.group().partition("=")[0].rstrip(" \t").rpartition(".")[2]
        line = bare.count("\n", 0, found.start(1)) + 1
        stated[name] = (_product(found.group(1)) / 1000.0, place(path, line))
    by_code = []
    for name in dict.fromkeys(mentioned):
        if name in stated and mentioned.count(name) == 1:
            _state(facts, name, stated[name], version)
        by_code.extend(one for one in _SETS[name] if one not in by_code)
    left = [name for name in by_code if name not in facts]
    if left:
        facts["set_by_code"] = fact(left, path)


def _state(facts: "Facts", name: str, given: "Tuple[float, str]", version: "Optional[List[int]]") -> None:
    value, where = given
    facts[_SETS[name][0]] = fact(seconds(value) if value else UNLIMITED, where)
    if name == "keepAliveTimeout" and value >= 1 and (version is None or version >= ADVERTISED_SINCE):
        facts["advertised_idle_s"] = fact(int(value), where)


def _read(process: "Process", script: str) -> "Tuple[str, Optional[str]]":
    """The path and text of the script that was started; no text where it is a framework's, or cannot be read."""
    if not script or _LAUNCHER.search(script):
        return "", None
    whole = absolute(process.directory, script)
    for path in (whole, whole + ".js", whole + "/index.js"):
        try:
            return path, process.files.text(path)
        except (OSError, Unreadable):
            continue
    return whole, None


def _blank(text: str) -> str:
    """A comment without its words; a string stays, since it may name a property."""
    return "\n" * text.count("\n") if text.startswith(("//", "/*")) else text


def _product(text: str) -> int:
    found = 1
    for part in text.split("*"):
        found *= int(part.replace("_", ""))
    return found
