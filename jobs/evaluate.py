"""Measures one trained cell: ``python -m jobs.evaluate --config FILE [--measures NAME ...] [--split SPLIT]``.

Each measure leaves its result in the cell's ``measures/`` folder. Existing results are not repeated, and a
failing measure does not affect the others.
"""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    gc.disable()  # while it imports: see data_prep.start_up

import tyro

from data_prep.errors import ConfigError, Interrupted, MeasuringError, RunError, report_user_errors
from data_prep.start_up import imports_are_done
from jobs.exit_status import exits_as_a_unit
from jobs.outcome import Outcome, write_outcome
from jobs.unit import limit_threads, logged, open_data, share_the_gpu, tracker_for
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.checkpoint_markers import newest_step
from pipeline.cells.lease import hold_lease
from pipeline.cells.measurements import Result
from pipeline.config import identity
from pipeline.figures.draw import draw_arrays
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.plan import is_done, planned, unsettled
from pipeline.measures.settings import MeasuresConfig
from pipeline.measures.take import take_all
from pipeline.measures.view import ModelView
from pipeline.models.interface import DataSpec
from pipeline.trained_readers import load_readers
from pipeline.training import checkpoint
from pipeline.training.interruption import StopRequest, stop_requests
from pipeline.training.memory import keep_freed_memory
from pipeline.training.watchdog import watching_for_hangs
from pipeline.world import choose_device

log = logging.getLogger(__name__)


def evaluate_cell(
    config_file: Path, *, take: tuple[str, ...] | None = None, split: str | None = None
) -> dict[str, float]:
    """Measure the trained cell of a ``config.json``; returns all requested numbers, by metric.

    If it fails, the reason is in the cell's ``outcome.json``.

    Args:
        config_file: of the cell.
        take: measures, by name or as ``NAME:FIELD=VALUE,...``; by default those of the configuration.
        split: the split; by default that of the configuration.

    Raises:
        Interrupted: it was asked to stop; run again, it continues with the missing measures.
        MeasuringError: some measures failed; the others have their results.
        RunError: the cell is not trained, or another process is running it.
    """
    with stop_requests() as stop:
        cell = Cell.open(config_file)
        with logged(cell, "evaluate") as log_file:
            attempt = Attempt.here()
            try:
                measures = cell.config.measures
                measures = replace(measures, take=take or measures.take, split=split or measures.split)
                if not cell.is_trained() or unsettled(cell, measures):
                    _evaluate(cell, measures, attempt, stop, log_file)
            except Exception as error:
                write_outcome(cell, "evaluate", attempt, error)
                raise
    return _numbers(cell, measures)


def _evaluate(
    cell: Cell, measures: MeasuresConfig, attempt: Attempt, stop: StopRequest, log_file: Path
) -> None:
    limit_threads()
    keep_freed_memory()
    with hold_lease(cell.folder, attempt, "evaluate") as lease:
        Outcome.clear(cell.folder)
        if not cell.is_trained():
            raise RunError(f"{cell.folder} is not trained yet: it has {_progress(cell)}; train it first")
        data = open_data(cell)
        if measures.split not in data.manifest.splits:
            raise ConfigError(
                f"{data.manifest.name} has no split {measures.split}; there are: {', '.join(data.manifest.splits)}"
            )
        device = choose_device(cell.config.training.device, local_rank=0)
        share_the_gpu(device)
        with tracker_for(cell, data, lease.check) as tracker:
            state = checkpoint.load_newest(cell.checkpoints, device)
            if state is None or state["step"] != cell.last_step():
                lease.check()
                cell.mark_untrained()
                raise RunError(
                    f"the last checkpoint of {cell.folder} is lost or damaged: it has {_progress(cell)}; train it again from"
                    " there"
                )
            model = cell.config.model.build(DataSpec.of(data.manifest)).to(device).eval()
            model.load_state_dict(state["model"])
            try:
                with (
                    stop.ends_at_once(
                        "asked to stop while measuring; run the same command to measure the rest"
                    ),
                    watching_for_hangs(measures.hang_seconds, log_file) as heartbeat,
                ):
                    examples = MeasuredSplit(
                        data, measures.split, device, measures.measure_batch_size, heartbeat
                    )
                    view = ModelView(
                        model,
                        examples,
                        identity(cell.config, data.manifest.digest),
                        load_readers=partial(load_readers, measures.readers, examples)
                        if measures.readers
                        else None,
                    )
                    failed = take_all(
                        view,
                        cell,
                        unsettled(cell, measures),
                        guard=lease.check,
                        taken=tracker.mirror_results,
                        draw=partial(draw_arrays, figures=cell.figures),
                    )
            except Interrupted:
                tracker.close("running")
                raise
            numbers = _numbers(cell, measures)
            if failed:
                message = "; ".join(f"{name}: {reason}" for name, reason in failed)
                raise MeasuringError(f"{len(failed)} of {len(measures.take)} measures failed: {message}")
            tracker.close("finished")
            lease.check()
            if is_done(cell):
                cell.clear_failure()
    for name, value in numbers.items():
        log.info("%s/%s: %.4f", measures.split, name, value)


def _progress(cell: Cell) -> str:
    step = newest_step(cell.checkpoints)
    return f"{'no checkpoint' if step is None else f'step {step}'} of {cell.last_step()}"


def _numbers(cell: Cell, measures: MeasuresConfig) -> dict[str, float]:
    found = [Result.read(entry.key.folder(cell.folder)) for entry in planned(measures)]
    return {name: number.value for result in found if result for name, number in result.numbers.items()}


@dataclass
class Arguments:
    """Measure a trained cell of a sweep."""

    config: Path
    """The cell's `config.json`."""
    take: Annotated[
        tuple[str, ...], tyro.conf.arg(name="measures", metavar="NAME[:FIELD=VALUE,...] ...")
    ] = ()
    """Measures to compute; none: those of the configuration."""
    split: str | None = None
    """Split to measure; None: that of the configuration."""


def main() -> None:
    """Command line."""
    with report_user_errors():
        arguments = tyro.cli(Arguments, prog="python -m jobs.evaluate")
    with exits_as_a_unit():
        evaluate_cell(arguments.config, take=arguments.take or None, split=arguments.split)


if __name__ == "__main__":
    imports_are_done()
    main()
