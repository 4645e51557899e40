"""Measure 17, its first part: the evidence lower bound of images without their labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric, Needs

if TYPE_CHECKING:
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Likelihood:
    """Mean ELBO per image in nats, and as bits per dimension, one sample per image."""

    name: ClassVar[str] = "likelihood"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Encodes",), encoding_without_labels=True)
    metrics: ClassVar[Mapping[str, Metric]] = {
        "elbo": Metric(unit="nats", better="higher"),
        "bits_per_dimension": Metric(unit="bits", better="lower"),
        "measured_images": Metric(unit="images", better="none"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Over all images of the split."""
        import torch

        from pipeline.data.batch import Batch

        total, count = 0.0, 0
        manifest = view.examples.data.manifest
        with torch.no_grad():
            for image in view.examples.images():
                labels = torch.zeros(len(image), len(manifest.labels), dtype=torch.uint8, device=image.device)
                batch = Batch(image=image, labels=labels, observed=labels.bool(), labelled=0)
                losses = view.model(batch)
                # An objective with weights is no bound: such a system records the bound next to it.
                bound = losses.terms["elbo"][0] if "elbo" in losses.terms else losses.objective.double().sum()
                total += float(bound)
                count += len(image)
        elbo = total / count
        numbers = {
            "elbo": elbo,
            "bits_per_dimension": -elbo / (math.prod(manifest.image_shape) * math.log(2)),
            "measured_images": float(count),
        }
        return Measured(numbers=numbers, counts={"elbo": count, "bits_per_dimension": count})
