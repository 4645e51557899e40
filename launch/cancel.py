"""Stops a sweep: ``python launch/sweep.py cancel SWEEP [CELL ...]``."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from data_prep.counted import counted
from data_prep.lock import exclusive_lock
from jobs.pack import has_left
from launch.clusters.launchers import Launcher, launchers
from launch.clusters.local_processes import LocalRun, local_runs, stop
from launch.clusters.slurm import queue as slurm_queue
from launch.clusters.slurm.register import Register
from launch.monitoring.named import CellNames, SweepFolder, SweepName, cells_named
from launch.monitoring.sweep_status import read_status
from pipeline.cells.folder import CANCELLED, CellFolder

SECONDS_TO_STOP = 90.0
"""How long processes have to write a checkpoint; a launcher gives its ranks 60 s."""


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Stop a sweep, or some of its cells: SLURM jobs, and processes on this machine.

    In SLURM, training, measuring and the final table are all removed from the queue. On this machine, the launcher and its
    ranks (also those whose launcher was killed) write a checkpoint and end. Checkpoints are kept: started again, a
    cell resumes from its newest checkpoint.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    cells: CellNames = ()
    """only these cells: names, or unambiguous parts of names"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


def cancel(options: Cancel) -> int:
    """Stop jobs and processes; returns the exit status: 1 if something goes on, on another host."""
    sweep = SweepFolder.named(options.sweep, options.runs)
    chosen = cells_named(sweep, options.cells)
    of_what = ", ".join(cell.name for cell in chosen) if options.cells else f"the sweep {sweep.path.name}"
    ids, shared = (
        _cancel_jobs(sweep, chosen, only_these=bool(options.cells)) if sweep.is_on_slurm else ([], [])
    )
    if ids:
        print(
            f"{counted(len(ids), 'job')} of {of_what} cancelled; checkpoints are kept, and the same sweep command"
            " resumes from them"
        )
    runs, alive = local_runs(chosen), launchers(sweep.path)
    stopped = _stop_cells(runs, chosen, alive) if options.cells else _stop_all(runs, alive)
    if stopped:
        print(
            f"stopped on this machine: {', '.join(stopped)}; checkpoints are kept, and the same sweep command resumes"
            " from them"
        )
    left = _not_stopped(runs, alive)
    for sentence in left:
        print(sentence)
    if not (ids or shared or stopped or left):
        print(f"nothing of {of_what} {'is in the queue or runs' if sweep.is_on_slurm else 'runs'}")
    return 1 if left else 0


def _cancel_jobs(
    sweep: SweepFolder, chosen: Sequence[CellFolder], *, only_these: bool
) -> tuple[list[str], list[str]]:
    """The ids of the jobs that were removed from SLURM's queue, and of those that continue with other cells."""
    seen = read_status(sweep)
    ids, shared = list(seen.queue), list[str]()
    if only_these:
        wanted = {job for cell in chosen for job in seen.jobs.get(cell.name, {}).values()}
        shared = [job for job in ids if job in wanted and _has_others(job, chosen, sweep)]
        ids = [job for job in ids if job in wanted and job not in shared]
    # First: a launcher that still runs submits what waits for room, as soon as other jobs leave the queue.
    if Register(sweep.path).held:
        with exclusive_lock(sweep.path / "launch.lock", lambda: None):
            Register(sweep.path).hold([cell.name for cell in chosen], {})
    slurm_queue.cancel(ids)
    for cell in chosen:
        own = [job for job in seen.jobs.get(cell.name, {}).values() if job in (*ids, *shared)]
        if own:  # recorded here, because not every cluster has accounting; and read by a pack, which then ends the cell
            cell.note_attempt({"ended": CANCELLED, "jobs": own})
    if shared:
        print(
            f"{counted(len(shared), 'job that other cells share continues', 'jobs that other cells share continue')} without"
            f" {', '.join(cell.name for cell in chosen)}, which stop{'s' * (len(chosen) == 1)} after a checkpoint"
        )
    return ids, shared


def _stop_all(runs: Sequence[LocalRun], alive: Sequence[Launcher]) -> list[str]:
    """Stop the launchers on this machine, which stop their cells, and cells without one; returns what was stopped."""
    here = [(launcher, process) for launcher in alive if (process := launcher.process())]
    orphans = [(run, process) for run in runs if (process := run.process()) and not run.has_launcher(alive)]
    for launcher, _ in here:
        print(f"stopping the launcher, process {launcher.pid}, and its cells", flush=True)
    _stop_runs(orphans)
    stop([process for _, process in here], SECONDS_TO_STOP, print)
    return [*(f"the launcher, process {launcher.pid}" for launcher, _ in here), *_names(orphans)]


def _stop_cells(
    runs: Sequence[LocalRun], chosen: Sequence[CellFolder], alive: Sequence[Launcher]
) -> list[str]:
    """Stop these cells, which their launcher then leaves; returns those that ran."""
    if any(launcher.process() for launcher in alive):
        for cell in chosen:  # also those that wait: the launcher reads this before it starts one
            cell.note_attempt({"ended": CANCELLED, "jobs": []})
    here = [(run, process) for run in runs if (process := run.process())]
    _stop_runs(here)
    return _names(here)


def _stop_runs(found: Sequence[tuple[LocalRun, psutil.Process]]) -> None:
    for run, process in found:
        print(f"stopping {run.cell.name}, process {process.pid}", flush=True)
    stop([process for _, process in found], SECONDS_TO_STOP, print)


def _names(found: Sequence[tuple[LocalRun, psutil.Process]]) -> list[str]:
    return [f"{run.cell.name}, process {process.pid}" for run, process in found]


def _not_stopped(runs: Sequence[LocalRun], alive: Sequence[Launcher]) -> list[str]:
    """A sentence for each host, other than this one, that runs cells, and for each process here that was not identified."""
    here = socket.gethostname()
    found = []
    for host in sorted({run.host for run in runs} - {here}):
        own = [f"{run.cell.name}, process {run.holder.attempt.pid}" for run in runs if run.host == host]
        own += [f"their launcher, process {launcher.pid}" for launcher in alive if launcher.host == host]
        found.append(f"not stopped, since they run on {host}: {'; '.join(own)}; run the same command there")
    found += [
        f"not stopped, since process {run.holder.attempt.pid} is not the one that runs it: {run.cell.name}"
        for run in runs
        if run.host == here and run.is_alive() and run.process() is None
    ]
    return found


def _has_others(job: str, chosen: Sequence[CellFolder], sweep: SweepFolder) -> bool:
    """Whether a job is a pack with cells that are not to be cancelled, and that it has not left yet."""
    names = {cell.name for cell in chosen}
    others = [name for name in Register(sweep.path).cells_of(job) if name not in names]
    return any(not has_left(CellFolder(sweep.path / name), job) for name in others)
