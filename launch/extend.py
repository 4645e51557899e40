"""More cells for a sweep: ``python launch/sweep.py extend SWEEP --seeds 5``, or another value of a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from data_prep.counted import counted
from data_prep.errors import LaunchError
from launch.clusters.backend import ClusterName
from launch.clusters.launchers import launchers
from launch.clusters.resources import Resources
from launch.command_line import described
from launch.former import refuse_former_cells
from launch.launch_record import newest_launch
from launch.monitoring.named import SweepFolder, SweepName
from launch.plan import DataPlaces, located, planned_cells
from launch.readers import with_readers
from launch.set_fields import Grid, parsed_grid, shown_fields, with_fields, without_the_field
from launch.start import run_sweep
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from pipeline.config import RunConfig

RELOCATES = {"data.name", "data.options", "model.network", "model.system"}
"""Fields with other values of which a run's data set, label readers or network are to be found anew."""


@dataclass(frozen=True, kw_only=True)
class Extend:
    """Add cells to a sweep that runs or is done: more seeds, or other values of fields.

    The new cells are those of the sweep with these seeds and values in place of their own; those that the sweep has already
    are left alone. They are made from the cells' own configurations, so the recipe may have changed or be gone. Where they
    run, and with which resources, is as in the sweep's last launch, unless it is given here.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    seeds: Annotated[int | None, described("N")] = None
    """number of seeds of each run, from 0: the sweep gets those that it lacks"""
    set: Annotated[tuple[str, ...], described("FIELD=VALUE[,VALUE...]")] = ()
    """other values of fields, such as model.style_size=80 (docs/own_sweeps.md); several make a grid"""
    only: Annotated[tuple[str, ...], described("TEXT")] = ()
    """only from the sweep's cells whose name contains one of these texts"""
    runs: Path = Path("runs")
    """folder of the sweeps"""
    cluster: Annotated[ClusterName | None, described("{local,slurm,debug}")] = None
    """where to run (default: as in the sweep's last launch)"""
    dry_run: bool = False
    """print the new cells and what would be submitted, and do nothing"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)


def extend(options: Extend) -> int:
    """Start the new cells; returns the exit status.

    Raises:
        LaunchError: nothing was given to add, or no cell is chosen.
    """
    if options.seeds is None and not options.set:
        raise LaunchError("extend needs what is to be added: --seeds 5, or --set FIELD=VALUE")
    sweep = SweepFolder.named(options.sweep, options.runs)
    refuse_former_cells(sweep)
    cells = [Cell.open(cell.config_file) for cell in sweep.cells]
    grid = parsed_grid(options.set)
    former = newest_launch(sweep.path, Sweep)
    new = new_cells(cells, grid, options.seeds, options.only, former.places)
    if not new:
        print(f"{sweep.path.name} has all of these cells already")
        return 0
    for sentence in without_the_field([cell.config for cell in new], grid):
        print(sentence)
    cluster = options.cluster or former.cluster
    if cluster != "slurm" and not options.dry_run and any(each.process() for each in launchers(sweep.path)):
        print(f"{sweep.path.name} runs on this machine already: the new cells share it with the others")
    print(
        "\n".join(
            [f"{counted(len(new), 'new cell')} of {sweep.path.name}, which has {len(cells)}:"]
            + [f"  {cell.name}  {shown_fields(cell.config, grid)}".rstrip() for cell in new]
        )
    )
    started = replace(
        former,
        name=sweep.path.name,
        runs=sweep.path.parent,
        set=options.set,
        only=tuple(cell.name for cell in new),
        cluster=cluster,
        dry_run=options.dry_run,
        detach=options.detach,
        resources=options.resources.over(former.resources),
    )
    return run_sweep(started, new)


def new_cells(
    cells: Sequence[Cell],
    grid: Grid,
    seeds: int | None = None,
    only: Sequence[str] = (),
    places: DataPlaces | None = None,
) -> list[Cell]:
    """The cells that a sweep's cells give with other values, and that it does not have.

    Raises:
        LaunchError: no name contains one of the texts in ``only``, or the number of seeds is below 1.
        ConfigError: a value does not fit.
    """
    chosen = [cell for cell in cells if not only or any(text in cell.name for text in only)]
    if not chosen:
        raise LaunchError(f"no cell of the sweep has a name that contains {' or '.join(only)}")
    runs: Sequence[RunConfig] = [cell.config for cell in chosen]
    if seeds is not None:
        if seeds < 1:
            raise LaunchError(f"seeds is {seeds}; it must be at least 1")
        if "seed" in grid:
            raise LaunchError("--seeds and --set seed are the same: give one of them")
        different = dict.fromkeys(replace(run, seed=0) for run in runs)
        runs = [replace(run, seed=seed) for seed in range(seeds) for run in different]
    runs, folder = with_fields(runs, grid), cells[0].folder.parent
    if RELOCATES & grid.keys():
        places = places or DataPlaces()
        runs = with_readers(located(runs, places), folder.parent, places.raw)
    there, planned = {cell.name for cell in cells}, planned_cells(runs, folder)
    return list({cell.name: cell for cell in planned if cell.name not in there}.values())
