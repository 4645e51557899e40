"""The run whose fields a search varies, and whether it can be searched so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data_prep.errors import ConfigError, LaunchError, UserError
from data_prep.manifest import MANIFEST_FILE, Manifest
from data_prep.sources import SOURCES
from launch.chosen_runs import chosen_cells, chosen_runs
from launch.plan import located, needed_data, planned_cells
from launch.readers import with_readers
from launch.recipes import FoundRecipe
from launch.search.objective import Objective
from launch.search.space import parsed_space
from launch.search.study import SearchSettings
from launch.set_fields import parsed_grid
from launch.sweep_options import Sweep
from pipeline.config import RunConfig, identity


def search_settings(options: Sweep, base: RunConfig, objective: Objective) -> SearchSettings:
    """What the options say is searched.

    Raises:
        LaunchError: a range does not fit the run, or its data have no such split.
    """
    _refuse_without_split(base, options)
    space = parsed_space(options.search, base)
    both = {entry.field for entry in space} & parsed_grid(options.set).keys()
    if both:
        raise LaunchError(f"--search and --set both give {min(both)}: give one of them")
    return SearchSettings(
        base=identity(base, Path(base.data.folder).name.rpartition("-")[2]),
        space=space,
        objective=objective,
        prune_after=_stages(options.prune_after, base),
    )


def searched_run(options: Sweep, recipe: FoundRecipe, sweep: Path) -> RunConfig:
    """The run whose fields are varied; LaunchError unless the recipe and the options make exactly one."""
    grid = parsed_grid(options.set)
    runs = with_readers(
        located(chosen_runs(options, recipe), options.places), sweep.parent, options.places.raw
    )
    cells = chosen_cells(planned_cells(runs, sweep), options.only, grid)
    if len(cells) > 1:
        names = ", ".join(cell.name for cell in cells[:4])
        raise LaunchError(
            f"a search varies one run, but {options.recipe} has {len(cells)} ({names}{', ...' * (len(cells) > 4)}): choose"
            " with --only, --set or --seeds 1"
        )
    return cells[0].config


def _refuse_without_split(base: RunConfig, options: Sweep) -> None:
    """LaunchError if the data have no such split; where that is not known before they are prepared, measuring says so."""
    (data,) = needed_data([base], options.places)
    try:
        if (data.folder / MANIFEST_FILE).is_file():
            splits = {name: split.rows for name, split in Manifest.load(data.folder).splits.items()}
        else:
            splits = dict(data.source().splits())
    except (UserError, OSError):
        return
    if not splits.get(base.measures.split):
        there = ", ".join(name for name, rows in splits.items() if rows)
        with_one = f"{data.name}_held_out"
        hint = f"; --set data.name={with_one} has one" if with_one in SOURCES else ""
        raise LaunchError(f"{data.name} has no split {base.measures.split}; there are: {there}{hint}")


def _stages(stages: tuple[int, ...], base: RunConfig) -> tuple[int, ...]:
    """The stages; LaunchError if a trial cannot be continued after them."""
    if not stages:
        return ()
    epochs = base.training.epochs
    if list(stages) != sorted(set(stages)) or not 0 < stages[0] <= stages[-1] < epochs:
        raise LaunchError(
            f"--prune-after {' '.join(map(str, stages))}: give numbers of epochs from 1, each larger than the one before,"
            f" below the run's {epochs}"
        )
    if base.optimiser.schedule != "constant":
        raise LaunchError(
            f"--prune-after needs schedule constant: with {base.optimiser.schedule} a learning rate depends on all epochs"
        )
    try:
        replace(base, training=replace(base.training, epochs=stages[0]))
    except ConfigError as error:
        raise LaunchError(f"--prune-after {stages[0]}: {error}") from None
    return stages
