"""Measures one trained cell and marks it done: ``python -m jobs.evaluate --config FILE``.

Numbers and figures go to the MLflow run of the training. A cell that is done is left as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from data_prep.errors import RunError, report_user_errors
from jobs.unit import alone_in, limit_threads, logged, open_data, tracker_for
from pipeline.cell import Cell
from pipeline.figures.draw import draw_figures
from pipeline.measures.classification import classification
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.likelihood import likelihood
from pipeline.models.interface import Classifies, DataShape
from pipeline.training import checkpoint
from pipeline.world import choose_device

log = logging.getLogger(__name__)


def evaluate_cell(config_file: Path) -> dict[str, float]:
    """Measure the trained cell of a ``config.json``; returns the numbers.

    Raises:
        RunError: the cell is not trained to its last step, or another process is at work in it.
    """
    cell = Cell.open(config_file)
    with logged(cell, "evaluate"):
        return {} if cell.is_done() else _evaluate(cell)


def _evaluate(cell: Cell) -> dict[str, float]:
    limit_threads()
    config, data = cell.config, open_data(cell)
    device = choose_device(config.training.device, local_rank=0)
    with alone_in(cell), tracker_for(cell, data) as tracker:
        state = checkpoint.load_newest(cell.checkpoints, device)
        wanted = config.last_step(data.manifest.splits["train"].rows)
        if state is None or state["step"] != wanted:
            found = "no checkpoint" if state is None else f"step {state['step']}"
            raise RunError(f"{cell.folder} is not trained yet: it has {found} of {wanted}; train it first")
        model = config.model.build(DataShape.of(data.manifest)).to(device).eval()
        model.load_state_dict(state["model"])
        torch.manual_seed(config.seed)
        examples = MeasuredSplit(data, config.measures.split, device, config.measures.measure_batch_size)
        numbers = likelihood(model, examples)
        if isinstance(model, Classifies):
            numbers |= classification(model, examples)
        tracker.log("test", wanted, numbers)
        draw_figures(model, examples, cell.figures)
        tracker.artifact(cell.figures, "figures")
        tracker.close("finished")
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
        evaluate_cell(arguments.config)


if __name__ == "__main__":
    main()
