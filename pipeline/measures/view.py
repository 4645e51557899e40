"""A trained model's answers over a split, computed once and shared by all measures of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.measures.examples import MeasuredSplit


@dataclass(frozen=True)
class ModelView:
    """A model in evaluation mode, and the split that is measured."""

    model: nn.Module
    examples: MeasuredSplit
    identity: str = ""
    """Of the cell; random numbers follow from it."""

    @cached_property
    @torch.no_grad()
    def label_log_probabilities(self) -> Sequence[Float[Tensor, "row value"]]:
        """``log q(y_i | x)`` of every label over the whole split, on the CPU."""
        batches = [self.model.classify(image) for image in self.examples.images()]  # type: ignore[operator]
        return [torch.cat([batch[label] for batch in batches]).cpu() for label in range(len(batches[0]))]
