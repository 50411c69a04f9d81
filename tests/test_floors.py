"""The floors of the design: who may import whom, and what a start imports. A probe module may not leave the probe."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import audit_tcp

PACKAGE = Path(audit_tcp.__file__).parent
FLOORS = [
    {"model", "errors"},
    {
        "tables",
        "wording",
        "writing",
        "catalog",
        "servers",
        "drawing",
        "profile",
        "defaults",
        "judge",
        "snapshot",
        "waivers",
    },
    {"report", "remote", "path", "sockets", "fleet", "fix", "sandbox", "lab", "render"},
    {"cli", "__main__"},
]
ROOT = "audit_tcp"


def modules():
    return {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}


def imports(path):
    """The modules of this package that a file imports, anywhere in it, as paths below the package."""
    here = path.relative_to(PACKAGE).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((ROOT, *here[: len(here) - node.level + 1])) if node.level else ""
            module = f"{base}.{node.module}" if base and node.module else node.module or base
            found |= {module} | {f"{module}.{name.name}" for name in node.names}
    names = {name for name in found if name.split(".")[0] == ROOT}
    known = modules()
    paths = {name.replace(".", "/").removeprefix(f"{ROOT}/") for name in names}
    return {p for p in paths if p in known or f"{p}/__init__" in known}


def floor_of(name):
    top = name.split("/")[0]
    if top == "probe":
        return -1
    return next(number for number, floor in enumerate(FLOORS) if top in floor)


def test_every_module_stands_on_a_floor():
    for name in modules():
        if name != "__init__":
            floor_of(name)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_go_down_only(name):
    if name == "__init__":
        return
    own = floor_of(name)
    for other in imports(modules()[name]) - {ROOT}:
        top, its = name.split("/")[0], other.split("/")[0]
        if own == -1:
            assert its == "probe", f"{name} imports {other}"
        elif own == 2:
            assert floor_of(other) < 2 or top == its, f"{name} imports {other}"
        else:
            assert floor_of(other) <= own, f"{name} imports {other}"


def test_the_lowest_floor_imports_nothing_of_the_package():
    assert all(imports(modules()[name]) == set() for name in FLOORS[0])


@pytest.mark.parametrize(
    "name", sorted(name for name in modules() if name.startswith("report/") and name != "report/__init__")
)
def test_formats_never_import_one_another(name):
    assert not any(other.startswith("report/") for other in imports(modules()[name]))


@pytest.mark.parametrize("name", sorted(name for name in modules() if name.startswith("probe/")))
def test_the_probe_imports_the_standard_library_only(name):
    for node in ast.walk(ast.parse(modules()[name].read_text())):
        names = [n.name for n in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        assert all(one.split(".")[0] in sys.stdlib_module_names for one in names)


def loaded_by(*arguments):
    code = f"import sys; from audit_tcp.cli import main; code = main({list(arguments)!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split()), done.stdout


HEAVY = {
    "yaml",
    "jinja2",
    "ansible",
    "boto3",
    "rich",
    "json",
    "subprocess",
    "asyncio",
    "concurrent.futures",
    "xml",
    "urllib",
}


def test_an_audit_of_this_machine_imports_nothing_heavy():
    loaded, out = loaded_by("host")
    assert out.startswith("audit-tcp ")
    assert "audit_tcp.probe.netns" in loaded
    assert loaded & HEAVY == set()


def test_a_command_imports_no_other():
    loaded, _ = loaded_by("profiles")
    assert {name for name in loaded if name.startswith("audit_tcp.cli.")} <= {
        "audit_tcp.cli.profiles",
        "audit_tcp.cli._options",
    }


def test_the_probe_keeps_to_python_3_6():
    vermin = Path(sys.executable).with_name("vermin")
    if not vermin.exists():
        pytest.skip("vermin is not installed (the lint extra)")
    command = [vermin, "--no-tips", "--violations", "--target=3.6-", PACKAGE / "probe"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def oldest_python():
    """The oldest python3 from 3.6 on at hand: on the PATH, or kept by pyenv."""
    names = [f"python3.{minor}" for minor in range(6, sys.version_info.minor)]
    root = Path.home() / ".pyenv" / "versions"
    kept = sorted(root.glob("3.*/bin/python3"), key=lambda path: int(path.parts[-3].split(".")[1]))
    on_path = [found for found in map(shutil.which, names) if found and "shims" not in found]
    return next(iter(on_path + [str(path) for path in kept if int(path.parts[-3].split(".")[1]) >= 6]), None)


def test_the_probe_runs_under_the_oldest_python():
    from audit_tcp import remote, snapshot

    python = oldest_python()
    if python is None:
        pytest.skip("no python3 older than this one at hand")
    done = subprocess.run(
        [python, *remote.PYTHON[1:]], input=remote.program("mark").encode(), capture_output=True, timeout=60
    )
    assert done.stderr == b""
    _, _, body = done.stdout.partition(b"\nmark ")
    taken = snapshot.parse(body.partition(b"\n")[2], "it")
    assert {subject.kind for subject in taken.subjects} >= {"host", "netns"}
    assert not [error for error in taken.errors if error.where.startswith("collector")]
