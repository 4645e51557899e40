"""The status of a sweep's cells, from their folders and from SLURM; without importing torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.outcome import Outcome, attempts
from launch.clusters.backend import State, failed, last_error, to_compute
from launch.clusters.slurm.queue import Accounting, QueuedJob, ended, queued
from launch.clusters.slurm.register import Register
from launch.monitoring.named import SweepFolder
from pipeline.cells.folder import CANCELLED, CellFolder
from pipeline.cells.lease import Holder, is_running
from pipeline.measures.plan import is_done, unsettled

_STAGES = ("train", "evaluate")


@dataclass(frozen=True)
class SweepStatus:
    """The state of a sweep at one moment."""

    states: dict[str, State]
    """State of each cell, by name."""
    queue: dict[str, QueuedJob]
    """The sweep's jobs in the queue, by id."""
    jobs: dict[str, dict[str, str]]
    """Stage → newest job id, for each cell by its name."""
    stages: dict[str, str]
    """Stages of the sweep's jobs, by their comment: ``train``, ``compare``, ..."""

    @property
    def others(self) -> dict[str, list[QueuedJob]]:
        """Queued jobs that belong to no cell, by stage: prepare, merge, compare."""
        of_cells = {job for jobs in self.jobs.values() for job in jobs.values()}
        found: dict[str, list[QueuedJob]] = {}
        for name, job in self.queue.items():
            if name not in of_cells:
                found.setdefault(self.stages.get(job.comment, "unknown"), []).append(job)
        return found

    @property
    def exit_status(self) -> int:
        """0: all cells are done; 3: something runs or waits; 1: nothing does, and a cell failed or was stopped."""
        phases = {state.phase for state in self.states.values()}
        if phases & {"training", "measuring", "waiting"} or (not phases and self.queue):
            return 3
        return 1 if phases - {"done"} else 0


def read_status(
    sweep: SweepFolder, queue: Mapping[str, QueuedJob] | None = None, accounts: Accounting | None = None
) -> SweepStatus:
    """The status of every cell: at most one ``squeue`` and one ``sacct`` call, and none if all are done.

    Args:
        sweep: the sweep.
        queue: this user's jobs by id, if already queried.
        accounts: of the sweep's ``gone_jobs``, if already queried.

    Raises:
        LaunchError: SLURM does not answer, or the register of the sweep's jobs is damaged.
    """
    cells = sweep.cells
    register = Register(sweep.path)
    if not sweep.is_on_slurm or (cells and all(_is_at_rest(cell, register) for cell in cells)):
        states = {cell.name: _without_jobs(cell) for cell in cells}
        return SweepStatus(_waiting_for_others(states), {}, {}, {})
    options = queued(comment=f"{register.tag}/") if queue is None else queue
    own = {job.id: job for job in options.values() if job.comment.startswith(f"{register.tag}/")}
    jobs = {cell.name: register.jobs_of(cell.name) for cell in cells}
    if accounts is None:
        accounts = ended(_gone(cells, jobs, own))
    states = {cell.name: state_of(cell, jobs[cell.name], own, accounts, register) for cell in cells}
    return SweepStatus(states, own, jobs, {entry.comment: entry.stage for entry in register.submissions})


def gone_jobs(sweep: SweepFolder, queue: Mapping[str, QueuedJob]) -> list[str]:
    """The jobs of unfinished cells without a queued job: sacct may know how they ended."""
    if not sweep.is_on_slurm:
        return []
    register = Register(sweep.path)
    return _gone(sweep.cells, {cell.name: register.jobs_of(cell.name) for cell in sweep.cells}, queue)


def _gone(
    cells: Sequence[CellFolder], jobs: Mapping[str, Mapping[str, str]], queue: Mapping[str, QueuedJob]
) -> list[str]:
    return [
        job
        for cell in cells
        if not is_done(cell) and cell.failed() is None and not queue.keys() & jobs[cell.name].values()
        for job in jobs[cell.name].values()
    ]


def state_of(
    cell: CellFolder,
    jobs: Mapping[str, str],
    queue: Mapping[str, QueuedJob],
    accounts: Accounting,
    register: Register,
) -> State:
    """The status of a cell with the jobs ``jobs`` (stage → id of the newest)."""
    in_queue = [queue[jobs[stage]] if jobs.get(stage) in queue else None for stage in _STAGES]
    training, measuring = in_queue
    sentence = cell.failed()
    if _is_at_rest(cell, register) or (measuring is None and sentence is None and is_done(cell)):
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
                "measuring", measuring.explanation, measuring.node, measuring.restarts, measuring.time_left
            )
        why = "to be measured" if measuring.reason in ("Dependency", "None", "") else measuring.explanation
        return State("waiting", why, restarts=measuring.restarts)
    if not jobs:
        return _without_jobs(cell)
    return _after_its_jobs(cell, jobs, accounts, register)


def _is_at_rest(cell: CellFolder, register: Register) -> bool:
    """Whether a cell is done, and has all measures of its latest measuring job."""
    if cell.failed() is not None or not is_done(cell):
        return False
    submission = register.newest("evaluate", cell.name)
    if submission is None or submission.take is None:
        return True
    told = replace(cell.measures_config(), take=tuple(submission.take), split=str(submission.split))
    return not unsettled(cell, told)


def _after_its_jobs(
    cell: CellFolder, jobs: Mapping[str, str], accounts: Accounting, register: Register
) -> State:
    """The state of an unfinished cell without a queued job."""
    if is_running(cell.folder):  # it is being run by hand
        return _without_jobs(cell)
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
    submission = register.newest(stage, cell.name)
    logs = sorted(Path(submission.folder).glob(f"{job}_*_log.err")) if submission is not None else []
    return last_error(logs) if logs else ""


def _without_jobs(cell: CellFolder) -> State:
    """The state of a cell without SLURM jobs."""
    if is_running(cell.folder):
        holder = Holder.read(cell.folder)
        phase = "measuring" if holder is not None and holder.unit == "evaluate" else "training"
        return State(phase, node=holder.attempt.host if holder is not None else "")  # type: ignore[arg-type]
    sentence = cell.failed()
    if sentence is not None:
        return failed(cell, sentence)
    if is_done(cell):
        return State("done")
    outcome = Outcome.read(cell.folder)
    if outcome is not None and outcome.outcome != "interrupted":
        return failed(cell, outcome.sentence)
    if outcome is not None:
        return State("stopped", outcome.sentence)
    if cell.is_trained():
        return State("stopped", to_compute(cell))
    holder = Holder.read(cell.folder)
    if holder is None:
        return State("stopped", "not started")
    return State("stopped", f"exited without an error message (killed, or {holder.attempt.host} was lost)")


def _waiting_for_others(states: dict[str, State]) -> dict[str, State]:
    """On this machine, cells that have not started wait while others are running."""
    if not any(state.phase in ("training", "measuring") for state in states.values()):
        return states
    waits = State("waiting", "waiting for other cells")
    return {
        name: waits if state == State("stopped", "not started") else state for name, state in states.items()
    }
