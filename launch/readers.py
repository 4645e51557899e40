"""The label readers that measures rest on: named in every run, and trained next to the first cells that need them.

They are the cells of a sweep of their own next to the others, ``readers-<data>-<digest8>``, so that any sweep over the same
data finds them, and ``sweep.py status``, ``logs`` and ``cancel`` work on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from data_prep.errors import DataSetError, UserError
from data_prep.lock import exclusive_lock
from data_prep.manifest import Manifest
from data_prep.sources import source_named
from data_prep.sources.options import parsed_options
from launch.launch_record import record_launch
from launch.plan import planned_cells, write_cells
from launch.recipes.label_readers import label_readers
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.plan import is_done, unsettled
from pipeline.measures.settings import MeasuresConfig
from pipeline.tracking import TrackingSettings, source_tags, start_sweep
from pipeline.tracking.runs import READERS
from pipeline.tracking.sweep_identity import claim_sweep


@dataclass(frozen=True, slots=True)
class ReaderSweep:
    """Readers of one data set that are to be trained or measured, in the folder of their sweep."""

    folder: Path
    cells: list[Cell]
    lock: BinaryIO
    """Of the folder, held."""


def with_readers(runs: Iterable[RunConfig], sweeps: Path, raw: Path | None = None) -> list[RunConfig]:
    """Located runs with the readers of their data in their measures; none for data that have no labels to read.

    Args:
        runs: with the folders of their data sets, prepared or not.
        sweeps: the folder of the sweeps.
        raw: folder of the raw files, if the user named one.
    """
    known: dict[tuple[DataConfig, bool], tuple[str, ...]] = {}
    named = []
    for run in runs:
        key = _data_alone(run.data), run.measures.quick_readers
        if key not in known:
            readers = reader_cells(*key, sweeps) if _can_be_read(key[0], raw) else []
            known[key] = tuple(str(reader.folder) for reader in readers)
        named.append(replace(run, measures=replace(run.measures, readers=known[key])))
    return named


def reader_cells(data: DataConfig, quick: bool, sweeps: Path) -> list[Cell]:
    """The readers of a data set, trained or not; nothing is written."""
    digest = Path(data.folder).name.rpartition("-")[2][:8]
    sweep = sweeps.absolute() / f"{READERS}{'quick-' if quick else ''}{data.name}-{digest}"
    return planned_cells(label_readers(_data_alone(data), quick=quick), sweep)


def needed_readers(cells: Iterable[Cell]) -> list[Cell]:
    """The readers that a missing result of these cells rests on, and that are not trained and measured yet."""
    needed: dict[Path, Cell] = {}
    for cell in cells:
        measures = cell.measures_config()
        if measures.readers and any(
            "label_readers" in entry.measure.needs.extras for entry in unsettled(cell)
        ):
            sweeps = Path(measures.readers[0]).parents[1]
            found = reader_cells(cell.config.data, measures.quick_readers, sweeps)
            needed |= {reader.folder: reader for reader in found}
    return [reader for reader in needed.values() if not is_done(reader)]


def untrained_readers(cell: Cell) -> list[Path]:
    """The folders of the readers that a missing result of a cell rests on, and that are not trained yet."""
    measures: MeasuresConfig = cell.measures_config()
    if not any("label_readers" in entry.measure.needs.extras for entry in unsettled(cell)):
        return []
    return [folder for text in measures.readers if not CellFolder(folder := Path(text)).is_trained()]


@contextmanager
def written_readers(
    readers: Sequence[Cell], uri: str, tracking: TrackingSettings, again: Any
) -> Iterator[list[ReaderSweep]]:
    """Write the ``config.json`` of readers under the locks of their sweeps, which are held while the block submits them.

    Args:
        readers: those that are to be trained or measured; what failed is tried again.
        uri: address of the MLflow store.
        tracking: that of the sweep that needs them.
        again: the options of ``launch/sweep.py`` with which ``retry`` starts failed ones again.
    """
    sweeps: list[ReaderSweep] = []
    with ExitStack() as locks:
        # In one order, so that two launchers never wait for each other.
        for folder in sorted({reader.folder.parent for reader in readers}):
            folder.mkdir(parents=True, exist_ok=True)
            lock = locks.enter_context(exclusive_lock(folder / "launch.lock", _print_waiting))
            identity = claim_sweep(folder, tracking.experiment)
            tags = {"recipe": "label-readers", **source_tags()}
            parent = start_sweep(uri, identity.experiment, folder.name, tags, identity)
            settings = replace(tracking, sweep=folder.name, parent_run_id=parent.parent_run_id)
            own = [reader for reader in readers if reader.folder.parent == folder]
            cells = write_cells(own, settings, reset_failure=True)
            record_launch(folder, again, [cell.name for cell in cells])
            print(f"label readers: {len(cells)} to train or measure in {folder}", flush=True)
            sweeps.append(ReaderSweep(folder, cells, lock))
        yield sweeps


def of_readers(sweeps: Iterable[ReaderSweep]) -> list[Cell]:
    """The cells of all of these sweeps."""
    return [cell for sweep in sweeps for cell in sweep.cells]


def _data_alone(data: DataConfig) -> DataConfig:
    """The data set without how a run uses it."""
    return DataConfig(name=data.name, options=data.options, folder=data.folder)


def _can_be_read(data: DataConfig, raw: Path | None) -> bool:
    """Whether readers take the data: square images with labels; True if that is not known yet."""
    try:
        manifest = Manifest.load(Path(data.folder))
        labels, (_, height, width) = len(manifest.labels), manifest.image_shape
    except DataSetError:
        try:
            source = source_named(data.name, raw, parsed_options(data.options))
            labels, (_, height, width) = len(source.labels()), source.image_shape()
        except (UserError, OSError):
            return True
    return labels > 0 and height == width


def _print_waiting() -> None:
    print("another launcher is submitting these label readers; waiting for it", flush=True)
