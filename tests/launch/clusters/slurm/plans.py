"""Imaginary cells, resources and preparations to plan with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.clusters.packing import cells_per_gpu
from launch.clusters.resources import Resources
from launch.clusters.slurm.arrays import Array, Unit
from launch.clusters.slurm.data import Preparation, preparation
from launch.clusters.slurm.job_parameters import job_parameters
from launch.clusters.slurm.queue import QueuedJob
from launch.clusters.slurm.register import Register, Submission
from launch.clusters.slurm.stages import Limits
from launch.plan import NeededData
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.training.settings import TrainingConfig
from tests.pipeline.runs import SMALL

SWEEP = Path("/shared/runs/it's a b; echo $(touch pwned)")
DATA = NeededData(
    name="idx_folder", folder=Path("/shared/data/idx_folder-0123456789abcdef"), raw=None, ffcv=False
)


def cells(count: int, sweep: Path = SWEEP, *, ranks: int = 1, first_seed: int = 0) -> list[Cell]:
    """Cells that differ in their seed."""
    runs = (
        RunConfig(
            data=DataConfig(name="idx_folder", folder=str(DATA.folder)),
            model=SMALL["m2"],
            training=TrainingConfig(epochs=2, ranks=ranks),
            seed=first_seed + seed,
        )
        for seed in range(count)
    )
    return [Cell.named(sweep, run, "0123456789abcdef") for run in runs]


def limits(*, max_array: int = 1001, max_parallel: int | None = None, **asked: Any) -> Limits:
    """The limits of a cluster for these resources."""
    chosen: dict[str, Any] = {"hours": 2.0, "partition": "main"} | asked
    resources = Resources(**chosen)
    small_job = job_parameters(Resources(hours=2.0, partition="main", cpus_per_task=1), 1)
    return Limits(
        parameters=lambda ranks, *, on_gpus: job_parameters(resources, ranks),
        small_job=small_job,
        max_array=max_array,
        max_parallel=max_parallel,
        cells_per_gpu=cells_per_gpu(resources),
    )


def prepared_by(shards: int, allowed: Limits, data: NeededData = DATA) -> Preparation:
    """The preparation of a data set of ``shards`` shards."""
    files = [(number, f"train-{number:05d}.arrow") for number in range(shards)]
    return preparation(data, allowed.small_job, allowed.max_array, allowed.max_parallel, files, {})


def array(stage: str, count: int) -> Array:
    """An array of tasks that do nothing."""
    units = {index: Unit(f"{stage}{index}", stage, None, print, ()) for index in range(count)}
    return Array(stage=stage, units=units, parameters={"time": 1})


def entered(
    register: Register, stage: str, names: list[str], job: str | None, take: list[str] | None = None
) -> Submission:
    """An array in a register, as left by a launcher: with its job, or without if killed before entering it."""
    units = {name: index for index, name in enumerate(names)}
    submission = Submission(
        comment=register.new_comment(),
        stage=stage,
        folder="/shared/jobs",
        units=units,
        take=take,
        split=None if take is None else "test",
    )
    register.intend(submission)
    return submission if job is None else register.note(submission.comment, job)


def in_queue(
    submission: Submission, job: str, state: str = "PENDING", reason: str = ""
) -> dict[str, QueuedJob]:
    """All tasks of an array as squeue reports them."""
    return {
        f"{job}_{index}": QueuedJob(
            id=f"{job}_{index}", state=state, reason=reason, comment=submission.comment
        )
        for index in submission.units.values()
    }
