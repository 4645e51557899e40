"""The job that tries how many cells should share a GPU (``jobs.trial``), waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import LaunchError
from jobs.trial import Trials, run_trial
from launch.clusters.backend import new_jobs_folder
from launch.clusters.slurm.arrays import Array, Unit
from launch.clusters.slurm.queue import queued
from launch.clusters.slurm.register import Register
from launch.clusters.slurm.submission import Submitter
from pipeline.cell import Cell

SECONDS_BETWEEN_POLLS = 3.0
SECONDS_FOR_THE_FILE = 10.0
"""How long after the end of the job its result may need to appear: shared disks are slow."""
_STAGE = "trial"


def run_trial_job(
    submitter: Submitter,
    register: Register,
    cells: Sequence[Cell],
    parameters: dict[str, Any],
    counts: Sequence[int],
) -> Trials | None:
    """Submit the job and wait for its result; None if it ends without one.

    A launcher that is killed leaves the job in the queue; the next one cancels it with the sweep, or starts another.
    """
    result = new_jobs_folder(submitter.sweep, _STAGE) / "trials.json"
    files = tuple(cell.config_file for cell in cells[: max(counts)])
    unit = Unit(submitter.sweep.name, _STAGE, None, run_trial, (files, result, tuple(counts)))
    submission = submitter.submit(Array(stage=_STAGE, units={0: unit}, parameters=parameters), register)
    print(f"cells_per_gpu auto: job {submission.job} tries them; waiting for it", flush=True)
    while not result.is_file() and _is_queued(register, f"{submission.job}_0"):
        time.sleep(SECONDS_BETWEEN_POLLS)
    return _read(result)


def _is_queued(register: Register, job: str) -> bool:
    try:
        return job in queued(comment=f"{register.tag}/")
    except LaunchError:  # the controller does not answer
        return True


def _read(result: Path) -> Trials | None:
    deadline = time.monotonic() + SECONDS_FOR_THE_FILE
    while not result.is_file() and time.monotonic() < deadline:
        time.sleep(0.5)
    return Trials.read(result)
