"""Shared by the systems of Ruiz et al. 2019: ``q(z | x)``, ``q(e | x)`` and ``p(x | e, z)``, with a code ``(e, z)``.

``e`` are the target factors, which are the same in all images of a reference set (``y = 1``); ``z`` are the common factors
of all images. The others (``y = 0``) are the unlabelled images of the paper. The paper's images are in [−1, 1], with tanh at
the end of the decoder and a Laplace scale of 0.01: with images in [0, 1] and a sigmoid this is the same decoder, and a scale
of 0.005.

A batch has its images of the reference set first (``Batch.references``). Images whose set is not known, as all are that are
measured, count as unlabelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.field_checks import check_at_least
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec
from pipeline.models.parts.image_vae import ImageVAE, ImageVAEConfig, Likelihood
from pipeline.models.parts.label_latents import SwapsByLatents
from pipeline.networks.choice import NetworkName


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorVAEConfig(ImageVAEConfig):
    """The paper's settings for all systems that it compares."""

    network: NetworkName = "pixel_norm"
    """Encoder and decoder, and the discriminators' image networks: `pixel_norm`, those of the paper's figure 7; `mlp`;
    `convolutional`, those of CCVAE's table 3; `auto`. With this narrow a likelihood the latter easily stay at a black image
    if most pixels are black, as those of digits are."""
    likelihood: Likelihood = "laplace"
    """``p(x | z)``; `auto`: Laplace for images in colour or of 64 x 64 pixels, else Bernoulli."""
    likelihood_scale: float = 0.005
    """Scale of the likelihood; black is 0 and white 1, so that this is 0.01 for the paper's images in [-1, 1]."""
    latent_size: int = 32
    """Number of latents ``z``."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "latent_size")


class EncodesTargets(SwapsByLatents, ImageVAE):
    """An encoder for each of ``e`` and ``z``, and what codes ``(e, z)`` can do."""

    def __init__(
        self, config: FactorVAEConfig, data: DataSpec, *, target_size: int, target_outputs: int
    ) -> None:
        """``target_outputs``: what the encoder of ``e`` puts out, such as means and scales."""
        super().__init__(
            config, data, latents=target_size + config.latent_size, encoder_outputs=2 * config.latent_size
        )
        self.target_size = target_size
        self.target_encoder = config.networks(data).encoder(target_outputs)

    @property
    def characteristics(self) -> Sequence[slice]:
        """The position of ``e`` in the code: transfer moves ``e`` of A to B (section 5.4)."""
        return (slice(0, self.target_size),)

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Mean of ``e``."""
        return self.encode(image, labels)[:, : self.target_size]

    def latents_of(self, label: int) -> slice:
        """All of ``e``, for each label: nothing tells which target factor is which."""
        return slice(0, self.target_size)


def after(references: int, values: Float[Tensor, " unlabelled"]) -> Float[Tensor, " batch"]:
    """Values of the unlabelled images of a batch, and 0 for its references, which come first."""
    return torch.cat([values.new_zeros(references), values])


def before(values: Float[Tensor, " reference"], unlabelled: int) -> Float[Tensor, " batch"]:
    """Values of the references of a batch, and 0 for its unlabelled images."""
    return torch.cat([values, values.new_zeros(unlabelled)])
