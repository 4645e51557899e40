"""Arrays whose tasks are packs of cells, and what a cell's job in the queue then says about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.errors import LaunchError
from jobs.pack import run_pack
from launch import cancel as cancelling
from launch.clusters.packing import refuse_to_pack_ranks
from launch.clusters.resources import Resources
from launch.clusters.slurm.job_state import state_of
from launch.clusters.slurm.pending_work import PendingWork, pending_work
from launch.clusters.slurm.queue import Accounting, QueuedJob
from launch.clusters.slurm.register import Register, Submission
from launch.clusters.slurm.stages import packs, planned
from launch.clusters.slurm.submission import _for_the_epilogue
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from pipeline.cell import Cell
from pipeline.cells.folder import CANCELLED
from tests.done_cells import make_done
from tests.launch.clusters.slurm.plans import cells, in_queue, limits


@pytest.fixture
def three(tmp_path: Path) -> list[Cell]:
    made = cells(3, tmp_path)
    for cell in made:
        cell.write()
    return made


def in_one_task(register: Register, stage: str, among: list[Cell], job: str) -> Submission:
    submission = Submission(
        comment=register.new_comment(),
        stage=stage,
        folder="/shared/jobs",
        units={cell.name: 0 for cell in among},
    )
    register.intend(submission)
    return register.note(submission.comment, job)


def queue_of(register: Register, three: list[Cell]) -> dict[str, QueuedJob]:
    """One pack that trains, and one that waits to measure the same cells."""
    train = in_one_task(register, "train", three, "10")
    measure = in_one_task(register, "evaluate", three, "11")
    return in_queue(train, "10", state="RUNNING") | in_queue(measure, "11", reason="Dependency")


def phases(register: Register, three: list[Cell], queue: dict[str, QueuedJob]) -> list[str]:
    states = [state_of(cell, register.jobs_of(cell.name), queue, Accounting(), register) for cell in three]
    return [f"{state.phase} {state.detail}".strip() for state in states]


def test_a_task_has_several_cells_and_its_measuring_task_the_same(tmp_path: Path) -> None:
    seven = cells(7, tmp_path)
    train, measure, compare = planned(PendingWork(train=seven), [], limits(cells_per_gpu=3), tmp_path, ["x"])
    for array in (train, measure):
        assert [len(unit.members) for unit in array.units.values()] == [2, 2, 3]
        assert array.size == "3 tasks, 7 cells"
    assert [unit.of_cells[0].name for unit in train.units.values()] == [
        unit.of_cells[0].name for unit in measure.units.values()
    ]
    unit = train.units[2]
    assert (unit.function, unit.arguments) == (
        run_pack,
        ("train", tuple(cell.config_file for cell in seven[4:]), 3, 2),
    )
    assert _for_the_epilogue(unit) == {
        "unit": "train",
        "configs": [str(cell.config_file) for cell in seven[4:]],
    }
    assert (compare.stage, compare.size) == ("compare", "1 task")


def test_no_more_cells_run_at_once_than_max_parallel(tmp_path: Path) -> None:
    allowed = limits(cells_per_gpu=4, max_parallel=2)
    train, *_ = planned(PendingWork(train=cells(4, tmp_path)), [], allowed, tmp_path, ["x"])
    assert [len(unit.members) for unit in train.units.values()] == [2, 2]
    assert train.at_once == 1
    assert train.units[0].arguments[2] == 4  # the share of a cell is what was asked for


def test_cells_that_take_as_long_share_a_task(tmp_path: Path) -> None:
    assert [len(pack) for pack in packs(cells(13, tmp_path), 4)] == [3, 3, 3, 4]
    assert [len(pack) for pack in packs(cells(3, tmp_path), 1)] == [1, 1, 1]


def test_a_cell_counts_by_itself_while_its_pack_is_running(tmp_path: Path, three: list[Cell]) -> None:
    register = Register(tmp_path)
    queue = queue_of(register, three)
    assert phases(register, three, queue) == ["training"] * 3
    trained, bad, gone = three
    trained.mark_trained()
    bad.note_attempt({"job": "10_0", "ended": "failed"})
    bad.give_up("the objective is nan")
    gone.note_attempt({"ended": CANCELLED, "jobs": ["10_0", "11_0"]})
    assert phases(register, three, queue) == [
        "waiting to be measured",
        "failed the objective is nan",
        "stopped cancelled",
    ]
    bad.reset_failure()  # as the launcher does that starts it again
    now = pending_work(three, register, queue)
    assert (now.train, now.measure, now.hopeless) == ([bad, gone], [], [])


def test_a_measuring_task_is_hopeless_only_for_all_of_its_cells(tmp_path: Path, three: list[Cell]) -> None:
    register = Register(tmp_path)
    queue = {job: entry for job, entry in queue_of(register, three).items() if job == "11_0"}
    assert pending_work(three, register, queue).hopeless == ["11_0"]
    assert pending_work(three[:2], register, queue).hopeless == []


def test_cells_in_training_are_measured_by_the_task_after_theirs(tmp_path: Path, three: list[Cell]) -> None:
    register = Register(tmp_path)
    queue = {job: entry for job, entry in queue_of(register, three).items() if job == "10_0"}
    now = pending_work(three, register, queue)
    assert now.measure_after == {"10": {0: three}}
    (measure, _) = planned(now, [], limits(), tmp_path, ["x"])  # cells no longer share a GPU
    assert [len(unit.members) for unit in measure.units.values()] == [3]


def test_cancelling_a_cell_leaves_the_job_to_the_others(
    tmp_path: Path,
    three: list[Cell],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    register = Register(tmp_path)
    queue = queue_of(register, three)
    cancelled: list[str] = []
    monkeypatch.setattr("launch.clusters.slurm.queue.cancel", cancelled.extend)
    monkeypatch.setattr(cancelling, "read_status", lambda sweep: read_status(sweep, queue))
    sweep = SweepFolder(tmp_path)
    one, *others = (cell.name for cell in sweep.cells)

    def cancel(*names: str) -> None:
        assert (
            cancelling.cancel(cancelling.Cancel(sweep=tmp_path.name, cells=names, runs=tmp_path.parent)) == 0
        )

    cancel(one)
    assert cancelled == []
    assert f"2 jobs that other cells share continue without {one}" in capsys.readouterr().out
    cancel(*others)
    assert cancelled == ["10_0", "11_0"]


def test_runs_of_several_ranks_do_not_share_a_gpu(tmp_path: Path) -> None:
    two_ranks = cells(1, tmp_path, ranks=2)
    refuse_to_pack_ranks(two_ranks, Resources())
    refuse_to_pack_ranks(two_ranks, Resources(cells_per_gpu=1))
    with pytest.raises(LaunchError, match="only runs of one rank can share a GPU; use --ranks 1"):
        refuse_to_pack_ranks(two_ranks, Resources(cells_per_gpu=4))
    make_done(two_ranks[0])
    refuse_to_pack_ranks(two_ranks, Resources(cells_per_gpu=4))


def test_a_register_keeps_packs(tmp_path: Path, three: list[Cell]) -> None:
    register = Register(tmp_path)
    queue_of(register, three)
    again = Register(tmp_path)
    assert again.cells_of("10_0") == [cell.name for cell in three]
    assert again.is_pack("11_0")
    assert not again.is_pack("12_0")
    assert set(json.loads(register.file.read_text())["submissions"][0]["units"].values()) == {0}
