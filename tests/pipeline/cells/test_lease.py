from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.errors import LeaseLost, RunError
from data_prep.lock import exclusive_lock
from pipeline.cells.attempt import Attempt
from pipeline.cells.lease import Holder, forget, hold_lease, is_running, superseded

FIRST = Attempt("12_3", 0, "n1", 100)
SECOND = Attempt("12_3", 1, "n2", 200)
OTHER = Attempt("15", 0, "n1", 300)


def test_an_attempt_is_identified_by_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert (Attempt.here().job, Attempt.here().restart, Attempt.here().pid) == ("", 0, os.getpid())
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert (Attempt.here().job, Attempt.here().restart) == ("77", 0)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "75")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert (Attempt.here().job, Attempt.here().restart) == ("75_3", 2)


def test_a_lease_is_acquired_and_released(tmp_path: Path):
    with hold_lease(tmp_path, FIRST, "train") as lease:
        lease.check()
        holder = Holder.read(tmp_path)
        assert holder is not None
        assert (holder.attempt, holder.unit, holder.until) == (FIRST, "train", None)
        assert is_running(tmp_path)
    left = Holder.read(tmp_path)
    assert left is not None
    assert left.until is not None
    assert not is_running(tmp_path)


def test_a_live_process_of_another_job_keeps_its_lease(tmp_path: Path):
    with (
        hold_lease(tmp_path, FIRST, "train") as lease,
        pytest.raises(RunError, match="another process is running"),
        hold_lease(tmp_path, OTHER, "train"),
    ):
        pass
    assert lease.holder.attempt == FIRST
    with hold_lease(tmp_path, OTHER, "train"):  # the first has gone
        pass


def test_a_newer_copy_takes_over_and_the_older_one_notices(tmp_path: Path):
    with hold_lease(tmp_path, FIRST, "train") as older:
        began = time.monotonic()
        with hold_lease(tmp_path, SECOND, "train", seconds_to_settle=0.5) as newer:
            assert time.monotonic() - began >= 0.5  # for a write in progress by the older one
            with pytest.raises(LeaseLost, match=r"job 12_3, start 2.*on n2 has taken over"):
                older.check()
            newer.check()
            assert superseded(tmp_path, FIRST)
            assert not superseded(tmp_path, SECOND)
    # The older one leaves without touching what the newer one wrote.
    holder = Holder.read(tmp_path)
    assert holder is not None
    assert holder.attempt == SECOND


def test_an_older_copy_that_starts_late_does_not_get_the_lease(tmp_path: Path):
    with (
        hold_lease(tmp_path, SECOND, "train") as newer,
        pytest.raises(LeaseLost, match="has taken over"),
        hold_lease(tmp_path, FIRST, "train"),
    ):
        pass
    assert newer.holder.attempt == SECOND


@pytest.fixture
def disk_without_locks(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize("how", ["killed", "left in good order"])
def test_an_older_copy_does_not_get_the_lease_after_a_newer_one_has_ended(
    tmp_path: Path, disk_without_locks, how: str
):
    with hold_lease(tmp_path, FIRST, "train") as older:
        with hold_lease(tmp_path, SECOND, "train", seconds_to_settle=0.0):
            pass
        if how == "killed":
            Holder(SECOND, "train", "2026-01-01").write(tmp_path)
        with pytest.raises(LeaseLost):
            older.check()
    with pytest.raises(LeaseLost, match="is an older one"), hold_lease(tmp_path, FIRST, "train"):
        pass
    with hold_lease(tmp_path, replace(SECOND, restart=2), "train", seconds_to_settle=0.0) as third:
        third.check()


def test_a_job_that_slurm_no_longer_has_is_forgotten_unless_it_is_alive(tmp_path: Path):
    by_hand = Attempt("", 0, "n1", 5)
    with hold_lease(tmp_path, SECOND, "train") as lease:
        forget(tmp_path)
        lease.check()
    forget(tmp_path)
    with hold_lease(
        tmp_path, FIRST, "train"
    ):  # a job of the same number, of a SLURM that counts from 1 again
        pass
    forget(tmp_path)
    assert Holder.read(tmp_path) is None
    with hold_lease(tmp_path, by_hand, "train"):
        pass
    forget(tmp_path)
    assert Holder.read(tmp_path) is not None


def test_the_lease_of_a_killed_process_is_free(tmp_path: Path):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from pipeline.cells.attempt import Attempt; from pipeline.cells.lease import hold_lease\n"
        "with hold_lease(Path(sys.argv[1]), Attempt('15', 0, 'n1', 1), 'train'): os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=180)
    assert ended.returncode == -9
    holder = Holder.read(tmp_path)
    assert holder is not None
    assert holder.until is None
    assert not superseded(tmp_path, FIRST)  # it names another job, but no process is alive
    with hold_lease(tmp_path, FIRST, "train") as lease:
        lease.check()


def test_checking_the_lock_blocks_nobody(tmp_path: Path):
    """A check holds the lock for a moment; a unit that starts in that moment waits for it."""
    with hold_lease(tmp_path, FIRST, "train"):
        pass
    look = exclusive_lock(tmp_path / "lock", lambda: None)
    look.__enter__()
    threading.Timer(0.5, lambda: look.__exit__(None, None, None)).start()
    with hold_lease(tmp_path, OTHER, "train") as lease:
        lease.check()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"job": 1}'])
def test_a_damaged_lease_is_nobodys(tmp_path: Path, content: str):
    (tmp_path / "lease.json").write_text(content)
    assert Holder.read(tmp_path) is None
    with hold_lease(tmp_path, FIRST, "train") as lease:
        lease.check()
        (tmp_path / "lease.json").write_text(content)
        with pytest.raises(LeaseLost):
            lease.check()


def test_ranks_and_batch_script_of_one_start_are_the_same_attempt():
    assert FIRST.is_same_start_as(replace(FIRST, pid=101, host="n2"))
    assert not FIRST.is_same_start_as(SECOND)
    by_hand = Attempt("", 0, "n1", 5)
    assert not by_hand.is_same_start_as(replace(by_hand, pid=6))
    assert not by_hand.is_older_copy_of(replace(by_hand, restart=1))
