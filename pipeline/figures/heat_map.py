"""Matrices of single interventions: which labels are seen to change when one label is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

_TITLES = {"on": "switched on", "off": "switched off"}
_SMALLEST_FONT = 4.5


def _draw_changes(kind: str, named: str, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Two matrices, switched on and off: a column for each label that is changed, a row for each that is read."""
    from matplotlib.figure import Figure

    names = [str(name).replace("_", " ") for name in arrays["attributes"]]
    matrices = {way: arrays[f"{kind}_change_{way}"] for way in _TITLES}
    most = max(float(np.nanmax(np.abs(each), initial=0.0)) for each in matrices.values()) or 1.0
    side = 1.4 + 0.36 * max(len(names), 5)
    figure = Figure(figsize=(2 * side + 0.8, side + 0.5), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2, squeeze=False)[0]
    for ax, (way, matrix) in zip(panels, matrices.items(), strict=True):
        shown = ax.imshow(matrix, cmap="RdBu_r", vmin=-most, vmax=most)
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        ax.set_yticks(range(len(names)), names, fontsize=6)
        ax.set_xlabel("changed label", fontsize=7)
        ax.set_title(f"{_TITLES[way]}{_condition(arrays, kind, way)}", fontsize=8)
        _write_values(ax, matrix, most)
    panels[0].set_ylabel("label that is read", fontsize=7)
    figure.colorbar(shown, ax=list(panels), shrink=0.8).ax.tick_params(labelsize=6)
    figure.suptitle(f"Mean change of the {named} of each label when one label is changed", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _condition(arrays: Mapping[str, np.ndarray], kind: str, way: str) -> str:
    """``, condition number 12.3``; empty without binary labels, or in results from before it was kept here."""
    number = float(arrays.get(f"{kind}_condition_number_{way}", np.nan))
    return "" if np.isnan(number) else f", condition number {number:.1f}"


def _write_values(ax: Any, matrix: np.ndarray, most: float) -> None:
    """Each number in its cell, white on dark colours; nothing where no image could be changed."""
    size = max(_SMALLEST_FONT, 8 - 0.12 * len(matrix))
    for (row, column), value in np.ndenumerate(matrix):
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.6 * most else "black"
            number = round(float(value), 1 if abs(value) >= 10 else 2) + 0.0  # never "-0.00"
            text = f"{number:.1f}" if abs(value) >= 10 else f"{number:.2f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


draw_log_probability_changes: Callable[[Mapping[str, np.ndarray], Path], None] = partial(
    _draw_changes, "log_prob", "log-probability"
)
"""As figures 10-16 of Joy et al. 2021."""
draw_probability_changes: Callable[[Mapping[str, np.ndarray], Path], None] = partial(
    _draw_changes, "probability", "probability"
)
"""As figure 4 of Joy et al. 2020 (ReVAE)."""
