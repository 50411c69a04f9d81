"""Hypercorn: command line, TOML and Python files, and its two timers."""

import pytest
from running import collected, everything, host, own, process

from audit_tcp.probe import hypercorn

AT = {"listen": ["127.0.0.1:8000"]}
CASES = [
    ("a:a", None, AT, []),
    ("a:a --keep-alive 9 --backlog 7 -b :81 --bind unix:/r", None, {"idle_timeout_s": 9, "header_timeout_s": 9, "backlog": 7, "listen": ["0.0.0.0:81", "unix:/r"]}, []),
    ("a:a -c c.toml", "keep_alive_timeout = 7.5\nbind = 'h:1'\n", {"idle_timeout_s": 7.5, "header_timeout_s": 7.5, "listen": ["h:1"]}, []),
    ("a:a -c c.toml", 'bind = ["h:1", "fd://3"]\nkeep_alive_max_requests = 1_0\nbacklog = 5', {"max_requests": 10, "backlog": 5, "listen": ["h:1"]}, []),
    ("a:a -c c.toml --keep-alive 8", "keep_alive_timeout = 7\n", {"idle_timeout_s": 8, "header_timeout_s": 8, **AT}, []),
    ("a:a -c c.toml", "read_timeout = 60\n", {"body_timeout_s": 60, **AT}, []),
    ("a:a -c c.toml", "read_timeout = 3\n", {"idle_timeout_s": 3, "body_timeout_s": 3, **AT}, []),
    ("a:a -c c.toml", "read_timeout = 3\nkeep_alive_timeout = 4", {"idle_timeout_s": 3, "header_timeout_s": 4, "body_timeout_s": 3, **AT},
     ["/srv/c.toml:2: keep_alive_timeout beyond read_timeout has no effect: no request is read then"]),
    ("a:a -c /dev/null", None, AT, []),
    ("a:a -c file:c.toml", "keep_alive_timeout = 6\nread_timeout = None\nbind = ['h:1']\n", {"idle_timeout_s": 6, "header_timeout_s": 6, "listen": ["h:1"]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "text", "facts", "useless"), CASES)
def test_settings(tmp_path, arguments, text, facts, useless):
    files = {"/srv/c.toml": text} if text else {}
    files["/v/lib/python3.12/site-packages/Hypercorn-0.17.3.dist-info/METADATA"] = ""
    config, servers, _ = collected(
        hypercorn, host(tmp_path, files, process(7, "/v/bin/python /v/bin/hypercorn " + arguments, "hypercorn", "/srv"))
    )
    assert [own(one) for one in servers.values()] == [facts]
    assert config["version"] == [0, 17, 3]
    assert config["unreadable"] == []
    assert config["no_effect"] == useless


@pytest.mark.parametrize(("version", "header"), [("0.13.2", None), ("0.17.0", 9), ("0.18.0", 9)])
def test_a_header_of_an_old_version_is_not_known(tmp_path, version, header):
    files = {f"/v/lib/python3.12/site-packages/hypercorn-{version}.dist-info/METADATA": ""}
    found = host(tmp_path, files, process(7, "/v/bin/python /v/bin/hypercorn a:a --keep-alive 9", "hypercorn"))
    (facts,) = collected(hypercorn, found)[1].values()
    assert facts.get("header_timeout_s") == header


BAD = [
    ("a:a -c python:m", None, "hypercorn: the configuration is a Python module: what it sets is not known", 1),
    ("a:a -c /none", None, "/none: No such file or directory", 1),
    ("a:a -c c.toml", "keep_alive_timeout = 'x'\n", "/srv/c.toml:1: keep_alive_timeout: a number is needed", 0),
    (
        "a:a -c file:c.toml",
        "keep_alive_timeout = f()\n",
        "/srv/c.toml:1: keep_alive_timeout is computed, its value is not known",
        0,
    ),
    ("a:a -c c.toml", "backlog = 5\nx = [\n", "/srv/c.toml:3: no value where one is needed", 1),
    ("a:a -c c.toml", b"\0", "/srv/c.toml: not a text file", 1),
    ("a:a --keep-alive x", None, "the command line: keep_alive_timeout: a number is needed", 1),
]


@pytest.mark.parametrize(("arguments", "text", "told", "servers"), BAD)
def test_bad_input_is_told_by_its_place(tmp_path, arguments, text, told, servers):
    files = {"/srv/c.toml": text} if text else {}
    config, found, _ = collected(hypercorn, host(tmp_path, files, process(7, "hypercorn " + arguments, cwd="/srv")))
    assert config["unreadable"] == [told]
    assert len(found) == servers


def test_no_secret_leaves(tmp_path):
    text = 'keyfile_password = "hunter2"\nkeep_alive_timeout = "hunter2"\nbind = "hunter2 hunter2"\nx = "hunter2\n'
    found = host(
        tmp_path, {"/srv/c.toml": text}, process(7, "hypercorn a:a -c c.toml --keyfile-password hunter2", cwd="/srv")
    )
    assert "hunter2" not in everything(hypercorn, found)
