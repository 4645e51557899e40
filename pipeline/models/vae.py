"""A plain VAE (Kingma and Welling 2014): ``p(z) p(x | z)`` with ``p(z) = N(0, I)``; it sees no labels.

    β_x E_{q(z|x)} [ log p(x|z) ] − β_z KL(q(z|x) ‖ p(z))

With both weights 1 it is the bound; β_z alone makes it a β-VAE. It only reconstructs: the vector arithmetic by which Klys
et al. 2018 switch an attribute of it, ``decode(posterior_mean(x) − m_i + m_j)``, is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro

from pipeline.data.batch import Batch
from pipeline.models.interface import DataSpec, Losses, to_pixels
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.image_vae import ImageVAE
from pipeline.models.parts.weighted_bound import WeightedVAEConfig, weighted_bound


@dataclass(frozen=True, kw_only=True, slots=True)
class VAEConfig(WeightedVAEConfig):
    """A VAE that sees no labels."""

    system: Annotated[Literal["vae"], tyro.conf.Suppress] = "vae"

    def build(self, data: DataSpec) -> VAE:
        return VAE(self, data)


class VAE(ImageVAE):
    """A VAE for images."""

    def __init__(self, config: VAEConfig, data: DataSpec) -> None:
        super().__init__(config, data, latents=config.latent_size)
        self.config = config

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, from one sample of ``z``; its KL is analytic."""
        pixels = to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        log_likelihood = self.log_likelihood(pixels, mean + scale * torch.randn_like(mean))
        return weighted_bound(self.config, log_likelihood, standard_gaussian_kl(mean, scale))
