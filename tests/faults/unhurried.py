"""Small networks that rest in each step: a run takes the time that a fault needs, and leaves the processor to others."""

from __future__ import annotations

import time
from math import prod

from torch import Tensor, nn

REST_SECONDS = 0.05


class Rest(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        time.sleep(REST_SECONDS)
        return images


class Unhurried:
    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        self.shape = image_shape

    def encoder(self, outputs: int) -> nn.Module:
        return nn.Sequential(
            Rest(), nn.Flatten(), nn.Linear(prod(self.shape), 32), nn.ELU(), nn.Linear(32, outputs)
        )

    def decoder(self, latents: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(latents, 32), nn.ELU(), nn.Linear(32, prod(self.shape)), nn.Unflatten(1, self.shape)
        )
