"""``metrics.jsonl``: every number that a run logs, on disk before anywhere else."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pipeline.cells.lease import no_guard

Kind = Literal["train", "epoch", "test", "system"]
"""``test`` is of runs made before measures had their own folders; it is only read."""
EPOCHS_WON = "discriminator_epochs_won"
"""Last part of the name of a metric of kind ``epoch``: how many epochs so far a discriminator won outright."""

_BAD_CHARACTER = re.compile(r"[^\w\-. /]")


@dataclass(frozen=True, slots=True)
class Point:
    """One line: the values of some metrics at one step."""

    kind: Kind
    step: int
    """Optimiser step for ``train`` and ``test``, epoch for ``epoch``, number of the sample for ``system``."""

    time_ms: int
    """Milliseconds since 1970 when it was logged."""

    metrics: dict[str, float]
    """Value by name; may be infinite or not a number."""

    def named(self) -> dict[str, float]:
        """The metrics under their MLflow names: ``elbo`` of kind ``train`` is ``train/elbo``."""
        return {metric_name(self.kind, name): value for name, value in self.metrics.items()}


def metric_name(kind: Kind, name: str) -> str:
    """MLflow's name of a metric: its kind first (once), and no character that MLflow refuses."""
    return mlflow_name(name if name.startswith(kind + "/") else f"{kind}/{name}")


def mlflow_name(text: str) -> str:
    """The text without the characters that MLflow refuses in the names of metrics and tags."""
    return _BAD_CHARACTER.sub("_", text)


def encode(point: Point) -> bytes:
    """The line of a point; JSON has no NaN and no infinity, so these are the strings that ``float`` reads."""
    metrics = {k: v if math.isfinite(v) else _word(v) for k, v in point.metrics.items()}
    fields = {"kind": point.kind, "step": point.step, "time_ms": point.time_ms, "metrics": metrics}
    return (json.dumps(fields, allow_nan=False) + "\n").encode()


def decode(line: bytes) -> Point | None:
    """The point of a line; None for a damaged one (a power cut can leave such a line)."""
    try:
        fields = json.loads(line)
        metrics = {str(k): float(v) for k, v in fields["metrics"].items()}
        kind = fields["kind"]
        if kind not in get_args(Kind):
            return None
        return Point(kind, int(fields["step"]), int(fields["time_ms"]), metrics)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


class MetricLog:
    """Appends points to a file; a metric that already has a value at a step keeps it.

    A resumed run repeats the steps since its checkpoint, with the same values: they are skipped, so that
    the file never holds a point twice. A truncated last line (kill -9, full disk) is removed on
    opening. Thread-safe. ``guard`` is called before each line; it raises LeaseLost if a newer
    copy of the run has taken over.
    """

    def __init__(self, path: Path, guard: Callable[[], None] = no_guard) -> None:
        self.path = path
        self._guard = guard
        self._lock = threading.Lock()
        self._steps: dict[str, set[int]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._repair()
        for point in read_points(path):
            self._note(point)

    def append(self, kind: Kind, step: int, metrics: Mapping[str, float]) -> bool:
        """Write the metrics that have no value at this step yet; False if there were none.

        Raises:
            OSError: the disk is full (the file then ends with the last complete line, as before).
            LeaseLost: raised by the guard.
        """
        with self._lock:
            new = {
                name: float(value)
                for name, value in metrics.items()
                if step not in self._steps.get(metric_name(kind, name), ())
            }
            if not new:
                return False
            self._guard()
            point = Point(kind, step, time.time_ns() // 1_000_000, new)
            self._write(encode(point))
            self._note(point)
            return True

    def last_step(self, kind: Kind) -> int | None:
        """Highest step that has a point of this kind; None if there is none."""
        with self._lock:
            steps = [max(s) for name, s in self._steps.items() if s and name.startswith(kind + "/")]
        return max(steps, default=None)

    def close(self) -> None:
        """Close the file; nothing can be appended after that."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def _write(self, line: bytes) -> None:
        if self._file < 0:
            raise ValueError(f"{self.path} is closed")
        end = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as error:
            os.ftruncate(self._file, end)
            error.filename = error.filename or str(self.path)
            raise

    def _repair(self) -> None:
        end = os.fstat(self._file).st_size
        keep = end
        while keep > 0:
            start = max(0, keep - 4096)
            newline = os.pread(self._file, keep - start, start).rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
        if keep < end:
            os.ftruncate(self._file, keep)

    def _note(self, point: Point) -> None:
        for name in point.named():
            self._steps.setdefault(name, set()).add(point.step)


def read_points(path: Path) -> Iterator[Point]:
    """The points of a file, in the order they were logged; complete and readable lines only."""
    with path.open("rb") as file:
        for line in file:
            point = decode(line) if line.endswith(b"\n") else None
            if point is not None:
                yield point


def read_lines(path: Path, start: int, most_metrics: int) -> tuple[list[Point], int]:
    """Points from byte ``start`` on, until they hold ``most_metrics`` values, and the byte after them.

    ``most_metrics`` is exceeded by at most one line. A line that is still being written is left for the next
    call.
    """
    points: list[Point] = []
    count = 0
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                break
            start += len(line)
            point = decode(line)
            if point is not None:
                points.append(point)
                count += len(point.metrics)
            if count >= most_metrics:
                break
    return points, start
