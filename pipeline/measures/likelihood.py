"""Measure 17, first part: the evidence lower bound of images without their labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from pipeline.measures.view import ModelView

_SHADES = 256
"""Bits of a pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Likelihood:
    """Mean ELBO per image in nats, one sample per image, and as bits per dimension where that is a code length."""

    name: ClassVar[str] = "likelihood"
    version: ClassVar[int] = 2
    """2: bits per dimension are those of pixels of 8 bits, and do not exist for a
    Bernoulli likelihood of grey pixels. In version 1 they were the bound in other units, not a code length."""
    needs: ClassVar[Needs] = Needs(
        capabilities=("BoundsLikelihood",), encoding_without_labels=True, answers=("bounds",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "elbo": Metric(unit="nats", better="higher"),
        "bits_per_dimension": Metric(unit="bits", better="lower"),
        "measured_images": Metric(unit="images", better="none"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Over all images of the split."""
        bounds = view.bounds
        elbo, count = float(bounds.double().mean()), len(bounds)
        numbers = {"elbo": elbo, "measured_images": float(count)}
        if view.model.has_pixel_density:
            numbers["bits_per_dimension"] = bits_per_dimension(
                elbo, math.prod(view.examples.data.manifest.image_shape)
            )
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers.keys() - {"measured_images"}, count))


def bits_per_dimension(log_density: float, dimensions: int) -> float:
    """Bits that a value of 8 bits costs under a density of values in [0, 1] with this logarithm (of all, in nats)."""
    return (-log_density / dimensions + math.log(_SHADES)) / math.log(2)
