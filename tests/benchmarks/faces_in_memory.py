"""A data set of noise with the sizes of CelebA, in memory: for benchmarks of the whole loop, without files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.manifest import LabelSpec, Manifest, SplitSpec
from pipeline.data.dataset import Columns, DataSet

CELEBA_ROWS = 162_770
"""Pictures of its training split."""
LABELS = 18
SHAPE = (3, 64, 64)


class FacesInMemory(DataSet):
    """``rows`` pictures of noise with 18 binary labels; only what training reads of a data set."""

    def __init__(self, rows: int = CELEBA_ROWS) -> None:
        self.folder, self.rows = Path("nowhere"), rows
        labels = tuple(LabelSpec(f"label{number}", 2, ("0", "1")) for number in range(LABELS))
        split = SplitSpec("train", rows, (), None, ((0.7, 0.3),) * LABELS, {"1.0": (rows,) * LABELS})
        self.manifest = Manifest(
            name="noise", digest="0" * 16, image_shape=SHAPE, labels=labels, factors=(), splits={"train": split},
            options={}, sources={}, seed=0, rows_per_shard=rows,
        )  # fmt: skip

    def columns(self, split: str, label_seed: int | None = None) -> Columns:
        generator = np.random.default_rng(1)
        return Columns(
            labels=(generator.random((self.rows, LABELS)) < 0.3).astype(np.uint8),
            observed=np.ones((self.rows, LABELS), dtype=np.bool_),
            supervision_rank=generator.random(self.rows, dtype=np.float32),
        )

    def images(self, split: str) -> Any:
        return _Noise(self.rows)


class _Noise:
    def __init__(self, rows: int) -> None:
        self.rows = rows

    def all(self) -> NDArray[np.uint8]:
        bytes_ = np.random.default_rng(0).bytes(self.rows * int(np.prod(SHAPE)))
        return np.frombuffer(bytearray(bytes_), dtype=np.uint8).reshape(self.rows, *SHAPE)
