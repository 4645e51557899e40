"""Grids of images with a label changed: binary labels share one, a row each; a multi-class label has its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.manifest import LabelSpec
from pipeline.measures.image_grid import ImageGrid, grid_of
from pipeline.measures.view import ModelView
from pipeline.models.capabilities import Reconstructs

Change = Callable[[int, int], Float[Tensor, "image channel height width"]]
"""The shown images with a label (by index) at a value."""


def binary_labels(labels: Sequence[LabelSpec]) -> list[int]:
    """Indices of the binary labels."""
    return [place for place, label in enumerate(labels) if label.cardinality == 2]


def labels_of_several_values(labels: Sequence[LabelSpec]) -> list[int]:
    """Indices of the other labels."""
    return [place for place, label in enumerate(labels) if label.cardinality > 2]


def figure_of(label: LabelSpec, kind: str) -> str:
    """The name of a label's own figure, with unsafe characters replaced."""
    safe = re.sub(r"\W+", "_", label.name)
    return f"{kind}_{safe}"


def unchanged(view: ModelView, count: int) -> tuple[list[str], list[Tensor]]:
    """The first images of the split, and their reconstructions if the model supports that; with the names of the columns."""
    image = view.first(count)
    columns = [image.float() / 255]
    if isinstance(view.model, Reconstructs):
        columns.append(view.model.reconstruct(image, view.known_labels(len(image))))
    return ["image", "decoded"][: len(columns)], columns


def each_value(view: ModelView, count: int, change: Change, figure: str, title: str) -> dict[str, ImageGrid]:
    """Grids of the first images of the split, each followed by its versions with each value of each label.

    ``figure`` and ``title`` are the prefixes of the grids' names.
    """
    labels, split = view.examples.data.manifest.labels, view.examples.split
    names, before = unchanged(view, count)
    count = len(before[0])
    grids = {}
    binary = binary_labels(labels)
    if binary:
        rows = [
            torch.stack([*before, *(change(label, value) for value in (0, 1))], dim=1).flatten(0, 1)
            for label in binary
        ]
        grids[figure] = grid_of(
            torch.stack(rows),
            [labels[label].name for label in binary],
            f"{title}: {count} {split} images with each label off and on",
            [*names, "off", "on"] * count,
        )
    for label in labels_of_several_values(labels):
        spec = labels[label]
        values = (change(label, value) for value in range(spec.cardinality))
        grids[figure_of(spec, figure)] = grid_of(
            torch.stack([*before, *values], dim=1),
            [f"{split} image {number + 1}" for number in range(count)],
            f"{title} on {spec.name}",
            [*names, *spec.values],
        )
    return grids


def all_of(value: int, images: Tensor) -> UInt8[Tensor, " image"]:
    """The value for each of the images."""
    return torch.full((len(images),), value, dtype=torch.uint8, device=images.device)
