from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from launch.clusters.resources import Resources
from launch.estimate import Allocation, by_recorded_speed, recorded_speeds, upper_bound
from tests.launch.clusters.slurm.plans import cells

ROWS = 60_000
EPOCHS = 2


def record(runs: Path, number: int, ranks: int, speed: float) -> None:
    """A cell that ran before on ``ranks`` ranks, at ``speed`` images/s together."""
    folder = runs / "before" / f"m2-idx_folder-f1-seed{number}-0123abcd"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"training": {"ranks": ranks, "epochs": 1}}))
    point = {"kind": "epoch", "step": 1, "time_ms": 1, "metrics": {"epoch": 1.0, "images_per_second": speed}}
    (folder / "metrics.jsonl").write_text(json.dumps(point) + "\n")


def allocation(ranks: int, on_gpus: bool) -> Allocation:
    """A GPU per rank, or two CPUs."""
    asked = Resources(hours=3.0, gpus_per_node=4 if on_gpus else 0, cpus_per_task=2)
    return Allocation.by(asked, ranks)


def test_a_job_of_several_ranks_has_a_device_per_rank():
    assert allocation(4, True) == Allocation(4, "GPU", 3.0)
    assert allocation(3, False) == Allocation(6, "CPU", 3.0)
    over_two_nodes = Resources(hours=1.0, nodes=2, gpus_per_node=2)
    assert Allocation.by(over_two_nodes, 4).devices == 4


def test_the_upper_bound_counts_training_on_all_ranks_and_measuring_on_one(tmp_path: Path):
    (line,) = upper_bound(cells(2, tmp_path, ranks=4), allocation)
    assert line == "at most 30.0 GPU-hours: 4 jobs that all run until the time limit of 3 h"


def test_cells_that_share_a_gpu_cost_one_gpu(tmp_path: Path):
    def shared(ranks: int, on_gpus: bool) -> Allocation:
        return replace(allocation(ranks, on_gpus), cells=4)

    (line,) = upper_bound(cells(10, tmp_path), shared)
    assert line == "at most 18.0 GPU-hours: 6 jobs that all run until the time limit of 3 h"
    record(tmp_path, 1, ranks=1, speed=1000.0)
    line, note = by_recorded_speed(cells(8, tmp_path / "new"), lambda _: ROWS, tmp_path, shared)
    assert f"about {2 * ROWS * EPOCHS / 1000 / 3600:.2f} GPU-hours for the training of 8 cells" in line
    assert note == "so few GPU-hours if each of the 4 cells on a GPU is as fast as at the recorded speed"


@pytest.mark.parametrize(("ranks", "speed"), [(1, 1000.0), (4, 3000.0)])
def test_gpu_hours_count_all_ranks_at_their_recorded_speed(tmp_path: Path, ranks: int, speed: float):
    record(tmp_path, 1, ranks=1, speed=1000.0)
    record(tmp_path, 4, ranks=4, speed=3000.0)  # a little slower than four by themselves
    assert recorded_speeds("m2-idx_folder", tmp_path) == {1: 1000.0, 4: 3000.0}
    (line,) = by_recorded_speed(
        cells(10, tmp_path / "new", ranks=ranks), lambda _: ROWS, tmp_path, allocation
    )
    hours = ROWS * EPOCHS / speed / 3600
    assert f"about {10 * ranks * hours:.2f} GPU-hours for the training of 10 cells" in line
    assert f"the longest takes {hours:.2f} h" in line


def test_the_speed_of_another_number_of_ranks_is_scaled_with_a_note(tmp_path: Path):
    record(tmp_path, 1, ranks=1, speed=50.0)
    line, scaled = by_recorded_speed(
        cells(1, tmp_path / "new", ranks=2), lambda _: ROWS, tmp_path, allocation
    )
    assert f"about {2 * ROWS * EPOCHS / 100 / 3600:.2f} GPU-hours" in line
    assert scaled == "1 of these cells scaled linearly from the speed of a different number of ranks"


def test_cells_without_a_recorded_speed_are_named(tmp_path: Path):
    record(tmp_path, 1, ranks=1, speed=50.0)
    assert by_recorded_speed(cells(1, tmp_path / "new"), lambda _: None, tmp_path, allocation) == [
        f"no recorded speed in {tmp_path} for m2-idx_folder: no estimate of its training"
    ]
