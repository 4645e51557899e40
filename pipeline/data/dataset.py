"""An open prepared data set: manifest, small columns in memory, mapped images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int16, Int64, Integer, UInt8

from data_prep.errors import ConfigError, DataSetError
from data_prep.manifest import Manifest, verify_sizes
from data_prep.shards.arrow import Shard, open_split
from data_prep.supervision import first_of_each_class, is_stratified, labels_used_at, supervision_rank
from pipeline.data.mapped_rows import ImageFile, MappedRows

FurtherColumn = Literal["reference", "factors", "regions"]
_LOOKED_UP_AT_ONCE = 64  # batches


@dataclass(frozen=True)
class Columns:
    """Everything of a split except its images."""

    labels: UInt8[np.ndarray, "row label"]
    observed: Bool[np.ndarray, "row label"]
    supervision_rank: Float32[np.ndarray, " row"]

    def used_labels(self, rate: float, *, one_per_class: bool = False) -> Bool[np.ndarray, "row label"]:
        """Which labels a model may see at a supervision rate, plus those of one example per class if ``one_per_class``."""
        used = labels_used_at(rate, self.supervision_rank, self.observed)
        if one_per_class:
            used[self.first_of_each_class()] = True
        return used

    def first_of_each_class(self) -> Int64[np.ndarray, " value"]:
        """Rows of the examples that ``one_per_class`` labels, in the order of the classes.

        Raises:
            ConfigError: the data set has no label, or several.
        """
        labels = self.labels.shape[1]
        if labels != 1:
            raise ConfigError(
                f"one label per class needs a data set with one class label; this one has {labels} labels"
            )
        return first_of_each_class(self.supervision_rank, self.labels[:, 0], self.observed[:, 0])


class DataSet:
    """A folder written by preparation; DataSetError if it is missing or its files have different sizes."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.load(self.folder)
        verify_sizes(self.folder, self.manifest)

    def columns(self, split: str, label_seed: int | None = None) -> Columns:
        """Labels and masks of a split, read into memory.

        ``label_seed`` decides which examples keep their labels at a supervision rate; the default is the seed that the
        data set was prepared with. The ranks of another seed are computed (about a second for a million examples), and
        stratified by class if the stored ones are.
        """
        shards = open_split(self.folder, self.manifest, split)
        labels = np.concatenate([shard.labels for shard in shards])
        rank = np.concatenate([shard.supervision_rank for shard in shards])
        if label_seed not in (None, self.manifest.seed):
            classes = labels[:, 0] if labels.shape[1] and is_stratified(rank, labels[:, 0]) else None
            rank = supervision_rank(self.ids(split).to_pylist(), seed=label_seed, classes=classes)
        observed = np.concatenate([shard.observed for shard in shards])
        return Columns(labels=labels, observed=observed, supervision_rank=rank)

    def column(
        self, split: str, name: FurtherColumn
    ) -> Bool[np.ndarray, " row"] | Float32[np.ndarray, "row factor"] | Int16[np.ndarray, "row label side"]:
        """A further column of a split, mapped from the disk if it is one shard, else read into memory; read-only.

        ``factors`` are those that the manifest names; most data sets have none. ``regions`` are the pixels that each label
        may change, as left, upper, right and lower, the latter two exclusive.

        Raises:
            DataSetError: the data set has no regions.
        """
        if name == "regions" and not self.manifest.regions:
            raise DataSetError(
                f"{self.folder} has no regions; drawn pictures do, unless an earlier version prepared them: remove the"
                " folder and prepare it again"
            )
        found = [getattr(shard, name) for shard in open_split(self.folder, self.manifest, split)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def ids(self, split: str) -> pa.ChunkedArray:
        """The source's ids of the rows of a split, as Arrow strings, mapped from the disk."""
        return pa.chunked_array([shard.ids for shard in open_split(self.folder, self.manifest, split)])

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
        """A copy of all images."""
        return np.concatenate(self._images)

    def gather(self, rows: Integer[np.ndarray, " n"]) -> UInt8[np.ndarray, "n channel height width"]:
        """A copy of the given rows, in their order; ``IndexError`` if one does not exist."""
        return self._rows.copied(self._rows.located(rows)).reshape(len(rows), *self.shape)

    def batches(
        self, orders: Sequence[Integer[np.ndarray, " _"]]
    ) -> Iterator[UInt8[np.ndarray, "_ channel height width"]]:
        """``gather`` for each array of row numbers: faster, because many batches are looked up at once."""
        for start in range(0, len(orders), _LOOKED_UP_AT_ONCE):
            some = orders[start : start + _LOOKED_UP_AT_ONCE]
            places = self._rows.located(np.concatenate(some))
            end = 0
            for rows in some:
                begin, end = end, end + len(rows)
                yield self._rows.copied(places[begin:end]).reshape(len(rows), *self.shape)
