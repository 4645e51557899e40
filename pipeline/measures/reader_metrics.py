"""Metrics that rest on label readers: each with the spread between them, and the readers' own quality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.measures.measure import Measured, Metric

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView

READER_ACCURACY = "reader_accuracy"


def with_readers(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """These metrics, the standard deviation of each over the readers, and the readers' accuracy."""
    spreads = {f"{name}_reader_sd": Metric(unit=each.unit, better="none") for name, each in metrics.items()}
    return {**metrics, **spreads, READER_ACCURACY: Metric(unit="share", better="higher")}


def judged_by_readers(found: Measured, view: ModelView, **arrays: np.ndarray) -> Measured:
    """A result with the readers' accuracy on the measured split (unless no label is known there), and further arrays."""
    accuracy = view.readers.quality(view.examples)
    quality = {} if math.isnan(accuracy) else {READER_ACCURACY: accuracy}
    return replace(found, numbers={**found.numbers, **quality}, arrays=found.arrays | arrays)
