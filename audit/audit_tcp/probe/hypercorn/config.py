"""`server` subjects of Hypercorn: a file of TOML or Python < command line."""

from ..gunicorn import config as gunicorn
from ..instances import Instance, absolute, naming
from ..python_servers import configuration, listens, options, version, whole
from ..readers import toml_subset
from ..servers import fact, place, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from ..instances import ByKind
    from ..python_servers import Command
    from ..values import Facts, Subjects

    Given = Dict[str, Tuple[Any, str]]

OPTIONS = {
    "-c": "config", "--config": "config", "-b": "bind", "--bind": "bind", "--backlog": "backlog",
    "--keep-alive": "keep_alive_timeout", "--read-timeout": "read_timeout",
}  # fmt: skip
NUMBERS = ("backlog", "keep_alive_timeout", "keep_alive_max_requests", "read_timeout")
DEFAULT_IDLE = 5
MEASURED_SINCE = [0, 17]
"""The first version of which it is known that keep_alive_timeout ends a connection, also one with half a header."""


def subjects(found: "List[Command]") -> "Subjects":
    """One instance for each Hypercorn that was started by its own command."""
    names = naming()
    done = set()
    for command in found:
        if command.key() not in done:
            done.add(command.key())
            yield from _subjects(command, names)


def _subjects(command: "Command", names: "ByKind") -> "Subjects":
    instance = Instance("hypercorn", command.process.files, command.process)
    told = version(command, "hypercorn")
    if told:
        instance.version, instance.version_origin = told
    given: "Given" = {}
    found = options(command.arguments or [], OPTIONS)
    if "config" in found:
        _file(instance, found["config"][-1], command, given)
    for name, values in found.items():
        if name != "config" and not _set(given, name, values if name == "bind" else values[-1], "the command line"):
            instance.refuse("the command line", "{}: a number is needed".format(name))
    bind, where = given.get("bind") or (["127.0.0.1:8000"], "default of hypercorn")
    addresses = [one for one in map(listens, bind or ()) if one]
    facts = _facts(instance, given)
    if addresses:
        facts["listen"] = fact(addresses, where)
    yield (
        "config",
        instance.named(names["config"], "hypercorn", instance.path or "".join(addresses[:1])),
        instance.config(),
    )
    if not any(given.get(name, (0, ""))[0] is None for name in NUMBERS):  # else a default would be taken for known
        name = " ".join(["hypercorn", *addresses[:1]])
        yield "server", instance.named(names["server"], name, instance.path), instance.subject(facts)


def _file(instance: Instance, named: str, command: "Command", given: "Given") -> None:
    if named.startswith("python:"):
        instance.refuse("hypercorn", "the configuration is a Python module: what it sets is not known")
        return
    if named.startswith("file:"):
        path = absolute(command.directory, named[len("file:") :])
        found = gunicorn.read(instance, path, command)
        for name in (*NUMBERS, "bind"):
            if found is not None and name in found.lines:
                value = None if name in found.unknown else found.values[name]
                _checked(instance, given, name, value, place(path, found.lines[name]), name in found.unknown)
        return
    path = absolute(command.directory, named)
    text = configuration(instance, path)
    if text is None:
        return
    root, problems = toml_subset.parse(text)
    for line, what in problems:
        instance.refuse(place(path, line), what)
    for name in (*NUMBERS, "bind"):
        node = root.get(name)
        if node is not None:
            value = [one.value for one in node.each()] if name == "bind" else node.value
            _checked(instance, given, name, value, place(path, node.line), False)


def _checked(instance: Instance, given: "Given", name: str, value: "Any", where: str, computed: bool) -> None:
    if computed or not _set(given, name, value, where):
        given[name] = (None, where)
        instance.refuse(where, name + (" is computed, its value is not known" if computed else ": a number is needed"))


def _set(given: "Given", name: str, value: "Any", where: str) -> bool:
    """Takes a value; False where the setting cannot have it."""
    if name == "bind":
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return False
    elif value is None and name == "read_timeout":
        return True  # None is its default
    else:
        number = _number(value)
        if number is None or number < 0:
            return False
        value = number
    given[name] = (value, where)
    return True


def _number(value: "Any") -> "Optional[float]":
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    count = whole(str(value))
    if count is not None:
        return count
    try:
        return seconds(float(value))
    except (ValueError, OverflowError):
        return None


def _facts(instance: Instance, given: "Given") -> "Facts":
    facts: "Facts" = {"mode": fact("http", "hypercorn")}
    for name, short in (("backlog", "backlog"), ("keep_alive_max_requests", "max_requests")):
        if name in given:
            facts[short] = fact(*given[name])
    idle = given.get("keep_alive_timeout")
    reading = given.get("read_timeout")
    if idle and (instance.version is None or instance.version >= MEASURED_SINCE):
        facts["header_timeout_s"] = fact(*idle)
    if reading and reading[0] is not None:
        facts["body_timeout_s"] = fact(*reading)
        if (idle[0] or 0 if idle else DEFAULT_IDLE) > reading[0]:
            if idle:
                instance.useless(
                    idle[1], "keep_alive_timeout beyond read_timeout has no effect: no request is read then"
                )
            idle = reading
    if idle:
        facts["idle_timeout_s"] = fact(*idle)
    return facts
