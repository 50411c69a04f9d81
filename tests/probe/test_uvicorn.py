"""uvicorn: variables and command line, addresses, versions."""

import pytest
from running import collected, everything, host, own, process

from audit_tcp.probe import uvicorn

AT = {"listen": ["127.0.0.1:8000"]}
CASES = [
    ("app:a", {}, AT),
    ("app:a --timeout-keep-alive 75 --backlog=9", {}, {"idle_timeout_s": 75, "backlog": 9, **AT}),
    ("app:a --timeout-keep-alive 0", {}, {"idle_timeout_s": 0, **AT}),
    ("app:a --host 0.0.0.0 --port 80", {}, {"listen": ["0.0.0.0:80"]}),
    ("app:a --host ::1", {}, {"listen": ["[::1]:8000"]}),
    ("app:a --port 0", {}, {}),
    ("app:a --fd 3", {}, {}),
    ("app:a --uds /run/u", {}, {"listen": ["unix:/run/u"]}),
    ("app:a --limit-max-requests 5", {}, AT),
    ("app:a", {"UVICORN_TIMEOUT_KEEP_ALIVE": "9", "UVICORN_PORT": "81", "UVICORN_BACKLOG": "7"}, {"idle_timeout_s": 9, "backlog": 7, "listen": ["127.0.0.1:81"]}),
    ("app:a --timeout-keep-alive 8", {"UVICORN_TIMEOUT_KEEP_ALIVE": "9"}, {"idle_timeout_s": 8, **AT}),
    ("app:a", {"UVICORN_TIMEOUT_KEEP_ALIVE": ""}, AT),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "environment", "facts"), CASES)
def test_settings(tmp_path, arguments, environment, facts):
    files = {"/v/lib/python3.12/site-packages/uvicorn-0.35.0.dist-info/METADATA": ""}
    found = host(
        tmp_path, files, process(7, "/v/bin/python /v/bin/uvicorn " + arguments, "uvicorn", "/srv", **environment)
    )
    config, servers, _ = collected(uvicorn, found)
    assert [own(one) for one in servers.values()] == [facts]
    assert config["version"] == [0, 35, 0]
    assert config["unreadable"] == []
    assert config["running"] is True


def test_a_module_in_a_virtual_environment(tmp_path):
    files = {"/v/lib64/x": "", "/v/lib/python3.12/site-packages/uvicorn-0.34.1.dist-info/METADATA": ""}
    argv = "python -m uvicorn app:a"
    config, servers, _ = collected(
        uvicorn, host(tmp_path, files, process(7, argv, "python3.12", "/srv", "/usr/bin/python3.12", VIRTUAL_ENV="/v"))
    )
    assert config["version"] == [0, 34, 1]
    assert list(servers) == ["uvicorn 127.0.0.1:8000"]


def test_an_interpreter_that_path_found(tmp_path):
    """Its program is a link that leads out of the environment, and nothing else names the folder."""
    files = {"/v/lib/python3.12/site-packages/uvicorn-0.34.1.dist-info/METADATA": "", "/empty/bin/x": ""}
    argv = "python -m uvicorn app:a"
    path = "bin::/empty/bin:/v/bin/:/usr/bin"
    runs = process(7, argv, "python3.12", "/srv", "/usr/bin/python3.12", PATH=path)
    links = {}, {"/v/bin/python": "/usr/bin/python3.12"}
    found = host(tmp_path, {**files, "/usr/bin/python3.12": ""}, runs, links)
    config, _, _ = collected(uvicorn, found)
    assert config["version"] == [0, 34, 1]
    assert "/empty" not in everything(uvicorn, found)


def test_workers_of_one_server_are_one(tmp_path):
    spawn = [
        "/v/bin/python",
        "-c",
        "from multiprocessing.spawn import spawn_main; spawn_main()",
        "--multiprocessing-fork",
    ]
    found = host(tmp_path, {}, process(7, "python3 -m uvicorn a:a --workers 2"), process(8, spawn, parent=7))
    assert len(list(uvicorn.collect(found))) == 2


def test_what_is_no_number_is_told(tmp_path):
    config, _, _ = collected(
        uvicorn,
        host(
            tmp_path, {}, process(7, "uvicorn a:a --timeout-keep-alive hunter2", UVICORN_SSL_KEYFILE_PASSWORD="hunter2")
        ),
    )
    assert config["unreadable"] == ["the command line: timeout_keep_alive: a number is needed"]
    found = host(tmp_path, {}, process(8, "uvicorn a:a --ssl-keyfile-password hunter2 --host hunter2/hunter2"))
    assert "hunter2" not in everything(uvicorn, found)


def test_nothing_runs(tmp_path):
    assert list(uvicorn.collect(host(tmp_path, {}, process(7, "python3 main.py")))) == []
