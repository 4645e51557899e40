from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.errors import ConfigError, Diverged, Interrupted, LeaseLost, LostRank
from jobs.outcome import Outcome, attempts, begins, next_action, write_outcome
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import hold_lease
from tests.done_cells import make_done

RETRIES = 2


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    (tmp_path / "checkpoints").mkdir()
    return CellFolder(tmp_path)


def attempt(restart: int) -> Attempt:
    return Attempt("12_3", restart, "n1", 100 + restart)


def checkpoint_of(cell: CellFolder, step: int) -> None:
    (cell.checkpoints / f"step-{step:08d}.json").write_text("{}")


def after(cell: CellFolder, restart: int, error: BaseException | None = None, unit="train") -> str:
    """The next action after an attempt that ended with an error (None: killed, without an outcome)."""
    with hold_lease(cell.folder, attempt(restart), unit, seconds_to_settle=0.0):
        Outcome.clear(cell.folder)
        if error is not None:
            write_outcome(cell, unit, attempt(restart), error)
    return next_action(cell, unit, attempt(restart), RETRIES)


def test_an_interrupted_attempt_is_repeated_without_limit(cell: CellFolder):
    assert {after(cell, restart, Interrupted("stopped after step 7")) for restart in range(10)} == {"again"}
    assert [entry["ended"] for entry in attempts(cell)] == ["interrupted"] * 10
    assert cell.failed() is None


@pytest.mark.parametrize(
    "error",
    [None, LostRank("another rank is gone"), OSError(errno.ESTALE, "Stale file handle", "/x/step.pt")],
)
def test_a_crashed_attempt_is_retried_as_often_as_configured(cell: CellFolder, error):
    assert [after(cell, restart, error) for restart in range(3)] == ["again", "again", "give_up"]
    assert "given up after 3 attempts without a newer checkpoint" in (cell.failed() or "")
    assert [(entry["restart"], entry["ended"]) for entry in attempts(cell)] == [
        (restart, "crashed") for restart in range(3)
    ]
    assert "Stale file handle: '/x/step.pt'; given up" in (cell.failed() or "") or not isinstance(
        error, OSError
    )


def test_a_newer_checkpoint_in_between_resets_the_count(cell: CellFolder):
    moves = []
    for restart in range(6):
        if restart % 2 == 0:
            checkpoint_of(cell, 10 * restart + 10)
        moves.append(after(cell, restart))
    assert moves == ["again"] * 6


def test_a_stop_between_two_crashes_is_not_progress(cell: CellFolder):
    errors = [None, Interrupted("stopped"), None, Interrupted("stopped"), None]
    assert [after(cell, restart, error) for restart, error in enumerate(errors)] == ["again"] * 4 + [
        "give_up"
    ]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Diverged("the objective is nan at step 43"), "the objective is nan at step 43"),
        (ConfigError("epochs is 0"), "epochs is 0"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/step.pt"), "the disk is full while writing /x/step.pt"),
        (RuntimeError("shape '[2, 2]' is invalid for input of size 3"), "RuntimeError: shape '[2, 2]' is invalid"),
    ],
)  # fmt: skip
def test_what_a_retry_would_not_fix_is_given_up_with_its_message(cell: CellFolder, error, sentence: str):
    assert after(cell, 0, error) == "give_up"
    assert sentence in (cell.failed() or "")
    assert [entry["ended"] for entry in attempts(cell)] == ["failed"]


def test_resetting_failures_restarts_the_count(cell: CellFolder):
    for restart in range(3):
        after(cell, restart)
    assert cell.failed() is not None
    cell.reset_failure()
    assert cell.failed() is None
    assert after(cell, 3) == "again"
    cell.reset_failure()  # nothing to reset: the count stays
    assert [after(cell, 4), after(cell, 5)] == ["again", "give_up"]


def test_an_older_copy_touches_nothing(cell: CellFolder):
    with (
        hold_lease(cell.folder, attempt(0), "train"),
        hold_lease(cell.folder, attempt(1), "train", seconds_to_settle=0.0) as newer,
    ):
        write_outcome(cell, "train", attempt(0), LostRank("another rank is gone"))
        before = {path: path.read_bytes() for path in cell.folder.iterdir() if path.is_file()}
        assert next_action(cell, "train", attempt(0), RETRIES) == "done"
        newer.check()
    assert set(before) == {cell.folder / "lease.json", cell.folder / "lock"}
    write_outcome(cell, "train", attempt(0), LeaseLost("taken over"))
    assert Outcome.read(cell.folder) is None


def test_a_crash_before_taking_the_lease_is_not_mistaken_for_an_older_copy(cell: CellFolder):
    after(cell, 0, Interrupted("stopped"))
    assert next_action(cell, "train", attempt(1), RETRIES) == "again"
    assert [entry["ended"] for entry in attempts(cell)] == ["interrupted", "crashed"]


@pytest.mark.parametrize("reason", [ConfigError("the real reason"), OSError("the real reason")])
def test_a_rank_that_follows_does_not_overwrite_the_reason(cell: CellFolder, reason):
    others = replace(attempt(0), pid=7)
    with hold_lease(cell.folder, attempt(0), "train"):
        write_outcome(cell, "train", others, LostRank("another rank is gone"))
        write_outcome(cell, "train", attempt(0), reason)
        write_outcome(cell, "train", others, LostRank("another rank is gone"))
        write_outcome(cell, "train", others, BrokenPipeError("what follows from it"))
    outcome = Outcome.read(cell.folder)
    assert outcome is not None
    assert "the real reason" in outcome.sentence


def test_a_done_cell_is_done_whatever_the_exit_status(cell: CellFolder):
    cell.give_up("it looked bad")
    make_done(cell)
    assert after(cell, 0, unit="evaluate") == "done"
    assert cell.failed() is None
    assert not (cell.folder / "FAILED").exists()


def test_a_rank_that_hung_is_named_with_its_stacks(cell: CellFolder):
    log = cell.log_file("train", 1)
    log.parent.mkdir()
    log.write_text(f"{begins(attempt(0))}\nTimeout (0:01:05)!\nThread 0x1 (most recent call first):\n")
    assert after(cell, 0, LostRank("another rank is gone")) == "again"
    (entry,) = attempts(cell)
    assert entry["sentence"] == f"rank 1 made no step for 65 s (stacks in {log})"
    with log.open("a") as file:  # the next attempt ends differently
        file.write(f"{begins(attempt(1))}\n")
    after(cell, 1, LostRank("another rank is gone"))
    assert list(attempts(cell))[-1]["sentence"] == "another rank is gone"


def test_a_truncated_line_is_ignored(cell: CellFolder):
    after(cell, 0)
    with cell.attempts_file.open("a") as file:
        file.write('{"job": "12_3", "resta')
    assert after(cell, 1) == "again"
    assert len(list(attempts(cell))) == 2
    assert json.loads(cell.attempts_file.read_text().splitlines()[0])["node"] == "n1"
