"""The convolutions of CCVAE's table 3, which are for 64 × 64 pixels, and the same for other sides.

A stride of 2 halves the image until its side is 3 to 7 pixels; a last convolution takes all that is left to 256 features.
The last two halvings have 64 and 128 channels, all before them 32. The decoder is the mirror. Table 3's "32 × 32" input is
a mistake: its four halvings give the 4 × 4 pixels of its last convolution only from 64 × 64.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import nn

from data_prep.errors import ConfigError
from pipeline.networks.families import Features, ImageShape, Networks
from pipeline.networks.layers import Decoder, he_initialised

SIZES = (28, 32, 48, 64, 96, 128, 256)
"""Sides that data sets have; the rule gives others, too."""
SMALLEST_REST, LARGEST_REST = 3, 7
"""Side of what the halvings leave."""
FEATURES = 256
"""Size of an image's features after the last convolution."""


def halvings(image_shape: ImageShape) -> tuple[int, int] | None:
    """How often images are halved, and the side of what is left; None if they are not square or do not divide so."""
    _, height, side = image_shape
    count = 0
    while side % 2 == 0 and side // 2 >= SMALLEST_REST:
        side, count = side // 2, count + 1
    return (count, side) if height == image_shape[2] and count >= 2 and side <= LARGEST_REST else None


def required_halvings(image_shape: ImageShape, name: str) -> tuple[int, int]:
    """The same; ConfigError naming the family if there is none."""
    found = halvings(image_shape)
    if found is None:
        _, height, width = image_shape
        sizes = ", ".join(map(str, SIZES))
        raise ConfigError(
            f"network={name} needs square images with a side of 3 to 7 times a power of 2 (4 or more: {sizes});"
            f" these have {height} x {width} pixels"
        )
    return found


class Convolutional(Networks):
    """Table 3's networks for square images, in grey or in colour."""

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__(image_shape)
        self.halvings, self.rest = required_halvings(image_shape, "convolutional")
        self.channels = [32] * (self.halvings - 2) + [64, 128]

    def encoder(self, outputs: int) -> nn.Module:
        return nn.Sequential(*self._convolutions(), nn.Linear(FEATURES, outputs))

    def features(self) -> Features:
        return Features(nn.Sequential(*self._convolutions()), FEATURES, (FEATURES,))

    def decoder(self, latents: int) -> nn.Module:
        # Each output pixel uses one of a kernel's weights if its input is a single pixel, and four where sides double.
        first = he_initialised(nn.ConvTranspose2d(FEATURES, self.channels[-1], self.rest), FEATURES)
        layers: list[nn.Module] = [first, nn.ReLU()]
        for width_in, width_out in itertools.pairwise([*reversed(self.channels), self.image_shape[0]]):
            doubling = nn.ConvTranspose2d(width_in, width_out, 4, stride=2, padding=1)
            layers += [he_initialised(doubling, 4 * width_in), nn.ReLU()]
        return Decoder(
            nn.Linear(latents, FEATURES), nn.Unflatten(1, (FEATURES, 1, 1)), *layers[:-1], nn.Flatten(1)
        )

    def _convolutions(self) -> Iterator[nn.Module]:
        yield nn.Unflatten(-1, self.image_shape)
        for width_in, width_out in itertools.pairwise([self.image_shape[0], *self.channels]):
            yield he_initialised(nn.Conv2d(width_in, width_out, 4, stride=2, padding=1), 16 * width_in)
            yield nn.ReLU()
        last = self.channels[-1]
        yield he_initialised(nn.Conv2d(last, FEATURES, self.rest), self.rest**2 * last)
        yield nn.ReLU()
        yield nn.Flatten(1)
