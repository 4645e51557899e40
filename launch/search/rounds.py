"""``sweep.py --search``: rounds of trials, each a cell that is trained and measured as any other."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.counted import counted
from data_prep.errors import LaunchError
from data_prep.lock import exclusive_lock
from data_prep.program_name import program
from launch.clusters import make_backend
from launch.clusters.backend import State
from launch.finish import finish
from launch.former import refuse_former_cells
from launch.monitoring.named import SweepFolder
from launch.plan import needed_data, planned_cells
from launch.readers import needed_readers
from launch.recipes import QUICK, FoundRecipe, find_recipe
from launch.search.objective import Objective
from launch.search.report import draw_trials, print_trials, write_trials
from launch.search.searched import search_settings, searched_run
from launch.search.space import Point
from launch.search.study import (
    CELL,
    SEARCH_FOLDER,
    WHY,
    SearchSettings,
    Study,
    shown,
    shown_point,
)
from launch.set_fields import with_values
from launch.start import run_cells
from launch.stopping import stopping_as_with_ctrl_c
from launch.sweep_folder import sweep_folder
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from pipeline.config import RunConfig

if TYPE_CHECKING:
    import optuna


def search(options: Sweep) -> int:
    """Run the trials that are left; returns the exit status: 0 if each has ended, and one with a number.

    Raises:
        LaunchError: the options do not make a search, or differ from those that it was begun with.
        MissingDependencyError: Optuna is not installed.
    """
    with stopping_as_with_ctrl_c():
        return _search(options)


def _search(options: Sweep) -> int:
    objective = Objective.parsed(options.objective, options.split)
    if options.detach:
        raise LaunchError(
            "--search cannot --detach: each round of trials is suggested by the numbers of those before it"
        )
    if options.measures:
        raise LaunchError(
            "--search measures the trials' objective only; measure the best ones with python launch/measure.py"
        )
    if options.trials < 1 or options.at_once < 1:
        raise LaunchError("--trials and --at-once must be at least 1")
    recipe = find_recipe(options.recipe or QUICK)
    options = replace(
        options,
        recipe=recipe.name,
        name=options.name or f"{recipe.sweep}-search",
        split=objective.split,
        measures=(objective.measure,),
    )
    sweep = sweep_folder(options.runs, options.name or "")
    refuse_former_cells(SweepFolder(sweep))
    base = searched_run(options, recipe, sweep)
    settings = search_settings(options, base, objective)
    if options.dry_run:
        print(_described(options, sweep, base, settings))
        return 0
    with exclusive_lock(sweep / SEARCH_FOLDER / "search.lock", _print_waiting):
        study = Study.opened(sweep, settings, options.at_once)
        print(
            f"search of {counted(options.trials, 'trial')} in {sweep}, {len(study.finished)} done; {_aim(objective)}",
            flush=True,
        )
        cells, all_ended = _run_rounds(study, options, base, sweep, recipe)
        if cells:
            finish(sweep, cells)
        files = [write_trials(study, sweep), *draw_trials(study, sweep)]
    print_trials(study)
    print(f"written: {', '.join(map(str, files))}")
    best = study.best()
    if best is not None:
        elsewhere = sweep.parent != Path("runs").absolute()
        where = ["--runs", str(sweep.parent)] if elsewhere else []
        cell = [sweep.name, "--cells", str(best.user_attrs[CELL])]
        print(
            f"best: trial {best.number}, {objective} {shown(best.value)} on {objective.split} ({shown_point(best.params)});"
            f" to test it: {program('measure')} {shlex.join([*cell, '--split', 'test', *where])}"
        )
    return 0 if all_ended and best is not None else 1


def _run_rounds(
    study: Study, options: Sweep, base: RunConfig, sweep: Path, recipe: FoundRecipe
) -> tuple[list[Cell], bool]:
    """Run rounds until there are enough trials; returns the cells of this launch, and whether each trial ended."""
    cells: dict[str, Cell] = {}
    while True:
        left = options.trials - len(study.finished)
        if left <= 0:
            return list(cells.values()), True
        trials = study.next_round(min(options.at_once, left))
        for stage in (*study.settings.prune_after, base.training.epochs):
            planned = {trial.number: _cell_of(base, point, stage, sweep) for trial, point in trials}
            cells |= {cell.name: cell for cell in planned.values()}
            is_last = stage == base.training.epochs
            states = _run(options, planned.values(), sweep, recipe, is_end=is_last and left <= len(trials))
            options = replace(options, preflight=False)
            for trial, _ in trials:
                trial.set_user_attr(CELL, planned[trial.number].name)
            going_on = _told(study, trials, planned, states, is_last=is_last)
            if going_on is None:
                print("stopped; run the same command to resume the search")
                return list(cells.values()), False
            trials = going_on
            if not trials:
                break
        write_trials(study, sweep)


def _run(
    options: Sweep, cells: Iterable[Cell], sweep: Path, recipe: FoundRecipe, *, is_end: bool
) -> dict[str, State]:
    """Train and measure cells, each once, although two trials may have the same; at the end also wait for the table."""
    backend = make_backend(options.cluster, sweep, options.resources, options.cluster_config)
    different = list({cell.name: cell for cell in cells}.values())
    states = run_cells(options, different, sweep, backend, recipe.source, waits_for_table=is_end)
    assert states is not None, "it does not detach"
    return states


def _told(
    study: Study,
    trials: Sequence[tuple[optuna.Trial, Point]],
    cells: dict[int, Cell],
    states: dict[str, State],
    *,
    is_last: bool,
) -> list[tuple[optuna.Trial, Point]] | None:
    """Tell the study how the trials' cells ended; returns those that go on, or None if some were stopped."""
    from optuna.trial import TrialState

    open_trials, stopped = [], False
    for trial, point in trials:
        cell = cells[trial.number]
        state = states[cell.name]
        said = f"trial {trial.number} ({shown_point(point)})"
        if state.phase == "stopped":
            stopped = True
            continue
        value, why = study.settings.objective.value(cell) if state.phase == "done" else (None, state.detail)
        if value is None:
            trial.set_user_attr(WHY, why)
            study.study.tell(trial, state=TrialState.FAIL)
            print(f"{said} failed: {why}")
        elif is_last:
            study.study.tell(trial, value)
            best = study.best()
            assert best is not None  # this one, if no other
            print(f"{said}: {shown(value)}; the best is {shown(best.value)}, of trial {best.number}")
        else:
            if cell.config.training.epochs not in study.study.trials[trial.number].intermediate_values:
                trial.report(value, cell.config.training.epochs)
            open_trials.append((trial, point))
    if stopped:
        return None
    going_on = []
    for trial, point in open_trials:
        if trial.should_prune():
            study.study.tell(trial, state=TrialState.PRUNED)
            epochs = cells[trial.number].config.training.epochs
            print(
                f"trial {trial.number} ({shown_point(point)}) is pruned after {counted(epochs, 'epoch')}, with a checkpoint:"
                " it is worse than the median of those that were completed"
            )
        else:
            going_on.append((trial, point))
    return going_on


def _cell_of(base: RunConfig, point: Point, epochs: int, sweep: Path) -> Cell:
    """The cell of a trial with a number of epochs: a longer one continues from the checkpoint of a shorter one."""
    run = with_values(base, point, "--search")
    run = replace(run, training=replace(run.training, epochs=epochs))
    (cell,) = planned_cells([run], sweep)
    return cell


def _described(options: Sweep, sweep: Path, base: RunConfig, settings: SearchSettings) -> str:
    """What the next round would do."""
    from launch.dry_run import describe

    study = Study.previewed(sweep, settings, options.at_once)
    left = max(0, options.trials - len(study.finished))
    lines = [
        f"search of {counted(options.trials, 'trial')}, {len(study.finished)} done; {_aim(settings.objective)}",
        *(f"  {entry}" for entry in settings.space),
    ]
    if not left:
        return "\n".join(lines)
    points = [point for _, point in study.next_round(min(options.at_once, left))]
    stage = min((*settings.prune_after, base.training.epochs))
    cells = [_cell_of(base, point, stage, sweep) for point in points]
    data = needed_data([base], options.places)
    backend = make_backend(options.cluster, sweep, options.resources, options.cluster_config, dry_run=True)
    fields = [entry.field for entry in settings.space]
    later = " (a new search; one that was interrupted first runs what it left)"
    return "\n".join(
        [
            *lines,
            f"next round{later}:",
            describe(cells, data, backend, options.runs, needed_readers(cells), fields),
        ]
    )


def _aim(objective: Objective) -> str:
    return f"{objective} on {objective.split} is {objective.direction}d (a search never measures test)"


def _print_waiting() -> None:
    print("another launcher runs this search; waiting for it", flush=True)
