"""Which queued jobs train the label readers that the measures of cells rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from launch.clusters.slurm.queue import QueuedJob
from launch.clusters.slurm.register import Register
from launch.readers import untrained_readers
from pipeline.cell import Cell


def training_readers(cells: Sequence[Cell], queue: Mapping[str, QueuedJob]) -> dict[str, tuple[str, ...]]:
    """Name of a cell → the queued arrays that train its readers, submitted for whichever sweep; ``queue``: of all sweeps."""
    registers: dict[str, Register] = {}
    found = {}
    for cell in cells:
        arrays = set()
        for folder in untrained_readers(cell):
            register = registers.setdefault(str(folder.parent), Register(folder.parent))
            job = register.jobs_of(folder.name).get("train", "")
            if job in queue:
                arrays.add(job.partition("_")[0])
        if arrays:
            found[cell.name] = tuple(sorted(arrays))
    return found
