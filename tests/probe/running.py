"""A tree with running processes in it, for the collectors that find servers by their command lines."""

import json

from audit_tcp.probe.host import Host
from trees import grow


def process(pid, argv, comm=None, cwd="/", exe=None, parent=1, **environment):
    """(files, links) of one process below /proc."""
    argv = argv.split() if isinstance(argv, str) else argv
    comm = comm or argv[0].rpartition("/")[2]
    base = f"/proc/{pid}"
    variables = "".join(f"{name}={value}\0" for name, value in environment.items())
    files = {
        f"{base}/comm": comm[:15] + "\n",
        f"{base}/cmdline": "".join(word + "\0" for word in argv),
        f"{base}/environ": variables,
        f"{base}/stat": f"{pid} ({comm}) S {parent} 0 0\n",
    }
    return files, {f"{base}/cwd": cwd, f"{base}/exe": exe or argv[0]}


def host(root, files=None, *processes):
    """A Host of those files in which those processes run."""
    grow(root, {"/etc/hostname": "h\n", **(files or {})})
    for own, links in processes:
        grow(root, own, links)
    return Host(str(root))


def collected(module, one):
    """(config facts, {name: bare facts} of the servers, the same of the upstreams) of the only instance."""
    found = list(module.collect(one))
    names = [(kind, name) for kind, name, _ in found]
    assert len(set(names)) == len(names)
    bare = [(kind, name, {fact: each["value"] for fact, each in facts.items()}) for kind, name, facts in found]
    configs = [facts for kind, _, facts in bare if kind == "config"]
    assert len(configs) == 1, names
    sides = ({name: facts for kind, name, facts in bare if kind == side} for side in ("server", "upstream"))
    return (configs[0], *sides)


def everything(module, one):
    """All that leaves the host, as one text: no secret may stand in it."""
    return json.dumps([list(module.collect(one)), one.errors])


COMMON = {"program", "running", "version", "netns", "mode", "ignores_keepalive"}


def own(facts):
    """The facts that are the server's own."""
    return {name: value for name, value in facts.items() if name not in COMMON}
