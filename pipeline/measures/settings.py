"""What a run says about what is computed from its trained model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from pipeline.field_checks import NOT_IDENTITY, check_above_zero, check_at_least


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
        check_at_least(1, self, "measure_batch_size")
        check_above_zero(self, "hang_seconds")
