"""A VAE with a regulariser of its latents: the bound minus a penalty, which each system defines.

    E_{q(z|x)} [ log p(x|z) ] − KL(q(z|x) ‖ p(z)) − R,   p(z) = N(0, I)

These systems use no labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, Losses, to_pixels
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.image_vae import ImageVAEConfig
from pipeline.models.parts.importance import WeighsSamplesOfPosterior


@dataclass(frozen=True, kw_only=True, slots=True)
class RegularisedVAEConfig(ImageVAEConfig):
    """The fields that these systems share."""

    latent_size: int = 10
    """Number of latents ``z``."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "latent_size")


@dataclass(frozen=True, slots=True)
class Latents:
    """Of each image of a batch (of a rank's share of it), in full precision also under autocast."""

    mean: Float[Tensor, "batch latent"]
    """Mean of ``q(z | x)``."""
    scale: Float[Tensor, "batch latent"]
    """Standard deviations of ``q(z | x)``."""
    sample: Float[Tensor, "batch latent"]
    """One sample of ``q(z | x)``."""
    kl: Float[Tensor, " batch"]
    """``KL(q(z | x) ‖ p(z))``."""


class RegularisedVAE(WeighsSamplesOfPosterior, ABC):
    """``q(z | x)``, ``p(x | z)`` and the bound; a system adds its regulariser."""

    def __init__(self, config: RegularisedVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data, latents=config.latent_size)

    @abstractmethod
    def regulariser(self, latents: Latents, batch: Batch) -> Float[Tensor, "#batch"]:
        """What is subtracted from each example's bound, in nats; one number if it is the same for all."""

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, from one sample of ``z``; its KL is analytic."""
        latents, log_likelihood = self._encoded(batch)
        elbo = log_likelihood - latents.kl
        regulariser = self.regulariser(latents, batch).expand_as(elbo)
        objective = elbo - regulariser
        return Losses.of(
            objective, elbo, {"log_likelihood": log_likelihood, "kl": latents.kl, "regulariser": regulariser}
        )

    def log_likelihood_bound(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Of each image, in nats, from one sample; no image is compared with others for it."""
        latents, log_likelihood = self._encoded(batch)
        return log_likelihood - latents.kl

    def _encoded(self, batch: Batch) -> tuple[Latents, Float[Tensor, " batch"]]:
        pixels = to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        z = mean + scale * torch.randn_like(mean)
        return Latents(mean, scale, z, standard_gaussian_kl(mean, scale)), self.log_likelihood(pixels, z)
