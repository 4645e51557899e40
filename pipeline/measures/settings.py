"""What a run says about what is computed from its trained model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from pipeline.field_checks import NOT_IDENTITY, check


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuresConfig:
    """What is computed from the trained model."""

    split: str = "test"
    """Split that is measured."""
    measure_batch_size: int = field(default=500, metadata=NOT_IDENTITY)
    """Examples per forward pass of a measure."""
    hang_seconds: Annotated[float, tyro.conf.arg(name="measure_hang_seconds")] = field(
        default=3600.0, metadata=NOT_IDENTITY
    )
    """Measuring that reads no batch for so long is ended, its stacks in its log, and tried again."""

    def __post_init__(self) -> None:
        check(
            self.measure_batch_size >= 1,
            f"measure_batch_size is {self.measure_batch_size}; it must be at least 1",
        )
        check(self.hang_seconds > 0, f"hang_seconds is {self.hang_seconds}; it must be above 0")
