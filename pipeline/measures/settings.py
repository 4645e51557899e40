"""The measures section of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from pipeline.field_checks import check, check_above_zero, check_at_least
from pipeline.measures.measure import key_of
from pipeline.measures.registry import BY_DEFAULT, measure_named


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuresConfig:
    """What is computed from the trained model; changes here do not affect the run's identity or retrain it."""

    take: Annotated[tuple[str, ...], tyro.conf.arg(name="measures", metavar="NAME[:FIELD=VALUE,...] ...")] = (
        BY_DEFAULT
    )
    """Measures to compute, each as `NAME`, or with settings as `NAME:FIELD=VALUE,FIELD=VALUE`."""
    split: str = "test"
    """Split to measure."""
    measure_batch_size: int = 500
    """Examples per forward pass of a measure."""
    readers: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()
    """Folders of the label readers' cells, absolute; filled in by the launcher, which trains them when they are needed."""
    quick_readers: Annotated[bool, tyro.conf.Suppress] = False
    """Whether the launcher takes one quickly trained reader instead of an ensemble; the table says so."""
    hang_seconds: Annotated[float, tyro.conf.arg(name="measure_hang_seconds")] = field(default=3600.0)
    """Seconds without reading a batch after which measuring is ended, with its stacks in the log, and retried."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "measure_batch_size")
        check_above_zero(self, "hang_seconds")
        keys = [key_of(measure_named(text), self.split).digest for text in self.take]
        twice = [text for text, key in zip(self.take, keys, strict=True) if keys.count(key) > 1]
        check(not twice, f"measures name {twice[-1] if twice else ''} twice")
