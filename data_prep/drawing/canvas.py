"""Anti-aliased shapes on an array of light: outlines are filled at four times the resolution, then averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from data_prep.drawing.curves import Number, Points

Light = NDArray[np.float32]
Values = NDArray[np.floating[Any]]

SUPERSAMPLING = 4
_SOFT = 1.2
"""From this blur on, twice the resolution is as good."""
_VERY_SOFT = 2.0
"""From this blur on, a blur at half the resolution is as good, in a quarter of the time."""


@dataclass(frozen=True, slots=True)
class Patch:
    """How much of each pixel a shape covers, 0 to 1, in the box of the picture that it touches."""

    rows: slice
    columns: slice
    alpha: Light
    """(h, w)"""

    def times(self, strength: Number | Values) -> Patch:
        return Patch(self.rows, self.columns, self.alpha * np.float32(strength))

    def of(self, whole: Light) -> Light:
        """The part of a whole picture's array (H, W, …) that lies in the box."""
        return whole[self.rows, self.columns]


class Canvas:
    """A picture being drawn: float32 (H, W, C) or (H, W), onto which shapes are painted one after another."""

    def __init__(self, pixels: Light) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]

    def covered(self, *outlines: Points, soften: Number = 0.0, within: Patch | None = None) -> Patch:
        """What closed outlines (n, 2) cover together; ``soften`` is the standard deviation of a blur, in pixels.

        ``within``: clip to another patch, whose box the new one shares.
        """
        if within is None:
            return Patch(*(box := self._box(outlines, soften)), _filled(outlines, *box, soften))
        alpha = _filled(outlines, within.rows, within.columns, soften)
        return Patch(within.rows, within.columns, alpha * within.alpha)

    def paint(self, patch: Patch, colour: Values | tuple[Number, ...] | Number) -> None:
        """Paint a colour (C,) or colours (h, w, C) over what the patch covers."""
        under = patch.of(self.pixels)
        under += patch.alpha[..., None] * (np.asarray(colour, dtype=np.float32) - under)

    def shade(self, patch: Patch, factor: Values | tuple[Number, ...] | Number) -> None:
        """Multiply what the patch covers by a factor (C,): below 1 a shadow, above 1 light."""
        under = patch.of(self.pixels)
        under *= 1 + patch.alpha[..., None] * (np.asarray(factor, dtype=np.float32) - np.float32(1))

    def add(self, patch: Patch, amount: Values | Number) -> None:
        """Add to what the patch covers, on pixels (H, W) without channels; negative values subtract."""
        under = patch.of(self.pixels)
        under += patch.alpha * np.asarray(amount, dtype=np.float32)

    def spot(self, x: Number, y: Number, rx: Number, ry: Number) -> Patch:
        """A soft spot: a Gaussian of deviations ``rx`` and ``ry`` around (x, y), cut at 2.6 deviations."""
        left, right = _between(math.floor(x - 2.6 * rx), math.ceil(x + 2.6 * rx), self.width)
        top, bottom = _between(math.floor(y - 2.6 * ry), math.ceil(y + 2.6 * ry), self.height)
        across, down = _bell(left, right, x, rx), _bell(top, bottom, y, ry)
        return Patch(slice(top, bottom), slice(left, right), down[:, None] * across)

    def _box(self, outlines: Sequence[Points], soften: Number) -> tuple[slice, slice]:
        corners = outlines[0] if len(outlines) == 1 else np.concatenate(outlines)
        pad = 2.5 * soften + 1
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        top, bottom = _between(math.floor(y0 - pad), math.ceil(y1 + pad), self.height)
        left, right = _between(math.floor(x0 - pad), math.ceil(x1 + pad), self.width)
        if soften < _VERY_SOFT:
            return slice(top, bottom), slice(left, right)
        return _even(top, bottom, self.height), _even(left, right, self.width)


def _filled(outlines: Sequence[Points], rows: slice, columns: slice, soften: Number) -> Light:
    finer = SUPERSAMPLING if soften < _SOFT else SUPERSAMPLING // 2
    fine = Image.new("L", ((columns.stop - columns.start) * finer, (rows.stop - rows.start) * finer))
    # Pillow truncates a polygon's coordinates to integers, which gives the pixel that they fall into.
    pen, corner = ImageDraw.Draw(fine), np.array([columns.start, rows.start])
    for outline in outlines:
        pen.polygon(((outline - corner) * finer).ravel().tolist(), fill=255)
    if soften < _VERY_SOFT:
        mask = fine.reduce(finer)
        if soften:
            mask = mask.filter(ImageFilter.GaussianBlur(soften))
    else:
        half = fine.reduce(2 * finer).filter(ImageFilter.GaussianBlur(0.5 * soften))
        mask = half.resize((columns.stop - columns.start, rows.stop - rows.start), Image.Resampling.BILINEAR)
    covered = np.frombuffer(mask.tobytes(), np.uint8).reshape(mask.height, mask.width)
    return covered * np.float32(1 / 255)


def _even(start: int, stop: int, size: int) -> slice:
    """The range widened to even bounds, so that pixels can be pooled two by two (``size`` is even)."""
    return slice(start - start % 2, min(stop + stop % 2, size))


def _bell(start: int, stop: int, centre: Number, deviation: Number) -> Light:
    """A Gaussian at the middles of pixels that reaches 0 at 2.6 deviations, so that a spot has no edge."""
    distance = (np.arange(start, stop, dtype=np.float32) + np.float32(0.5 - centre)) / np.float32(deviation)
    return np.maximum(np.exp(-0.5 * distance**2) - np.float32(0.034), 0).astype(np.float32) / np.float32(
        0.966
    )


def _between(low: int, high: int, size: int) -> tuple[int, int]:
    """The pixels from ``low`` to ``high`` that exist; at least one, so that a box is never empty."""
    start = min(max(int(low), 0), size - 1)
    return start, max(min(int(high), size), start + 1)
