"""`server` subjects of uvicorn: UVICORN_* variables < command line. What `uvicorn.run()` is given stands in code."""

from .host import Host
from .instances import Instance, naming
from .python_servers import commands, listens, options, version, whole
from .servers import fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    from .instances import ByKind
    from .python_servers import Command
    from .values import Subjects

OPTIONS = {
    "--timeout-keep-alive": "timeout_keep_alive", "--backlog": "backlog", "--host": "host", "--port": "port",
    "--uds": "uds", "--fd": "fd",
}  # fmt: skip
VARIABLES = {"UVICORN_" + name.upper(): name for name in OPTIONS.values()}
COUNTS = (("timeout_keep_alive", "idle_timeout_s"), ("backlog", "backlog"))


def collect(host: Host) -> "Subjects":
    """One instance for each uvicorn that was started by its own command."""
    names = naming()
    done = set()
    for command in commands(host, "uvicorn"):
        environment = command.process.environment(VARIABLES)
        key = (command.key(), tuple(sorted(environment.items())))
        if key not in done:
            done.add(key)
            yield from _subjects(command, environment, names)


def _subjects(command: "Command", environment: "Dict[str, str]", names: "ByKind") -> "Subjects":
    instance = Instance("uvicorn", command.process.files, command.process)
    told = version(command, "uvicorn")
    if told:
        instance.version, instance.version_origin = told
    given: "Dict[str, Tuple[str, str]]" = {
        VARIABLES[name]: (value, name) for name, value in environment.items() if value
    }
    for name, values in options(command.arguments or [], OPTIONS).items():
        given[name] = (values[-1], "the command line")
    facts = {"mode": fact("http", "uvicorn")}
    for name, short in COUNTS:
        if name in given:
            text, where = given[name]
            number = whole(text)
            if number is None:
                instance.refuse(where, "{}: a number is needed".format(name))
            else:
                facts[short] = fact(max(number, 0), where)
    listen = _listen(given)
    if listen:
        facts["listen"] = fact([listen[0]], listen[1])
    name = "uvicorn " + listen[0] if listen else "uvicorn"
    yield "config", instance.named(names["config"], "uvicorn", listen[0] if listen else ""), instance.config()
    yield "server", instance.named(names["server"], name, command.directory), instance.subject(facts)


def _listen(given: "Dict[str, Tuple[str, str]]") -> "Tuple[str, str] | None":
    """Where it listens and what says so; None for an inherited socket and a port that the kernel picks."""
    if "uds" in given:
        return "unix:" + given["uds"][0][:200], given["uds"][1]
    if "fd" in given:
        return None
    address, where = given.get("host", ("127.0.0.1", "default of uvicorn"))
    port, place = given.get("port", ("8000", where))
    number = whole(port)
    text = listens("[{}]:{}".format(address, number) if ":" in address else "{}:{}".format(address, number))
    return (text, place) if number and text else None
