"""Progress of cells: the end of each ``metrics.jsonl``, read again only when it has grown, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import results
from pipeline.tracking.metric_log import Point, decode

_TAIL_BYTES = 8192
_MOST_TAIL_BYTES = 1 << 20
"""In a slow run, many samples of the node's load follow the last training metrics."""
_MEASURED_FIRST = ("classification_accuracy", "elbo")
"""The number of a measured cell to show, if it has it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the newest records of a cell say."""

    epochs: int = 0
    """Configured number of epochs; 0 if its configuration cannot be read."""
    epoch: float = 0.0
    """Epochs completed, including the fraction of the current one."""
    images_per_second: float | None = None
    metric: tuple[str, float] | None = None
    """Name and value of the last metric: the objective while it trains, a measure once it is measured."""


class ProgressReader:
    """Reads cells' progress, and remembers what has not changed."""

    def __init__(self) -> None:
        self._epochs: dict[Path, int] = {}
        self._seen: dict[Path, tuple[tuple[int, int], Progress]] = {}
        self._measured: dict[Path, tuple[str, float]] = {}

    def read(self, cell: CellFolder) -> Progress:
        """The progress of a cell; a few ``stat`` calls if nothing is new."""
        progress = self._of_training(cell)
        if not cell.is_trained():
            return progress
        if cell.folder not in self._measured:
            metric = _measured_metric(cell)
            if metric is None:
                return progress
            self._measured[cell.folder] = metric
        return replace(progress, metric=self._measured[cell.folder])

    def _of_training(self, cell: CellFolder) -> Progress:
        file = cell.folder / "metrics.jsonl"
        try:
            status = file.stat()
        except OSError:
            return Progress(self._epochs_of(cell))
        version = (status.st_mtime_ns, status.st_size)
        seen = self._seen.get(cell.folder)
        if seen is not None and seen[0] == version:
            return seen[1]
        progress = progress_of(_tail(file, status.st_size), self._epochs_of(cell))
        self._seen[cell.folder] = (version, progress)
        return progress

    def _epochs_of(self, cell: CellFolder) -> int:
        if cell.folder not in self._epochs:
            record = cell.record()
            if record is None:
                return 0
            self._epochs[cell.folder] = record.training.epochs
        return self._epochs[cell.folder]


def progress_of(points: list[Point], epochs: int) -> Progress:
    """What the points at the end of a log say, the last one being the newest."""
    epoch, speed, metric = 0.0, None, None
    for point in points:
        found = point.metrics
        if point.kind in ("train", "epoch"):
            epoch = found.get("epoch", epoch)
            speed = found.get("images_per_second", speed)
            metric = ("objective", found["objective"]) if "objective" in found else metric
    return Progress(epochs, epoch, speed, metric)


def _measured_metric(cell: CellFolder) -> tuple[str, float] | None:
    """Name and value of a number that was measured on the cell's own split; None if there is none yet."""
    record = cell.record()
    found: dict[str, float] = {}
    for result in sorted(results(cell.folder), key=lambda result: result.key.version):
        if record is not None and result.key.split == record.measures.split:
            found |= {name: number.value for name, number in result.numbers.items()}
    name = next((name for name in _MEASURED_FIRST if name in found), next(iter(found), None))
    return None if name is None else (name, found[name])


def _tail(file: Path, size: int) -> list[Point]:
    """The last points, enough to include one with an epoch and one with a speed, if there are any."""
    length = _TAIL_BYTES
    while True:
        try:
            with file.open("rb") as opened:
                opened.seek(max(0, size - length))
                lines = opened.read().split(b"\n")
        except OSError:
            return []
        # The first line may be truncated, the last one half written: neither can be decoded.
        points = [point for line in lines if (point := decode(line)) is not None]
        told = any("images_per_second" in point.metrics for point in points)
        if told or length >= min(size, _MOST_TAIL_BYTES):
            return points
        length *= 8
