"""`server` and `upstream` subjects of Caddy, from its Caddyfile or its JSON."""

from ..host import Host, Unreadable, reason
from ..instances import Instance, absolute, naming, packaged
from ..python_servers import options, whole
from ..readers import yaml_subset
from ..readers.durations import go
from ..readers.tree import Node
from ..servers import UNLIMITED, Budget, address_of, fact, place
from . import caddyfile
from .caddyfile import Directive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

    from ..instances import ByKind, packaged
    from ..processes import Process
    from ..values import Facts, Subjects

OPTIONS = {"--config": "config", "-config": "config", "-c": "config", "--adapter": "adapter", "-a": "adapter"}

TIMEOUTS = {
    "idle": "idle_timeout_s", "read_header": "header_timeout_s", "read_body": "request_timeout_s",
    "write": "send_timeout_s",
}  # fmt: skip
JSON_TIMEOUTS = {
    "idle_timeout": "idle_timeout_s", "read_header_timeout": "header_timeout_s", "read_timeout": "request_timeout_s",
    "write_timeout": "send_timeout_s",
}  # fmt: skip
TRANSPORT = {"dial_timeout": "connect_timeout_s", "response_header_timeout": "response_timeout_s"}


def subjects(host: Host, found: "List[Process]", paths: "List[str]") -> "Subjects":
    """One instance for each Caddy that runs, else for the configuration in a usual place."""
    names = naming()
    done = set()
    for process in found:
        path, adapter = _config_of(process)
        key = (process.namespace, process.files.prefix, path)
        if key in done:
            continue
        done.add(key)
        instance = packaged("caddy", process)
        if path:
            yield from _instance(instance, path, adapter, process, names)
        else:
            instance.refuse("--config:1", "no configuration file is named: what the admin interface set is not known")
            yield "config", instance.named(names["config"], "caddy"), instance.config()
    for path in paths:
        yield from _instance(Instance("caddy", host), path, "", None, names)


def _config_of(process: "Process") -> "Tuple[str, str]":
    """The configuration file and its adapter: what the command line says, else ./Caddyfile."""
    given = options(process.argv[1:], OPTIONS)
    adapter = given.get("adapter", [""])[-1]
    if "--resume" in process.argv:
        home = process.environment(("XDG_CONFIG_HOME", "HOME"))
        folder = home.get("XDG_CONFIG_HOME") or home.get("HOME", "") + "/.config"
        if process.files.exists(folder + "/caddy/autosave.json"):
            return folder + "/caddy/autosave.json", "json"
    if "config" in given:
        return absolute(process.directory, given["config"][-1]), adapter
    path = absolute(process.directory, "Caddyfile")
    return (path if process.files.exists(path) else ""), adapter


def _instance(instance: Instance, path: str, adapter: str, process: "Optional[Process]", names: "ByKind") -> "Subjects":
    instance.path = path
    budget = Budget(instance.files)
    if path.endswith(".json") and adapter in ("", "json"):
        subjects = list(_json(instance, budget, path))
    else:

        def environ(asked: "List[str]") -> "Optional[Mapping[str, str]]":
            return process.environment(asked) if process else None

        reader = caddyfile.Reader(budget, environ, instance.refuse)
        directives = reader.expanded(reader.read(path, path))
        subjects = list(_Caddyfile(instance, directives).subjects())
        instance.count = reader.files
    yield "config", instance.named(names["config"], "caddy", path), instance.config()
    for kind, name, where, facts in subjects:
        yield kind, instance.named(names[kind], name, where), instance.subject(facts)


# the Caddyfile


class _Caddyfile:
    def __init__(self, instance: Instance, directives: "List[Directive]") -> None:
        self.instance = instance
        self.globals = [one for one in directives[:1] if not one.words and one.block is not None]
        self.sites = directives[len(self.globals) :]
        if len(self.sites) > 1 and self.sites[0].block is None:
            first = Directive(self.sites[0].words, self.sites[0].path, self.sites[0].line)
            first.block = self.sites[1:]
            self.sites = [first]  # one site needs no braces: its address is the first line

    def option(self, name: str, default: str) -> str:
        for one in self.globals:
            for line in one.below(name):
                if len(line.words) > 1:
                    return line.words[1]
        return default

    def subjects(self) -> "Iterator[Tuple[str, str, str, Facts]]":
        servers: "Dict[str, List[str]]" = {}
        wheres: "Dict[str, str]" = {}
        upstreams: "List[Tuple[str, str, str, Facts]]" = []
        for site in self.sites:
            if site.words and site.words[0].startswith("&("):
                continue  # a named route: it is no site
            for listen, name in self._addresses(site):
                servers.setdefault(listen, []).append(name)
                wheres.setdefault(listen, site.where)
            upstreams += [self._upstream(one) for one in _proxies(site)]
        for listen, hosts in servers.items():
            facts = self._server_facts(listen)
            facts["mode"] = fact("http", wheres[listen])
            if listen:
                facts["listen"] = fact([listen], wheres[listen])
            known = [one for one in hosts if one]
            name = "caddy *{}".format(listen) if listen.startswith(":") else "caddy {}".format(listen).strip()
            yield "server", " ".join([name, *known[:1]]), wheres[listen], facts
        yield from upstreams

    def _addresses(self, site: Directive) -> "Iterator[Tuple[str, str]]":
        """(listener, host name) of each address of a site; of the ones that hold no value, nothing."""
        http, https = self.option("http_port", "80"), self.option("https_port", "443")
        stated = [one for line in site.below("bind") for one in line.words[1:]] or [self.option("default_bind", "")]
        binds = [one.rpartition("@")[2] for one in stated]
        for word in site.words:
            if "{$" in word:
                yield "", address_of(word)
                continue
            for text in word.split(","):
                host, port = _host_and_port(text, http, https)
                if not port:
                    continue
                for bind in binds:
                    if bind.startswith("unix/"):
                        yield "unix:" + bind[len("unix/") :].partition("|")[0], host
                    elif not bind or whole(port):
                        shown = "[{}]".format(bind) if ":" in bind else bind
                        yield "{}:{}".format(shown if shown != ANY else "", port), host

    def _server_facts(self, listen: str) -> "Facts":
        """The `servers` option that names the listener, else the one that names none: they do not add up."""
        options_of = [line for one in self.globals for line in one.below("servers")]
        exact = [line for line in options_of if line.words[1:] == [listen]]
        facts: "Facts" = {}
        for line in (exact or [line for line in options_of if len(line.words) == 1])[:1]:
            for timeouts in line.below("timeouts"):
                for one in timeouts.block or ():
                    if len(one.words) > 1 and one.words[0] in TIMEOUTS:
                        self._timer(facts, TIMEOUTS[one.words[0]], one, one.words[1])
            for one in line.block or ():
                if len(one.words) > 1 and one.words[0] in ("keepalive_interval", "keepalive_idle", "keepalive_count"):
                    self._probes(facts, one)
        return facts

    def _timer(self, facts: "Facts", name: str, one: Directive, text: str) -> None:
        value = go(text, days=True)
        if value is None:
            self.instance.refuse(one.where, "{}: a duration such as 30s is needed".format(one.words[0]))
        else:
            _timer(self.instance, facts, name, value, one.where, one.words[0])

    def _probes(self, facts: "Facts", one: Directive) -> None:
        if one.words[0] == "keepalive_count":
            count = whole(one.words[1])
            if count and count > 0:
                facts["keepcnt"] = fact(count, one.where)
            return
        value = go(one.words[1], days=True)
        if value is None:
            self.instance.refuse(one.where, "{}: a duration such as 30s is needed".format(one.words[0]))
        elif value > 0:
            facts["keepintvl_s" if one.words[0] == "keepalive_interval" else "keepidle_s"] = fact(value, one.where)
        elif value < 0 and one.words[0] == "keepalive_interval":
            facts["so_keepalive"] = fact(False, one.where)

    def _upstream(self, one: Directive) -> "Tuple[str, str, str, Facts]":
        addresses = [address for word in one.words[1:] for address in _address(word)]
        facts: "Facts" = {"mode": fact("http", one.where)}
        for line in one.block or ():
            if line.words and line.words[0] == "to":
                addresses += [address for word in line.words[1:] for address in _address(word)]
            if line.words[:2] == ["transport", "http"]:
                for setting in line.block or ():
                    self._transport(facts, setting)
            elif line.words[:1] == ["transport"]:
                facts["mode"] = fact("fastcgi" if line.words[1:2] == ["fastcgi"] else "other", line.where)
                facts["pool_size"] = fact(0, line.where)
        if any(address.startswith("h2c://") for address in addresses):
            facts.setdefault("http_version", fact(2, one.where))
        facts["addresses"] = fact(addresses, one.where)
        return "upstream", " ".join(["caddy", *addresses[:1]]), one.where, facts

    def _transport(self, facts: "Facts", one: Directive) -> None:
        name, value = one.words[0] if one.words else "", one.words[1] if len(one.words) > 1 else ""
        if name == "keepalive" and value == "off":
            facts["reuse"] = fact(False, one.where)
            facts["pool_size"] = fact(0, one.where)
        elif name == "keepalive":
            self._timer(facts, "idle_timeout_s", one, value)
        elif name == "keepalive_interval":
            self._probes(facts, one)
            if "keepintvl_s" in facts:
                facts["keepidle_s"] = facts["keepintvl_s"]
        elif name == "keepalive_idle_conns_per_host" and whole(value):
            facts.setdefault("pool_size", fact(max(whole(value) or 0, 0), one.where))
        elif name in TRANSPORT:
            self._timer(facts, TRANSPORT[name], one, value)
        elif name == "versions":
            _versions(facts, one.words[1:], one.where)


ANY = "0.0.0.0"  # noqa: S104 - compared, not bound


def _timer(instance: Instance, facts: "Facts", name: str, value: "Any", where: str, setting: str) -> None:
    """Caddy takes 0 for its default where there is one, and Go a negative timer for none."""
    if value < 0:
        facts[name] = fact(UNLIMITED, where)
    elif value == 0 and name in ("idle_timeout_s", "connect_timeout_s", "header_timeout_s"):
        instance.useless(where, "{} 0 has no effect: Caddy takes it for the default".format(setting))
    else:
        facts[name] = fact(value or UNLIMITED, where)


def _versions(facts: "Facts", found: "List[str]", where: str) -> None:
    if found and set(found) <= {"1.1"}:
        facts["http_version"] = fact(1.1, where)
    elif found and set(found) <= {"h2c", "2"}:
        facts["http_version"] = fact(2, where)


def _proxies(site: Directive) -> "Iterator[Directive]":
    """The reverse_proxy and forward_auth lines of a site, however deep, without recursion."""
    waiting = [site]
    while waiting:
        one = waiting.pop()
        if one.words and one.words[0] in ("reverse_proxy", "forward_auth"):
            yield one
        elif one.block:
            waiting.extend(reversed(one.block))


def _host_and_port(text: str, http: str, https: str) -> "Tuple[str, str]":
    """Host and port of a site's address: https unless it says otherwise."""
    scheme, _, rest = address_of(text).rpartition("://")
    if not rest or scheme not in ("", "http", "https"):
        return "", ""
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        host, port = rest, http if scheme == "http" else https
    if not port.isdigit() or len(port) > 5:
        return "", ""
    return host[:200], port


def _address(word: str) -> "List[str]":
    """The address of a backend; of a matcher or a placeholder, nothing."""
    if not word or word[0] in "/@*{" or "{" in word:
        return []
    bare = address_of(word)
    return [":".join(["localhost", bare[1:]]) if bare.startswith(":") else bare]


# the JSON


def _json(instance: Instance, budget: Budget, path: str) -> "Iterator[Tuple[str, str, str, Facts]]":
    try:
        text = budget.read(path)
    except (OSError, Unreadable) as error:
        instance.refuse(place(path, 1), reason(error))
        return
    instance.count = 1
    root, problems = yaml_subset.parse(text)
    for line, what in problems:
        instance.refuse(place(path, line), what)
    servers = root.get("apps", "http", "servers")
    for name, server in servers.items() if servers else ():
        where = place(path, server.line)
        facts: "Facts" = {"mode": fact("http", where)}
        listens = server.get("listen")
        addresses = [one.value for one in (listens.each() if listens else ()) if isinstance(one.value, str)]
        facts["listen"] = fact([one.partition("/")[2] or one for one in addresses], where)
        for key, short in JSON_TIMEOUTS.items():
            _json_timer(instance, facts, short, server.get(key), path, key)
        shown = " *{}".format(addresses[0]) if addresses and addresses[0].startswith(":") else " " + name[:100]
        yield "server", "caddy" + shown, where, facts
        yield from _json_proxies(instance, server, path)


def _json_timer(instance: Instance, facts: "Facts", name: str, node: "Optional[Node]", path: str, key: str) -> None:
    """A duration in JSON is a number of nanoseconds, or a text."""
    if node is None or not isinstance(node.value, str):
        return
    value = go(node.value, days=True, bare=1e-9 if node.value.bare else None)  # type: ignore[attr-defined]
    if value is None:
        instance.refuse(place(path, node.line), "{}: a duration is needed".format(key))
    else:
        _timer(instance, facts, name, value, place(path, node.line), key)


def _json_proxies(instance: Instance, server: Node, path: str) -> "Iterator[Tuple[str, str, str, Facts]]":
    waiting = [server.get("routes") or Node(None, 0)]
    while waiting:
        node = waiting.pop()
        if isinstance(node.value, dict) and node.text("handler") == "reverse_proxy":
            yield _json_upstream(instance, node, path)
        elif isinstance(node.value, dict):
            waiting.extend(reversed(list(node.value.values())))
        elif isinstance(node.value, list):
            waiting.extend(reversed(node.value))


def _json_upstream(instance: Instance, node: Node, path: str) -> "Tuple[str, str, str, Facts]":
    where = place(path, node.line)
    backends = node.get("upstreams")
    dials = [one.text("dial") for one in (backends.each() if backends else ())]
    addresses = [address for dial in dials if dial for address in _address(dial)]
    facts: "Facts" = {"mode": fact("http", where), "addresses": fact(addresses, where)}
    transport = node.get("transport")
    if transport is not None and transport.text("protocol") == "http":
        keep = transport.get("keep_alive")
        if keep is not None:
            _json_timer(instance, facts, "idle_timeout_s", keep.get("idle_timeout"), path, "idle_timeout")
            size = whole(keep.text("max_idle_conns_per_host") or "")
            if size:
                facts["pool_size"] = fact(max(size, 0), place(path, keep.line))
            if keep.text("enabled") == "false":
                facts["pool_size"] = fact(0, place(path, keep.line))
        for key, short in TRANSPORT.items():
            _json_timer(instance, facts, short, transport.get(key), path, key)
        versions = transport.get("versions")
        _versions(facts, [str(one.value) for one in (versions.each() if versions else ())], where)
    return "upstream", " ".join(["caddy", *addresses[:1]]), where, facts
