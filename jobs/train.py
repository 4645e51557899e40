"""Trains one cell, or goes on training it: ``python -m jobs.train --config FILE``.

One process per rank; rank and world size come from torchrun, SLURM or submitit, and without any of them it is the only
one. A cell that is trained already is left as it is.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import tyro

from data_prep.errors import Interrupted, report_user_errors
from jobs.unit import (
    EXIT_INTERRUPTED,
    alone_in,
    limit_threads,
    logged,
    open_data,
    take_rank_from_submitit,
    tracker_for,
)
from pipeline.cell import Cell
from pipeline.training.loop import train
from pipeline.world import joined_world


def train_cell(config_file: Path) -> None:
    """Train the cell of a ``config.json`` until its last epoch.

    Raises:
        Interrupted: it was asked to stop, and goes on from its checkpoint when it is started again.
        UserError: something the user can put right (see ``data_prep.errors``).
    """
    cell = Cell.open(config_file)
    take_rank_from_submitit()
    with logged(cell, "train"):
        if not cell.is_done():
            _train(cell)


def _train(cell: Cell) -> None:
    limit_threads()
    config, data = cell.config, open_data(cell)
    with joined_world(config.training.ranks, config.training.device) as world, ExitStack() as held:
        if not world.is_first:
            train(config, cell.checkpoints, data, world, record=lambda *_: None)
            return
        held.enter_context(alone_in(cell))
        tracker = held.enter_context(tracker_for(cell, data))
        try:
            model = train(config, cell.checkpoints, data, world, record=tracker.log)
        except Interrupted:
            tracker.close("running")
            raise
        tracker.artifact(cell.config_file)
        tracker.model(model)
        tracker.close("running")  # measuring it ends the run


@dataclass
class Arguments:
    """Train one cell of a sweep, or go on training it."""

    config: Path
    """The cell's `config.json`; checkpoints and metrics go beside it."""


def main() -> None:
    """Command line."""
    with report_user_errors():
        arguments = tyro.cli(Arguments, prog="python -m jobs.train")
        try:
            train_cell(arguments.config)
        except Interrupted:
            raise SystemExit(EXIT_INTERRUPTED) from None


if __name__ == "__main__":
    main()
