"""The mean code of the images that have a value of a label: ``E_{S_j} [μ(x, y)]`` of Klys et al. 2018, over any split.

Attribute switching takes its points from them (sections 4.3 and 5.4), and polytopes and traversals their corners if a
system has no ``p(z_c | y)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.capabilities import ClassMeans, Encodes, KnownLabels
from pipeline.networks import one_hot


@torch.no_grad()
def class_means(
    model: Encodes,
    batches: Iterable[tuple[UInt8[Tensor, "_ channel height width"], KnownLabels]],
    cardinalities: Sequence[int],
) -> ClassMeans:
    """One pass over batches of images with their labels, which are passed to the encoder; sums are in float64."""
    sums: list[Tensor | float] = [0.0] * len(cardinalities)
    counts: list[Tensor | float] = [0.0] * len(cardinalities)
    dtype = torch.get_default_dtype()
    for image, known in batches:
        code = model.encode(image, known)
        dtype = code.dtype
        for label, cardinality in enumerate(cardinalities):
            observed = known.observed[:, label]
            has = one_hot(known.labels[:, label].masked_fill(~observed, 0), cardinality).double()
            has = has * observed[:, None]
            sums[label] = sums[label] + has.T @ code.double()
            counts[label] = counts[label] + has.sum(0)
    if cardinalities and not isinstance(counts[0], Tensor):
        raise ConfigError("there are no images to take means of")
    each = list(zip(map(torch.as_tensor, sums), map(torch.as_tensor, counts), strict=True))
    return ClassMeans(
        means=tuple((total / count.clamp(min=1)[:, None]).to(dtype) for total, count in each),
        counts=tuple(count for _, count in each),
    )
