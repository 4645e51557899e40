"""Labels to generate images from, when a measure does not take those of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from data_prep.manifest import Manifest

LabelSource = Literal["uniform", "prior", "data"]
"""``uniform``: every value of a label equally likely; ``prior``: ``p(y)`` as in the systems, the frequencies in ``train``;
independent of each other in both. ``data``: the labels of images, the unknown ones from ``prior``.
"""


def label_shares(manifest: Manifest, source: LabelSource) -> list[list[float]]:
    """The probability of each value of each label; uniform for one that is never observed in ``train``."""
    frequencies = manifest.splits["train"].label_frequencies
    return [
        [1 / spec.cardinality] * spec.cardinality
        if source == "uniform" or not any(frequencies[place])
        else list(frequencies[place])
        for place, spec in enumerate(manifest.labels)
    ]


def drawn_labels(shares: Sequence[Sequence[float]], count: int) -> UInt8[Tensor, "row label"]:
    """Independent draws of every label."""
    draws = [torch.multinomial(torch.tensor(each), count, replacement=True) for each in shares]
    return torch.stack(draws, dim=-1).to(torch.uint8)
