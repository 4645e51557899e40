"""Whether something of a sweep still runs or waits: a sweep that is converted, renamed or removed must be at rest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from data_prep.counted import counted
from data_prep.errors import LaunchError
from data_prep.lock import exclusive_lock
from launch.clusters.launchers import launchers
from launch.clusters.slurm.queue import queued
from launch.clusters.slurm.register import Register
from launch.monitoring.named import SweepFolder, command
from pipeline.cells.lease import is_running


@contextmanager
def kept_at_rest(sweep: SweepFolder) -> Iterator[None]:
    """Hold the sweep's lock in the block, so that no launcher starts anything of it.

    Raises:
        LaunchError: something of it runs or waits, or it was renamed or removed while this waited for the lock.
    """
    with exclusive_lock(sweep.path / "launch.lock", lambda: print("waiting for a launcher", flush=True)):
        if not sweep.path.is_dir():
            raise LaunchError(f"{sweep.path} was renamed or removed in the meantime")
        refuse_jobs(sweep)
        refuse_processes(sweep)
        yield


def refuse_jobs(sweep: SweepFolder) -> None:
    """LaunchError if jobs of the sweep are in SLURM's queue."""
    if sweep.is_on_slurm and shutil.which("squeue") is not None:
        jobs = queued(comment=f"{Register(sweep.path).tag}/")
        if jobs:
            raise LaunchError(
                f"{counted(len(jobs), 'job')} of {sweep.path.name} in the queue; wait for the end of all, or cancel:"
                f" {command('cancel', sweep)}"
            )


def refuse_processes(sweep: SweepFolder) -> None:
    """LaunchError if a launcher or a process runs cells of the sweep, here or on another host."""
    at_work = [cell.name for cell in sweep.cells if is_running(cell.folder)]
    at_work += [f"its launcher, process {each.pid}" for each in launchers(sweep.path) if each.process()]
    if at_work:
        raise LaunchError(
            f"{sweep.path.name} still runs ({at_work[0]}); wait until it has ended, or stop it:"
            f" {command('cancel', sweep)}"
        )
