"""The arrays of a sweep that is not submitted yet, with the exact text for sbatch, for a dry run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from launch.clusters.packing import refuse_to_pack_ranks
from launch.clusters.slurm import data as preparing
from launch.clusters.slurm.job_resources import JobResources
from launch.clusters.slurm.pending_work import PendingWork
from launch.clusters.slurm.snapshot import code_content, snapshot_folder
from launch.clusters.slurm.stages import planned
from launch.clusters.slurm.sweep_jobs import SweepJobs, preparation_within
from launch.plan import NeededData
from launch.readers import untrained_readers
from pipeline.cell import Cell
from pipeline.measures.plan import is_done


def described(
    sweep: Path,
    jobs: JobResources,
    cells: Sequence[Cell],
    data: Sequence[NeededData],
    readers: Sequence[Cell] = (),
) -> str:
    """The arrays, those of the sweep's label readers first.

    Raises:
        LaunchError: cells of several ranks cannot share a GPU.
    """
    refuse_to_pack_ranks(cells, jobs.as_given())
    folders = sorted({reader.folder.parent for reader in readers})
    before = [_of_readers(folder, jobs, readers) for folder in folders]
    now = PendingWork(
        train=[cell for cell in cells if not is_done(cell) and not cell.is_trained()],
        measure=[cell for cell in cells if not is_done(cell) and cell.is_trained()],
        readers={cell.name: ("ID_OF_READERS",) for cell in cells if untrained_readers(cell)},
    )
    limits = jobs.limits()
    preparations = [
        preparation_within(limits, entry, preparing.expected_shards(entry), {})
        for entry in data
        if not entry.is_ready()
    ]
    for entry in preparations:
        for array in entry.arrays[:-1]:
            array.not_known = preparing.why_not_counted(entry.data)
    names = [cell.name for cell in cells]
    arrays = planned(now, preparations, limits, sweep, names)
    submitter = SweepJobs(sweep, jobs).submitter(snapshot_folder(sweep, code_content()), lock=None)
    texts = submitter.describe(arrays)
    still_open = [*now.train, *now.measure]
    chosen = jobs.of_the_largest(still_open)[1] if still_open else []
    numbered = (
        f"# array {number}: {array.stage}, {array.size}\n{text}\n"
        for number, (array, text) in enumerate(zip(arrays, texts, strict=True), start=1)
    )
    return "\n".join([*before, *chosen, *numbered])


def _of_readers(folder: Path, jobs: JobResources, readers: Sequence[Cell]) -> str:
    own = [reader for reader in readers if reader.folder.parent == folder]
    return (
        f"# label readers, in {folder}; the first array is ID_OF_READERS below\n"
        f"{described(folder, jobs, own, [])}"
    )
