"""Images drawn from labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from data_prep.manifest import LabelSpec
from pipeline.figures.grid import save_grid
from pipeline.models.capabilities import GeneratesFromLabels

DRAWS = 12


def draw_generations(
    model: GeneratesFromLabels,
    labels: Sequence[LabelSpec],
    others: UInt8[Tensor, "row label"],
    folder: Path,
) -> list[Path]:
    """Write ``conditional_generations.png``: a row for each value of one label; of several, for each label off and on.

    ``others`` are rows of labels that occur together; with several labels a draw has those of one of them, but for the
    label that the row is about. Every row has the same random draws, so that two rows differ in their label alone.
    """
    path = folder / "conditional_generations.png"
    if len(labels) == 1:
        asked = [(0, value) for value in range(labels[0].cardinality)]
        names, draws = list(labels[0].values), DRAWS
        title = f"Generated from {labels[0].name} alone, {DRAWS} draws each"
    else:
        asked = [(place, value) for place, label in enumerate(labels) for value in range(label.cardinality)]
        names = [f"{labels[place].name}: {labels[place].values[value]}" for place, value in asked]
        draws = min(DRAWS, len(others))
        title = "Generated from the labels of test images (columns) with one label changed"
    rows = []
    for place, value in asked:
        given = others[:draws].clone() if len(labels) > 1 else others.new_zeros(draws, 1)
        given[:, place] = value
        rows.append(_with_the_same_draws(model, given))
    save_grid(torch.stack(rows), names, title, path)
    return [path]


def _with_the_same_draws(model: GeneratesFromLabels, labels: UInt8[Tensor, "row label"]) -> Tensor:
    on_gpu = [labels.device] if labels.device.type == "cuda" else []
    with torch.random.fork_rng(on_gpu):
        torch.manual_seed(0)
        return model.generate(labels)
