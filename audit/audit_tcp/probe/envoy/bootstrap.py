"""`server` and `upstream` subjects of Envoy, from the static part of its bootstrap configuration."""

from ..host import Host, Unreadable, reason
from ..instances import Instance, absolute, naming, packaged
from ..python_servers import options, whole
from ..readers import yaml_subset
from ..readers.durations import go
from ..readers.tree import Node, folded, snake
from ..servers import UNLIMITED, Budget, address_of, fact, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

    from ..instances import ByKind, packaged
    from ..processes import Process
    from ..values import Facts, Subjects

    Timers = Mapping[Tuple[str, ...], Tuple[str, ...]]

OPTIONS = {"-c": "path", "--config-path": "path", "--config-yaml": "yaml"}

DYNAMIC = ("lds_config", "cds_config", "ads_config")
MANAGER: "Timers" = {
    ("common_http_protocol_options", "idle_timeout"): ("idle_timeout_s",),
    ("common_http_protocol_options", "max_connection_duration"): ("max_age_s",),
    ("stream_idle_timeout",): ("body_timeout_s", "tunnel_timeout_s"),
    ("request_timeout",): ("request_timeout_s",),
    ("request_headers_timeout",): ("header_timeout_s",),
}
"""Durations of the HttpConnectionManager, and the facts that they are; 0s switches each of them off."""

TUNNEL: "Timers" = {("idle_timeout",): ("idle_timeout_s", "tunnel_timeout_s")}
POOL: "Timers" = {("idle_timeout",): ("idle_timeout_s",), ("max_connection_duration",): ("max_age_s",)}
CONNECT: "Timers" = {("connect_timeout",): ("connect_timeout_s",)}
PROBES = {"keepalive_time": "keepidle_s", "keepalive_interval": "keepintvl_s", "keepalive_probes": "keepcnt"}
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def subjects(host: Host, found: "List[Process]", paths: "List[str]") -> "Subjects":
    """One instance for each Envoy that runs, else for the bootstrap in the usual place."""
    names = naming()
    done = set()
    for process in found:
        given = options(process.argv[1:], OPTIONS)
        path = absolute(process.directory, given["path"][-1]) if "path" in given else ""
        inline = given.get("yaml", [""])[-1]
        key = (process.namespace, process.files.prefix, path, inline)
        if key in done:
            continue
        done.add(key)
        instance = packaged("envoy", process)
        yield from _instance(instance, path, inline, names)
    for path in paths:
        yield from _instance(Instance("envoy", host), path, "", names)


def _instance(instance: Instance, path: str, inline: str, names: "ByKind") -> "Subjects":
    instance.path = path
    trees: "List[Tuple[Node, str]]" = []
    if path:
        try:
            trees.append((_parsed(instance, Budget(instance.files).read(path), path), path))
            instance.count = 1
        except (OSError, Unreadable) as error:
            instance.refuse(place(path, 1), reason(error))
    if inline:
        trees.append((_parsed(instance, inline, "--config-yaml"), "--config-yaml"))
    subjects: "List[Tuple[str, str, str, Facts]]" = []
    for tree, where in trees:
        bootstrap = _Bootstrap(instance, tree, where)
        subjects += bootstrap.listeners()
        subjects += bootstrap.clusters()
        bootstrap.dynamic()
    yield "config", instance.named(names["config"], "envoy", path), instance.config()
    for kind, name, where, facts in subjects:
        yield kind, instance.named(names[kind], name, where), instance.subject(facts)


def _parsed(instance: Instance, text: str, path: str) -> Node:
    root, problems = yaml_subset.parse(text)
    for line, what in problems:
        instance.refuse(place(path, line), what)
    folded(root, snake)
    return root


class _Bootstrap:
    def __init__(self, instance: Instance, root: Node, path: str) -> None:
        self.instance, self.root, self.path = instance, root, path
        self.tunnelled: "Set[str]" = set()

    def where(self, node: Node) -> str:
        return place(self.path, node.line)

    def dynamic(self) -> None:
        """What xDS sets cannot be seen here."""
        node = self.root.get("dynamic_resources")
        if node is not None and any(node.get(name) for name in DYNAMIC):
            self.instance.refuse(self.where(node), "dynamic_resources: what xDS sets is not known")

    def timers(self, facts: "Facts", node: "Optional[Node]", table: "Timers") -> None:
        for keys, names in table.items():
            setting = node.get(*keys) if node is not None else None
            value = self.duration(setting)
            if setting is not None and value is not None:
                for name in names:
                    facts[name] = fact(value or UNLIMITED, self.where(setting))

    def duration(self, node: "Optional[Node]") -> "Any":
        """The seconds of `10s`, `0.25s`; None where nothing is set, and where it is no duration, which is told."""
        if node is None or node.value is None:
            return None
        text = node.value if isinstance(node.value, str) else ""
        value = go(text) if text.endswith("s") and text[-2:-1].isdigit() else None
        if value is None or value < 0:
            self.instance.refuse(self.where(node), "a duration such as 10s is needed")
            return None
        return value

    # listeners

    def listeners(self) -> "Iterator[Tuple[str, str, str, Facts]]":
        for listener in _each(self.root.get("static_resources", "listeners")):
            common: "Facts" = {}
            addresses = [one for one in map(_address, _addresses(listener)) if one]
            if not addresses and listener.get("address", "socket_address", "protocol") is not None:
                continue  # UDP
            backlog = listener.get("tcp_backlog_size")
            number = whole(backlog.value) if backlog and isinstance(backlog.value, str) else None
            if backlog and number is not None:
                common["backlog"] = fact(number, self.where(backlog))
            self.probes(common, listener.get("tcp_keepalive"))
            common["listen"] = fact(addresses, self.where(listener))
            shown = " ".join(["envoy", *(addresses or [(listener.text("name") or "")[:80]])[:1]])
            for chosen, where in self._chains(listener):
                yield "server", shown, where, dict(common, **chosen)

    def _chains(self, listener: Node) -> "Iterator[Tuple[Facts, str]]":
        """The facts of each filter chain; chains with the same ones are told once."""
        chains = _each(listener.get("filter_chains"))
        last = listener.get("default_filter_chain")
        told: "List[Dict[str, Any]]" = []
        for chain in [*chains, *([last] if last is not None else [])]:
            for filter_ in _each(chain.get("filters")):
                facts = self._filter(filter_)
                values = {name: one["value"] for name, one in facts.items()}
                if facts and values not in told:
                    told.append(values)
                    yield facts, self.where(filter_)

    def _filter(self, node: Node) -> "Facts":
        config = node.get("typed_config") or node.get("config")
        kind = "{} {}".format((config.text("@type") if config else "") or "", node.text("name") or "")
        facts: "Facts" = {}
        if "HttpConnectionManager" in kind or "http_connection_manager" in kind:
            facts["mode"] = fact("http", self.where(node))
            self.timers(facts, config, MANAGER)
            if config is not None:
                self.requests(facts, config.get("common_http_protocol_options", "max_requests_per_connection"))
        elif "TcpProxy" in kind or "tcp_proxy" in kind:
            facts["mode"] = fact("tcp", self.where(node))
            self.timers(facts, config, TUNNEL)
            cluster = config.text("cluster") if config else None
            if cluster:
                self.tunnelled.add(cluster)
        return facts

    def requests(self, facts: "Facts", node: "Optional[Node]") -> None:
        number = whole(node.value) if node is not None and isinstance(node.value, str) else None
        if node is not None and number is not None:
            facts["max_requests"] = fact(number or UNLIMITED, self.where(node))

    def probes(self, facts: "Facts", node: "Optional[Node]") -> None:
        """A tcp_keepalive message switches probes on; what it leaves out is the kernel's."""
        if node is None:
            return
        facts["so_keepalive"] = fact(True, self.where(node))
        for key, name in PROBES.items():
            number = whole(node.text(key) or "")
            if number:
                facts[name] = fact(number, self.where(node))

    # clusters

    def clusters(self) -> "Iterator[Tuple[str, str, str, Facts]]":
        for cluster in _each(self.root.get("static_resources", "clusters")):
            name = (cluster.text("name") or "")[:100]
            facts: "Facts" = {"addresses": fact(self._backends(cluster), self.where(cluster))}
            tcp = name in self.tunnelled
            facts["mode"] = fact("tcp" if tcp else "http", self.where(cluster))
            self.timers(facts, cluster, CONNECT)
            self.probes(facts, cluster.get("upstream_connection_options", "tcp_keepalive"))
            if tcp:
                facts["pool_size"] = fact(0, self.where(cluster))
            else:
                self._protocol(facts, cluster)
            yield "upstream", "envoy " + name if name else "envoy", self.where(cluster), facts

    def _protocol(self, facts: "Facts", cluster: Node) -> None:
        extended = cluster.get("typed_extension_protocol_options", HTTP)
        for node in (cluster, extended):
            common = node.get("common_http_protocol_options") if node else None
            if common is not None:
                self.timers(facts, common, POOL)
                self.requests(facts, common.get("max_requests_per_connection"))
        if facts.get("max_requests", {}).get("value") == 1:
            facts["reuse"] = fact(False, facts["max_requests"]["origin"])
        explicit = extended.get("explicit_http_config") if extended else None
        for node, key, version in (
            (cluster, "http2_protocol_options", 2), (explicit, "http2_protocol_options", 2),
            (explicit, "http_protocol_options", 1.1),
        ):  # fmt: skip
            option = node.get(key) if node else None
            if option is not None:
                facts["http_version"] = fact(version, self.where(option))

    def _backends(self, cluster: Node) -> "List[str]":
        found: "List[str]" = []
        for group in _each(cluster.get("load_assignment", "endpoints")):
            for one in _each(group.get("lb_endpoints")):
                address = _address(one.get("endpoint", "address"))
                if address and address not in found:
                    found.append(address)
        return found


def _each(node: "Optional[Node]") -> "List[Node]":
    return node.each() if node is not None else []


def _addresses(listener: Node) -> "List[Optional[Node]]":
    return [listener.get("address"), *(one.get("address") for one in _each(listener.get("additional_addresses")))]


def _address(node: "Optional[Node]") -> "Optional[str]":
    if node is None:
        return None
    pipe = node.text("pipe", "path")
    if pipe:
        return "unix:" + pipe[:200]
    socket = node.get("socket_address")
    host, port = (socket.text("address"), socket.text("port_value")) if socket else (None, None)
    if socket is None or not host or not port or whole(port) is None or socket.text("protocol") == "UDP":
        return None
    host = address_of(host).rpartition("//")[2]
    return ("[{}]:{}" if ":" in host else "{}:{}").format(host[:200], whole(port))
