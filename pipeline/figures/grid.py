"""A grid of images as one picture, with names next to its rows and above its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.measures.image_grid import ImageGrid

_GAP = 2
"""White pixels between images, to separate neighbours."""


def save_grid(grid: ImageGrid, path: Path) -> None:
    """Write a PNG of grey or colour images, one name per row, and one per column where there are any."""
    from matplotlib.figure import Figure

    rows, columns, _, height, width = grid.images.shape
    height, width = height + _GAP, width + _GAP
    framed = np.pad(grid.images, [(0, 0)] * 3 + [(0, _GAP)] * 2, constant_values=255)
    picture = framed.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, -1)
    figure = Figure(figsize=(1.5 + 0.6 * columns, 0.6 + 0.6 * rows), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=255)
    middles = [height * (row + 0.5) - _GAP / 2 for row in range(rows)]
    axes.set_yticks(middles, labels=list(grid.rows), fontsize=7)
    middles = [width * (column + 0.5) - _GAP / 2 for column in range(len(grid.columns))]
    axes.set_xticks(middles, labels=list(grid.columns), fontsize=6)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_title(grid.title, fontsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.05)  # long names would be truncated
