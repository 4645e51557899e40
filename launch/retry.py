"""Retries cells that have failed: ``python launch/sweep.py retry SWEEP [CELL ...]``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro
from rich.console import Console

from data_prep.counted import counted
from data_prep.errors import LaunchError
from launch.clusters.resources import Resources
from launch.former import refuse_former_cells
from launch.launch_record import Launch, describe_options, launched_by, recorded_launches
from launch.measure import measure_sweep
from launch.measure_options import Measure
from launch.monitoring.named import CellNames, SweepFolder, SweepName, cells_named
from launch.monitoring.status import watch
from launch.monitoring.sweep_status import read_status
from launch.start import run_sweep
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from pipeline.measures.plan import is_done


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Start the failed cells of a sweep again, each with the options that it was last started with.

    Only failed ones: cells that are done, running, waiting or cancelled are left alone. Each resumes from its newest
    good checkpoint; of a trained one, only the measures without a result are computed. Resources given now override the
    earlier ones, such as --memory-gb 64.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    cells: CellNames = ()
    """only these cells: names, or unambiguous parts of names"""
    runs: Path = Path("runs")
    """folder of the sweeps"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)


def retry(options: Retry) -> int:
    """Start failed cells again; returns the exit status."""
    sweep = SweepFolder.named(options.sweep, options.runs)
    refuse_former_cells(sweep)
    chosen = cells_named(sweep, options.cells)
    states = read_status(sweep).states
    failed = [cell.name for cell in chosen if states[cell.name].phase == "failed"]
    others = [f"{cell.name} is {states[cell.name].phase}" for cell in chosen if cell.name not in failed]
    if options.cells and others:
        raise LaunchError(f"only failed cells are started again, but {others[0]}")
    if not failed:
        print(f"no cell of {sweep.path.name} has failed")
        return 0
    measured = launched_by(sweep.path, "measure")
    measured_on_request = [
        cell.name for cell in chosen if cell.name in measured.intersection(failed) and is_done(cell)
    ]
    others = [name for name in failed if name not in measured_on_request]
    launches: list[Launch[Sweep] | Launch[Measure]] = [
        *recorded_launches(sweep.path, Sweep, others),
        *recorded_launches(sweep.path, Measure, measured_on_request, command="measure"),
    ]
    now = describe_options(options.resources)
    worst = 0
    for number, launch in enumerate(launches, start=1):
        then = describe_options(launch.options, without=("name", "sweep", "runs", "only", "cells", "detach"))
        print(
            f"{counted(len(launch.cells), 'failed cell')} of {sweep.path.name} again, with the options of"
            f" {launch.time} ({then or 'with all defaults'}){f', and now {now}' if now else ''}",
            flush=True,
        )
        worst = max(worst, _start_again(sweep, launch, options, detach=number < len(launches)))
    if len(launches) > 1 and launch.options.cluster == "slurm" and not options.detach:
        return watch(sweep, Console())
    return worst


def _start_again(
    sweep: SweepFolder, launch: Launch[Sweep] | Launch[Measure], options: Retry, *, detach: bool
) -> int:
    """Start the cells of a launch with its options; returns the exit status."""
    former = launch.options
    # Jobs of several launches are side by side in the queue; on this machine one launch follows the other.
    detach = former.cluster == "slurm" and (options.detach or detach)
    resources = options.resources.over(former.resources)
    runs = sweep.path.parent
    if isinstance(former, Measure):
        again = replace(former, sweep=sweep.path.name, runs=runs, cells=launch.cells, detach=detach)
        return measure_sweep(replace(again, dry_run=False, resources=resources))
    started = replace(former, name=sweep.path.name, runs=runs, only=launch.cells, detach=detach)
    # Not from the recipe: with another version of the code, it may give the same cells other names.
    cells = [Cell.open(sweep.path / name / "config.json") for name in launch.cells]
    return run_sweep(replace(started, dry_run=False, resources=resources), cells)
