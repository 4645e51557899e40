"""The figures of a run: those that its model is able to give."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pipeline.figures.generations import draw_generations
from pipeline.figures.grid import save_grid
from pipeline.figures.label_changes import (
    draw_intervention_draws,
    draw_interventions,
    draw_swaps,
    draw_switches,
    draw_traversals,
    first,
)
from pipeline.figures.latents import draw_latent_histogram
from pipeline.measures.examples import MeasuredSplit
from pipeline.models.capabilities import (
    EncodesFactors,
    GeneratesFromLabels,
    HasLabelLatents,
    Intervenes,
    KnownLabels,
    Reconstructs,
    SwapsCharacteristics,
    SwitchesAttribute,
    Traverses,
    labels_if_needed,
)

_COLUMNS = 12


@torch.no_grad()
def draw_figures(model: torch.nn.Module, examples: MeasuredSplit, folder: Path) -> list[Path]:
    """Write the figures as PNG files; returns their paths."""
    image, known = next(examples.images_and_labels())
    labels, of = examples.data.manifest.labels, labels_if_needed(model, known)
    drawn: list[Path] = []
    if isinstance(model, Reconstructs):
        drawn += _reconstructions(model, image[:_COLUMNS], of, folder)
    if isinstance(model, GeneratesFromLabels):
        rows = torch.from_numpy(examples.labels[: len(image)]).to(image.device)
        drawn += draw_generations(model, labels, rows, folder)
    if isinstance(model, Intervenes):
        drawn += draw_interventions(model, image, labels, folder, of)
        drawn += draw_intervention_draws(model, image, labels, folder, of)
    if isinstance(model, SwitchesAttribute) and isinstance(
        model, HasLabelLatents
    ):  # needs no means of a split
        drawn += draw_switches(model, image, labels, folder, known)
    if isinstance(model, SwapsCharacteristics):
        drawn += draw_swaps(model, image, folder, of)
    if isinstance(model, Traverses):
        drawn += draw_traversals(model, image, labels, folder, of)
    if isinstance(model, EncodesFactors):
        drawn += draw_latent_histogram(model, examples, folder)
    return drawn


def _reconstructions(
    model: Reconstructs, image: Tensor, known: KnownLabels | None, folder: Path
) -> list[Path]:
    path = folder / "reconstructions.png"
    rows = torch.stack([image.float() / 255, model.reconstruct(image, first(known, len(image)))])
    save_grid(rows, ["image", "decoded"], "Test images and their reconstructions", path)
    return [path]
