"""Files appear whole or not at all, and what is no file stays what it is."""

import os
import stat

import pytest

from audit_tcp import writing


def write(path, text="new", mode=0o666):
    with writing.whole(str(path), mode) as file:
        file.write(text)


def test_a_file_is_replaced_whole_with_its_mode(tmp_path):
    path = tmp_path / "file"
    path.write_text("old and longer")
    before = os.umask(0o027)
    try:
        write(path)
    finally:
        os.umask(before)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write(path, mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def interrupted(path):
    with writing.whole(str(path), 0o666) as file:
        file.write("half")
        raise KeyboardInterrupt


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_keeps_leading_to_what_it_led_to(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_pipe_or_a_device_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe)
    assert os.read(reader, 100) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(OSError, match="directory"):
        write(tmp_path)
