"""More epochs for a finished run: a cell begins where the same run with fewer epochs ended."""

from __future__ import annotations

import glob
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

from data_prep.errors import UserError
from data_prep.files import atomic_path
from pipeline.cell import Cell
from pipeline.cells.checkpoint_markers import checkpoint_file, is_good, newest_step
from pipeline.cells.folder import TRAINED_FILE
from pipeline.config import identity, readable_name
from pipeline.tracking.state import METRICS_FILE

log = logging.getLogger(__name__)


def extend_shorter_run(cell: Cell, data_digest: str, guard: Callable[[], None]) -> None:
    """Copy the last checkpoint and the metrics of the longest trained cell of the sweep that only has fewer epochs.

    Training then resumes after its last step, bit for bit as if it had had all epochs from the start: nothing depends on
    their number but a one-cycle learning rate, with which nothing is copied. Only a cell without a checkpoint does so.

    Args:
        cell: a cell that is about to be trained.
        data_digest: of its data set.
        guard: called before anything is written; raises LeaseLost.
    """
    if newest_step(cell.checkpoints) is not None or cell.config.optimiser.schedule != "constant":
        return
    shorter = max(_shorter(cell, data_digest), key=lambda other: other.config.training.epochs, default=None)
    if shorter is None:
        return
    step = shorter.last_step()
    source = checkpoint_file(shorter.checkpoints, -1 if step is None else step)
    if step is None or not is_good(source):
        return
    target = checkpoint_file(cell.checkpoints, step)
    cell.checkpoints.mkdir(parents=True, exist_ok=True)
    copies = [(shorter.folder / METRICS_FILE, cell.folder / METRICS_FILE), (source, target)]
    for here, there in (*copies, (source.with_suffix(".json"), target.with_suffix(".json"))):  # marker last
        guard()
        if here.is_file():
            with atomic_path(there) as part:
                shutil.copyfile(here, part)
    log.info(
        "begins after epoch %d, where %s ended: it is the same run with fewer epochs",
        shorter.config.training.epochs,
        shorter.name,
    )


def _shorter(cell: Cell, data_digest: str) -> Iterator[Cell]:
    """Trained cells of the sweep that would be this one with its number of epochs."""
    wanted, epochs = identity(cell.config, data_digest), cell.config.training.epochs
    names = f"{glob.escape(readable_name(cell.config))}-*/{TRAINED_FILE}"
    for file in cell.folder.parent.glob(names):
        try:
            other = Cell.open(file.with_name("config.json"))
        except UserError:
            continue
        longer = replace(other.config, training=replace(other.config.training, epochs=epochs))
        same_data = other.name.endswith(identity(other.config, data_digest))
        if same_data and other.config.training.epochs < epochs and identity(longer, data_digest) == wanted:
            yield other
