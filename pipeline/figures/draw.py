"""The figures of a cell, drawn from its measures' arrays on disk, without a model or torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pipeline.cells.measurements import ARRAYS_FILE, MeasurementKey, results
from pipeline.figures.bars import draw_latent_separation
from pipeline.figures.grid import save_grid
from pipeline.figures.heat_map import draw_log_probability_changes, draw_probability_changes
from pipeline.figures.latents import draw_latent_histogram
from pipeline.figures.subspaces import draw_subspace_views
from pipeline.figures.swap_bars import draw_swap_differences
from pipeline.measures.image_grid import grids_in

Arrays = Mapping[str, np.ndarray]

DRAWN: dict[str, dict[str, Callable[[Arrays, Path], None]]] = {
    "latent_histogram": {"latent_histogram": draw_latent_histogram},
    "latent_separation": {"latent_separation": draw_latent_separation},
    "single_interventions": {
        "log_probability_changes": draw_log_probability_changes,
        "probability_changes": draw_probability_changes,
    },
    "subspace_views": {"subspace_views": draw_subspace_views},
    "characteristic_swap": {"swap_differences": draw_swap_differences},
}
"""Measure → the names of its figures, and what draws each; grids of images need no entry."""


def draw_figures(cell: Path, figures: Path | None = None) -> list[Path]:
    """Draw every figure that the results in a cell's folder have arrays for; returns the PNG files.

    Those of the split ``test`` are in ``figures/``, those of other splits in ``figures/<split>/``; for a repeated measure
    the newest result is drawn. ``figures`` overrides the folder.
    """
    drawn: dict[Path, None] = {}
    for result in sorted(results(cell), key=lambda result: (result.key.version, result.time)):
        drawn |= dict.fromkeys(draw_result(cell, result.key, figures or cell / "figures"))
    return list(drawn)


def draw_result(cell: Path, key: MeasurementKey, figures: Path) -> list[Path]:
    """Draw the figures of one result; none if it has no arrays."""
    file = key.folder(cell) / ARRAYS_FILE
    if not file.is_file():
        return []
    with np.load(file, allow_pickle=False) as stored:
        return draw_arrays(key, dict(stored), figures)


def draw_arrays(key: MeasurementKey, arrays: Arrays, figures: Path) -> list[Path]:
    """Draw the figures of a measure's arrays."""
    folder = figures if key.split == "test" else figures / key.split
    settings = settings_in_name(key.settings)
    drawn = []
    for name, grid in grids_in(arrays).items():
        drawn.append(folder / f"{name}{settings}.png")
        save_grid(grid, drawn[-1])
    if arrays and key.measure in DRAWN:  # there are none if the measure does not apply
        for name, draw in DRAWN[key.measure].items():
            drawn.append(folder / f"{name}{settings}.png")
            draw(arrays, drawn[-1])
    return drawn


def settings_in_name(settings: Mapping[str, object]) -> str:
    """The settings that differ from their defaults, in the name of a file: ``-labels_Pale_Skin+Young``."""
    named = (f"-{name}_{value}" for name, value in sorted(settings.items()))
    return "".join(re.sub(r"[^\w.+=-]+", "_", text) for text in named)
