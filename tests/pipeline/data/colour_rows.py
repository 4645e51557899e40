"""A data set of colour pictures, several labels of which some are unknown, factors and references, in odd numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep import sources
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.stages import prepare

ROWS = {"train": 157, "test": 41}
ROWS_PER_SHARD = 64


@dataclass(frozen=True)
class ColourRows:
    """Random pictures 3 x 64 x 64."""

    name: str = "colour_rows"
    title: str = "colour rows"
    home: str = "this test"
    licence: str = "none"
    raw: Path | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {}

    @property
    def factors(self) -> tuple[str, ...]:
        return ("one", "two")

    def image_shape(self) -> tuple[int, int, int]:
        return (3, 64, 64)

    def labels(self) -> tuple[LabelSpec, ...]:
        binary = [LabelSpec(name, 2, ("no", "yes")) for name in "abc"]
        return (*binary, LabelSpec("hair", 5, tuple("vwxyz")))

    def checksums(self) -> Mapping[str, str]:
        return {}

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> ColourRows:
        return self

    def where_raw(self) -> str:
        return "none is needed"

    def splits(self) -> Mapping[str, int]:
        return dict(ROWS)

    def ids(self, split: str) -> list[str]:
        return [f"{split}-{row}" for row in range(ROWS[split])]

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        return None

    def rows(self, split: str, start: int, stop: int) -> Rows:
        n, generator = ROWS[split], np.random.default_rng(list(ROWS).index(split))
        observed = generator.random((n, 4)) < 0.7
        labels = np.where(observed, generator.integers(0, [2, 2, 2, 5], (n, 4)), 0).astype(np.uint8)
        part = slice(start, stop)
        return Rows(
            image=generator.integers(0, 256, (n, 3, 64, 64), dtype=np.uint8)[part],
            labels=labels[part],
            observed=observed[part],
            reference=(generator.random(n) < 0.3)[part],
            factors=generator.random((n, 2), dtype=np.float32)[part],
            ids=self.ids(split)[part],
        )


def prepare_colour_rows(root: Path, formats: Any) -> Path:
    """The data set below ``root``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sources.SOURCES, "colour_rows", lambda raw: ColourRows())
        return prepare(
            "colour_rows",
            root=root,
            workers=1,
            formats=formats,
            rows_per_shard=ROWS_PER_SHARD,
            progress=False,
        )
