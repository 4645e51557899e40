"""The status of a cell, from its jobs in SLURM and the files in its folder; without importing torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jobs.outcome import Outcome, attempts
from jobs.pack import has_left, output_file
from launch.clusters.backend import State, last_error
from launch.clusters.folder_state import being_measured, failed, folder_state
from launch.clusters.slurm.queue import Accounting, QueuedJob
from launch.clusters.slurm.register import Register
from pipeline.cells.folder import CANCELLED, CellFolder
from pipeline.cells.lease import is_running
from pipeline.measures.plan import is_done, unsettled
from pipeline.measures.settings import MeasuresConfig

_STAGES = ("train", "evaluate")


def state_of(
    cell: CellFolder,
    jobs: Mapping[str, str],
    queue: Mapping[str, QueuedJob],
    accounts: Accounting,
    register: Register,
) -> State:
    """The status of a cell with the jobs ``jobs`` (stage → id of the newest)."""
    own = current_jobs(cell, jobs, queue, register)
    training, measuring = own.get("train"), own.get("evaluate")
    sentence = cell.failed()
    if is_at_rest(cell, register) or (measuring is None and sentence is None and is_done(cell)):
        return State("done")
    if training is not None:
        if training.is_running:
            return State(
                "training", training.explanation, training.node, training.restarts, training.time_left
            )
        return State("waiting", training.explanation, restarts=training.restarts)
    if sentence is not None:
        return failed(cell, sentence)
    if measuring is not None:
        if measuring.is_running:
            return State(
                "measuring",
                measuring.explanation,
                measuring.node,
                measuring.restarts,
                measuring.time_left,
                measure=being_measured(cell),
            )
        why = "to be measured" if measuring.reason in ("Dependency", "None", "") else measuring.explanation
        return State("waiting", why, restarts=measuring.restarts)
    if is_held(cell, register):
        why = register.held[cell.name].why
        return State(
            "stopped",
            f"no room for its jobs in the queue yet: {why}; the command that started it queues them",
        )
    if not jobs:
        return folder_state(cell)
    return _after_its_jobs(cell, jobs, accounts, register)


def is_held(cell: CellFolder, register: Register) -> bool:
    """Whether the next job of an unfinished cell without a queued job waits for room in the queue."""
    held = register.held.get(cell.name)
    return held is not None and (held.stage == "train" or cell.is_trained())


def current_jobs(
    cell: CellFolder, jobs: Mapping[str, str], queue: Mapping[str, QueuedJob], register: Register
) -> dict[str, QueuedJob]:
    """Stage → job in the queue that runs a cell, or is to run it; of its jobs ``jobs`` (stage → id of the newest).

    A pack whose other cells are still running no longer counts for a cell that is trained, failed or was cancelled there.
    """
    found = {}
    for stage, job in jobs.items():
        if stage not in _STAGES or job not in queue:
            continue
        if register.is_pack(job) and (has_left(cell, job) or (stage == "train" and cell.is_trained())):
            continue
        found[stage] = queue[job]
    return found


def is_at_rest(cell: CellFolder, register: Register) -> bool:
    """Whether a cell is done, and has all measures of its latest measuring job."""
    if cell.failed() is not None or not is_done(cell):
        return False
    told = measures_of_latest_job(cell, register)
    return told is None or not unsettled(cell, told)


def measures_of_latest_job(cell: CellFolder, register: Register) -> MeasuresConfig | None:
    """The measures of the latest measuring job of a cell; None if there is none.

    None, too, for a job that was submitted by a version that used ``config.json``.
    """
    submission = register.newest("evaluate", cell.name)
    if submission is None or submission.take is None:
        return None
    return replace(cell.measures_config(), take=tuple(submission.take), split=str(submission.split))


def gone(
    cells: Sequence[CellFolder], jobs: Mapping[str, Mapping[str, str]], queue: Mapping[str, QueuedJob]
) -> list[str]:
    """The jobs of unfinished cells without a queued job: sacct may know how they ended."""
    return [
        job
        for cell in cells
        if not is_done(cell) and cell.failed() is None and not queue.keys() & jobs[cell.name].values()
        for job in jobs[cell.name].values()
    ]


def _after_its_jobs(
    cell: CellFolder, jobs: Mapping[str, str], accounts: Accounting, register: Register
) -> State:
    """The state of an unfinished cell without a queued job."""
    if is_running(cell.folder):  # it is being run by hand
        return folder_state(cell)
    for stage in _STAGES:
        job = accounts.jobs.get(jobs.get(stage, ""))
        if job is None or job.state == "COMPLETED":
            continue
        if job.state == "CANCELLED":
            return State("stopped", job.explanation)
        said = _last_words(cell, stage, jobs[stage], register)
        return State(
            "failed", said if job.state == "FAILED" and said not in ("", last_error([])) else job.explanation
        )
    # No accounting, or not yet: it lags by some seconds.
    if any(
        entry.get("ended") == CANCELLED and set(entry["jobs"]) & set(jobs.values())
        for entry in attempts(cell)
    ):
        return State("stopped", "cancelled")
    outcome = Outcome.read(cell.folder)
    if outcome is not None and outcome.outcome == "interrupted" and outcome.job in jobs.values():
        return State("stopped", outcome.sentence)
    for stage in [stage for stage in _STAGES if stage in jobs and jobs[stage] not in accounts.jobs]:
        said = _last_words(cell, stage, jobs[stage], register)
        if said and (said != last_error([]) or not accounts.is_there):
            return State("failed", said)
    return State("stopped", "its jobs have left the queue, but it is not done")


def _last_words(cell: CellFolder, stage: str, job: str, register: Register) -> str:
    outcome = Outcome.read(cell.folder)
    if outcome is not None and outcome.job == job:
        return outcome.sentence
    if register.is_pack(job):
        return last_error([output_file(cell, stage)])
    submission = register.newest(stage, cell.name)
    logs = sorted(Path(submission.folder).glob(f"{job}_*_log.err")) if submission is not None else []
    return last_error(logs) if logs else ""
