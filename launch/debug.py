"""One run in this process, where breakpoints work: ``python launch/debug.py ccvae --data fashion-mnist``."""

from __future__ import annotations

import gc
import inspect
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

if not __package__:  # run as a file: Python then searches launch/, not the root of the code
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

import tyro

from data_prep.errors import Interrupted, LaunchError, report_user_errors
from data_prep.program_name import as_called, program
from data_prep.start_up import imports_are_done
from jobs.evaluate import evaluate_cell
from jobs.train import SECONDS_TO_THE_FIRST_UPLOAD, train_cell
from launch.command_line import appended
from launch.commands import children_import_this_code
from launch.help_texts import flowing_help
from launch.plan import DataPlaces, located, make_cells, write_cells
from launch.readers import needed_readers, with_readers
from launch.scripting import claim_for_one_process
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.plan import is_done
from pipeline.models.registry import PRESETS
from pipeline.training.interruption import stop_requests
from pipeline.training.settings import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Debug:
    """Train and measure one run in this process: one rank, no submitit, breakpoints work.

    The run is stored like any other (checkpoints, metrics, figures, MLflow) in the sweep named debug. Ctrl-C stops it after
    a checkpoint, and the same command resumes from there. Measures that rest on label readers get a quickly trained one.

    Examples:
      python launch/debug.py ccvae --data fashion-mnist --supervision-rate 0.06 --epochs 1
      python launch/debug.py ccvae --help      every field of a run, with its default
    """

    run: tyro.conf.OmitArgPrefixes[RunConfig]
    places: tyro.conf.OmitArgPrefixes[DataPlaces] = field(default_factory=DataPlaces)
    runs: Path = Path("runs")
    """folder of the sweeps and the MLflow store"""
    fresh: bool = False
    """discard an earlier run with the same settings, and start over"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` without the program's name."""
    with report_user_errors():
        _check_system(list(sys.argv[1:] if arguments is None else arguments))
        presets = {
            name: (
                preset.describes,
                Debug(
                    run=RunConfig(
                        data=DataConfig(supervision_rate=0.0, one_per_class=True)
                        if preset.one_per_class
                        else DataConfig(),
                        model=preset.config(),
                        training=TrainingConfig(epochs=1),
                    )
                ),
            )
            for name, preset in PRESETS.items()
        }
        with flowing_help():
            options = tyro.extras.overridable_config_cli(
                presets,
                args=appended(arguments, Debug),
                prog=program("debug"),
                description=as_called(inspect.cleandoc(Debug.__doc__ or "")),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
        debug_run(options)


def _check_system(arguments: Sequence[str]) -> None:
    """LaunchError if the first word is no system; tyro would name all of them, and not the likely one."""
    word = arguments[0] if arguments and arguments[0][:1] != "-" else ""
    known = {name.replace("_", "-"): name for name in PRESETS}
    if word and word.replace("_", "-") not in known:
        likely = [known[name] for name in get_close_matches(word.replace("_", "-"), known, 1)]
        hint = f"did you mean {likely[0]}?" if likely else f"{program('debug')} --help lists them"
        raise LaunchError(f"there is no system {word!r}; {hint}")


def debug_run(options: Debug) -> None:
    """Train and measure the run, and print its numbers."""
    sweep = (options.runs / "debug").absolute()
    claim_for_one_process(sweep, options.run.tracking.experiment)
    tracking = replace(options.run.tracking, sweep="debug")
    one_rank = replace(
        options.run,
        training=replace(options.run.training, ranks=1),
        measures=replace(options.run.measures, quick_readers=True),
    )
    runs = with_readers(located([one_rank], options.places), sweep.parent, options.places.raw)
    (cell,) = make_cells(runs, sweep, options.places, tracking)
    if options.fresh:
        shutil.rmtree(cell.folder)
        cell.write()
    if is_done(cell):
        print(f"this run is done: {cell.folder} (--fresh starts over)")
        return
    try:
        with stop_requests():  # also what arrives after one of them has last looked stops the next
            for reader in write_cells(needed_readers([cell]), tracking):
                train_cell(reader.config_file, patience_s=SECONDS_TO_THE_FIRST_UPLOAD)
                evaluate_cell(reader.config_file)
            train_cell(cell.config_file, patience_s=SECONDS_TO_THE_FIRST_UPLOAD)
            numbers = evaluate_cell(cell.config_file)
    except Interrupted as stop:
        print(stop)
        raise SystemExit(130) from None
    for name, value in numbers.items():
        print(f"{name:26} {value:.4f}")
    print(f"figures, checkpoints and metrics: {cell.folder}")


if __name__ == "__main__":
    imports_are_done()
    children_import_this_code()
    main()
