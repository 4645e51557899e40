"""The status of a sweep's cells, from SLURM's queue and the files in their folders."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.errors import LaunchError
from data_prep.manifest import MANIFEST_FILE
from launch.clusters.backend import Phase, State
from launch.clusters.slurm.data import why_not_prepared
from launch.clusters.slurm.job_state import current_jobs, is_held, state_of
from launch.clusters.slurm.queue import Accounting, QueuedJob, ended, queued
from launch.clusters.slurm.register import Register
from pipeline.cell import Cell
from pipeline.measures.plan import is_done

SECONDS_UNTIL_GONE = 10.0
"""How long to wait for the files of a job that has left the queue to appear: shared disks are slow."""


class CellStates:
    """Polls repeatedly; while SLURM does not answer, the last known states count."""

    def __init__(self, sweep: Path, cells: Sequence[Cell]) -> None:
        self._sweep, self._cells = sweep, cells
        self._queue: Mapping[str, QueuedJob] = {}
        self._gone_since: dict[str, float] = {}

    def poll(self) -> dict[str, State]:
        """The status of each cell, by name: one squeue call, and one sacct call if jobs have left the queue."""
        register = Register(self._sweep)
        try:
            self._queue = queued(comment=f"{register.tag}/")
        except LaunchError:
            return {cell.name: self._last_seen(cell, register) for cell in self._cells}
        jobs = {cell.name: register.jobs_of(cell.name) for cell in self._cells}
        gone = [cell for cell in self._cells if self._is_gone(cell, jobs[cell.name], register)]
        accounts = ended([job for cell in gone for job in jobs[cell.name].values()])
        states = {}
        for cell in self._cells:
            state = state_of(cell, jobs[cell.name], self._queue, accounts, register)
            if state.phase == "stopped" and is_held(cell, register):
                states[cell.name] = State("waiting", f"for room in the queue: {register.held[cell.name].why}")
                continue
            if state.phase == "stopped" and cell not in gone:
                state = State("waiting", "its job has ended; waiting for its files")
            states[cell.name] = _with_data(cell, state, register)
        return states

    def _last_seen(self, cell: Cell, register: Register) -> State:
        state = state_of(cell, register.jobs_of(cell.name), self._queue, Accounting(), register)
        if state.phase in ("done", "failed"):
            return state
        phase: Phase = "waiting" if state.phase == "stopped" else state.phase
        return State(phase, f"SLURM does not answer; last known: {phase}", state.node, state.restarts)

    def _is_gone(self, cell: Cell, jobs: Mapping[str, str], register: Register) -> bool:
        """Whether the cell's jobs left the queue so long ago that their files must be visible here."""
        if is_done(cell) or current_jobs(cell, jobs, self._queue, register):
            self._gone_since.pop(cell.name, None)
            return False
        since = self._gone_since.setdefault(cell.name, time.monotonic())
        return time.monotonic() - since >= SECONDS_UNTIL_GONE


def _with_data(cell: Cell, state: State, register: Register) -> State:
    """The state, which mentions a data set that is not prepared yet."""
    folder = Path(cell.config.data.folder)
    if state.phase not in ("waiting", "stopped", "failed") or (folder / MANIFEST_FILE).is_file():
        return state
    if state.phase == "waiting":
        return State("waiting", "its data set is being prepared")
    return State("failed", f"its data set was not prepared: {why_not_prepared(folder, register)}")
