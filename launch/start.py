"""Runs a recipe: raw data to shards, runs to cells, cells to jobs, and finally the table."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import LaunchError, status_of_a_stop
from data_prep.lock import exclusive_lock
from jobs.mps import noted_mps
from launch.chosen_runs import chosen_cells, chosen_runs
from launch.clusters import make_backend
from launch.clusters.backend import Backend, ClusterName, State
from launch.clusters.launchers import announced
from launch.existing_cells import refuse_edited_cells, refuse_other_ranks
from launch.finish import finish, finish_readers
from launch.former import refuse_former_cells
from launch.launch_record import record_launch
from launch.monitoring.named import SweepFolder
from launch.monitoring.watch import Watch, failures, summary
from launch.plan import located, needed_data, planned_cells, write_cells
from launch.readers import ReaderSweep, needed_readers, of_readers, with_readers, written_readers
from launch.recipes import QUICK, RECIPES, find_recipe
from launch.set_fields import parsed_grid, without_the_field
from launch.stopping import stopping_as_with_ctrl_c
from launch.store import recording_a_stop, wait_for_store
from launch.sweep_folder import sweep_folder
from launch.sweep_options import Sweep
from launch.uploads import RecordedTracking, bring_finished_cells
from pipeline.cell import Cell
from pipeline.own_source import OwnSource
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


def run_sweep(options: Sweep, existing: Sequence[Cell] | None = None) -> int:
    """Run the sweep; returns the exit status: 0 if every cell is done, 1 if not.

    With ``existing`` cells these are run, as their own configurations say, instead of the recipe's.
    """
    with stopping_as_with_ctrl_c():
        return _run_sweep(options, existing)


def _run_sweep(options: Sweep, existing: Sequence[Cell] | None) -> int:
    recipe = find_recipe(options.recipe or QUICK) if existing is None else None
    if existing is None:
        _refuse_options_of_a_search(options)
    if recipe is not None:
        options = replace(
            options, recipe=recipe.name if options.recipe else None, name=options.name or recipe.sweep
        )
    grid = parsed_grid(options.set)
    runs = chosen_runs(options, recipe) if recipe is not None else []
    if options.recipe is None and existing is None:
        print(f"no recipe given: using the quick one, {QUICK} (--help lists them all)")
    assert options.name is not None
    sweep = sweep_folder(options.runs, options.name)
    refuse_former_cells(SweepFolder(sweep))
    if options.detach and options.cluster != "slurm":
        raise LaunchError(f"--detach needs --cluster slurm: with {options.cluster} nothing would continue")
    backend = make_backend(
        options.cluster, sweep, options.resources, options.cluster_config, dry_run=options.dry_run
    )
    if existing is None:
        runs = with_readers(located(runs, options.places), sweep.parent, options.places.raw)
        cells = chosen_cells(planned_cells(runs, sweep), options.only, grid)
        for sentence in without_the_field([cell.config for cell in cells], grid):
            print(sentence)
        refuse_edited_cells(cells)
        if not options.restart:
            refuse_other_ranks(cells, sweep, in_this_process=options.cluster == "debug")
    else:
        cells = list(existing)
    if options.dry_run:
        from launch.dry_run import describe

        data = needed_data([cell.config for cell in cells], options.places)
        print(describe(cells, data, backend, options.runs, needed_readers(cells), grid))
        return 0
    states = run_cells(options, cells, sweep, backend, None if recipe is None else recipe.source)
    if states is None:
        return 0
    finish(sweep, cells)
    return 0 if all(state.phase == "done" for state in states.values()) else 1


def _refuse_options_of_a_search(options: Sweep) -> None:
    """LaunchError if something is given that counts in a search only."""
    for name in ("objective", "trials", "at_once", "prune_after"):
        if getattr(options, name) != getattr(Sweep(), name):
            raise LaunchError(
                f"--{name.replace('_', '-')} belongs to a search: say what to search with --search"
            )


def _note(options: Sweep, sweep: Path, cells: int) -> str:
    """What a sweep is about, for its parent run: the recipe, the folder, the command."""
    name = options.recipe or QUICK
    about = RECIPES[name].describes if name in RECIPES else name
    command = shlex.join([*(["python"] if sys.argv[0].endswith(".py") else []), *sys.argv])
    return f"{about}\n\n{counted(cells, 'cell')} of `{name}` in `{sweep}`, started with\n\n    {command}\n"


def run_cells(
    options: Sweep,
    cells: list[Cell],
    sweep: Path,
    backend: Backend,
    source: OwnSource | None = None,
    *,
    waits_for_table: bool = True,
) -> dict[str, State] | None:
    """Prepare what cells need, train and measure them, and say what became of them.

    Args:
        options: of the launch, which are recorded.
        cells: of this sweep.
        sweep: its folder, made unless it exists.
        backend: where to run.
        source: the code of the user's recipe.
        waits_for_table: whether to wait for a job that writes the sweep's table.

    Returns:
        The last state of each cell and reader; None if the launcher was to leave its jobs alone.
    """
    readers = needed_readers(cells)
    data = needed_data([cell.config for cell in cells], options.places)
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
            {"recipe": options.recipe or QUICK, **source_tags()},
            identity,
            None if recorded is None else recorded.parent_run_id,
            note=_note(options, sweep, len(cells)),
        )
        try:
            with ExitStack() as until_submitted:
                until_submitted.enter_context(recording_a_stop(uri, parent.parent_run_id, cells))
                settings = replace(
                    settings, experiment=identity.experiment, parent_run_id=parent.parent_run_id
                )
                cells = write_cells(cells, settings, reset_failure=True)
                if source is not None:
                    source.copied_into(sweep)
                record_launch(sweep, options, [cell.name for cell in cells])
                print(f"sweep {sweep.name}: {counted(len(cells), 'cell')} in {sweep}", flush=True)
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
                with written_readers(readers, uri, settings, replace(options, name=None)) as reader_sweeps:
                    if options.cluster == "slurm":
                        until_submitted.pop_all()  # jobs that are queued continue, whatever ends this process
                    backend.submit(cells, lock, readers=reader_sweeps)
        except LaunchError:  # no queued job would record the end of the sweep in the store
            finish_sweep(uri, parent.parent_run_id, "failed")
            raise
    if options.detach:
        print(backend.interrupt(again=False))
        return None
    ends_with_this_process = options.cluster != "slurm"
    with recording_a_stop(uri, parent.parent_run_id, cells) if ends_with_this_process else nullcontext():
        states = run_to_the_end(
            backend, cells, sweep, options.cluster, reader_sweeps, waits_for_table=waits_for_table
        )
    stopped = [f"{name}: {state.detail}" for name, state in states.items() if state.phase == "stopped"]
    for line in [*failures(states, [*of_readers(reader_sweeps), *cells]), *stopped, summary(states)]:
        print(line)
    finish_readers(reader_sweeps)
    return states


def run_to_the_end(
    backend: Backend,
    cells: list[Cell],
    sweep: Path,
    cluster: ClusterName,
    readers: Sequence[ReaderSweep] = (),
    *,
    waits_for_table: bool = True,
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
                watch.show(states, noted_mps(sweep))
                if all(state.phase in ("done", "failed", "stopped") for state in states.values()):
                    break
                time.sleep(seconds_between_polls)
        deadline = time.monotonic() + SECONDS_FOR_THE_TABLE
        while waits_for_table and backend.is_closing() and time.monotonic() < deadline:
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


def print_waiting() -> None:
    """Tell the user why this launcher waits."""
    print("another launcher is submitting jobs for this sweep; waiting for it", flush=True)
