"""What a model is given: one rank's share of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, UInt8
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Tensors on the device; images stay uint8 up to here and become float inside the model.

    Rows with at least one label that may be used stand first, and their number is known to the host: a model slices
    ``[:labelled]`` where only they need work, without a synchronisation with the device.
    """

    image: UInt8[Tensor, "batch channel height width"]
    labels: UInt8[Tensor, "batch label"]
    observed: Bool[Tensor, "batch label"]
    """Whether the label is known *and* may be used at the run's supervision rate."""
    labelled: int
    """Number of leading rows with at least one ``observed`` label."""

    def __len__(self) -> int:
        return self.image.shape[0]
