"""Measure 17, second part: the importance-weighted bound of images without their labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.field_checks import check_at_least
from pipeline.measures.likelihood import bits_per_dimension
from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pipeline.measures.view import ModelView

AT_ONCE = 8
"""Samples of each image of a batch that are decoded together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportanceWeightedBound:
    """``log (1/K) Σ w_k`` of importance weights (Burda et al. 2016, eq. 8): closer to ``log p(x)`` than the ELBO."""

    samples: int = 64
    """K. The bound grows with it, so bounds of different K must not be compared."""
    images: int = 1000
    """Of the split, the first ones: every image is decoded K times."""

    name: ClassVar[str] = "importance_weighted_bound"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("WeighsImportance", "BoundsLikelihood"))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "importance_weighted_bound": Metric(unit="nats", better="higher"),
        "importance_weighted_bits_per_dimension": Metric(unit="bits", better="lower"),
        "importance_weighted_sample_size": Metric(unit="samples", better="higher"),
    }

    def __post_init__(self) -> None:
        check_at_least(1, self, "samples", "images")

    def __call__(self, view: ModelView) -> Measured:
        """Means over images; the effective sample size tells how much the bound rests on single samples."""
        import torch

        size, images = max(1, view.examples.batch_size // AT_ONCE), min(self.images, len(view.examples))
        bounds, sizes = [], []
        for start in range(0, images, size):
            image = view.examples.rows(start, min(start + size, images))
            weights = []
            for first in range(0, self.samples, AT_ONCE):
                view.examples.heartbeat()
                together = min(AT_ONCE, self.samples - first)
                weights.append(view.model.log_importance_weights(image, together).double())  # type: ignore[operator]
            bound, effective = bound_and_sample_size(torch.cat(weights))
            bounds.append(bound)
            sizes.append(effective)
        mean = float(torch.cat(bounds).mean())
        numbers = {
            "importance_weighted_bound": mean,
            "importance_weighted_sample_size": float(torch.cat(sizes).mean()),
        }
        if view.model.has_pixel_density:
            pixels = math.prod(view.examples.data.manifest.image_shape)
            numbers["importance_weighted_bits_per_dimension"] = bits_per_dimension(mean, pixels)
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers, images))


def bound_and_sample_size(
    log_weights: Float[Tensor, "sample image"],
) -> tuple[Float[Tensor, " image"], Float[Tensor, " image"]]:
    """``log`` of the mean weight, and ``(Σ w)² / Σ w²`` (Kong 1992), of each image."""
    total, squares = log_weights.logsumexp(0), (2 * log_weights).logsumexp(0)
    return total - math.log(len(log_weights)), (2 * total - squares).exp()
