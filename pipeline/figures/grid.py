"""A grid of images as one picture, with names beside its rows and above its columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

_GAP = 2
"""White pixels between images, so that small differences between neighbours are seen where they are."""


def save_grid(
    images: Float[Tensor, "row column channel height width"],
    row_names: Sequence[str],
    title: str,
    path: Path,
    column_names: Sequence[str] = (),
) -> None:
    """Write a PNG of images in [0, 1], grey or colour, one name per row, and one per column where there are any.

    Raises:
        ValueError: there are more or fewer names than rows or columns.
    """
    rows, columns, _, height, width = images.shape
    if len(row_names) != rows or len(column_names) not in (0, columns):
        raise ValueError(
            f"{rows} rows and {columns} columns of images have {len(row_names)} and {len(column_names)} names"
        )
    height, width = height + _GAP, width + _GAP
    framed = torch.nn.functional.pad(images.float().clamp(0, 1), (0, _GAP, 0, _GAP), value=1.0)
    tiles = framed.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, -1)
    picture = np.asarray(tiles.cpu())
    figure = Figure(figsize=(1.5 + 0.6 * columns, 0.6 + 0.6 * rows), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
    middles = [height * (row + 0.5) - _GAP / 2 for row in range(rows)]
    axes.set_yticks(middles, labels=list(row_names), fontsize=7)
    middles = [width * (column + 0.5) - _GAP / 2 for column in range(len(column_names))]
    axes.set_xticks(middles, labels=list(column_names), fontsize=6)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_title(title, fontsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.05)  # long names would be cut off
