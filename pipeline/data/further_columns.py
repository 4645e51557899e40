"""Columns of shards besides images and labels (reference, factors, regions, ids), read at first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int16, Int64
from torch import Tensor

if TYPE_CHECKING:
    from pipeline.data.dataset import DataSet, FurtherColumn


class FurtherColumns:
    """The further columns of a split on a device, each loaded at first use; ids stay on the host."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        self._data, self._split, self._device = data, split, device

    @cached_property
    def reference(self) -> Bool[Tensor, " row"]:
        """Whether each row is a member of the reference set."""
        return self._on_device("reference")

    @cached_property
    def factors(self) -> Float[Tensor, "row factor"]:
        """The factors that the manifest names, none of most data sets."""
        return self._on_device("factors")

    @cached_property
    def regions(self) -> Int16[Tensor, "row label side"]:
        """The pixels that each label may change: left, upper, right, lower (exclusive)."""
        return self._on_device("regions")

    @cached_property
    def ids(self) -> pa.ChunkedArray:
        """The source's ids of the rows."""
        return self._data.ids(self._split)

    def _on_device(self, name: FurtherColumn) -> Tensor:
        from pipeline.data.uncompiled import column_on

        return column_on(self._device, self._data, self._split, name)


class FurtherColumnsOfRows:
    """The further columns of a batch's rows."""

    def __init__(
        self, columns: FurtherColumns, rows: Int64[np.ndarray, " batch"], on_device: Int64[Tensor, " batch"]
    ) -> None:
        self._columns, self._rows, self._on_device = columns, rows, on_device

    @property
    def reference(self) -> Bool[Tensor, " batch"]:
        """Whether each row is a member of the reference set."""
        return self._columns.reference[self._on_device]

    @property
    def factors(self) -> Float[Tensor, "batch factor"]:
        """The factors of each row."""
        return self._columns.factors[self._on_device]

    @property
    def regions(self) -> Int16[Tensor, "batch label side"]:
        """The pixels that each label of each row may change."""
        return self._columns.regions[self._on_device]

    @property
    def ids(self) -> list[str]:
        """The source's id of each row."""
        return self._columns.ids.take(pa.array(self._rows)).to_pylist()
