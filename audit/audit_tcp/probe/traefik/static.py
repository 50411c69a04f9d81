"""`server` and `upstream` subjects of Traefik, from its static configuration: a file, else flags, else variables."""

import re

from ..host import Host, Unreadable, reason
from ..instances import Instance, absolute, naming, packaged
from ..python_servers import whole
from ..readers import toml_subset, yaml_subset
from ..readers.durations import go
from ..readers.tree import Node, folded, plain
from ..servers import UNLIMITED, Budget, fact, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

    from ..instances import ByKind, packaged
    from ..processes import Process
    from ..values import Facts, Subjects

MOST = 2000
READ_TIMEOUT_SINCE = [2, 11, 2]

RESPONDING = {
    "idletimeout": "idle_timeout_s", "readtimeout": "request_timeout_s", "writetimeout": "send_timeout_s",
}  # fmt: skip
FORWARDING = {
    "dialtimeout": "connect_timeout_s", "responseheadertimeout": "response_timeout_s",
    "idleconntimeout": "idle_timeout_s",
}  # fmt: skip
ENTRY_POINTS = ("WEB", "WEBSECURE", "HTTP", "HTTPS", "TRAEFIK", "METRICS", "INTERNAL", "EXTERNAL")
VARIABLES = (
    "ADDRESS", "TRANSPORT_RESPONDINGTIMEOUTS_IDLETIMEOUT", "TRANSPORT_RESPONDINGTIMEOUTS_READTIMEOUT",
    "TRANSPORT_RESPONDINGTIMEOUTS_WRITETIMEOUT", "TRANSPORT_KEEPALIVEMAXTIME", "TRANSPORT_KEEPALIVEMAXREQUESTS",
)  # fmt: skip
_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,80}\Z")
_ADDRESS = re.compile(r"(\[?[A-Za-z0-9_.:%*-]{0,200}\]?:[0-9]{1,5})(?:/(tcp|udp))?\Z", re.I)


def subjects(host: Host, found: "List[Process]", paths: "List[str]") -> "Subjects":
    """One instance for each Traefik that runs, else for the file in a usual place."""
    names = naming()
    done = set()
    for process in found:
        arguments = process.argv[1:MOST]
        key = (process.namespace, process.files.prefix, process.directory, tuple(arguments))
        if key in done:
            continue
        done.add(key)
        instance = packaged("traefik", process)
        yield from _running(instance, process, arguments, names)
    for path in paths:
        instance = Instance("traefik", host)
        yield from _subjects(instance, _file(instance, path), path, names)


def _running(instance: Instance, process: "Process", arguments: "List[str]", names: "ByKind") -> "Subjects":
    """A file keeps flags and variables from being looked at, and flags keep variables from it."""
    flags, named = _flags(arguments)
    path = absolute(process.directory, named) if named else _found(process)
    if path:
        for name in ("entrypoints", "serverstransport"):
            if flags.get(name) is not None:
                instance.useless("the command line", "--{} has no effect: {} is read instead".format(name, path))
        yield from _subjects(instance, _file(instance, path), path, names)
    elif arguments:
        yield from _subjects(instance, flags, "the command line", names)
    else:
        yield from _subjects(instance, _variables(process), "the environment", names)


def _found(process: "Process") -> str:
    """The first file of the places where Traefik looks."""
    home = process.environment(("XDG_CONFIG_HOME", "HOME"))
    folders = ["/etc/traefik", home.get("XDG_CONFIG_HOME", ""), home.get("HOME", "") and home["HOME"] + "/.config"]
    for folder in [*(one for one in folders if one.startswith("/")), process.directory]:
        for end in ("toml", "yaml", "yml"):
            path = "{}/traefik.{}".format(folder.rstrip("/"), end)
            if process.files.exists(path):
                return path
    return ""


def _file(instance: Instance, path: str) -> Node:
    instance.path = path
    try:
        text = Budget(instance.files).read(path)
    except (OSError, Unreadable) as error:
        instance.refuse(path, reason(error))
        return Node({}, 1)
    instance.count = 1
    root, problems = toml_subset.parse(text) if path.endswith(".toml") else yaml_subset.parse(text)
    for line, what in problems:
        instance.refuse(place(path, line), what)
    folded(root, str.lower)
    return root


def _flags(arguments: "List[str]") -> "Tuple[Node, str]":
    """The flags `--a.b.c=value` and `--a.b.c value` as a tree, and the file that they name."""
    root = Node({}, 0)
    named = ""
    for at, argument in enumerate(arguments):
        if not argument.startswith("-"):
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        name = name.lower()
        if not equals and at + 1 < len(arguments) and not arguments[at + 1].startswith("-"):
            value = arguments[at + 1]
        if name in ("configfile", "traefik.configfile"):
            named = value
        elif name.startswith(("entrypoints.", "serverstransport.", "providers.")):
            _put(root, name.split("."), value)
    return root, named


def _variables(process: "Process") -> Node:
    """The variables TRAEFIK_A_B_C=value as a tree: of entry points, those that have a usual name."""
    root = Node({}, 0)
    names = ["TRAEFIK_ENTRYPOINTS_{}_{}".format(point, name) for point in ENTRY_POINTS for name in VARIABLES]
    names += ["TRAEFIK_SERVERSTRANSPORT_FORWARDINGTIMEOUTS_" + name.upper() for name in FORWARDING]
    names.append("TRAEFIK_SERVERSTRANSPORT_MAXIDLECONNSPERHOST")
    for name, value in process.environment(names).items():
        _put(root, name.lower().split("_")[1:], value)
    return root


def _put(root: Node, keys: "List[str]", value: str) -> None:
    node = root
    for key in keys[:10]:
        if not isinstance(node.value, dict):
            node.value = {}
        if key not in node.value:
            node.value[key] = Node({}, 0)
        node = node.value[key]
    if node.value == {}:
        node.value = plain(value)


def _subjects(instance: Instance, root: Node, source: str, names: "ByKind") -> "Subjects":
    reader = _Static(instance, root, source)
    servers = list(reader.servers())
    upstream = reader.upstream()
    yield "config", instance.named(names["config"], "traefik", instance.path), instance.config()
    for name, where, facts in servers:
        yield "server", instance.named(names["server"], name, where), instance.subject(facts)
    yield "upstream", instance.named(names["upstream"], "traefik", source), instance.subject(upstream)


class _Static:
    def __init__(self, instance: Instance, root: Node, source: str) -> None:
        self.instance, self.root, self.source = instance, root, source

    def where(self, node: Node) -> str:
        return place(self.source, node.line) if node.line else self.source

    def servers(self) -> "Iterator[Tuple[str, str, Facts]]":
        points = self.root.get("entrypoints")
        if points is None or not points.value:
            default = {"mode": fact("http", self.source), "listen": fact([":80"], "default of traefik")}
            yield "traefik http", self.source, default
            return
        for name, point in points.items():
            address = _ADDRESS.match(point.text("address") or "")
            if address and (address.group(2) or "").lower() == "udp":
                continue
            facts: "Facts" = {"mode": fact("http", self.where(point))}
            if address:
                facts["listen"] = fact([address.group(1)], self.where(point))
            self._transport(facts, point.get("transport"))
            yield "traefik " + (name if _SAFE.match(name) else "entry point"), self.where(point), facts

    def _transport(self, facts: "Facts", transport: "Optional[Node]") -> None:
        responding = transport.get("respondingtimeouts") if transport else None
        for key, name in RESPONDING.items():
            self._timer(facts, name, responding.get(key) if responding else None, key)
        self._without_idle(facts)
        requests = transport.get("keepalivemaxrequests") if transport else None
        number = whole(requests.value) if requests and isinstance(requests.value, str) else None
        if requests and number is not None:
            facts["max_requests"] = fact(number or UNLIMITED, self.where(requests))
        self._timer(facts, "max_age_s", transport.get("keepalivemaxtime") if transport else None, "keepalivemaxtime")

    def _without_idle(self, facts: "Facts") -> None:
        """For Go an idleTimeout of 0 is the readTimeout, and where that is 0 too there is none."""
        idle = facts.get("idle_timeout_s")
        if idle is None or idle["value"] != UNLIMITED:
            return
        read = facts.get("request_timeout_s")
        default = UNLIMITED if self.instance.version and self.instance.version < READ_TIMEOUT_SINCE else 60
        value = read["value"] if read else default
        facts["idle_timeout_s"] = fact(value, idle["origin"] + ", 0: readTimeout holds")

    def _timer(self, facts: "Facts", name: str, node: "Optional[Node]", key: str) -> None:
        if node is None or not isinstance(node.value, str):
            return
        value: "Any" = go(node.value, bare=1)
        if value is None:
            self.instance.refuse(self.where(node), "{}: a duration such as 90s is needed".format(key))
        else:
            facts[name] = fact(value if value > 0 else UNLIMITED, self.where(node))

    def upstream(self) -> "Facts":
        """What holds toward every backend that no dynamic configuration gives a transport of its own."""
        facts: "Facts" = {"mode": fact("http", self.source)}
        transport = self.root.get("serverstransport")
        timeouts = transport.get("forwardingtimeouts") if transport else None
        for key, name in FORWARDING.items():
            self._timer(facts, name, timeouts.get(key) if timeouts else None, key)
        size = transport.get("maxidleconnsperhost") if transport else None
        number = whole(size.value) if size and isinstance(size.value, str) else None
        if size and number is not None:
            facts["pool_size"] = fact(max(number, 0) or (2 if number == 0 else 0), self.where(size))
        return facts
