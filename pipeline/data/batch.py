"""The input of a model: one rank's share of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int16, UInt8
from torch import Tensor

from pipeline.data.further_columns import FurtherColumnsOfRows


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Tensors on the device; images stay uint8 up to here and become float inside the model.

    Rows with at least one usable label come first, and their number is known on the host: a model slices
    ``[:labelled]`` if only they need work, without synchronising with the device.
    """

    image: UInt8[Tensor, "batch channel height width"]
    labels: UInt8[Tensor, "batch label"]
    observed: Bool[Tensor, "batch label"]
    """Whether the label is known *and* may be used at the run's supervision rate."""
    labelled: int
    """Number of leading rows with at least one ``observed`` label."""
    rows_of_ranks: tuple[int, ...] = ()
    """Rows of each rank's share of the full batch, in the order of ranks; empty if this is not a share of anything."""
    references: int = 0
    """Number of leading rows of the reference set, in a batch for a system that draws them; 0 in all others."""
    further: FurtherColumnsOfRows | None = field(default=None, repr=False, compare=False)
    """Source of the properties below: read at first use, at no cost to a model that does not use them."""

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def reference(self) -> Bool[Tensor, " batch"]:
        """Whether each row is a member of the reference set; LookupError in a batch that was not read from shards."""
        return self._further().reference

    @property
    def factors(self) -> Float[Tensor, "batch factor"]:
        """The factors of each row; LookupError likewise."""
        return self._further().factors

    @property
    def regions(self) -> Int16[Tensor, "batch label side"]:
        """The pixels that each label may change (left, upper, right, lower); LookupError likewise.

        Raises:
            DataSetError: the data set has none.
        """
        return self._further().regions

    @property
    def ids(self) -> list[str]:
        """The source's id of each row, on the host; LookupError likewise."""
        return self._further().ids

    def _further(self) -> FurtherColumnsOfRows:
        if self.further is None:
            raise LookupError("this batch was not read from shards: it has images and labels only")
        return self.further
