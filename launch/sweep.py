"""A recipe, from raw data to the table: ``python launch/sweep.py --cluster slurm --recipe fashion-mnist``."""

from __future__ import annotations

import inspect
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file: then Python searches launch/, not the folder that holds the four floors
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import tyro

from data_prep.errors import LaunchError, report_user_errors
from launch.clusters import make_backend
from launch.clusters.backend import Backend, ClusterName, State
from launch.clusters.resources import Resources
from launch.plan import DataPlaces, located, make_cells, planned_cells
from launch.recipes import QUICK, RECIPES, find_recipe
from launch.watch import Watch, failures, summary
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.tracking import (
    TrackingSettings,
    finish_sweep,
    on_network_disk,
    source_tags,
    start_sweep,
    tracking_uri,
)

SECONDS_BETWEEN_LOOKS = {"local": 0.5, "debug": 0.0, "slurm": 5.0}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train, measure and compare every run of a recipe.

    Raw files become shards (once), each run becomes a cell that is trained and then measured, MLflow keeps the numbers,
    and the table with the papers' values is printed at the end. Run the same command again at any time: what is done is
    not done again, and what was stopped goes on where it was. Ctrl-C stops local runs behind a checkpoint, and leaves
    SLURM's running.
    """

    recipe: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """which runs: a name from the list below; the quick one where none is given"""
    cluster: ClusterName = "local"
    """where: on this machine, on the SLURM cluster that this machine belongs to, or in this one process (debug)"""
    name: str | None = None
    """name of the sweep, and of its folder; the recipe's name where none is given"""
    dry_run: bool = False
    """print the cells and what would be submitted, and touch nothing"""
    epochs: int | None = None
    """another number of epochs than the recipe's"""
    ranks: int | None = None
    """another number of processes per run than the recipe's"""
    precision: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    """another autocast type than the recipe's"""
    seeds: int | None = None
    """only the runs with a seed below this"""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXT")] = ()
    """only the cells whose name holds one of these texts, such as ccvae- or f0.06"""
    runs: Path = Path("runs")
    """folder that holds the sweeps, and the MLflow store where MLFLOW_TRACKING_URI names no other"""
    places: tyro.conf.OmitArgPrefixes[DataPlaces] = field(default_factory=DataPlaces)
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        described = "\n".join(f"  {name}: {recipe.describes}" for name, recipe in RECIPES.items())
        asked = tyro.cli(
            Sweep,
            args=arguments,
            prog="sweep.py",
            description=f"{inspect.cleandoc(Sweep.__doc__ or '')}\n\nRecipes:\n{described}",
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        raise SystemExit(run_sweep(asked))


def run_sweep(asked: Sweep) -> int:
    """Do what was asked; returns the exit status: 0 when every cell is done, 1 when one failed."""
    recipe = asked.recipe or QUICK
    runs = _chosen_runs(asked, recipe)
    if asked.recipe is None:
        print(f"no recipe was named: taking the quick one, {QUICK} (--help lists them all)")
    sweep = (asked.runs / _checked_name(asked.name or recipe)).absolute()
    backend = make_backend(asked.cluster, sweep, asked.resources)
    runs = located(runs, asked.places)
    cells = _only(planned_cells(runs, sweep), asked.only)
    if asked.dry_run:
        _describe(cells, backend, asked)
        return 0

    settings = TrackingSettings(sweep=sweep.name)
    uri = tracking_uri(settings, sweep.parent)
    if asked.cluster == "slurm" and on_network_disk(uri):
        print(
            f"warning: {uri} is on a network disk, where writers on several nodes damage it;"
            " start 'mlflow server' and set MLFLOW_TRACKING_URI"
        )
    parent = start_sweep(uri, settings.experiment, sweep.name, {"recipe": recipe, **source_tags()})
    settings = replace(settings, parent_run_id=parent.parent_run_id)
    cells = make_cells([cell.config for cell in cells], sweep, asked.places, settings)
    print(f"sweep {sweep.name}: {len(cells)} cells in {sweep}")
    states = _run_to_the_end(backend, cells, SECONDS_BETWEEN_LOOKS[asked.cluster])
    failed = failures(states, sweep)
    finish_sweep(uri, parent.parent_run_id, "failed" if failed else "finished")
    for line in [*failed, summary(states)]:
        print(line)
    if any(state.phase == "done" for state in states.values()):
        from launch.compare import main as compare

        compare(["--sweep", sweep.name, "--runs", str(asked.runs)])
    return 1 if failed else 0


def _run_to_the_end(backend: Backend, cells: list[Cell], seconds_between_looks: float) -> dict[str, State]:
    """Submit the cells that are not done and wait for all; Ctrl-C leaves as the backend sees fit."""
    states = {cell.name: State("done") for cell in cells if cell.is_done()}
    try:
        with Watch(cells) as watch:
            open_cells = [cell for cell in cells if not cell.is_done()]
            backend.submit(open_cells)
            while True:
                states |= backend.states()
                watch.show(states)
                if all(state.phase in ("done", "failed") for state in states.values()):
                    return states
                time.sleep(seconds_between_looks)
    except KeyboardInterrupt:
        print("\nstopping; Ctrl-C again to stop at once", flush=True)
        try:
            message = backend.interrupt(told=False)
        except KeyboardInterrupt:
            message = backend.interrupt(told=True)
        print(message)
        raise SystemExit(130) from None


def _chosen_runs(asked: Sweep, recipe: str) -> list[RunConfig]:
    runs = find_recipe(recipe).runs()
    if asked.seeds is not None:
        runs = [run for run in runs if run.seed < asked.seeds]
    if asked.epochs is not None:
        runs = [replace(run, training=replace(run.training, epochs=asked.epochs)) for run in runs]
    if asked.precision is not None:
        runs = [replace(run, training=replace(run.training, precision=asked.precision)) for run in runs]
    ranks = 1 if asked.cluster == "debug" else asked.ranks
    if ranks is not None:
        runs = [replace(run, training=replace(run.training, ranks=ranks)) for run in runs]
    return runs


def _only(cells: list[Cell], texts: tuple[str, ...]) -> list[Cell]:
    chosen = [cell for cell in cells if not texts or any(text in cell.name for text in texts)]
    if not chosen:
        raise LaunchError(f"no cell is left to run: no name holds {' or '.join(texts) or 'anything'}")
    return chosen


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise LaunchError(f"the sweep name {name!r} may hold letters, digits, '.', '_' and '-' only")
    return name


def _describe(cells: list[Cell], backend: Backend, asked: Sweep) -> None:
    for name in dict.fromkeys(cell.config.data.name for cell in cells):
        folder = asked.places.folder(name)
        print(
            f"data   {folder} ({'prepared' if (folder / 'manifest.json').is_file() else 'to be prepared first'})"
        )
    for cell in cells:
        state = (
            "done" if cell.is_done() else "trained, to be measured" if cell.is_trained() else "to be trained"
        )
        print(
            f"cell   {cell.name}  {cell.config.training.epochs} epochs, {cell.config.training.ranks} rank(s)  {state}"
        )
    open_cells = [cell for cell in cells if not cell.is_done()]
    print(f"{len(cells)} cells, {len(open_cells)} to run; nothing was written")
    if open_cells:
        print(backend.describe(open_cells))


if __name__ == "__main__":
    main()
