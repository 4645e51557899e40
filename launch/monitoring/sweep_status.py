"""The status of a sweep's cells, from their folders and from SLURM; without importing torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from launch.clusters.backend import State
from launch.clusters.folder_state import folder_state
from launch.clusters.launchers import Launcher, launchers
from launch.clusters.local_processes import local_runs
from launch.clusters.slurm.job_state import gone, is_at_rest, state_of
from launch.clusters.slurm.queue import Accounting, QueuedJob, ended, queued
from launch.clusters.slurm.register import Register
from launch.monitoring.named import SweepFolder
from pipeline.cells.folder import CellFolder


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
    if not sweep.is_on_slurm or (cells and all(is_at_rest(cell, register) for cell in cells)):
        states = {cell.name: folder_state(cell) for cell in cells}
        return SweepStatus(_with_launchers(states, cells, launchers(sweep.path)), {}, {}, {})
    options = queued(comment=f"{register.tag}/") if queue is None else queue
    own = {job.id: job for job in options.values() if job.comment.startswith(f"{register.tag}/")}
    jobs = {cell.name: register.jobs_of(cell.name) for cell in cells}
    if accounts is None:
        accounts = ended(gone(cells, jobs, own))
    states = {cell.name: state_of(cell, jobs[cell.name], own, accounts, register) for cell in cells}
    return SweepStatus(states, own, jobs, {entry.comment: entry.stage for entry in register.submissions})


def gone_jobs(sweep: SweepFolder, queue: Mapping[str, QueuedJob]) -> list[str]:
    """The jobs of unfinished cells without a queued job: sacct may know how they ended."""
    if not sweep.is_on_slurm:
        return []
    register = Register(sweep.path)
    return gone(sweep.cells, {cell.name: register.jobs_of(cell.name) for cell in sweep.cells}, queue)


def _with_launchers(
    states: dict[str, State], cells: Sequence[CellFolder], alive: Sequence[Launcher]
) -> dict[str, State]:
    """On this machine: while a launcher is alive, the other cells wait; a process whose launcher was killed is marked."""
    without = {run.cell.name for run in local_runs(cells) if run.process() and not run.has_launcher(alive)}
    states = {
        name: replace(state, detail=f"{state.detail}, without a launcher") if name in without else state
        for name, state in states.items()
    }
    at_work = any(state.phase in ("training", "measuring") for state in states.values())
    if not at_work and not any(launcher.process() for launcher in alive):
        return states
    waits = State("waiting", "waiting for other cells")
    return {
        name: waits if state == State("stopped", "not started") else state for name, state in states.items()
    }
