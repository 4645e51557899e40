"""Files appear complete or not at all, and a lock has one holder at a time."""

from __future__ import annotations

import errno
import fcntl
import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.errors import report_user_errors
from data_prep.files import atomic_folder, atomic_write, checksum, remove_partial_files
from data_prep.lock import exclusive_lock, try_lock

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    with atomic_write(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"new", "no bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"target") as caught, atomic_write(tmp_path / "target"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "target")


def test_a_full_disk_without_the_name_of_a_file_is_reported_with_the_line_that_wrote(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"), report_user_errors():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert re.match(
        rf"error: the disk is full \({re.escape(__file__)}:\d+ wrote to it\); ", capsys.readouterr().err
    )


def test_a_path_that_cannot_be_written_is_named_as_given(tmp_path: Path) -> None:
    (tmp_path / "target" / "in the way").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught, atomic_write(tmp_path / "target") as file:
        file.write(b"new")
    assert caught.value.filename == str(tmp_path / "target")


def test_a_file_without_permission_is_reported_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"), report_user_errors():
        raise PermissionError(errno.EACCES, "Permission denied", "/data/list.txt")
    assert capsys.readouterr().err == "error: /data/list.txt cannot be opened: Permission denied\n"
    with pytest.raises(FileNotFoundError), report_user_errors():
        raise FileNotFoundError(errno.ENOENT, "a bug", "/data/list.txt")


def test_a_file_where_a_folder_should_be_is_reported_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, why in (
        (file / "folder", "a part of this path is a file, not a folder"),
        (file, "it is a file, not a folder"),
        (tmp_path / ("a" * 300), "the name is too long"),
    ):
        with pytest.raises(SystemExit, match="2"), report_user_errors():
            path.mkdir(exist_ok=True)
        assert capsys.readouterr().err == f"error: {path} cannot be used: {why}; name another place\n"
    with pytest.raises(SystemExit, match="2"), report_user_errors():
        tmp_path.write_bytes(b"")
    assert "it is a folder, not a file; name another place" in capsys.readouterr().err


def test_a_folder_appears_only_when_complete_and_an_error_leaves_nothing(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "new" / "folder") as part:
        (part / "inner").mkdir()
        (part / "inner" / "file").write_text("whole")
        assert not (tmp_path / "new" / "folder").exists()
    assert (tmp_path / "new" / "folder" / "inner" / "file").read_text() == "whole"
    with pytest.raises(ValueError, match="a bug"), atomic_folder(tmp_path / "new" / "other"):
        raise ValueError("a bug")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["folder"]


def test_of_two_that_make_the_same_folder_the_first_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "folder") as slow:
        (slow / "file").write_text("slow")
        with atomic_folder(tmp_path / "folder") as fast:
            (fast / "file").write_text("fast")
    assert (tmp_path / "folder" / "file").read_text() == "fast"
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".shard.0011aabb.partial").touch()
    (tmp_path / "shard").touch()
    remove_partial_files(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]


def test_checksums_are_those_of_the_tools(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert checksum(tmp_path / "file", "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert checksum(tmp_path / "file").startswith("ba7816bf8f01cfea")


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    path, waited = tmp_path / "locks" / "one", []
    with exclusive_lock(path, lambda: waited.append("first")):
        pass
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    def kill_and_note() -> None:
        waited.append("second")
        holder.kill()

    with exclusive_lock(path, kill_and_note):
        holder.communicate()
    assert waited == ["second"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EINVAL])
def test_a_disk_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive_lock(tmp_path / "lock") as file:
        assert try_lock(file)


def test_an_error_of_the_disk_is_no_missing_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"), exclusive_lock(tmp_path / "lock"):
        pass
