"""Measures already trained cells: ``python launch/measure.py SWEEP --measures likelihood --split valid``."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import indent

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

from data_prep.counted import counted
from data_prep.errors import ConfigError, LaunchError, report_user_errors
from data_prep.lock import exclusive_lock
from data_prep.manifest import Manifest
from data_prep.program_name import program
from data_prep.stages import is_complete
from data_prep.start_up import imports_are_done
from launch.clusters import make_backend
from launch.command_line import parsed
from launch.commands import children_import_this_code
from launch.finish import finish, finish_readers
from launch.former import refuse_former_cells
from launch.launch_record import record_launch
from launch.measure_options import Measure
from launch.monitoring.named import SweepFolder
from launch.monitoring.watch import failures, summary
from launch.plan import DataPlaces, needed_data
from launch.readers import needed_readers, of_readers, with_readers, written_readers
from launch.start import print_waiting, run_to_the_end
from launch.stopping import stopping_as_with_ctrl_c
from launch.store import wait_for_store
from launch.sweep_options import Sweep
from launch.uploads import bring_finished_cells, destination, name_parent
from pipeline.cell import Cell
from pipeline.cells.measurements import Failure, Result
from pipeline.measures.plan import is_done, needs_readers, planned, unsettled
from pipeline.measures.registry import describe as describe_measures
from pipeline.measures.settings import MeasuresConfig
from pipeline.tracking import tracking_uri


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        described = (
            f"{inspect.cleandoc(Measure.__doc__ or '')}\n\nMeasures:\n{indent(describe_measures(), '  ')}"
        )
        options = parsed(Measure, arguments, prog=program("measure"), description=described)
        raise SystemExit(measure_sweep(options))


def measure_sweep(options: Measure) -> int:
    """Measure the cells; returns the exit status: 0 if every result exists, 1 if not."""
    with stopping_as_with_ctrl_c():
        return _measure_sweep(options)


def _measure_sweep(options: Measure) -> int:
    if options.detach and options.cluster != "slurm":
        raise LaunchError(f"--detach needs --cluster slurm: with {options.cluster} nothing would continue")
    sweep = SweepFolder.named(options.sweep, options.runs)
    refuse_former_cells(sweep)
    trained, untrained = _chosen(sweep, options.cells)
    cells = [
        replace(cell, config=replace(cell.config, measures=_with_options(cell, options))) for cell in trained
    ]
    check_splits(cells)
    cells = _with_readers(cells, sweep.path.parent)
    to_do = [cell for cell in cells if unsettled(cell)]
    print("\n".join([f"sweep {sweep.path.name}: {counted(len(cells), 'trained cell')}", *describe(cells)]))
    if untrained:
        print(f"skipped, since they are not trained: {len(untrained)} ({_some(untrained)})")
    if not options.dry_run:
        _clear_outdated_failures(trained, to_do)
    if not to_do:
        print("everything is already measured: nothing to do")
        return 0
    backend = make_backend(
        options.cluster, sweep.path, options.resources, options.cluster_config, dry_run=options.dry_run
    )
    data, readers = needed_data([cell.config for cell in to_do], DataPlaces()), needed_readers(to_do)
    if options.dry_run:
        print(
            f"{backend.describe(to_do, data, readers)}\n{counted(len(to_do), 'cell')} to be measured; nothing was written"
        )
        return 0

    uri = tracking_uri(cells[0].config.tracking.uri, sweep.path.parent)
    wait_for_store(uri)
    backend.check([*readers, *to_do], data, uri, thorough=options.preflight)
    with exclusive_lock(sweep.path / "launch.lock", print_waiting) as lock:
        for before, cell in zip(trained, cells, strict=True):
            _write_readers(before, cell.config.measures.readers)
        for cell in to_do:
            cell.reset_failure()
        record_launch(sweep.path, options, [cell.name for cell in to_do], command="measure")
        to = destination(sweep.path, uri)
        bring_finished_cells(trained, uri, to)
        for cell in trained:
            name_parent(cell, to)
        with written_readers(readers, uri, cells[0].config.tracking, _as_sweep(options)) as reader_sweeps:
            backend.submit(to_do, lock, train=False, readers=reader_sweeps)
    if options.detach:
        print(backend.interrupt(again=False))
        return 0
    states = run_to_the_end(backend, to_do, sweep.path, options.cluster, reader_sweeps)
    for line in [*failures(states, [*of_readers(reader_sweeps), *to_do]), summary(states)]:
        print(line)
    finish_readers(reader_sweeps)
    finish(sweep.path, trained)
    return 0 if all(state.phase == "done" for state in states.values()) else 1


def _clear_outdated_failures(trained: Sequence[Cell], to_do: Sequence[Cell]) -> None:
    """Take ``FAILED`` from cells that have all results by now, those of their own configuration included."""
    names = {cell.name for cell in to_do}
    for cell in trained:
        if cell.name not in names and is_done(cell):
            cell.reset_failure()


def describe(cells: Sequence[Cell]) -> list[str]:
    """A line per measure and split: how many cells have its result, and how many are to be measured."""
    counts: dict[str, dict[str, int]] = {}
    for cell in cells:
        measures = cell.measures_config()
        for text, entry in zip(measures.take, planned(measures), strict=True):
            counted = counts.setdefault(f"{text} on {measures.split}", {})
            said = _status(cell, entry.key.folder(cell.folder))
            counted[said] = counted.get(said, 0) + 1
    return [
        f"  {name}: {', '.join(f'{number} {said}' for said, number in counted.items())}"
        for name, counted in counts.items()
    ]


def _status(cell: Cell, folder: Path) -> str:
    result = Result.read(folder)
    if result is not None:
        return "already measured" if result.status == "measured" else f"not applicable ({result.reason})"
    return "to be measured" if Failure.read(folder) is None else "to be repeated, since it failed"


def check_splits(cells: Sequence[Cell]) -> None:
    """Check that the data sets exist and have the splits.

    Raises:
        LaunchError: one is missing.
        ConfigError: one has no such split.
    """
    for folder, split in dict.fromkeys(
        (cell.config.data.folder, cell.config.measures.split) for cell in cells
    ):
        if not is_complete(Path(folder), betons=False):
            raise LaunchError(
                f"the data set {folder} of this sweep is missing; prepare it again (the command that started the sweep"
                " does), or restore it"
            )
        splits = Manifest.load(Path(folder)).splits
        if split not in splits:
            raise ConfigError(f"{Path(folder).name} has no split {split!r}; there are: {', '.join(splits)}")


def _chosen(sweep: SweepFolder, texts: tuple[str, ...]) -> tuple[list[Cell], list[str]]:
    """The trained cells whose name contains one of the texts, and the names of those that are not trained."""
    named = [cell for cell in sweep.cells if not texts or any(text in cell.name for text in texts)]
    if not named:
        raise LaunchError(f"no cell of {sweep.path.name} has {' or '.join(texts)} in its name")
    trained = [Cell.open(cell.config_file) for cell in named if cell.is_trained()]
    if not trained:
        raise LaunchError(f"no cell of {sweep.path.name} is trained yet")
    return trained, [cell.name for cell in named if not cell.is_trained()]


def _with_options(cell: Cell, options: Measure) -> MeasuresConfig:
    own = cell.config.measures
    return replace(own, take=options.measures or own.take, split=options.split or own.split)


def _as_sweep(options: Measure) -> Sweep:
    """The options of ``launch/sweep.py`` that start cells in the same place."""
    return Sweep(
        cluster=options.cluster,
        preflight=options.preflight,
        runs=options.runs,
        cluster_config=options.cluster_config,
        resources=options.resources,
    )


def _with_readers(cells: Sequence[Cell], sweeps: Path) -> list[Cell]:
    """The cells, with the readers of their data named where a measure rests on them.

    Those of a sweep from before there were readers name none.
    """
    judged = [cell for cell in cells if needs_readers(cell.config.measures)]
    runs = with_readers([cell.config for cell in judged], sweeps)
    named = dict(zip((cell.name for cell in judged), runs, strict=True))
    return [replace(cell, config=named.get(cell.name, cell.config)) for cell in cells]


def _write_readers(cell: Cell, readers: tuple[str, ...]) -> None:
    """Write the readers to the cell's ``config.json``, where measuring finds them; the rest of it stays as it is."""
    measures = replace(cell.config.measures, readers=readers)
    replace(cell, config=replace(cell.config, measures=measures)).write()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


if __name__ == "__main__":
    imports_are_done()
    children_import_this_code()
    main()
