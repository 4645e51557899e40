"""Cancels a sweep's jobs: ``python launch/sweep.py cancel SWEEP [CELL ...]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import LaunchError
from launch.clusters.slurm import queue as slurm_queue
from launch.monitoring.named import CellNames, SweepFolder, SweepName, cells_named
from launch.monitoring.sweep_status import read_status
from pipeline.cells.folder import CANCELLED


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Cancel the SLURM jobs of a sweep, or of some of its cells.

    Training, measuring and the final table are all removed from the queue. Checkpoints are kept: started again, a cell
    resumes from its newest checkpoint.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    cells: CellNames = ()
    """only these cells: names, or unambiguous parts of names"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


def cancel(options: Cancel) -> int:
    """Remove jobs from the queue; returns the exit status."""
    sweep = SweepFolder.named(options.sweep, options.runs)
    chosen = cells_named(sweep, options.cells)
    if not sweep.is_on_slurm:
        raise LaunchError(
            f"{sweep.path.name} has no SLURM jobs; stop it with Ctrl-C in its launcher on this machine"
        )
    seen = read_status(sweep)
    ids = list(seen.queue)
    if options.cells:
        wanted = {job for cell in chosen for job in seen.jobs.get(cell.name, {}).values()}
        ids = [job for job in ids if job in wanted]
    slurm_queue.cancel(ids)
    for cell in chosen:
        own = [job for job in seen.jobs.get(cell.name, {}).values() if job in ids]
        if own:  # recorded here, because not every cluster has accounting
            cell.note_attempt({"ended": CANCELLED, "jobs": own})
    of_what = ", ".join(cell.name for cell in chosen) if options.cells else f"the sweep {sweep.path.name}"
    if not ids:
        print(f"no job of {of_what} is in the queue")
        return 0
    print(
        f"{len(ids)} job{'s' * (len(ids) > 1)} of {of_what} cancelled; checkpoints are kept, and the same sweep command"
        " resumes from them"
    )
    return 0
