"""The cells of a sweep as its page needs them, each read from its folder once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from launch.clusters.backend import State
from launch.monitoring.progress import Progress, progress_of
from pipeline.cells.folder import CellFolder
from pipeline.cells.record import RunRecord
from pipeline.reports.finished import FinishedRun
from pipeline.tracking.metric_log import Point, read_points
from pipeline.tracking.state import METRICS_FILE

LONGEST_GAP_S = 600
"""Between two records of a run that was at work; longer ones are interruptions, and not counted."""
_FEWEST_EPOCHS = 12
"""With fewer, curves are of the records between epochs."""
_NO_TERMS = ("epoch",)


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRead:
    """A cell as the page needs it."""

    folder: CellFolder
    state: State
    record: RunRecord | None
    """None if its configuration cannot be read."""
    run: FinishedRun | None
    """None until it is trained."""
    progress: Progress
    seconds: float | None
    """Of training, without interruptions; None without records."""
    curve: tuple[list[float], dict[str, list[float]]]
    """Epochs, and the terms at each."""

    @property
    def system(self) -> str:
        """Empty if the configuration cannot be read."""
        model = None if self.record is None else self.record.model
        return str(model.get("system", "")) if isinstance(model, dict) else ""


def read_cell(folder: CellFolder, state: State, run: FinishedRun | None) -> CellRead:
    """Read a cell's folder."""
    file, record = folder.folder / METRICS_FILE, folder.record()
    points = list(read_points(file)) if file.is_file() else []
    own = [point for point in points if point.kind in ("train", "epoch")]
    return CellRead(
        folder=folder,
        state=state,
        record=record,
        run=run,
        progress=progress_of(own, 0 if record is None else record.training.epochs),
        seconds=_seconds(points, own),
        curve=_curve(own),
    )


def _seconds(points: Sequence[Point], own: Sequence[Point]) -> float | None:
    """From the first record to the last one of training."""
    if not own:
        return None
    end = own[-1].time_ms
    times = sorted(point.time_ms for point in points if point.time_ms <= end)
    gaps = [(after - before) / 1000 for before, after in pairwise(times)]
    return sum(gap for gap in gaps if gap <= LONGEST_GAP_S)


def _curve(own: Sequence[Point]) -> tuple[list[float], dict[str, list[float]]]:
    of_epochs = [point for point in own if point.kind == "epoch"]
    chosen = of_epochs if len(of_epochs) >= _FEWEST_EPOCHS else [p for p in own if p.kind == "train"]
    chosen = chosen or of_epochs
    names = dict.fromkeys(name for point in chosen for name in point.metrics if name not in _NO_TERMS)
    epochs = [point.metrics.get("epoch", float(point.step)) for point in chosen]
    return epochs, {name: [point.metrics.get(name, math.nan) for point in chosen] for name in names}
