"""The pictures of a page: some of a split, in one PNG, with what is known of their labels."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from data_prep.errors import ConfigError

SMALLEST_SIDE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Some pictures of a split."""

    split: str
    rows: tuple[int, ...]
    """Their numbers in the split."""
    images: UInt8[np.ndarray, "row channel height width"]
    labels: UInt8[np.ndarray, "row label"]
    observed: Bool[np.ndarray, "row label"]

    def known(self) -> list[list[int | None]]:
        """The value of each label of each picture, None where it is not known."""
        return [
            [int(value) if is_known else None for value, is_known in zip(*row, strict=True)]
            for row in zip(self.labels, self.observed, strict=True)
        ]

    def as_png(self) -> str:
        """All of them one below the other, in base64."""
        rows = np.concatenate(list(self.images.transpose(0, 2, 3, 1)))
        file = io.BytesIO()
        Image.fromarray(rows[..., 0] if rows.shape[-1] == 1 else rows).save(file, "PNG", optimize=True)
        return base64.b64encode(file.getvalue()).decode()


def spread(rows: int, count: int) -> tuple[int, ...]:
    """So many numbers of rows, spread evenly; all of them if there are fewer."""
    return tuple(int(row) for row in np.linspace(0, rows - 1, min(rows, count)).round()) if rows else ()


def check_shape(image_shape: tuple[int, int, int]) -> None:
    """ConfigError unless such images can be shown."""
    channels, height, width = image_shape
    if channels not in (1, 3) or min(height, width) < SMALLEST_SIDE:
        raise ConfigError(
            f"a page shows pictures in grey or colour with sides of {SMALLEST_SIDE} pixels or more;"
            f" these are {channels} x {height} x {width}"
        )
