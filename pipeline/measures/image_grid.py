"""A grid of images with names: stored in ``arrays.npz`` by measures that show images, and the source of figures.

Nothing here imports torch at its top, so that figures can be redrawn without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from torch import Tensor

_PARTS = ("images", "rows", "columns", "title")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageGrid:
    """Images side by side.

    Raises:
        ValueError: there are more or fewer names than rows or columns.
    """

    images: UInt8[np.ndarray, "row column channel height width"]
    rows: Sequence[str]
    """A name per row."""
    columns: Sequence[str] = ()
    """A name per column, or none."""
    title: str

    def __post_init__(self) -> None:
        rows, columns = self.images.shape[:2]
        if len(self.rows) != rows or len(self.columns) not in (0, columns):
            raise ValueError(
                f"{rows} rows and {columns} columns of images have {len(self.rows)} and {len(self.columns)} names"
            )


def grid_of(images: Tensor, rows: Sequence[str], title: str, columns: Sequence[str] = ()) -> ImageGrid:
    """A grid of images in [0, 1], (row, column, channel, height, width), stored as bytes."""
    shades = (images.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return ImageGrid(images=shades, rows=list(rows), columns=list(columns), title=title)


def as_arrays(grids: Mapping[str, ImageGrid]) -> dict[str, np.ndarray]:
    """Grids by the name of their figure as arrays ``<figure>.images``, ``.rows``, ``.columns`` and ``.title``."""
    return {
        f"{figure}.{part}": np.asarray(getattr(grid, part), dtype=None if part == "images" else np.str_)
        for figure, grid in grids.items()
        for part in _PARTS
    }


def grids_in(arrays: Mapping[str, np.ndarray]) -> dict[str, ImageGrid]:
    """The grids that ``as_arrays`` made, by the name of their figure."""
    figures = [name.removesuffix(".images") for name in arrays if name.endswith(".images")]
    return {
        figure: ImageGrid(
            images=arrays[f"{figure}.images"],
            rows=arrays[f"{figure}.rows"].tolist(),
            columns=arrays[f"{figure}.columns"].tolist(),
            title=str(arrays[f"{figure}.title"]),
        )
        for figure in figures
    }
