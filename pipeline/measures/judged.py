"""Pictures judged by the label readers: the ensemble first, then each member, so that every number has a spread.

A *judge* axis holds the ensemble's judgement at 0 and those of its members after it; whatever is computed along it is
computed for the ensemble, and again as if each member were the only reader.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from pipeline.measures.label_readers import ensemble


@runtime_checkable
class Readers(Protocol):
    """What is used of ``pipeline.measures.label_readers.LabelReaders``."""

    def log_probabilities(
        self, image: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "member batch _"]]:
        """``log q(y_i | x)`` of each label by each member, for images in [0, 1]."""
        ...


Judgement = list[Tensor]
"""For each label, log-probabilities (judge, batch, value)."""


def judged(readers: Readers, image: Float[Tensor, "batch channel height width"]) -> Judgement:
    """What the ensemble and each of its members say of images in [0, 1]."""
    of_members = readers.log_probabilities(image)
    return [
        torch.cat([whole[None], each]) for whole, each in zip(ensemble(of_members), of_members, strict=True)
    ]


def all_judged(parts: Sequence[Judgement]) -> Judgement:
    """Several batches as one."""
    return [torch.cat(of_label, dim=1) for of_label in zip(*parts, strict=True)]


def values_read(judgement: Judgement) -> Int64[Tensor, "judge batch label"]:
    """The most probable value of each label."""
    return torch.stack([of_label.argmax(-1) for of_label in judgement], dim=-1)


def log_probability_of(
    judgement: Judgement, values: Int64[Tensor, "batch label"] | UInt8[Tensor, "batch label"]
) -> Float[Tensor, "judge batch label"]:
    """The log-probability of the given value of each label; a value that the label does not have counts as its last."""
    found = [
        of_label.gather(
            -1, values[:, label].long().clamp(max=of_label.shape[-1] - 1).expand(len(of_label), -1)[..., None]
        )
        for label, of_label in enumerate(judgement)
    ]
    return torch.cat(found, dim=-1)


def spread(name: str, per_judge: Float[Tensor, " judge"]) -> dict[str, float]:
    """A metric's number by the ensemble and, for several members, the standard deviation (n − 1) over them.

    A number that is not finite, because nothing was there to count, is left out.
    """
    ensemble, *members = per_judge.double().tolist()
    if math.isnan(ensemble):
        return {}
    numbers = {name: ensemble}
    if len(members) > 1 and not any(map(math.isnan, members)):
        numbers[f"{name}_reader_sd"] = float(torch.tensor(members, dtype=torch.float64).std())
    return numbers


def mean_where(values: Tensor, counted: Tensor, over: tuple[int, ...]) -> Float[Tensor, "..."]:
    """The mean over some axes of the values that are counted; not a number where there are none."""
    counted = counted.expand(values.shape)
    return values.double().masked_fill(~counted, 0).sum(over) / counted.sum(over)
