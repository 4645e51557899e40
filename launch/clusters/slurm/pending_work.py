"""What is left to submit for a sweep: finished work needs no job, and what is queued is not submitted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from launch.clusters.slurm.job_state import current_jobs, measures_of_latest_job
from launch.clusters.slurm.queue import QueuedJob
from launch.clusters.slurm.register import Register
from pipeline.cell import Cell
from pipeline.measures.plan import is_done, planned, unsettled


@dataclass(slots=True)
class PendingWork:
    """What is left to submit for the cells that are not done, given the queue."""

    train: list[Cell] = field(default_factory=list)
    """Neither trained nor in the queue."""
    measure: list[Cell] = field(default_factory=list)
    """Trained, but no queued job computes all their measures."""
    measured_before: dict[str, str] = field(default_factory=dict)
    """Name of such a cell → queued array that computes other measures of it, to wait for."""
    measure_after: dict[str, dict[int, list[Cell]]] = field(default_factory=dict)
    """Training array → index → cells of that task: in training, without a queued job that measures them afterwards."""
    measured_by: set[str] = field(default_factory=set)
    """Arrays in the queue that measure cells, these or others of the sweep."""
    hopeless: list[str] = field(default_factory=list)
    """Queued jobs that would measure cells whose training failed, or compute other measures than are needed now."""
    readers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a cell → queued arrays that train the label readers which its measures rest on."""
    running: dict[str, int] = field(default_factory=dict)
    """Queued array → how many of its tasks may run at once."""


def pending_work(cells: Sequence[Cell], register: Register, queue: Mapping[str, QueuedJob]) -> PendingWork:
    """Sort the unfinished cells by the state of their jobs; nothing is written."""
    found, hopeless = PendingWork(), dict[str, list[str]]()
    for cell in cells:
        if is_done(cell):
            continue
        jobs = register.jobs_of(cell.name)
        train, evaluate = jobs.get("train", ""), jobs.get("evaluate", "")
        own = current_jobs(cell, jobs, queue, register)
        is_measured, is_enough = "evaluate" in own, _is_enough(cell, register)
        waits_for_training = is_measured and not queue[evaluate].is_running and not cell.is_trained()
        if waits_for_training and ("train" not in own or not is_enough):
            hopeless.setdefault(evaluate, []).append(cell.name)
            is_measured = False
        if is_measured and is_enough:
            continue
        if "train" in own:
            array, _, index = train.partition("_")
            found.measure_after.setdefault(array, {}).setdefault(int(index), []).append(cell)
        elif cell.is_trained():
            found.measure.append(cell)
            if is_measured:
                found.measured_before[cell.name] = evaluate.partition("_")[0]
        else:
            found.train.append(cell)
    # A pack's job measures its other cells, and passes over one that is not trained by then.
    found.hopeless = [job for job, names in hopeless.items() if set(names) >= set(register.cells_of(job))]
    alive = [job.partition("_")[0] for job in queue]
    for submission in register.in_stages(("train", "evaluate")):
        tasks = alive.count(submission.job or "")
        if tasks:
            found.running[str(submission.job)] = min(tasks, submission.at_once or tasks)
            if (
                submission.stage == "evaluate"
            ):  # including cells of other launches: the table covers the whole sweep
                found.measured_by.add(str(submission.job))
    return found


def _is_enough(cell: Cell, register: Register) -> bool:
    """Whether the latest job that measures a cell computes all missing measures."""
    told = measures_of_latest_job(cell, register)
    if told is None:
        return True
    return {entry.key.digest for entry in planned(told)} >= {entry.key.digest for entry in unsettled(cell)}
