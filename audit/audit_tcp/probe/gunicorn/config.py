"""`server` subjects of gunicorn: framework < configuration file < GUNICORN_CMD_ARGS < command line."""

from ..host import Host
from ..instances import Instance, absolute, naming
from ..python_servers import configuration, listens, options, version, whole
from ..readers import python_config
from ..servers import UNLIMITED, fact, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple

    from ..instances import ByKind
    from ..python_servers import Command
    from ..values import Facts, Subjects

    Given = Dict[str, Tuple[Any, str]]

OPTIONS = {
    "-c": "config", "--config": "config", "-b": "bind", "--bind": "bind", "--backlog": "backlog",
    "-k": "worker_class", "--worker-class": "worker_class", "--threads": "threads",
    "--worker-connections": "worker_connections", "-t": "timeout", "--timeout": "timeout",
    "--keep-alive": "keepalive", "--chdir": "chdir",
}  # fmt: skip
COUNTS = ("keepalive", "timeout", "backlog", "threads", "worker_connections")
SETTINGS = (*COUNTS, "bind", "worker_class")
ENVIRONMENT = ("GUNICORN_CMD_ARGS", "PORT", "PWD", "UVICORN_TIMEOUT_KEEP_ALIVE")

TIMED = ("gthread", "gevent", "eventlet", "ThreadWorker", "GeventWorker", "EventletWorker", "UvicornWorker")
"""Workers, by the ends of their names, that leave an idle connection open for `keepalive` seconds."""

GREEN = ("gevent", "eventlet", "GeventWorker", "EventletWorker")
"""Those whose `keepalive` also bounds the reading of a header."""

ASGI, ASGI_SINCE = ("asgi", "ASGIWorker"), [26]
"""Its own asynchronous worker, and the version since which that is read to keep connections."""

PASSED_SINCE = [0, 3, 6]
"""The first uvicorn whose worker takes gunicorn's keepalive; before, its own 5 seconds held."""


def subjects(host: Host, found: "List[Command]", paths: "List[str]") -> "Subjects":
    """One instance for each gunicorn that runs, else for each configuration file in a usual place."""
    names = naming()
    done = set()
    for command in found:
        environment = command.process.environment(ENVIRONMENT)
        key = (command.key(), tuple(sorted(environment.items())))
        if key not in done:
            done.add(key)
            yield from _running(command, environment, names)
    for path in paths:
        instance = Instance("gunicorn", host)
        given: "Given" = {}
        _file(instance, path, given, None)
        yield from _subjects(instance, given, {}, names, None)


def _running(command: "Command", environment: "Mapping[str, str]", names: "ByKind") -> "Subjects":
    instance = Instance("gunicorn", command.process.files, command.process)
    told = version(command, "gunicorn")
    if told:
        instance.version, instance.version_origin = told
    given: "Given" = {}
    if command.arguments is None:
        instance.refuse("gunicorn", "the process shows a title instead of its arguments: its settings are not known")
        yield "config", instance.named(names["config"], "gunicorn"), instance.config()
        return
    by_line = options(command.arguments, OPTIONS)
    by_variable = options(_words(instance, environment.get("GUNICORN_CMD_ARGS", "")), OPTIONS)
    chdir = bool(by_line.get("chdir") or by_variable.get("chdir"))
    named = (by_line.get("config") or by_variable.get("config") or [""])[-1]
    path = _config_path(instance, named, _directories(command, environment, chdir))
    if path:
        _file(instance, path, given, command)
    elif named:
        _unknown_file(given)
    _take(instance, given, by_variable, "GUNICORN_CMD_ARGS")
    _take(instance, given, by_line, "the command line")
    yield from _subjects(instance, given, environment, names, command)


def _words(instance: Instance, text: str) -> "List[str]":
    if not text:
        return []
    import shlex

    try:
        return shlex.split(text[:65536])
    except ValueError:
        instance.refuse("GUNICORN_CMD_ARGS", "a quote does not end")
        return []


def _directories(command: "Command", environment: "Mapping[str, str]", chdir: bool) -> "List[str]":
    """Where it was started, likeliest first: with --chdir its working directory is another one now."""
    found = [command.directory, environment.get("PWD", "")]
    return [one for one in (reversed(found) if chdir else found) if one.startswith("/")]


def _config_path(instance: Instance, named: str, directories: "List[str]") -> str:
    if named.startswith("python:"):
        instance.refuse("gunicorn", "the configuration is a Python module: what it sets is not known")
        return ""
    named = named[len("file:") :] if named.startswith("file:") else named
    paths = [absolute(one, named or "gunicorn.conf.py") for one in directories]
    for path in paths:
        if path == "/dev/null" or instance.files.exists(path):
            return path
    if named and paths:
        instance.refuse(paths[0], "no such file")
    return ""


def read(instance: Instance, path: str, command: "Optional[Command]") -> "Optional[python_config.Settings]":
    """What the configuration file at `path`, a Python program, sets; None where it cannot be read."""
    text = configuration(instance, path)
    if text is None:
        return None
    asked = python_config.variables(text)
    environment = command.process.environment(asked) if command else None
    found, problems = python_config.settings(text, environment)
    for line, what in problems:
        instance.refuse(place(path, line), what)
    return found


def _unknown_file(given: "Given") -> None:
    """What a file may set that cannot be read is not known."""
    for name in SETTINGS:
        given[name] = (None, "a file that cannot be read")


def _file(instance: Instance, path: str, given: "Given", command: "Optional[Command]") -> None:
    found = read(instance, path, command)
    if found is None:
        _unknown_file(given)
        return
    for name in SETTINGS:
        if name not in found.lines:
            continue
        where = place(path, found.lines[name])
        value = found.values.get(name)
        if name in found.unknown or not _set(given, name, value, where):
            given[name] = (None, where)
            instance.refuse(where, "{} is computed, its value is not known".format(name))


def _set(given: "Given", name: str, value: "Any", where: str) -> bool:
    """Takes a value; False where the setting cannot have it."""
    if name in COUNTS:
        number = whole(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
        if number is None or number < 0:
            return False
        value = number
    elif name == "bind":
        value = value.split(",") if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return False
    elif not isinstance(value, str):
        return False
    given[name] = (value, where)
    return True


def _take(instance: Instance, given: "Given", found: "Dict[str, List[str]]", where: str) -> None:
    for name, values in found.items():
        if name in ("config", "chdir"):
            continue
        if not _set(given, name, values if name == "bind" else values[-1], where):
            instance.refuse(where, "{}: a number is needed".format(name))


def _subjects(
    instance: Instance, given: "Given", environment: "Mapping[str, str]", names: "ByKind", command: "Optional[Command]"
) -> "Subjects":
    facts: "Facts" = {"mode": fact("http", "gunicorn")}
    idle = _idle(instance, given, environment, command)
    bind, where = given.get("bind") or _default_bind(environment)
    addresses = [one for one in map(listens, (each.strip() for each in bind or ())) if one]
    if addresses:
        facts["listen"] = fact(addresses, where)
    _stated(given, facts)
    if idle is not None:
        facts["idle_timeout_s"] = fact(*idle)
        stated = given.get("keepalive", (idle[0], idle[1]))
        facts["ignores_keepalive"] = fact(stated[0] not in (0, idle[0]), stated[1])
        if idle[0] == 0:
            facts["keepalive"] = fact(False, idle[1])
    by_code = [
        name for name in ("idle_timeout_s", "backlog", "header_timeout_s") if _is_unknown(name, given, idle, facts)
    ]
    if by_code:  # else a default would be taken for known
        facts["set_by_code"] = fact(by_code, instance.path or "gunicorn")
    yield (
        "config",
        instance.named(names["config"], "gunicorn", instance.path or "".join(addresses[:1])),
        instance.config(),
    )
    name = " ".join(["gunicorn", *addresses[:1]])
    yield "server", instance.named(names["server"], name, instance.path), instance.subject(facts)


def _stated(given: "Given", facts: "Facts") -> None:
    """The backlog, and what bounds a header where that is not the catalog's default (measured with 27.0.1)."""
    if given.get("backlog", (None, ""))[0] is not None:
        facts["backlog"] = fact(*given["backlog"])
    worker = _short(_worker(given)[0])
    if worker == "sync":
        value, where = given.get("timeout", (30, "default of gunicorn"))
        if value is not None:
            facts["header_timeout_s"] = fact(value or UNLIMITED, where)
            if "timeout" in given:
                facts["request_timeout_s"] = fact(value or UNLIMITED, where)
    elif worker in GREEN:
        value, where = given.get("keepalive", (2, "default of gunicorn"))
        if value:
            facts["header_timeout_s"] = fact(value, where)


def _is_unknown(name: str, given: "Given", idle: "Optional[Tuple[Any, str]]", facts: "Facts") -> bool:
    """Whether no default may be taken for a fact: something computes it, or its worker is not known."""
    if name == "idle_timeout_s":
        return idle is None
    if name == "backlog":
        return given.get(name, (0, ""))[0] is None
    short = _short(_worker(given)[0])
    return name not in facts and (short in GREEN or not short.endswith((*TIMED, *ASGI)))


def _short(worker: "Optional[str]") -> str:
    return (worker or "").rpartition(".")[2].replace("UvicornH11Worker", "UvicornWorker")


def _default_bind(environment: "Mapping[str, str]") -> "Tuple[List[str], str]":
    if environment.get("PORT"):
        return ["0.0.0.0:" + environment["PORT"]], "PORT"
    return ["127.0.0.1:8000"], "default of gunicorn"


def _worker(given: "Given") -> "Tuple[Optional[str], str]":
    """The worker that runs, after what `threads` makes of the sync one; None where it is not known."""
    name, where = given.get("worker_class", ("sync", "default of gunicorn: the worker is sync"))
    if name is None or not (name == "sync" or name.endswith("SyncWorker")):
        return name, where
    threads, place_of_threads = given.get("threads", (1, ""))
    if threads is None:
        return None, place_of_threads
    return ("gthread", place_of_threads) if threads > 1 else ("sync", where)


def _idle(
    instance: Instance, given: "Given", environment: "Mapping[str, str]", command: "Optional[Command]"
) -> "Optional[Tuple[Any, str]]":
    """How long an idle connection stays, and what says so; None where it is not known."""
    worker, where = _worker(given)
    if worker is None:
        return None
    short = _short(worker)
    if short == "UvicornWorker" and command:
        return _under_uvicorn(instance, given, environment, command)
    value, origin = given.get("keepalive", (2, "default of gunicorn"))
    if worker == "sync":
        return _never(instance, given, "the sync worker closes after each response", where)
    if short in ("gthread", "ThreadWorker") and not _room(given):
        return _never(instance, given, "worker_connections leaves no room beside the threads", where)
    if short in ("tornado", "TornadoWorker") and value == 0:
        return 0, origin
    if not short.endswith(TIMED) and not (short in ASGI and (instance.version or [0]) >= ASGI_SINCE):
        return _unknown(instance, where)
    return None if value is None else (value, origin)


def _never(instance: Instance, given: "Given", why: str, where: str) -> "Tuple[Any, str]":
    if given.get("keepalive", (0, ""))[0] != 0:
        instance.useless(given["keepalive"][1], "keepalive has no effect: " + why)
    return 0, where


def _room(given: "Given") -> bool:
    """Whether a gthread worker may keep a connection: as many as worker_connections exceeds threads."""
    connections, threads = given.get("worker_connections", (1000, ""))[0], given.get("threads", (1, ""))[0]
    return connections is None or threads is None or bool(connections > threads)


def _unknown(instance: Instance, where: str) -> "Optional[Tuple[Any, str]]":
    instance.refuse(where, "worker_class: what this worker does with keepalive is not known")
    return None


def _under_uvicorn(
    instance: Instance, given: "Given", environment: "Mapping[str, str]", command: "Command"
) -> "Optional[Tuple[Any, str]]":
    value, origin = given.get("keepalive", (2, "default of gunicorn"))
    if "UVICORN_TIMEOUT_KEEP_ALIVE" in environment:
        instance.useless("UVICORN_TIMEOUT_KEEP_ALIVE", "has no effect under gunicorn, whose keepalive holds")
    told = version(command, "uvicorn")
    if told and told[0] < PASSED_SINCE:
        if "keepalive" in given:
            instance.useless(origin, "keepalive has no effect: uvicorn before 0.3.6 ignores it and closes after 5 s")
        return 5, told[1]
    return None if value is None else (value, origin)
