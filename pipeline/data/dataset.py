"""A prepared data set, opened: its manifest, its small columns in memory, its images mapped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8

from data_prep.manifest import Manifest, verify_sizes
from data_prep.shards.arrow import Shard, open_split
from data_prep.supervision import labels_used_at
from pipeline.data.mapped_rows import ImageFile, MappedRows

_LOOKED_UP_AT_ONCE = 64  # batches


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
        files = [ImageFile(shard.path, shard.image_offset, len(shard)) for shard in shards]
        self._rows = MappedRows(files, math.prod(self.shape))

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self._images[0].shape[1:]

    def all(self) -> UInt8[np.ndarray, "row channel height width"]:
        """A copy of them all."""
        return np.concatenate(self._images)

    def gather(self, rows: Integer[np.ndarray, " n"]) -> UInt8[np.ndarray, "n channel height width"]:
        """A copy of the given rows, in their order; ``IndexError`` if one is not there."""
        return self._rows.copied(self._rows.located(rows)).reshape(len(rows), *self.shape)

    def batches(
        self, orders: Sequence[Integer[np.ndarray, " _"]]
    ) -> Iterator[UInt8[np.ndarray, "_ channel height width"]]:
        """For each array of row numbers what ``gather`` gives: faster, because many batches are looked up at once."""
        for start in range(0, len(orders), _LOOKED_UP_AT_ONCE):
            some = orders[start : start + _LOOKED_UP_AT_ONCE]
            places = self._rows.located(np.concatenate(some))
            end = 0
            for rows in some:
                begin, end = end, end + len(rows)
                yield self._rows.copied(places[begin:end]).reshape(len(rows), *self.shape)
