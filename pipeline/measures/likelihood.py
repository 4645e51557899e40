"""Measure 17, its first part: the evidence lower bound of images without their labels."""

from __future__ import annotations

import math

import torch

from pipeline.data.batch import Batch
from pipeline.measures.examples import MeasuredSplit
from pipeline.models.interface import Model


@torch.no_grad()
def likelihood(model: Model, examples: MeasuredSplit) -> dict[str, float]:
    """Mean ELBO per image in nats, and as bits per dimension (lower is better), one sample per image."""
    total, count = 0.0, 0
    shape = examples.data.manifest.image_shape
    label_count = len(examples.data.manifest.labels)
    for image in examples.images():
        labels = torch.zeros(len(image), label_count, dtype=torch.uint8, device=image.device)
        batch = Batch(image=image, labels=labels, observed=labels.bool(), labelled=0)
        losses = model(batch)
        # An objective with weights is no bound: such a system records the bound beside it.
        bound = losses.terms["elbo"][0] if "elbo" in losses.terms else losses.objective.double().sum()
        total += float(bound)
        count += len(image)
    elbo = total / count
    return {
        "elbo": elbo,
        "bits_per_dimension": -elbo / (math.prod(shape) * math.log(2)),
        "measured_images": float(count),
    }
