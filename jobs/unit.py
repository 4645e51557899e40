"""What the units on a node share: the cell they work on, the log they write, the tracker they report to."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.errors import ConfigError, RunError
from data_prep.lock import exclusive_lock
from pipeline.cell import Cell
from pipeline.config import flat
from pipeline.data.dataset import DataSet
from pipeline.tracking import DatasetInput, Tracker

EXIT_INTERRUPTED = 75
"""Exit status of a run that was asked to stop and goes on when it is started again (EX_TEMPFAIL)."""


def log_to_stderr() -> None:
    """Send what the pipeline has to say to the standard error of the unit."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for floor in ("data_prep", "pipeline", "jobs"):
        logging.getLogger(floor).setLevel(logging.INFO)


def open_data(cell: Cell) -> DataSet:
    """The prepared data set that the cell's configuration names."""
    if not cell.config.data.folder:
        raise ConfigError(
            f"{cell.config_file}: data.folder is empty; prepare the data set (python launch/prepare.py"
            f" {cell.config.data.name}) and name its folder there"
        )
    data = DataSet(Path(cell.config.data.folder))
    if data.manifest.name != cell.config.data.name:
        raise ConfigError(f"{data.folder} holds {data.manifest.name}, and the run wants {cell.config.data.name}")
    return data


@contextmanager
def alone_in(cell: Cell) -> Iterator[None]:
    """Hold the cell while the block runs; RunError where another process is at work in it.

    The system takes the lock back when its holder dies, however it dies.
    """

    def refuse() -> None:
        raise RunError(f"another process is at work in {cell.folder}; wait for it, or stop it first")

    with exclusive_lock(cell.folder / "lock", on_wait=refuse):
        yield


def tracker_for(cell: Cell, data: DataSet) -> Tracker:
    """Where the numbers of a cell go; the same cell goes on with the same MLflow run."""
    return Tracker(
        cell.folder,
        settings=cell.config.tracking,
        params=flat(cell.config),
        tags={},
        run_name=cell.name,
        data=DatasetInput(name=data.manifest.name, digest=data.manifest.digest, source=str(data.folder)),
    )


def share_of_processors(ranks_here: int) -> int:
    """Threads that one of the ranks on this node may use."""
    available = int(os.environ.get("SLURM_CPUS_PER_TASK", 0)) or len(os.sched_getaffinity(0)) // ranks_here
    return max(1, available)
