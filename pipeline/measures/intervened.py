"""Pictures with a label at the value that is seen in them, and at another: what judges of interventions compare."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from pipeline.models.capabilities import KnownLabels


def intervened_pair(
    model: Any,
    image: UInt8[Tensor, "batch channel height width"],
    label: int,
    read: Integer[Tensor, " batch"],
    given: Integer[Tensor, " batch"],
    labels: KnownLabels | None,
) -> tuple[Float[Tensor, "batch channel height width"], Float[Tensor, "batch channel height width"]]:
    """The images with a label at the value that is read and at the given one, by the same random draws.

    The former is the reference, not the reconstruction: a system may decode an image otherwise than it reconstructs it
    before anything is changed (MVAE does).
    """
    with torch.random.fork_rng([image.device] if image.device.type == "cuda" else []):
        before = model.intervene(image, label, read.to(torch.uint8), labels=labels)[0]
    return before, model.intervene(image, label, given.to(torch.uint8), labels=labels)[0]
