"""Retries cells that have failed: ``python launch/sweep.py retry SWEEP [CELL ...]``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro
from rich.console import Console

from data_prep.errors import LaunchError
from launch.clusters.resources import Resources
from launch.launch_record import describe_options, recorded_launches
from launch.monitoring.cell_status import read_status
from launch.monitoring.named import CellNames, SweepFolder, SweepName, cells_named
from launch.monitoring.status import watch
from launch.start import Sweep, run_sweep


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Start the failed cells of a sweep again, each with the options that it was last started with.

    Only failed ones: cells that are done, running, waiting or cancelled are left alone. Each resumes from its newest
    good checkpoint. Resources given now (such as --memory-gb 64) override the earlier ones.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    cells: CellNames = ()
    """only these cells: names, or unambiguous parts of names"""
    runs: Path = Path("runs")
    """folder that holds the sweeps"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)


def retry(options: Retry) -> int:
    """Start failed cells again; returns the exit status."""
    sweep = SweepFolder.named(options.sweep, options.runs)
    chosen = cells_named(sweep, options.cells)
    states = read_status(sweep).states
    failed = [cell.name for cell in chosen if states[cell.name].phase == "failed"]
    others = [f"{cell.name} is {states[cell.name].phase}" for cell in chosen if cell.name not in failed]
    if options.cells and others:
        raise LaunchError(f"only failed cells are started again, but {others[0]}")
    if not failed:
        print(f"no cell of {sweep.path.name} has failed")
        return 0
    launches = recorded_launches(sweep.path, Sweep, failed)
    now = describe_options(options.resources)
    worst = 0
    for number, launch in enumerate(launches, start=1):
        former = launch.options
        again = replace(
            former,
            name=sweep.path.name,
            runs=sweep.path.parent,
            only=launch.cells,
            # Jobs of several launches share the queue; on this machine one launch follows the other.
            detach=former.cluster == "slurm" and (options.detach or number < len(launches)),
            dry_run=False,
            resources=options.resources.over(former.resources),
        )
        then = describe_options(former, without=("name", "runs", "only", "detach"))
        print(
            f"{len(launch.cells)} failed cell{'s' * (len(launch.cells) > 1)} of {sweep.path.name} again, with the options of"
            f" {launch.time} ({then or 'with all defaults'}){f', and now {now}' if now else ''}",
            flush=True,
        )
        worst = max(worst, run_sweep(again))
    if len(launches) > 1 and former.cluster == "slurm" and not options.detach:
        return watch(sweep, Console())
    return worst
