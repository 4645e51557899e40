"""Posterior means in the latents of labels, and where the points of grids lie among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist


def draw_subspace_views(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Draw what ``pipeline.measures.subspace_views`` found: a panel per view, a colour per value, crosses for grids."""
    from matplotlib.figure import Figure

    views = [str(name).replace("_", " ") for name in arrays["views"]]
    columns = min(6, len(views))
    rows = -(-len(views) // columns)
    figure = Figure(figsize=(2.2 * columns + 1.4, 2.2 * rows + 0.5), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(views) :]:
        ax.set_visible(False)
    named: dict[str, Artist] = {}
    for view, (name, ax) in enumerate(zip(views, axes.flat, strict=False)):
        for value, called in enumerate(arrays["value_names"][view]):
            x, y = arrays["points"][view, arrays["values"][view] == value].T
            if called and len(x):
                marks = ax.scatter(x, y, s=2, alpha=0.4, color=f"C{value % 10}", label=str(called))
                named.setdefault(str(called), marks)
        x, y = arrays["grid_points"][view].T
        ax.plot(x, y, "k+", markersize=3, markeredgewidth=0.5)
        ax.set_title(name, fontsize=7)
        ax.tick_params(labelsize=5)
    if named:
        figure.legend(list(named.values()), list(named), loc="outside right upper", fontsize=7, markerscale=4)
    figure.suptitle(str(arrays["title"]), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
