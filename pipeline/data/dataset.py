"""A prepared data set, opened: its manifest, its small columns in memory, its images mapped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from data_prep.manifest import Manifest, verify_sizes
from data_prep.shards.arrow import Shard, open_split
from data_prep.supervision import labels_used_at


@dataclass(frozen=True)
class Columns:
    """Everything of a split but its images."""

    labels: UInt8[np.ndarray, "row label"]
    observed: Bool[np.ndarray, "row label"]
    supervision_rank: Float32[np.ndarray, " row"]

    def used_labels(self, rate: float) -> Bool[np.ndarray, "row label"]:
        """Which labels a model may see at a supervision rate."""
        return labels_used_at(rate, self.supervision_rank, self.observed)


class DataSet:
    """A folder that the prepare stage wrote; DataSetError where it is missing or its files have other sizes."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.load(self.folder)
        verify_sizes(self.folder, self.manifest)

    def columns(self, split: str) -> Columns:
        """Labels and masks of a split, read into memory."""
        shards = open_split(self.folder, self.manifest, split)
        return Columns(
            labels=np.concatenate([shard.labels for shard in shards]),
            observed=np.concatenate([shard.observed for shard in shards]),
            supervision_rank=np.concatenate([shard.supervision_rank for shard in shards]),
        )

    def images(self, split: str) -> MappedImages:
        """The images of a split, mapped from the disk."""
        return MappedImages(open_split(self.folder, self.manifest, split))


class MappedImages:
    """Images of a split as rows over all of its shards."""

    def __init__(self, shards: tuple[Shard, ...]) -> None:
        self._images = [shard.image for shard in shards]
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self._images[0].shape[1:]

    def all(self) -> UInt8[np.ndarray, "row channel height width"]:
        """A copy of them all."""
        return np.concatenate(self._images)

    def gather(self, rows: np.ndarray) -> UInt8[np.ndarray, "row channel height width"]:
        """A copy of the given rows, in their order."""
        out = np.empty((len(rows), *self.shape), dtype=np.uint8)
        shard_of_row = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(shard_of_row):
            here = np.flatnonzero(shard_of_row == shard)
            out[here] = self._images[shard][rows[here] - self._starts[shard]]
        return out
