"""Runs a recipe: raw data to shards, runs to cells, cells to jobs, and finally the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from data_prep.errors import LaunchError, status_of_a_stop
from data_prep.lock import exclusive_lock
from data_prep.sources.options import parsed_options
from launch.clusters import make_backend
from launch.clusters.backend import Backend, ClusterName, State, folder_for_jobs
from launch.clusters.launchers import announced
from launch.clusters.resources import Resources
from launch.existing_cells import refuse_edited_cells, refuse_other_ranks
from launch.finish import finish, finish_readers
from launch.former import refuse_former_cells
from launch.launch_record import record_launch
from launch.monitoring.named import SweepFolder
from launch.monitoring.watch import Watch, failures, summary
from launch.plan import DataPlaces, located, needed_data, planned_cells, write_cells
from launch.readers import ReaderSweep, needed_readers, of_readers, with_readers, written_readers
from launch.recipes import QUICK, find_recipe
from launch.stopping import stopping_as_with_ctrl_c
from launch.store import record_stop, wait_for_store
from launch.uploads import RecordedTracking, bring_finished_cells
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.models.parts.image_vae import ImageVAEConfig
from pipeline.networks.choice import NetworkName
from pipeline.tracking import (
    Destination,
    TrackingSettings,
    finish_sweep,
    source_tags,
    start_sweep,
    tracking_uri,
)
from pipeline.tracking.sweep_identity import claim_sweep, original_of

SECONDS_BETWEEN_POLLS = {"local": 0.5, "debug": 0.0, "slurm": 5.0}
SECONDS_FOR_THE_TABLE = 600.0
"""How long the launcher waits, after the last cell, for the job that writes the table."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train, measure and compare every run of a recipe.

    Raw files become shards (once), each run becomes a cell that is trained and then measured, MLflow stores the numbers,
    and the table with the papers' values is printed at the end. The same command can be rerun at any time: what is done is
    not repeated, what was stopped is resumed, and what failed is retried. Ctrl-C stops local runs after a
    checkpoint, and leaves SLURM jobs running.

    To monitor a sweep that was started:    python launch/sweep.py status|cancel|logs|retry SWEEP --help
    To measure more of its trained cells:   python launch/measure.py SWEEP --help
    To convert one of an earlier version:    python launch/sweep.py upgrade SWEEP
    """

    recipe: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """which runs: a name from the list above (default: the quick one)"""
    cluster: ClusterName = "local"
    """where to run: on this machine, on its SLURM cluster, or in this process (debug)"""
    name: str | None = None
    """name of the sweep, and of its folder (default: the recipe's name)"""
    dry_run: bool = False
    """print the cells and what would be submitted, and do nothing"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    preflight: bool = True
    """submit without checking first whether jobs can work (slurm)"""
    experiment: str | None = None
    """MLflow experiment for the sweep's runs (default: that of its last launch, else traitvae)"""
    restart: bool = False
    """start new cells even if the sweep has begun the same ones with another number of ranks"""
    options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """options of the data set (`prepare.py NAME --dry-run` lists them); a recipe's own stay unless named here"""
    epochs: int | None = None
    """number of epochs (default: the recipe's)"""
    ranks: int | None = None
    """number of processes per run (default: the recipe's)"""
    precision: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    """autocast type (default: the recipe's)"""
    network: NetworkName | None = None
    """networks of every run, such as `nets/mine.py:MyNetwork` (default: the recipe's); docs/networks.md"""
    seeds: int | None = None
    """number of seeds of each run, from 0 (default: the recipe's)"""
    measures: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME[:FIELD=VALUE,...]")] = ()
    """measures to compute, python launch/measure.py --help lists them (default: the recipe's)"""
    split: str | None = None
    """split to measure (default: the recipe's)"""
    label_seed: int | None = None
    """seed of the labelled subset, the same for all runs (default: each run's seed)"""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXT")] = ()
    """only the cells whose name contains one of these texts, such as ccvae- or f0.06"""
    runs: Path = Path("runs")
    """folder for the sweeps, and for the MLflow store unless MLFLOW_TRACKING_URI is set"""
    places: tyro.conf.OmitArgPrefixes[DataPlaces] = field(default_factory=DataPlaces)
    cluster_config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """TOML file of a site's defaults, overrides ~/.config/traitvae/cluster.toml (slurm)"""
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)


def run_sweep(options: Sweep, existing: Sequence[Cell] | None = None) -> int:
    """Run the sweep; returns the exit status: 0 if every cell is done, 1 if not.

    With ``existing`` cells these are run, as their own configurations say, instead of the recipe's.
    """
    with stopping_as_with_ctrl_c():
        return _run_sweep(options, existing)


def _run_sweep(options: Sweep, existing: Sequence[Cell] | None) -> int:
    recipe = options.recipe or QUICK
    runs = chosen_runs(options, recipe) if existing is None else []
    if options.recipe is None and existing is None:
        print(f"no recipe given: using the quick one, {QUICK} (--help lists them all)")
    sweep = _sweep_folder(options.runs, options.name or recipe)
    refuse_former_cells(SweepFolder(sweep))
    if options.detach and options.cluster != "slurm":
        raise LaunchError(f"--detach needs --cluster slurm: with {options.cluster} nothing would continue")
    backend = make_backend(
        options.cluster, sweep, options.resources, options.cluster_config, dry_run=options.dry_run
    )
    if existing is None:
        runs = with_readers(located(runs, options.places), sweep.parent, options.places.raw)
        cells = _only(planned_cells(runs, sweep), options.only)
        refuse_edited_cells(cells)
        if not options.restart:
            refuse_other_ranks(cells, sweep, in_this_process=options.cluster == "debug")
    else:
        cells = list(existing)
    readers = needed_readers(cells)
    data = needed_data([cell.config for cell in cells], options.places)
    if options.dry_run:
        from launch.dry_run import describe

        print(describe(cells, data, backend, options.runs, readers))
        return 0

    settings = TrackingSettings(sweep=sweep.name)
    uri = tracking_uri(settings.uri, sweep.parent)
    wait_for_store(uri)
    backend.check([*readers, *cells], data, uri, thorough=options.preflight)
    backend.prepare(data)
    sweep.mkdir(parents=True, exist_ok=True)
    # With two launchers at the same moment, the second finds what the first has submitted.
    with exclusive_lock(sweep / "launch.lock", print_waiting) as lock:
        original, recorded = original_of(sweep), RecordedTracking.of(sweep)
        if original is not None:
            print(
                f"{sweep} is a copy of {original.folder}, which is still there: it becomes a sweep of its own in MLflow"
            )
        known = None if recorded is None else recorded.experiment
        identity = claim_sweep(sweep, options.experiment or known)
        parent = start_sweep(
            uri,
            identity.experiment,
            sweep.name,
            {"recipe": recipe, **source_tags()},
            identity,
            None if recorded is None else recorded.parent_run_id,
        )
        settings = replace(settings, experiment=identity.experiment, parent_run_id=parent.parent_run_id)
        cells = write_cells(cells, settings, reset_failure=True)
        record_launch(sweep, options, [cell.name for cell in cells])
        print(f"sweep {sweep.name}: {len(cells)} cells in {sweep}", flush=True)
        bring_finished_cells(
            cells,
            uri,
            Destination(
                uri=uri,
                experiment=identity.experiment,
                sweep=sweep.name,
                sweep_id=identity.id,
                parent_run_id=parent.parent_run_id,
            ),
        )
        try:
            with written_readers(readers, uri, settings, replace(options, name=None)) as reader_sweeps:
                backend.submit(cells, lock, readers=reader_sweeps)
        except LaunchError:  # no queued job would record the end of the sweep in the store
            finish_sweep(uri, parent.parent_run_id, "failed")
            raise
    if options.detach:
        print(backend.interrupt(again=False))
        return 0
    try:
        states = run_to_the_end(backend, cells, sweep, options.cluster, reader_sweeps)
    except SystemExit:  # Ctrl-C; SLURM jobs continue
        if options.cluster != "slurm":
            record_stop(uri, parent.parent_run_id, cells)
        raise
    stopped = [f"{name}: {state.detail}" for name, state in states.items() if state.phase == "stopped"]
    for line in [*failures(states, [*of_readers(reader_sweeps), *cells]), *stopped, summary(states)]:
        print(line)
    finish_readers(reader_sweeps)
    finish(sweep, cells)
    return 0 if all(state.phase == "done" for state in states.values()) else 1


def run_to_the_end(
    backend: Backend,
    cells: list[Cell],
    sweep: Path,
    cluster: ClusterName,
    readers: Sequence[ReaderSweep] = (),
) -> dict[str, State]:
    """Wait until no cell or reader runs or waits, nor the job that writes the table; Ctrl-C is handled by the backend."""
    seconds_between_polls = SECONDS_BETWEEN_POLLS[cluster]
    try:
        with ExitStack() as here, Watch([*of_readers(readers), *cells]) as watch:
            if cluster != "slurm":
                for folder in (sweep, *(entry.folder for entry in readers)):
                    here.enter_context(announced(folder))
            while True:
                states = backend.states()
                watch.show(states)
                if all(state.phase in ("done", "failed", "stopped") for state in states.values()):
                    break
                time.sleep(seconds_between_polls)
        deadline = time.monotonic() + SECONDS_FOR_THE_TABLE
        while backend.is_closing() and time.monotonic() < deadline:
            time.sleep(min(seconds_between_polls, 1.0))
        return states
    except KeyboardInterrupt as stop:
        with suppress(OSError):
            print(flush=True)
        print(_stopped(backend))
        raise SystemExit(status_of_a_stop(stop)) from None
    except BaseException:  # say, nothing can be printed any more: what it started must not go on without it
        _stopped(backend)
        raise


def _stopped(backend: Backend) -> str:
    """What to tell the user once the backend has dealt with a stop, at once if a second signal comes."""
    try:
        return backend.interrupt(again=False)
    except KeyboardInterrupt:
        return backend.interrupt(again=True)


def chosen_runs(options: Sweep, recipe: str) -> list[RunConfig]:
    """The runs of a recipe, modified by the options."""
    runs = find_recipe(recipe).runs()
    if recipe.endswith("-quick"):
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
    return runs


def with_network(run: RunConfig, network: str) -> RunConfig:
    """The run with other networks; unchanged if its system has one of its own."""
    model = run.model
    return replace(run, model=replace(model, network=network)) if isinstance(model, ImageVAEConfig) else run


def _with(own: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Options of a data set, in which those that are given replace a recipe's own."""
    merged = {**parsed_options(own), **parsed_options(given)}
    return tuple(f"{name}={value}" for name, value in merged.items())


def _only(cells: list[Cell], texts: tuple[str, ...]) -> list[Cell]:
    chosen = [cell for cell in cells if not texts or any(text in cell.name for text in texts)]
    if not chosen:
        raise LaunchError(f"no cell is left to run: no name contains {' or '.join(texts)}")
    return chosen


def _sweep_folder(runs: Path, name: str) -> Path:
    """The folder of the sweep, absolute."""
    if not name.strip() or name[0] in ".-" or "/" in name or len(name.encode()) > 150:
        raise LaunchError(
            f"the sweep name {name!r} is not valid as a folder name: no '/', no leading '.' or '-', at most 150 bytes"
        )
    if "'" in name and '"' in name:
        raise LaunchError(
            f"the sweep name {name!r} contains both kinds of quotes, so MLflow could not search for it"
        )
    return folder_for_jobs(runs / name)


def print_waiting() -> None:
    """Tell the user why this launcher waits."""
    print("another launcher is submitting jobs for this sweep; waiting for it", flush=True)
