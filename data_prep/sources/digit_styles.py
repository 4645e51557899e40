"""Rb-VAE's digit styles: edges of a picture, then width, colour and size (Ruiz et al. 2019, A.3.1).

What the paper does not specify, and our choices:

* *Upscaling* to 64 x 64: bilinear, for smooth outlines. (Nearest neighbour would give jagged edges.)
* *Edges*: a pixel is ink if it is brighter than half of the median brightness of the picture's pixels that are not
  black, and an edge if it is ink and one of its four neighbours is not. A line is then exactly one pixel wide and either
  black or white, so that a dilation by a kernel of k pixels makes it k wide and ``width`` means the width of the line.
  (Canny's detector would need three more settings.) On digits, whose ink is near 255, the threshold is about 127; a dark
  dress with one bright button in FashionMNIST would vanish at half of the maximum, but not at half of its median.
* *Order*: as the paper lists them, width, then colour, then size. A line of the result is thus ``width * size`` wide.
* *Anchor of even kernels*: a kernel of k pixels reaches k // 2 to the left and top and (k - 1) // 2 to the right and
  bottom.
* *Downscaling*: bilinear over the area that a new pixel covers, around the centre and by the exact factor, not one
  rounded to whole pixels, so that the stored factor is what the picture shows.
* *Zero-padding*: equal on all sides, since the position of a digit is not a factor of the study.
* *Brightness*: the colour is not scaled up again: its components sum to 1, so a grey line has a third of the brightness
  of a reference image's, as the formula says.
* *Reference images* are not transformed: one pixel wide, white, of full size, which is what their factors say (their
  three colour components are 1 each).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 64
MOST_WIDTH = 10
LEAST_SIZE = 0.5
FACTORS = ("width", "red", "green", "blue", "size")

_FOUR_NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))


@dataclass(frozen=True)
class Style:
    """The factors of one picture."""

    width: int
    """side of the dilation's square kernel, 1 to 10 pixels of the 64"""
    colour: tuple[float, float, float]
    """factors of red, green and blue; they sum to 1, but for the reference images' (1, 1, 1)"""
    size: float
    """0.5 to 1"""

    @property
    def factors(self) -> tuple[float, ...]:
        """In the order of ``FACTORS``."""
        return (float(self.width), *self.colour, self.size)


UNCHANGED = Style(width=1, colour=(1.0, 1.0, 1.0), size=1.0)


def style_of(seed: int, row_id: str) -> Style:
    """The style of one row, from a hash of (seed, id) and nothing else."""
    digest = hashlib.blake2b(f"style\0{seed}\0{row_id}".encode(), digest_size=40).digest()
    width, red, green, blue, size = (
        int(number >> 11) / (1 << 53) for number in np.frombuffer(digest, dtype=">u8").tolist()
    )
    total = red + green + blue
    return Style(
        width=1 + int(width * MOST_WIDTH),
        colour=(red / total, green / total, blue / total),
        size=LEAST_SIZE + (1 - LEAST_SIZE) * size,
    )


def edges(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey picture (h, w) → its edges (64, 64), 0 or 255."""
    enlarged = np.asarray(Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    threshold = np.median(grey[grey > 0]) / 2 if grey.any() else 0
    inside = np.pad(enlarged > threshold, 1)
    enclosed = np.logical_and.reduce([np.roll(inside, step, axis=(0, 1)) for step in _FOUR_NEIGHBOURS])
    return np.where(inside & ~enclosed, np.uint8(255), np.uint8(0))[1:-1, 1:-1]


def styled(lines: NDArray[np.uint8], style: Style) -> NDArray[np.uint8]:
    """Edges (64, 64) in a style, as colours (3, 64, 64)."""
    lines = _downscaled(_dilated(lines, style.width), style.size)
    colour = np.asarray(style.colour, dtype=np.float64)
    return np.rint(colour[:, None, None] * lines).astype(np.uint8)


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Colours (3, 64, 64) as (3, side, side): the mean over blocks of pixels; ``side`` divides 64."""
    block = SIZE // side
    blocks = image.reshape(len(image), side, block, side, block)
    return np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)


def _dilated(lines: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The maximum under a square kernel around each pixel; separable, so computed along one axis after the other."""
    for axis in (0, 1):
        reach = [(0, 0), (0, 0)]
        reach[axis] = (width // 2, (width - 1) // 2)
        lines = np.lib.stride_tricks.sliding_window_view(np.pad(lines, reach), width, axis).max(axis=-1)
    return lines


def _downscaled(lines: NDArray[np.uint8], size: float) -> NDArray[np.uint8]:
    """The picture shrunk around its centre and padded with zeros: a window ``1 / size`` as large, resized to 64 x 64."""
    window, margin = SIZE / size, SIZE // 2
    padded = Image.fromarray(np.pad(lines, margin))
    start = (padded.width - window) / 2
    box = (start, start, start + window, start + window)
    return np.asarray(padded.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))
