"""Node.js: which processes count, and where the version comes from."""

import pytest
from running import collected, host, process

from audit_tcp.probe import node

HEADER = "#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 18\n#define NODE_PATCH_VERSION 1\n#define NODE_IS_LTS 1\n"
DPKG = "Package: nod\nVersion: 1.0\n\nPackage: nodejs\nStatus: install ok installed\nVersion: 18.19.0+dfsg-6~deb12u2\n\nPackage: z\nVersion: 9.9\n"
APK = "C:Q1\nP:nodejs\nV:22.11.0-r0\nA:x86_64\n\n"

SERVERS = [
    ("node server.js", "node", "node server.js"),
    ("node --max-http-header-size=9 -r dotenv/config dist/main.js", "MainThread", "node main.js"),
    ("/usr/bin/nodejs /srv/a.mjs --token hunter2", "nodejs", "node a.mjs"),
    (["next-server (v15.0.0)"], "MainThread", "node"),
    (["node", "/srv/odd name.js"], "node", "node"),
]
TOOLS = [
    "node /usr/lib/node_modules/npm/bin/npm-cli.js start", "node /usr/bin/npx x", "node /srv/node_modules/.bin/tsc -w", "node -e x", "node --version", "node",
    "node /srv/node_modules/.bin/next build", "node /srv/node_modules/.bin/jest", "node --test a.js",
]  # fmt: skip


@pytest.mark.parametrize(("argv", "comm", "name"), SERVERS)
def test_a_node_that_may_serve(tmp_path, argv, comm, name):
    one = host(tmp_path, {"/usr/include/node/node_version.h": HEADER}, process(7, argv, comm, "/srv", "/usr/bin/node"))
    config, servers, _ = collected(node, one)
    assert list(servers) == [name]
    assert config["version"] == servers[name]["version"] == [20, 18, 1]
    assert (config["unreadable"], config["no_effect"], config["unit_traps"]) == ([], [], [])


@pytest.mark.parametrize("argv", TOOLS)
def test_tools_do_not_count(tmp_path, argv):
    assert list(node.collect(host(tmp_path, {}, process(7, argv, "node", exe="/usr/bin/node")))) == []


def test_main_thread_of_another_program_is_none(tmp_path):
    assert list(node.collect(host(tmp_path, {}, process(7, "gjs app.js", "MainThread", exe="/usr/bin/gjs")))) == []


@pytest.mark.parametrize(
    ("files", "exe", "version"),
    [
        ({"/usr/local/include/node/node_version.h": HEADER}, "/usr/local/bin/node", [20, 18, 1]),
        ({"/var/lib/dpkg/status": DPKG}, "/usr/bin/node", [18, 19, 0]),
        ({"/lib/apk/db/installed": APK}, "/usr/bin/node", [22, 11, 0]),
        ({"/var/lib/dpkg/status": DPKG}, "/opt/node/bin/node", None),
        ({"/usr/include/node/node_version.h": b"\xff\0"}, "/usr/bin/node", None),
        ({}, "/usr/bin/node", None),
    ],
)
def test_versions(tmp_path, files, exe, version):
    config, _, _ = collected(node, host(tmp_path, files, process(7, "node a.js", exe=exe)))
    assert config.get("version") == version


def test_a_cluster_is_one_and_two_apps_are_two(tmp_path):
    those = [
        process(7, "node a.js", cwd="/one"),
        process(8, "node a.js", cwd="/one", parent=7),
        process(9, "node a.js", cwd="/two"),
    ]
    found = [(kind, name) for kind, name, _ in node.collect(host(tmp_path, {}, *those))]
    assert found == [
        ("config", "node a.js"),
        ("server", "node a.js"),
        ("config", "node a.js (/two)"),
        ("server", "node a.js (/two)"),
    ]


def test_the_executable_decides(tmp_path):
    one = host(tmp_path, {}, process(7, "node a.js", exe="/usr/bin/node (deleted)"))
    assert len(list(node.collect(one))) == 2
