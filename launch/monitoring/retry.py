"""Another try for cells that have failed: ``python launch/sweep.py retry SWEEP [CELL ...]``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.errors import LaunchError
from launch.asked import kept
from launch.monitoring.named import CellNames, SweepFolder, SweepName, cells_named
from launch.monitoring.standing import look


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Start the failed cells of a sweep again, with the options and resources that the sweep was last started with.

    Only failed ones: those that are done, run, wait or were cancelled are left as they are. Each goes on from its newest
    good checkpoint. To change an option (more memory, say) use the sweep's own command again instead.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    cells: CellNames = ()
    """only these cells: their names, or parts of them that no other cell has"""
    runs: Path = Path("runs")
    """folder that holds the sweeps"""
    detach: bool = False
    """leave as soon as the jobs are submitted (slurm)"""


def retry(asked: Retry) -> int:
    """Start failed cells again; returns the exit status."""
    sweep = SweepFolder.named(asked.sweep, asked.runs)
    chosen = cells_named(sweep, asked.cells)
    states = look(sweep).states
    failed = [cell.name for cell in chosen if states[cell.name].phase == "failed"]
    others = [f"{cell.name} is {states[cell.name].phase}" for cell in chosen if cell.name not in failed]
    if asked.cells and others:
        raise LaunchError(f"only failed cells are started again, and {others[0]}")
    if not failed:
        print(f"no cell of {sweep.path.name} has failed")
        return 0
    from launch.sweep import Sweep, run_sweep  # late: training needs torch, and looking does not

    former = kept(sweep.path, Sweep)
    again = replace(
        former,
        name=sweep.path.name,
        runs=sweep.path.parent,
        only=tuple(failed),
        detach=asked.detach,
        dry_run=False,
    )
    print(
        f"{len(failed)} failed cell{'s' * (len(failed) > 1)} of {sweep.path.name} again, as asked for before"
    )
    return run_sweep(again)
