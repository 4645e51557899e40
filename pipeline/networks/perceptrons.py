"""MLPs for images of any shape: the 784–600–600–2m encoder and its mirror of ReVAE's appendix and CCVAE's D.6."""

from __future__ import annotations

from torch import nn

from pipeline.networks.families import Features, ImageShape, Networks
from pipeline.networks.layers import ConditionedMLP, mlp


class Perceptrons(Networks):
    """Two hidden layers of one width."""

    def __init__(self, image_shape: ImageShape, width: int) -> None:
        super().__init__(image_shape)
        self.width = width

    def encoder(self, outputs: int) -> nn.Module:
        return mlp([self.pixels, self.width, self.width, outputs])

    def decoder(self, latents: int) -> nn.Module:
        return mlp([latents, self.width, self.width, self.pixels])

    def features(self) -> Features:
        """The pixels themselves: a condition enters at the first layer."""
        return Features(nn.Identity(), self.pixels, (self.width, self.width))

    def conditioned_decoder(self, latents: int, condition_width: int) -> nn.Module:
        return ConditionedMLP(latents, condition_width, [self.width, self.width, self.pixels])
