"""gunicorn: sources and their order, workers, computed values, titles, versions, secrets."""

import pytest
from running import collected, everything, host, own, process

from audit_tcp.probe import gunicorn
from audit_tcp.probe.readers.python_config import settings, statements

VENV = "/srv/v/bin/python /srv/v/bin/gunicorn "
LIBRARY = "/srv/v/lib/python3.11/site-packages/"


def one(root, arguments, files=None, **environment):
    files = {LIBRARY + "gunicorn-23.0.0.dist-info/METADATA": "", **(files or {})}
    return host(root, files, process(7, VENV + arguments, "gunicorn", "/srv/app", **environment))


SYNC = {"idle_timeout_s": 0, "keepalive": False, "header_timeout_s": 30}
CLOSES = {"idle_timeout_s": 0, "keepalive": False}
GREEN = {"idle_timeout_s": 2, "header_timeout_s": 2}
AT = {"listen": ["127.0.0.1:8000"]}
CASES = [
    # arguments, gunicorn.conf.py, environment, facts
    ("app:a", None, {}, {**SYNC, **AT}),
    ("app:a --threads 4", None, {}, {"idle_timeout_s": 2, **AT}),
    ("app:a --threads=4 --keep-alive=75 --backlog 99", None, {}, {"idle_timeout_s": 75, "backlog": 99, **AT}),
    ("-kgthread -t9 -b:80 app:a", None, {}, {"idle_timeout_s": 2, "listen": ["0.0.0.0:80"]}),
    ("-k sync -t 0 app:a", None, {}, {**SYNC, **AT, "header_timeout_s": "unlimited", "request_timeout_s": "unlimited"}),
    ("-k gevent -b [::1]:80 -b unix:/run/a app:a", None, {}, {**GREEN, "listen": ["[::1]:80", "unix:/run/a"]}),
    ("-k gevent -b localhost app:a", None, {}, {**GREEN, "listen": ["localhost:8000"]}),
    ("-k gevent -b fd://3 app:a", None, {}, GREEN),
    ("-k gevent app:a", None, {"PORT": "81"}, {**GREEN, "listen": ["0.0.0.0:81"]}),
    ("-k tornado --keep-alive 0 app:a", None, {}, {**CLOSES, **AT, "set_by_code": ["header_timeout_s"]}),
    ("--threads 9 --worker-connections 9 app:a", None, {}, {**CLOSES, **AT}),
    ("-k sync -t 7 app:a", None, {}, {**SYNC, **AT, "header_timeout_s": 7, "request_timeout_s": 7}),
    ("-k gevent --keep-alive 0 app:a", None, {}, {**CLOSES, **AT, "set_by_code": ["header_timeout_s"]}),
    ("app:a", "threads = 2\nkeepalive = 7\n", {}, {"idle_timeout_s": 7, **AT}),
    ("app:a", "threads = 2\nkeepalive = 7\nkeepalive = 8\n", {}, {"idle_timeout_s": 8, **AT}),
    ("app:a", "threads = 2\nkeepalive: int = (\n  7 # seven\n)\n", {}, {"idle_timeout_s": 7, **AT}),
    ("app:a", "bind = 'a:1, b:2'\nthreads = 2", {}, {"idle_timeout_s": 2, "listen": ["a:1", "b:2"]}),
    ("app:a", "t = 2\nthreads = t\nkeepalive = 60 * 2 - 1 + 10 // 3\n", {}, {"idle_timeout_s": 122, **AT}),
    ("app:a", "import os\nthreads = 2\nkeepalive = int(os.getenv('K', 5))\n", {}, {"idle_timeout_s": 5, **AT}),
    ("app:a", "import os\nthreads = 2\nkeepalive = int(os.environ['K'] or 5)\n", {"K": "9"}, {"idle_timeout_s": 9, **AT}),
    ("app:a", "bind = f\"{'h'}:{8000 + 1}\"\nthreads = 2\n", {}, {"idle_timeout_s": 2, "listen": ["h:8001"]}),
    ("app:a", "threads = 2\ndef f():\n    keepalive = 7\n", {}, {"idle_timeout_s": 2, **AT}),
    ("app:a", "threads = 2\n'''\nkeepalive = 7\n'''\n# keepalive = 8\n", {}, {"idle_timeout_s": 2, **AT}),
    ("app:a", "threads = 2\nkeepalive = 7\n", {"GUNICORN_CMD_ARGS": "--keep-alive 8"}, {"idle_timeout_s": 8, **AT}),
    ("app:a --keep-alive 9", "threads = 2\nkeepalive = 7\n", {"GUNICORN_CMD_ARGS": "--keep-alive 8"}, {"idle_timeout_s": 9, **AT}),
    ("-k uvicorn.workers.UvicornWorker app:a", None, {}, {"idle_timeout_s": 2, **AT}),
    ("-k uvicorn_worker.UvicornH11Worker --keep-alive 3 app:a", None, {}, {"idle_timeout_s": 3, **AT}),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "text", "environment", "facts"), CASES)
def test_settings(tmp_path, arguments, text, environment, facts):
    files = {"/srv/app/gunicorn.conf.py": text} if text else None
    config, servers, _ = collected(gunicorn, one(tmp_path, arguments, files, **environment))
    assert [own(found) for found in servers.values()] == [facts]
    assert config["version"] == [23, 0, 0]
    assert config["unreadable"] == []
    assert config["files"] == bool(text)


IDLE_ALONE, WORKER, BACKLOG = ["idle_timeout_s"], ["idle_timeout_s", "header_timeout_s"], ["backlog"]
UNKNOWN = [
    # arguments, gunicorn.conf.py, what has no default, what is told
    ("app:a", "threads = 2\nkeepalive = secret()\n", IDLE_ALONE, "/srv/app/gunicorn.conf.py:2: keepalive is computed, its value is not known"),
    ("app:a", "threads = 2\nif x:\n    keepalive = 7\n", IDLE_ALONE, "/srv/app/gunicorn.conf.py:3: keepalive is computed, its value is not known"),
    ("app:a", "threads = 2\nkeepalive = 7\nkeepalive += 1\n", IDLE_ALONE, "/srv/app/gunicorn.conf.py:3: keepalive is computed, its value is not known"),
    ("app:a", "worker_class = 'a' if b else 'c'\n", WORKER, "/srv/app/gunicorn.conf.py:1: worker_class is computed, its value is not known"),
    ("app:a", "threads = 2\nkeepalive = 'x'\n", IDLE_ALONE, "/srv/app/gunicorn.conf.py:2: keepalive is computed, its value is not known"),
    ("app:a", "threads = 2\nbacklog = 1 << 4\n", BACKLOG, "/srv/app/gunicorn.conf.py:2: backlog is computed, its value is not known"),
    ("app:a -k tornado", None, WORKER, "the command line: worker_class: what this worker does with keepalive is not known"),
    ("app:a -k own.Worker", None, WORKER, "the command line: worker_class: what this worker does with keepalive is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "text", "by_code", "told"), UNKNOWN)
def test_what_is_not_known_is_told_and_no_default_takes_its_place(tmp_path, arguments, text, by_code, told):
    found = one(tmp_path, arguments, {"/srv/app/gunicorn.conf.py": text} if text else None)
    config, servers, _ = collected(gunicorn, found)
    assert config["unreadable"] == [told]
    (facts,) = servers.values()
    assert facts["set_by_code"] == by_code
    assert not {*by_code} & {*facts}
    assert [f"{where}: {what}" for where, what in found.errors] == [told]


@pytest.mark.parametrize(("arguments", "text"), [("-c /none.py", None), ("-c python:m", None), ("", b"\0")])
def test_of_a_file_that_cannot_be_read_nothing_is_known_but_what_the_command_line_says(tmp_path, arguments, text):
    files = {"/srv/app/gunicorn.conf.py": text} if text else None
    _, servers, _ = collected(gunicorn, one(tmp_path / "a", "app:a " + arguments, files))
    assert [own(found) for found in servers.values()] == [
        {"set_by_code": ["idle_timeout_s", "backlog", "header_timeout_s"]}
    ]
    _, servers, _ = collected(gunicorn, one(tmp_path / "b", "app:a -k gthread --keep-alive 3 " + arguments, files))
    assert [own(found) for found in servers.values()] == [{"idle_timeout_s": 3, "set_by_code": ["backlog"]}]


def test_dev_null_is_an_empty_file(tmp_path):
    found = one(tmp_path, "app:a --threads 2 -c /dev/null", {"/srv/app/gunicorn.conf.py": "keepalive = 7\n"})
    config, servers, _ = collected(gunicorn, found)
    assert (config["unreadable"], config["path"], config["files"], found.errors) == ([], "/dev/null", 0, [])
    assert [own(one) for one in servers.values()] == [{"idle_timeout_s": 2, **AT}]


BAD = [
    ("app:a -c /none.py", None, "/none.py: no such file"),
    ("app:a -c python:some.module", None, "gunicorn: the configuration is a Python module: what it sets is not known"),
    ("app:a", "threads = 2\nx = (1\n", "/srv/app/gunicorn.conf.py:2: a bracket is not closed"),
    ("app:a", "threads = 2\nx = 1)\n", "/srv/app/gunicorn.conf.py:2: a bracket that was not opened"),
    ("app:a", "threads = 2\n\nx = '''\n", "/srv/app/gunicorn.conf.py:3: a string does not end"),
    ("app:a", "threads = 2\nx = 'a\n", "/srv/app/gunicorn.conf.py:2: a string does not end"),
    ("app:a", b"\x7fELF\0\0", "/srv/app/gunicorn.conf.py: not a text file"),
    ("app:a", b"#" * (3 << 20), "/srv/app/gunicorn.conf.py: larger than 2097152 bytes"),
    ("app:a --keep-alive x", None, "the command line: keepalive: a number is needed"),
]


@pytest.mark.parametrize(("arguments", "text", "told"), BAD)
def test_bad_input_is_told_by_its_place(tmp_path, arguments, text, told):
    config, servers, _ = collected(
        gunicorn, one(tmp_path, arguments, {"/srv/app/gunicorn.conf.py": text} if text else None)
    )
    assert config["unreadable"] == [told]
    assert len(servers) == 1


IDLE = [
    ("app:a --keep-alive 9", {}, None, 0, ["the command line: keepalive has no effect: the sync worker closes after each response"]),
    ("app:a --keep-alive 0", {}, None, 0, []),
    ("-k gthread --worker-connections 1 --keep-alive 9 a:a", {}, None, 0, ["the command line: keepalive has no effect: worker_connections leaves no room beside the threads"]),
    ("-k uvicorn.workers.UvicornWorker --keep-alive 75 a:a", {}, "0.3.5", 5, ["the command line: keepalive has no effect: uvicorn before 0.3.6 ignores it and closes after 5 s"]),
    ("-k uvicorn.workers.UvicornWorker --keep-alive 75 a:a", {}, "0.3.6", 75, []),
    ("-k uvicorn.workers.UvicornWorker a:a", {"UVICORN_TIMEOUT_KEEP_ALIVE": "9"}, "0.30.0", 2, ["UVICORN_TIMEOUT_KEEP_ALIVE: has no effect under gunicorn, whose keepalive holds"]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "environment", "uvicorn", "idle", "told"), IDLE)
def test_settings_without_effect(tmp_path, arguments, environment, uvicorn, idle, told):
    files = {LIBRARY + f"uvicorn-{uvicorn}.dist-info/METADATA": ""} if uvicorn else None
    config, servers, _ = collected(gunicorn, one(tmp_path, arguments, files, **environment))
    assert config["no_effect"] == told
    (facts,) = servers.values()
    assert facts["idle_timeout_s"] == idle
    assert facts["ignores_keepalive"] is any("keepalive has" in text for text in told)


def test_a_title_hides_the_arguments(tmp_path):
    found = host(
        tmp_path,
        {},
        process(7, ["gunicorn: master [app:a]"], "gunicorn: maste"),
        process(8, ["gunicorn: worker [app:a]"], "gunicorn: worke", parent=7),
    )
    config, servers, _ = collected(gunicorn, found)
    assert config["unreadable"] == [
        "gunicorn: the process shows a title instead of its arguments: its settings are not known"
    ]
    assert servers == {}


@pytest.mark.parametrize(
    "argv", ["python3 -m gunicorn a:a --threads 2", "/v/bin/gunicorn a:a --threads 2", "python3.11 -X dev -Wi /v/bin/gunicorn a:a --threads 2", "python -Im gunicorn.app.wsgiapp a:a --threads 2"]
)  # fmt: skip
def test_it_is_found_however_it_is_started(tmp_path, argv):
    _, servers, _ = collected(gunicorn, host(tmp_path, {}, process(7, argv), process(9, argv, parent=7)))
    assert [found["idle_timeout_s"] for found in servers.values()] == [2]


@pytest.mark.parametrize(
    "argv",
    ["python3 app.py gunicorn", "python3 -c gunicorn", "vi gunicorn", "python3 -m pip install gunicorn", "python3"],
)
def test_other_programs_are_none(tmp_path, argv):
    assert list(gunicorn.collect(host(tmp_path, {}, process(7, argv)))) == []


def test_two_instances_have_names_of_their_own(tmp_path):
    found = host(
        tmp_path,
        {},
        process(7, "gunicorn a:a -b :1"),
        process(8, "gunicorn a:a -b :2"),
        process(9, "gunicorn a:a -b :2"),
    )
    assert [name for _, name, _ in gunicorn.collect(found)] == [
        "gunicorn",
        "gunicorn 0.0.0.0:1",
        "gunicorn (0.0.0.0:2)",
        "gunicorn 0.0.0.0:2",
    ]


def test_a_file_of_an_image_in_which_nothing_runs(tmp_path):
    config, servers, _ = collected(gunicorn, host(tmp_path, {"/app/gunicorn.conf.py": "keepalive = 4\nthreads = 2\n"}))
    assert config["running"] is False
    assert [found["idle_timeout_s"] for found in servers.values()] == [4]


def test_the_folder_of_the_start_where_chdir_left_it(tmp_path):
    files = {"/start/c.py": "keepalive = 4\nthreads = 2\n", "/srv/app/c.py": "keepalive = 5\n"}
    config, _, _ = collected(gunicorn, one(tmp_path, "a:a -c c.py --chdir /srv/app", files, PWD="/start"))
    assert config["path"] == "/start/c.py"


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/srv/v/lib/python3.9/site-packages/gunicorn-20.1.0-py3.9.egg-info", [20, 1, 0]),
        ("/usr/lib/python3/dist-packages/gunicorn-20.1.0.egg-info", [20, 1, 0]),
        ("/srv/v/lib/python3.9/site-packages/gunicorn_extra-1.0.dist-info", None),
    ],
)
def test_the_version_stands_beside_the_interpreter(tmp_path, path, version):
    config, _, _ = collected(gunicorn, host(tmp_path, {path + "/x": ""}, process(7, VENV + "a:a", "gunicorn")))
    assert config.get("version") == version


def test_no_secret_leaves(tmp_path):
    text = "import os\nSECRET = 'hunter2'\nkeepalive = hunter2('hunter2')\nraw_env = ['P=hunter2']\nbind = 'hunter2 hunter2'\nthreads = 2\nx = ('hunter2'\n"
    found = one(
        tmp_path,
        "a:a -e hunter2=hunter2 --keep-alive hunter2 --statsd-host hunter2",
        {"/srv/app/gunicorn.conf.py": text},
        SECRET="hunter2",
    )
    assert "hunter2" not in everything(gunicorn, found)


def test_statements_keep_their_lines():
    text = "a = 1\n\nb = '''\n x\n''' + \"y\"\nc = [\n 1, # (\n]\nd = 2 \\\n  + 3\n"
    lines, problems = statements(text)
    assert [line for line, part in lines if part.strip()] == [1, 3, 6, 9]
    assert problems == []
    assert settings(text, None)[0].values == {"a": 1, "b": "\n x\ny", "c": [1], "d": 5}
