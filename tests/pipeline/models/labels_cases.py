"""Tiny data sets with several labels, and batches of them in which some labels are observed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.models.interface import DataSpec
from tests.pipeline.models.tiny_models import IMAGES

BINARY = DataSpec(image_shape=(1, 2, 2), cardinalities=(2, 2), label_frequencies=((0.7, 0.3), (0.4, 0.6)))
MIXED = DataSpec(
    image_shape=(1, 2, 2),
    cardinalities=(2, 3, 2),
    label_frequencies=((0.7, 0.3), (0.5, 0.3, 0.2), (0.4, 0.6)),
)
NEUTRAL = replace(MIXED, neutral_values=(None, 1, None))
"""The middle value of its second label is the absence of the other two."""
LABELS = torch.tensor([[1, 2, 0], [0, 1, 1], [1, 0, 1], [0, 2, 0], [1, 1, 0]])
OBSERVED = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0]]).bool()
"""All labels of the first row, some of the next two, none of the last two."""


def columns_of(data: DataSpec) -> list[int]:
    """The columns of LABELS that are the labels of a data set."""
    return [0, 2] if data is BINARY else [0, 1, 2]


def known_values(data: DataSpec, observed: Tensor) -> list[list[int | None]]:
    """The labels of each row of ``observed`` as references take them: None where one is not observed."""
    rows = zip(LABELS[: len(observed), columns_of(data)].tolist(), observed.tolist(), strict=True)
    return [[y if known else None for y, known in zip(*row, strict=True)] for row in rows]


def batch_with(
    data: DataSpec,
    observed: Tensor,
    labelled: int,
    *,
    images: Tensor = IMAGES,
    labels: Tensor | None = None,
) -> Batch:
    """Images with LABELS (or others), of which those in ``observed`` are known; the others hold numbers that are none."""
    if labels is None:
        labels = LABELS[: len(images), columns_of(data)]
    return Batch(
        image=images.to(torch.uint8).reshape(-1, *data.image_shape),
        labels=torch.where(observed, labels, 255).to(torch.uint8),
        observed=observed,
        labelled=labelled,
    )
