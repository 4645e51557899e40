"""What a model makes of an image when a label of it changes: interventions, draws of them, traversals, swaps.

Binary labels are shown together, a row for each; a label of several values has a figure of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.manifest import LabelSpec
from pipeline.figures.grid import save_grid
from pipeline.models.capabilities import Intervenes, Reconstructs, SwapsCharacteristics, Traverses

IMAGES = 4
"""Side by side in a row of interventions."""
DRAWS, STEPS, SWAPPED = 5, 9, 8

_Images = UInt8[Tensor, "image channel height width"]


def binary_labels(labels: Sequence[LabelSpec]) -> list[int]:
    """The places of the labels of two values."""
    return [place for place, label in enumerate(labels) if label.cardinality == 2]


def labels_of_several_values(labels: Sequence[LabelSpec]) -> list[int]:
    """The places of the others."""
    return [place for place, label in enumerate(labels) if label.cardinality > 2]


def draw_interventions(
    model: Intervenes, image: _Images, labels: Sequence[LabelSpec], folder: Path
) -> list[Path]:
    """Write ``interventions*.png``: images, and beside each what it becomes with each value of each label."""
    drawn = []
    shown, decoded = image[:IMAGES].float() / 255, _decoded(model, image[:IMAGES])
    before = ["image", *(["decoded"] if decoded else [])]
    binary = binary_labels(labels)
    if binary:
        rows = [
            torch.stack([shown, *decoded, *_each_value(model, image[:IMAGES], label, 2)], dim=1).flatten(0, 1)
            for label in binary
        ]
        drawn.append(folder / "interventions.png")
        save_grid(
            torch.stack(rows),
            [labels[label].name for label in binary],
            f"Interventions: {len(shown)} test images with each label off and on",
            drawn[-1],
            [*before, "off", "on"] * len(shown),
        )
    for label in labels_of_several_values(labels):
        spec = labels[label]
        columns = [shown, *decoded, *_each_value(model, image[:IMAGES], label, spec.cardinality)]
        drawn.append(folder / _figure_of(spec, "interventions"))
        save_grid(
            torch.stack(columns, dim=1),
            [f"test image {number + 1}" for number in range(len(shown))],
            f"Interventions on {spec.name}",
            drawn[-1],
            [*before, *spec.values],
        )
    return drawn


def draw_intervention_draws(
    model: Intervenes, image: _Images, labels: Sequence[LabelSpec], folder: Path
) -> list[Path]:
    """Write ``intervention_draws.png``: one image, several draws of each binary label's characteristics."""
    binary = binary_labels(labels)
    if not binary:
        return []
    one = image[:1]
    before = [one.float() / 255, *_decoded(model, one)]
    rows = [
        torch.cat([*before, *(_of_value(model, one, label, value, DRAWS)[:, 0] for value in (0, 1))])
        for label in binary
    ]
    path = folder / "intervention_draws.png"
    save_grid(
        torch.stack(rows),
        [labels[label].name for label in binary],
        f"Interventions: one test image, {DRAWS} draws of each label's characteristics, off and on",
        path,
        [*("image", "decoded")[: len(before)], *["off"] * DRAWS, *["on"] * DRAWS],
    )
    return [path]


def draw_traversals(
    model: Traverses, image: _Images, labels: Sequence[LabelSpec], folder: Path
) -> list[Path]:
    """Write ``traversals*.png``: one image on the way from one value of a label to the next."""
    one, drawn = image[:1], []
    shown = one.float() / 255

    def way(label: int, start: int, end: int) -> Tensor:
        steps = model.traverse(one, label, STEPS, start=start, end=end)[:, 0]
        return torch.cat([shown, steps])

    shares = ["image", *(f"{step / (STEPS - 1):.0%}" for step in range(STEPS))]
    binary = binary_labels(labels)
    if binary:
        drawn.append(folder / "traversals.png")
        save_grid(
            torch.stack([way(label, 0, 1) for label in binary]),
            [labels[label].name for label in binary],
            "Traversals: one test image, each label's latents from off to on",
            drawn[-1],
            shares,
        )
    for label in labels_of_several_values(labels):
        spec = labels[label]
        drawn.append(folder / _figure_of(spec, "traversals"))
        save_grid(
            torch.stack([way(label, start, end) for start, end in pairwise(range(spec.cardinality))]),
            [f"{start} to {end}" for start, end in pairwise(spec.values)],
            f"Traversals of the latents of {spec.name}",
            drawn[-1],
            shares,
        )
    return drawn


def draw_swaps(model: SwapsCharacteristics, image: _Images, folder: Path) -> list[Path]:
    """Write ``swaps.png``: the characteristics of the image at the left in the style of the image above (figure 7)."""
    image = image[:SWAPPED]
    count = len(image)
    grid = model.swap(image.repeat_interleave(count, 0), image.repeat(count, 1, 1, 1)).unflatten(
        0, (count, count)
    )
    shown = image.float() / 255
    corner = torch.ones_like(shown[:1])
    head = torch.cat([corner, shown])[None]
    path = folder / "swaps.png"
    save_grid(
        torch.cat([head, torch.cat([shown[:, None], grid], dim=1)]),
        ["style of", *["characteristics of"] * count],
        "Swaps: characteristics of the left image, style of the image above",
        path,
    )
    return [path]


def _decoded(model: object, image: _Images) -> list[Tensor]:
    return [model.reconstruct(image)] if isinstance(model, Reconstructs) else []


def _of_value(
    model: Intervenes, image: _Images, label: int, value: int, draws: int = 1
) -> Float[Tensor, "draw image channel height width"]:
    values = torch.full((len(image),), value, dtype=torch.uint8, device=image.device)
    return model.intervene(image, label, values, draws)


def _each_value(model: Intervenes, image: _Images, label: int, cardinality: int) -> list[Tensor]:
    return [_of_value(model, image, label, value)[0] for value in range(cardinality)]


def _figure_of(label: LabelSpec, kind: str) -> str:
    """A file's name with the label's in it, whatever characters that has."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]+', '_', label.name)}.png"
