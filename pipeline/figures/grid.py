"""A grid of images as one picture, with names beside its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float
from torch import Tensor

matplotlib.use("Agg")
from matplotlib import pyplot


def save_grid(
    images: Float[Tensor, "row column channel height width"], row_names: Sequence[str], title: str, path: Path
) -> None:
    """Write a PNG of images in [0, 1], grey or colour, one name per row."""
    rows, columns, _, height, width = images.shape
    tiles = images.clamp(0, 1).permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, -1)
    picture = np.asarray(tiles.cpu())
    figure, axes = pyplot.subplots(figsize=(1.2 + 0.55 * columns, 0.5 + 0.55 * rows), layout="constrained")
    axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([height * (row + 0.5) for row in range(rows)], labels=list(row_names), fontsize=7)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    pyplot.close(figure)
