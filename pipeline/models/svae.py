"""sVAE (Pu et al. 2018), as Ruiz et al. 2019 use it: sRb-VAE without references, and so with ``z`` alone.

One discriminator ``d(x, z)`` learns ``log q(z | x) p(x) / p(x | z) p(z)``; the objective is in
``pipeline.models.parts.symmetric_vae``. It sees each training image once per epoch, whatever set it is of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro

from pipeline.data.batch import Batch
from pipeline.models.interface import Adversary, DataSpec, Losses, to_pixels
from pipeline.models.parts.densities import gaussian_log_density, standard_gaussian_kl
from pipeline.models.parts.importance import WeighsSamplesOfPosterior
from pipeline.models.parts.symmetric_vae import SymmetricVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class SVAEConfig(SymmetricVAEConfig):
    """A symmetric VAE, without labels or references."""

    system: Annotated[Literal["svae"], tyro.conf.Suppress] = "svae"

    def build(self, data: DataSpec) -> SVAE:
        return SVAE(self, data)


class SVAE(WeighsSamplesOfPosterior):
    """A symmetric VAE for images, and its discriminator."""

    def __init__(self, config: SVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data, latents=config.latent_size)
        self.config = config
        self.discriminator = config.discriminator(data, config.latent_size)

    def adversaries(self) -> tuple[Adversary, ...]:
        """The discriminator."""
        return (self.discriminator.as_adversary("discriminator", self.config.adversary_learning_rate),)

    def forward(self, batch: Batch) -> Losses:
        """Both objectives for each example, from one sample of ``z`` and one generated image."""
        pixels = to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        z = mean + scale * torch.randn_like(mean)
        log_likelihood = self.log_likelihood(pixels, z)
        drawn = torch.randn_like(z)
        generated = self.mean_pixels(drawn)
        latent_log_likelihood = gaussian_log_density(drawn, *self.posterior(generated))
        found = self.discriminator.compare((pixels, [z]), (generated, [drawn]))
        objective = self.config.objective(
            pixels.shape[1], found.divergence, log_likelihood, latent_log_likelihood
        )
        kl = standard_gaussian_kl(mean, scale)
        terms = {
            "log_likelihood": log_likelihood,
            "latent_log_likelihood": latent_log_likelihood,
            "kl": kl,
            "divergence": found.divergence,
            "discriminator_log_probability": found.objective,
            "discriminator_accuracy": found.accuracy,
        }
        return Losses.of(objective, log_likelihood - kl, terms, {"discriminator": found.objective})
