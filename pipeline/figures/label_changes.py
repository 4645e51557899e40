"""What a model makes of an image when a label of it changes: interventions, draws of them, switches, traversals, swaps.

Binary labels are shown together, a row for each; a label of several values has a figure of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.manifest import LabelSpec
from pipeline.figures.grid import save_grid
from pipeline.models.capabilities import (
    Intervenes,
    KnownLabels,
    Reconstructs,
    SwapsCharacteristics,
    SwitchesAttribute,
    Traverses,
)

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


def first(known: KnownLabels | None, count: int) -> KnownLabels | None:
    """The known labels of the first images."""
    return None if known is None else KnownLabels(known.labels[:count], known.observed[:count])


def draw_interventions(
    model: Intervenes,
    image: _Images,
    labels: Sequence[LabelSpec],
    folder: Path,
    known: KnownLabels | None = None,
) -> list[Path]:
    """Write ``interventions*.png``: images, and beside each what it becomes with each value of each label.

    ``known`` are labels to hand in, those of the images; so it is in all that follow.
    """

    def change(image: _Images, label: int, value: int) -> Tensor:
        return _of_value(model, image, label, value, known=known)[0]

    return _draw_changes(model, change, image, labels, folder, known, ("interventions", "Interventions"))


def draw_switches(
    model: SwitchesAttribute,
    image: _Images,
    labels: Sequence[LabelSpec],
    folder: Path,
    known: KnownLabels | None = None,
) -> list[Path]:
    """Write ``attribute_switching*.png``: the same with each value of each label alone, the other labels absent."""

    def change(image: _Images, label: int, value: int) -> Tensor:
        values = torch.full((len(image),), value, dtype=torch.uint8, device=image.device)
        return model.switch_attribute(image, label, values, labels=first(known, len(image)))[0]

    names = ("attribute_switching", "Attribute switching")
    return _draw_changes(model, change, image, labels, folder, known, names)


def _draw_changes(
    model: object,
    change: Callable[[_Images, int, int], Tensor],
    image: _Images,
    labels: Sequence[LabelSpec],
    folder: Path,
    known: KnownLabels | None,
    names: tuple[str, str],
) -> list[Path]:
    """``change`` gives images with a value of a label; ``names`` are those of the file and of what it shows."""
    drawn, (file, title) = [], names
    image = image[:IMAGES]
    shown, decoded = image.float() / 255, _decoded(model, image, known)
    before = ["image", *(["decoded"] if decoded else [])]
    binary = binary_labels(labels)
    if binary:
        rows = [
            torch.stack([shown, *decoded, *(change(image, label, value) for value in (0, 1))], dim=1)
            for label in binary
        ]
        drawn.append(folder / f"{file}.png")
        save_grid(
            torch.stack([row.flatten(0, 1) for row in rows]),
            [labels[label].name for label in binary],
            f"{title}: {len(shown)} test images with each label off and on",
            drawn[-1],
            [*before, "off", "on"] * len(shown),
        )
    for label in labels_of_several_values(labels):
        spec = labels[label]
        columns = [shown, *decoded, *(change(image, label, value) for value in range(spec.cardinality))]
        drawn.append(folder / _figure_of(spec, file))
        save_grid(
            torch.stack(columns, dim=1),
            [f"test image {number + 1}" for number in range(len(shown))],
            f"{title} on {spec.name}",
            drawn[-1],
            [*before, *spec.values],
        )
    return drawn


def draw_intervention_draws(
    model: Intervenes,
    image: _Images,
    labels: Sequence[LabelSpec],
    folder: Path,
    known: KnownLabels | None = None,
) -> list[Path]:
    """Write ``intervention_draws.png``: one image, several draws of each binary label's characteristics."""
    binary = binary_labels(labels)
    if not binary:
        return []
    one = image[:1]
    before = [one.float() / 255, *_decoded(model, one, known)]
    rows = [
        torch.cat([*before, *(_of_value(model, one, label, value, DRAWS, known)[:, 0] for value in (0, 1))])
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
    model: Traverses,
    image: _Images,
    labels: Sequence[LabelSpec],
    folder: Path,
    known: KnownLabels | None = None,
) -> list[Path]:
    """Write ``traversals*.png``: one image on the way from one value of a label to the next."""
    one, drawn = image[:1], []
    shown = one.float() / 255

    def way(label: int, start: int, end: int) -> Tensor:
        steps = model.traverse(one, label, STEPS, start=start, end=end, labels=first(known, 1))[:, 0]
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


def draw_swaps(
    model: SwapsCharacteristics, image: _Images, folder: Path, known: KnownLabels | None = None
) -> list[Path]:
    """Write ``swaps.png``: the characteristics of the image at the left in the style of the image above (figure 7)."""
    image = image[:SWAPPED]
    count = len(image)
    of, style_of = None, None
    if known is not None:
        values, observed = known.labels[:count], known.observed[:count]
        of = KnownLabels(values.repeat_interleave(count, 0), observed.repeat_interleave(count, 0))
        style_of = KnownLabels(values.repeat(count, 1), observed.repeat(count, 1))
    grid = model.swap(
        image.repeat_interleave(count, 0), image.repeat(count, 1, 1, 1), of, style_of
    ).unflatten(0, (count, count))
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


def _decoded(model: object, image: _Images, known: KnownLabels | None) -> list[Tensor]:
    return [model.reconstruct(image, first(known, len(image)))] if isinstance(model, Reconstructs) else []


def _of_value(
    model: Intervenes,
    image: _Images,
    label: int,
    value: int,
    draws: int = 1,
    known: KnownLabels | None = None,
) -> Float[Tensor, "draw image channel height width"]:
    values = torch.full((len(image),), value, dtype=torch.uint8, device=image.device)
    return model.intervene(image, label, values, draws, first(known, len(image)))


def _figure_of(label: LabelSpec, kind: str) -> str:
    """A file's name with the label's in it, whatever characters that has."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]+', '_', label.name)}.png"
