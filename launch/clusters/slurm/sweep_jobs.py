"""Submits the jobs of a sweep that are neither done nor in the queue, as far as the queue has room for them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from data_prep.errors import LaunchError
from data_prep.lock import exclusive_lock
from launch.clusters.slurm import data as preparing
from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.data import Preparation
from launch.clusters.slurm.job_resources import JobResources
from launch.clusters.slurm.job_state import is_held
from launch.clusters.slurm.pending_work import PendingWork, pending_work
from launch.clusters.slurm.queue import QueuedJob, cancel, queued
from launch.clusters.slurm.queued_readers import training_readers
from launch.clusters.slurm.register import PREFIX, Held, Register
from launch.clusters.slurm.sbatch import PATIENCE_S
from launch.clusters.slurm.snapshot import take_snapshot
from launch.clusters.slurm.stages import Limits, planned
from launch.clusters.slurm.submission import Submitter
from launch.clusters.slurm.within_limits import submit_within, worth_another_try
from launch.plan import NeededData
from pipeline.cell import Cell
from pipeline.cells.lease import forget

SECONDS_BETWEEN_TRIES = 60.0
"""How long submission waits after sbatch has refused more jobs, if the limit itself is not known."""


class SweepJobs:
    """What of a sweep is submitted, and what waits for room in the queue."""

    def __init__(self, sweep: Path, jobs: JobResources) -> None:
        self.sweep, self.jobs = sweep, jobs
        self.needed: Sequence[NeededData] = []
        """Data sets, which jobs prepare unless they are ready."""
        self.held: dict[str, Held] = {}
        """Cells and shards whose jobs wait for room in the queue, by name."""
        self._cells: list[Cell] = []
        self._train = True
        self._next_try = 0.0

    def submit(self, cells: Sequence[Cell], lock: BinaryIO | None, *, train: bool) -> None:
        """Submit the jobs of these cells; the caller holds ``lock``, the sweep's."""
        self._cells, self._train, self.held = list(cells), train, {}
        self._submit(cells, lock)
        if self.held:
            some = next(iter(self.held.values()))
            print(
                f"{len(self.held)} of {max(len(cells), len(self.held))} wait for room in the queue: {some.why}; they are"
                " submitted as room appears while this command runs, or by the same command later",
                flush=True,
            )

    def submit_held(self) -> None:
        """Submit what waits for room in the queue, if there is enough of it by now."""
        register = Register(self.sweep)
        # Measuring that waits for room follows training that succeeded; after any other, the launcher reports its end.
        ready = [cell for cell in self._cells if cell.failed() is None and is_held(cell, register)]
        if self._cells and not ready:
            return
        limit = self.jobs.submit_limit()
        if limit is None and time.monotonic() < self._next_try:
            return
        if limit is not None and not worth_another_try(limit, len(self.held)):
            return
        with exclusive_lock(self.sweep / "launch.lock", lambda: None) as lock:
            self._submit(ready, lock)

    def submitter(self, code: Path, lock: BinaryIO | None) -> Submitter:
        """What calls sbatch, for jobs that run this copy of the code."""
        return Submitter(
            sweep=self.sweep,
            job_name=f"traitvae-{self.sweep.name}",
            code=code,
            retries=self.jobs.retries(),
            lock=None if lock is None else lock.fileno(),
        )

    def _submit(self, cells: Sequence[Cell], lock: BinaryIO | None) -> None:
        register, names = Register(self.sweep), {cell.name for cell in cells}
        later = {name: held for name, held in self.held.items() if names and name not in names}
        submitter: Submitter | None = None
        merges: dict[int, NeededData] = {}

        def plan() -> list[Array]:
            queue = jobs_of_all_sweeps()
            own = own_jobs(register, queue)
            register.recover(own.values())
            now = self._pending(cells, register, own, queue)
            preparations = self._preparations(register, queue) if now.train or not self._cells else []
            merges.update({id(entry.ready_after): entry.data for entry in preparations})
            old = [job for entry in register.in_stages(["compare"]) if (job := f"{entry.job}_0") in own]
            compared = {cell.name for cell in self._cells} | _measured(register, now.measured_by)
            arrays = planned(now, preparations, self.jobs.limits(), self.sweep, compared)
            if old and [array.stage for array in arrays] == ["compare"]:
                return []
            if arrays:
                cancel([*now.hopeless, *old])
            return arrays

        def submit(array: Array) -> None:
            nonlocal submitter
            submitter = submitter or self.submitter(take_snapshot(self.sweep), lock)
            submission = submitter.submit(array, register)
            if id(array) in merges:
                preparing.note_merge(merges[id(array)], submission)

        with ExitStack() as locks:
            for entry in self.needed:
                if not entry.is_ready():
                    locks.enter_context(preparing.data_set_lock(entry, print))
            self.held = later | submit_within(self.jobs.submit_limit, plan, submit)
            self._next_try = time.monotonic() + SECONDS_BETWEEN_TRIES
            register.hold((cell.name for cell in self._cells), self.held)

    def _pending(
        self,
        cells: Sequence[Cell],
        register: Register,
        own: Mapping[str, QueuedJob],
        queue: Mapping[str, QueuedJob],
    ) -> PendingWork:
        """What is to be trained and measured; the lease of an earlier attempt at it is forgotten."""
        now = pending_work(cells, register, own)
        now.readers = training_readers(cells, queue)
        if not self._train:
            now.train.clear()
        for cell in [*now.train, *now.measure]:
            if cell.name not in now.measured_before:
                forget(cell.folder)
        return now

    def _preparations(self, register: Register, queue: Mapping[str, QueuedJob]) -> list[Preparation]:
        """How each data set that is not ready will be prepared."""
        found, limits = [], self.jobs.limits()
        for entry in self.needed:
            if entry.is_ready():
                continue
            merge = preparing.merge_at_work(entry, register, queue)
            if merge is not None:
                found.append(Preparation(entry, (), merge))
                continue
            at_work = preparing.shards_at_work(entry, register, queue)
            shards = preparing.unfinished_shards(entry)
            found.append(preparation_within(limits, entry, shards, at_work))
        return found


def preparation_within(
    limits: Limits, data: NeededData, shards: preparing.Shards, at_work: Mapping[str, str]
) -> Preparation:
    """The arrays of a data set: over these shards, except those that queued jobs write, and the merge."""
    return preparing.preparation(
        data, limits.small_job, limits.max_array, limits.max_parallel, shards, at_work
    )


def jobs_of_all_sweeps() -> dict[str, QueuedJob]:
    """The queue; retries for a minute while the controller does not answer.

    Raises:
        LaunchError: it did not answer within that time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return queued(comment=f"{PREFIX}/")
        except LaunchError:
            if time.monotonic() > deadline:
                raise
            time.sleep(3.0)


def own_jobs(register: Register, queue: Mapping[str, QueuedJob]) -> dict[str, QueuedJob]:
    """Those of the register's sweep."""
    return {job: entry for job, entry in queue.items() if entry.comment.startswith(f"{register.tag}/")}


def _measured(register: Register, arrays: set[str]) -> set[str]:
    """Names of the cells that these arrays measure."""
    found = [entry.units for entry in register.in_stages(["evaluate"]) if entry.job in arrays]
    return {name for units in found for name in units}
