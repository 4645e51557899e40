"""Discriminators that estimate a log-density ratio, for objectives with ``log q/p`` that cannot be computed.

A discriminator ``d`` that maximises

    ½ E_q [ log σ(d) ] + ½ E_p [ log (1 − σ(d)) ]

converges to ``log q/p``, in size and in sign: where ``q`` is denser ``d`` is positive, so a model that wants ``q = p``
minimises ``E_q d − E_p d`` with ``d`` held fixed. Eq. 7 of Ruiz et al. 2019 has the sides of ``q`` and ``p`` swapped, which
would give ``−log q/p`` to their eq. 6; their Algorithm 1 is as here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.interface import Adversary
from pipeline.networks import full_precision, held_fixed

SLOPE = 0.2
"""Of leaky ReLUs, as in Ruiz et al. 2019, A.4."""


class Comparison(NamedTuple):
    """What a discriminator says of as many samples of ``q`` as of ``p``, by pairs."""

    of_q: Float[Tensor, " rows"]
    """``d(q)`` with the discriminator held fixed, for the model's objective."""
    of_p: Float[Tensor, " rows"]
    """``d(p)``, likewise."""
    objective: Float[Tensor, " rows"]
    """``½ log σ(d(q)) + ½ log σ(−d(p))`` with the samples held fixed, which the discriminator maximises."""
    accuracy: Float[Tensor, " rows"]
    """Share of the pair that is recognised: 0, ½ or 1."""

    @property
    def divergence(self) -> Float[Tensor, " rows"]:
        """``d(q) − d(p)``, whose mean is the symmetric divergence of ``q`` and ``p``."""
        return self.of_q - self.of_p


class DensityRatio(nn.Module):
    """``d(x, codes)``: an image's features and a layer for each code, joined by two layers.

    Inputs of the joining layers are dropped, each one as a whole: otherwise the images alone may decide, and codes be
    ignored (Ruiz et al. 2019, A.4).
    """

    def __init__(
        self, image_network: nn.Module, code_sizes: Sequence[int], width: int, dropout: float = 0.0
    ) -> None:
        """``image_network``: images as rows of pixels to ``width`` numbers; ``code_sizes``: of each code."""
        super().__init__()
        self.image_network, self.dropout = image_network, dropout
        self.code_layers = nn.ModuleList(nn.Linear(size, width) for size in code_sizes)
        self.joined = nn.Sequential(
            nn.Linear(width * (1 + len(code_sizes)), width), nn.LeakyReLU(SLOPE), nn.Linear(width, 1)
        )

    def as_adversary(self, name: str, learning_rate: float | None) -> Adversary:
        """This network as an adversary for the training loop."""
        return Adversary(name, tuple(self.parameters()), learning_rate)

    def forward(
        self,
        pixels: Float[Tensor, "rows pixel"],
        codes: Sequence[Float[Tensor, "rows _"]],
        kept: Float[Tensor, "rows input"] | None = None,
    ) -> Float[Tensor, " rows"]:
        """``d``; ``kept`` has a 0 for each input of a row that is dropped, the image first, and 1 for others."""
        inputs = [
            self.image_network(pixels),
            *(layer(code) for layer, code in zip(self.code_layers, codes, strict=True)),
        ]
        features = functional.leaky_relu(full_precision(torch.stack(inputs, dim=1)), SLOPE)
        if kept is not None:
            features = features * kept[..., None]
        return full_precision(self.joined(features.flatten(1))).squeeze(-1)

    def held_fixed(
        self,
        pixels: Float[Tensor, "rows pixel"],
        codes: Sequence[Float[Tensor, "rows _"]],
        kept: Float[Tensor, "rows input"] | None = None,
    ) -> Float[Tensor, " rows"]:
        """The same for the model's objective: gradients reach images and codes, but not the discriminator."""
        found: Tensor = held_fixed(self, pixels, codes, kept)
        return found

    def compare(self, q: Sample, p: Sample) -> Comparison:
        """Both players' part of pairs of samples, each an image and its codes."""
        fixed, own = [], []
        for pixels, codes in (q, p):
            kept = self._kept(pixels)
            fixed.append(self.held_fixed(pixels, codes, kept))
            own.append(self(pixels.detach(), [code.detach() for code in codes], kept))
        return Comparison(fixed[0], fixed[1], log_probability(*own), accuracy(*own))

    def _kept(self, pixels: Float[Tensor, "rows pixel"]) -> Float[Tensor, "rows input"] | None:
        """Fresh inputs to keep, while training."""
        if not self.training or not self.dropout:
            return None
        drawn = torch.rand(len(pixels), 1 + len(self.code_layers), device=pixels.device)
        return full_precision(drawn >= self.dropout)


Sample = tuple[Tensor, Sequence[Tensor]]
"""Images as rows of pixels, and their codes."""


def log_probability(of_q: Float[Tensor, " rows"], of_p: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """The discriminator's objective from its ``d`` at samples of ``q`` and of ``p``, in nats."""
    return 0.5 * (functional.logsigmoid(of_q) + functional.logsigmoid(-of_p))


def accuracy(of_q: Float[Tensor, " rows"], of_p: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """Share of each pair on whose right side ``d`` is."""
    return 0.5 * (full_precision(of_q > 0) + full_precision(of_p < 0))
