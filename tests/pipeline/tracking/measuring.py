"""Leaves results of measures in a cell, as measuring does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.cells.measurements import Failure, MeasurementKey, Number, Result

NOON = "2026-01-01T12:00:00+00:00"
EVENING = "2026-01-01T18:00:00+00:00"


def key(
    measure: str = "classification", *, version: int = 1, split: str = "test", **more: Any
) -> MeasurementKey:
    return MeasurementKey(measure=measure, version=version, split=split, **more)


def measured(
    cell: Path,
    numbers: Mapping[str, float],
    *,
    of: MeasurementKey | None = None,
    time: str = NOON,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> Path:
    found = {name: Number(value=value, unit="share", better="higher") for name, value in numbers.items()}
    return Result(key=of or key(), numbers=found, time=time).write(cell, arrays)


def not_applicable(cell: Path, reason: str, *, of: MeasurementKey | None = None, time: str = NOON) -> None:
    Result(key=of or key(), status="not_applicable", reason=reason, time=time).write(cell)


def failed(cell: Path, reason: str, *, of: MeasurementKey | None = None, time: str = NOON) -> None:
    failure = Failure(key=of or key(), reason=reason, time=time)
    failure.key.folder(cell).mkdir(parents=True, exist_ok=True)
    failure.write(cell)
