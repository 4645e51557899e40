"""What a measure is: a frozen configuration that can be called on a trained model, and says what it needs.

A measure's file imports nothing heavy at its top, so that a launcher can list measures and locate their
results; torch, scikit-learn and the like are imported when the measure is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pipeline.cells.measurements import Better, MeasurementKey
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A number that a measure computes; names are unique over all measures."""

    unit: str
    better: Better


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The result of calling a measure."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    """By metric; one that the split has no examples for is left out."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of examples or labels of a metric, if meaningful."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """What figures are drawn from."""


class DoesNotApply(Exception):
    """Raised by a measure that finds nothing in the split to measure; the reason, a sentence, is its result."""


@runtime_checkable
class Measure(Protocol):
    """Numbers and arrays from a trained model and a split; its dataclass fields are its settings."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Incremented whenever the same settings would give a different number."""
    needs: ClassVar[Needs]
    metrics: ClassVar[Mapping[str, Metric]]

    def __call__(self, view: ModelView) -> Measured: ...


def settings_off_default(measure: Measure) -> dict[str, Any]:
    """The settings of a measure that differ from their defaults, for its key."""
    entries = fields(measure)  # type: ignore[arg-type]
    return {
        entry.name: getattr(measure, entry.name)
        for entry in entries
        if getattr(measure, entry.name) != entry.default
    }


def key_of(
    measure: Measure, split: str, *, seed: int = 0, rests_on: Mapping[str, str] | None = None
) -> MeasurementKey:
    """The key of a measure's result on a split."""
    return MeasurementKey(
        measure=measure.name,
        version=measure.version,
        split=split,
        settings=settings_off_default(measure),
        seed=seed,
        rests_on=rests_on or {},
    )
