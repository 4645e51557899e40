"""What a family of networks offers: encoders and decoders for images of one shape."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from pipeline.networks.layers import ConditionedMLP

ImageShape = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True, slots=True)
class Features:
    """An encoder without its last layers, for systems that take something in addition to the image there."""

    network: nn.Module
    """Flat images in [0, 1], (rows, pixel), to (rows, size)."""
    size: int
    hidden: tuple[int, ...]
    """Widths of the hidden layers that are to follow."""


class Networks(ABC):
    """A family's networks for images of one shape. Each call makes a new one, with weights from torch's generator."""

    def __init__(self, image_shape: ImageShape) -> None:
        self.image_shape = image_shape

    @property
    def pixels(self) -> int:
        """Number of values of an image, channels included."""
        return math.prod(self.image_shape)

    @abstractmethod
    def encoder(self, outputs: int) -> nn.Module:
        """Flat images in [0, 1], (rows, pixel), to (rows, outputs)."""

    @abstractmethod
    def decoder(self, latents: int) -> nn.Module:
        """Latents (..., latents) to the pixel logits of images, flat: (..., pixel)."""

    @abstractmethod
    def features(self) -> Features:
        """The features of an image."""

    def encoder_after(self, features: Features, condition_width: int, outputs: int) -> nn.Module:
        """An encoder of features and a condition, whose leading axes broadcast, to ``outputs`` numbers."""
        return ConditionedMLP(features.size, condition_width, [*features.hidden, outputs])

    def conditioned_decoder(self, latents: int, condition_width: int) -> nn.Module:
        """A decoder of latents and a condition, whose leading axes broadcast."""
        return self.decoder(latents + condition_width)
