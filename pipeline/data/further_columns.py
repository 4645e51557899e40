"""What shards hold of a row next to image and labels (reference, factors, ids); nothing is read before its first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

if TYPE_CHECKING:
    from pipeline.data.dataset import DataSet


class FurtherColumns:
    """The further columns of a split on a device, each there from its first use on; ids stay with the host."""

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
    def ids(self) -> pa.ChunkedArray:
        """The source's own names of the rows."""
        return self._data.ids(self._split)

    @torch.compiler.disable  # a compiled model that asks for a column runs this once, as it stands
    def _on_device(self, name: Literal["reference", "factors"]) -> Tensor:
        return torch.from_numpy(np.array(self._data.column(self._split, name))).to(self._device)


class FurtherColumnsOfRows:
    """Those of the rows of a batch."""

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
    def ids(self) -> list[str]:
        """The source's own name of each row."""
        return self._columns.ids.take(pa.array(self._rows)).to_pylist()
