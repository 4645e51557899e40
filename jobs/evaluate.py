"""Measures one trained cell and marks it done: ``python -m jobs.evaluate --config FILE``.

Numbers and figures go to the MLflow run of the training. A cell that is done is left as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from data_prep.errors import Interrupted, RunError, report_user_errors
from jobs.exit_status import exits_as_a_unit
from jobs.outcome import Outcome, write_outcome
from jobs.unit import limit_threads, logged, open_data, tracker_for
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.lease import hold_lease
from pipeline.figures.draw import draw_figures
from pipeline.measures.classification import classification
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.likelihood import likelihood
from pipeline.models.capabilities import Classifies
from pipeline.models.interface import DataSpec
from pipeline.training import checkpoint
from pipeline.training.interruption import StopRequest, stop_requests
from pipeline.training.memory import keep_freed_memory
from pipeline.training.watchdog import watching_for_hangs
from pipeline.world import choose_device

log = logging.getLogger(__name__)


def evaluate_cell(config_file: Path) -> dict[str, float]:
    """Measure the trained cell of a ``config.json``; returns the numbers.

    Why it ends without them stands in the cell's ``outcome.json``.

    Raises:
        Interrupted: it was asked to stop, and measures anew when it is started again.
        RunError: the cell is not trained to its last step, or another process is at work in it.
    """
    with stop_requests() as stop:
        cell = Cell.open(config_file)
        with logged(cell, "evaluate") as log_file:
            if cell.is_done():
                return {}
            attempt = Attempt.here()
            try:
                return _evaluate(cell, attempt, stop, log_file)
            except Exception as error:
                write_outcome(cell, "evaluate", attempt, error)
                raise


def _evaluate(cell: Cell, attempt: Attempt, stop: StopRequest, log_file: Path) -> dict[str, float]:
    limit_threads()
    keep_freed_memory()
    config, data = cell.config, open_data(cell)
    device = choose_device(config.training.device, local_rank=0)
    with (
        hold_lease(cell.folder, attempt, "evaluate") as lease,
        tracker_for(cell, data, lease.check) as tracker,
    ):
        Outcome.clear(cell.folder)
        state = checkpoint.load_newest(cell.checkpoints, device)
        wanted = config.last_step(data.manifest.splits["train"].rows)
        if state is None or state["step"] != wanted:
            found = "no checkpoint" if state is None else f"step {state['step']}"
            raise RunError(f"{cell.folder} is not trained yet: it has {found} of {wanted}; train it first")
        model = config.model.build(DataSpec.of(data.manifest)).to(device).eval()
        model.load_state_dict(state["model"])
        torch.manual_seed(config.seed)
        asked = config.measures
        try:
            with (
                stop.ends_at_once("asked to stop while it was measured; started again, it is measured anew"),
                watching_for_hangs(asked.hang_seconds, log_file) as heartbeat,
            ):
                examples = MeasuredSplit(data, asked.split, device, asked.measure_batch_size, heartbeat)
                numbers = likelihood(model, examples)
                if isinstance(model, Classifies):
                    numbers |= classification(model, examples)
                lease.check()
                draw_figures(model, examples, cell.figures)
        except Interrupted:
            tracker.close("running")
            raise
        tracker.log("test", wanted, numbers)
        tracker.artifact(cell.figures, "figures")
        tracker.close("finished")
        lease.check()
        cell.mark_done()
    for name, value in numbers.items():
        log.info("test/%s: %.4f", name, value)
    return numbers


@dataclass
class Arguments:
    """Measure a trained cell of a sweep."""

    config: Path
    """The cell's `config.json`."""


def main() -> None:
    """Command line."""
    with report_user_errors():
        arguments = tyro.cli(Arguments, prog="python -m jobs.evaluate")
    with exits_as_a_unit():
        evaluate_cell(arguments.config)


if __name__ == "__main__":
    main()
