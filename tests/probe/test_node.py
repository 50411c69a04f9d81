"""Node.js: which processes count, and where the version comes from."""

import time

import pytest
from running import collected, everything, host, own, process

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


ALL = ["idle_timeout_s", "advertised_idle_s", "header_timeout_s", "request_timeout_s"]
IDLE = ALL[:2]
SCRIPTS = [
    # the script, the facts that it gives
    ("http.createServer(f).listen(80)\n", {}),
    ("server.keepAliveTimeout = 65000;\n", {"idle_timeout_s": 65, "advertised_idle_s": 65}),
    ("  this.server.keepAliveTimeout=61 * 1000 // the ALB has 60 s\n", {"idle_timeout_s": 61, "advertised_idle_s": 61}),
    ("const s = f(); s.keepAliveTimeout = 1_500\n", {"idle_timeout_s": 1.5, "advertised_idle_s": 1}),
    ("s.keepAliveTimeout = 0;", {"idle_timeout_s": "unlimited", "set_by_code": ["advertised_idle_s"]}),
    ("s.keepAliveTimeout = 65e3;\n", {"set_by_code": IDLE}),
    ("s.keepAliveTimeout = 65 + x;\n", {"set_by_code": IDLE}),
    ("s.keepAliveTimeout = +process.env.KEEP || 5000;\n", {"set_by_code": IDLE}),
    ("http.createServer({ keepAliveTimeout: 5000 }, f)\n", {"set_by_code": IDLE}),
    ("s['keepAliveTimeout'] = 5000;\n", {"set_by_code": IDLE}),
    ("s.keepAliveTimeout = 5000;\nt.keepAliveTimeout = 6000;\n", {"set_by_code": IDLE}),
    ("s.keepAliveTimeout = 5000;\ns.keepAliveTimeoutBuffer = 0;\n", {"set_by_code": IDLE}),
    ("if (x) s.keepAliveTimeout = 5000;\n", {"set_by_code": IDLE}),
    ("// s.keepAliveTimeout = 5000;\n/* headersTimeout\n requestTimeout */\n", {}),
    ("const u = 'http://x'; s.headersTimeout = f();\n", {"set_by_code": ["header_timeout_s"]}),
    ("s.headersTimeout = 66 * 1000\n", {"header_timeout_s": 66}),
    ("s.requestTimeout = 0\n", {"request_timeout_s": "unlimited", "set_by_code": ["header_timeout_s"]}),
    ("s.requestTimeout = n\ns.keepAliveTimeout = n\n", {"set_by_code": ["request_timeout_s", "header_timeout_s", *IDLE]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "facts"), SCRIPTS)
def test_what_the_script_says_of_its_timers(tmp_path, text, facts):
    _, servers, _ = collected(node, host(tmp_path, {"/srv/server.js": text}, process(7, "node server.js", cwd="/srv")))
    assert [own(one) for one in servers.values()] == [facts]


def test_a_number_has_the_place_of_its_line(tmp_path):
    text = "/* two\nlines */\n\nserver.keepAliveTimeout = 65000;\n"
    found = host(tmp_path, {"/srv/server/index.js": text}, process(7, "node server", cwd="/srv"))
    facts = next(facts for kind, _, facts in node.collect(found) if kind == "server")
    assert facts["idle_timeout_s"] == {"value": 65, "origin": "/srv/server/index.js:4"}
    assert facts["advertised_idle_s"]["origin"] == "/srv/server/index.js:4"


def test_an_old_version_advertises_nothing(tmp_path):
    files = {"/usr/include/node/node_version.h": HEADER.replace("MAJOR_VERSION 20", "MAJOR_VERSION 10")}
    files["/a.js"] = "s.keepAliveTimeout = 5000\n"
    _, servers, _ = collected(node, host(tmp_path, files, process(7, "node a.js", exe="/usr/bin/node")))
    assert own(servers["node a.js"]) == {"idle_timeout_s": 5, "set_by_code": ["advertised_idle_s"]}


UNKNOWN = [
    ("node server.js", {}),
    ("node server.js", {"/srv/server.js/x": ""}),
    ("node server.js", {"/srv/server.js": b"x" * (3 << 20)}),
    ("node node_modules/.bin/next start", {"/srv/node_modules/.bin/next": "x"}),
    ("node /usr/lib/node_modules/pm2/lib/ProcessContainerFork.js", {}),
    ("node nest start", {"/srv/nest": "x"}),
    (["next-server (v15.0.0)"], {}),
]


@pytest.mark.parametrize(("argv", "files"), UNKNOWN)
def test_no_default_is_claimed_where_the_script_is_not_known(tmp_path, argv, files):
    found = host(tmp_path, files, process(7, argv, "MainThread", "/srv", "/usr/bin/node"))
    _, servers, _ = collected(node, found)
    assert [own(one) for one in servers.values()] == [{"set_by_code": ALL}]
    assert found.errors == []


@pytest.mark.parametrize(
    "text", ["/*" * 500000, "`\\\n" * 300000, "'\"`" * 400000, ";" + " " * 900000 + "keepAliveTimeout", "a." * 500000]
)
def test_a_script_that_is_slow_to_read(tmp_path, text):
    found = host(tmp_path, {"/a.js": "keepAliveTimeout\n" + text}, process(7, "node a.js"))
    begin = time.process_time()
    assert list(node.collect(found))
    assert time.process_time() - begin < 5


def test_no_secret_of_a_script_leaves(tmp_path):
    text = "const k = 'hunter2'; s.keepAliveTimeout = hunter2\ns.headersTimeout = 'hunter2'\n"
    assert "hunter2" not in everything(node, host(tmp_path, {"/a.js": text}, process(7, "node a.js")))
