"""Pages of tiny untrained models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from data_prep.manifest import LabelSpec
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec
from pipeline.models.parts.class_means import class_means
from pipeline.pages.explorer_page import explorer_page
from pipeline.pages.label_controls import needs_means
from pipeline.pages.pictures import Pictures
from tests.pipeline.models.every_system import Case, images, labels

COUNT = 6
EVIL = "<script>document.title='x'</script>&\"'"
"""Name of the first label, and of the run."""


def model_of(case: Case, **options: Any) -> nn.Module:
    """An untrained model whose pictures, typical values and classifications differ from each other."""
    model = case.build(**options).eval().requires_grad_(False)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.15 if name.endswith("raw_mean") else 0.05)
        if name.endswith(("slope", "reference_target")):
            parameter.add_(1)
    return model


def label_specs(data: DataSpec) -> tuple[LabelSpec, ...]:
    """Labels with names, the first of which would be code if it were markup."""
    return tuple(
        LabelSpec(EVIL if number == 0 else f"label {number}", size, tuple(f"value {i}" for i in range(size)))
        for number, size in enumerate(data.cardinalities)
    )


def pictures_of(data: DataSpec) -> Pictures:
    """Random pictures, the second one with a label that is not known."""
    observed = torch.ones(COUNT, len(data.cardinalities), dtype=torch.bool)
    observed[1, 0] = False
    return Pictures(
        split="test",
        rows=tuple(range(COUNT)),
        images=images(data, COUNT).numpy(),
        labels=labels(data, COUNT).numpy(),
        observed=observed.numpy(),
    )


def write_page(model: nn.Module, data: DataSpec, path: Path) -> Path:
    """The explorer of a model."""
    specs, pictures = label_specs(data), pictures_of(data)
    means = None
    if needs_means(model):
        # Every value has a picture.
        size = 4 * max(data.cardinalities)
        values = torch.arange(size)[:, None].remainder(torch.tensor(data.cardinalities)).to(torch.uint8)
        batches = [(images(data, size), KnownLabels.all_of(values))]
        means = class_means(model, batches, data.cardinalities)  # type: ignore[arg-type]
    text = explorer_page(model, specs, pictures, means=means, title=EVIL, facts={"data": EVIL})
    path.write_text(text, encoding="utf-8")
    return path
