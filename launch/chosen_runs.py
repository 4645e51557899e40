"""The runs of a recipe as the options of ``launch/sweep.py`` modify them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data_prep.errors import LaunchError
from data_prep.sources.options import parsed_options
from launch.recipes import FoundRecipe
from launch.set_fields import Grid, parsed_grid, shown_fields, with_fields
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.models.parts.image_vae import ImageVAEConfig

SAME_AS = {
    "epochs": "training.epochs",
    "ranks": "training.ranks",
    "precision": "training.precision",
    "network": "model.network",
    "seeds": "seed",
    "label_seed": "data.label_seed",
    "options": "data.options",
    "measures": "measures.take",
    "split": "measures.split",
}
"""Option → the field that it sets, which ``--set`` could set too."""


def chosen_runs(options: Sweep, recipe: FoundRecipe) -> list[RunConfig]:
    """The runs of a recipe, modified by the options.

    Raises:
        LaunchError: an option does not fit, or a field is given twice, with ``--set`` and by an option of its own.
    """
    grid = parsed_grid(options.set)
    _refuse_twice(options, grid)
    runs = recipe.runs()
    if recipe.name.endswith("-quick"):
        runs = [replace(run, measures=replace(run.measures, quick_readers=True)) for run in runs]
    if options.seeds is not None:
        if options.seeds < 1:
            raise LaunchError(f"seeds is {options.seeds}; it must be at least 1")
        different = dict.fromkeys(replace(run, seed=0) for run in runs)
        runs = [replace(run, seed=seed) for seed in range(options.seeds) for run in different]
    if options.options:
        runs = [
            replace(run, data=replace(run.data, options=_with(run.data.options, options.options)))
            for run in runs
        ]
    if options.label_seed is not None:
        runs = [replace(run, data=replace(run.data, label_seed=options.label_seed)) for run in runs]
    if options.epochs is not None:
        runs = [replace(run, training=replace(run.training, epochs=options.epochs)) for run in runs]
    if options.precision is not None:
        runs = [replace(run, training=replace(run.training, precision=options.precision)) for run in runs]
    if options.network is not None:
        runs = [with_network(run, options.network) for run in runs]
    if options.measures:
        runs = [replace(run, measures=replace(run.measures, take=options.measures)) for run in runs]
    if options.split is not None:
        runs = [replace(run, measures=replace(run.measures, split=options.split)) for run in runs]
    ranks = 1 if options.cluster == "debug" else options.ranks
    if ranks is not None:
        runs = [replace(run, training=replace(run.training, ranks=ranks)) for run in runs]
    return with_fields(runs, grid)


def _refuse_twice(options: Sweep, grid: Grid) -> None:
    for name, field in SAME_AS.items():
        if field in grid and getattr(options, name) not in (None, ()):
            raise LaunchError(f"--{name.replace('_', '-')} and --set {field} are the same: give one of them")


def with_network(run: RunConfig, network: str) -> RunConfig:
    """The run with other networks; unchanged if its system has one of its own."""
    model = run.model
    return replace(run, model=replace(model, network=network)) if isinstance(model, ImageVAEConfig) else run


def chosen_cells(cells: Sequence[Cell], only: Sequence[str], grid: Grid) -> list[Cell]:
    """The cells whose name, or a field of the grid, contains one of the texts; one that comes out twice is left out once.

    Raises:
        LaunchError: none does.
    """
    different = list({cell.name: cell for cell in reversed(cells)}.values())[::-1]
    if len(different) < len(cells):
        print(
            f"{len(cells) - len(different)} of {len(cells)} runs are the same cell as another, and left out: they differ"
            " only in fields that do not decide the result"
        )
    said = {cell.name: f"{cell.name} {shown_fields(cell.config, grid)}" for cell in different}
    chosen = [cell for cell in different if not only or any(text in said[cell.name] for text in only)]
    if not chosen:
        raise LaunchError(f"no cell is left to run: no name contains {' or '.join(only)}")
    return chosen


def _with(own: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Options of a data set, in which those that are given replace a recipe's own."""
    merged = {**parsed_options(own), **parsed_options(given)}
    return tuple(f"{name}={value}" for name, value in merged.items())
