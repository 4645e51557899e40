"""Importance weights of samples of ``q(z | x)``, whose mean is the likelihood of an image (Burda et al. 2016, eq. 8)."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.models.interface import to_pixels
from pipeline.models.parts.densities import gaussian_log_density, standard_gaussian_log_density
from pipeline.models.parts.image_vae import ImageVAE


class WeighsSamplesOfPosterior(ImageVAE):
    """``WeighsImportance`` for systems with ``q(z | x)`` and a prior of all latents."""

    def log_prior(self, z: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows"]:
        """``log p(z)``: a standard normal, unless the system has another."""
        return standard_gaussian_log_density(z)

    def log_importance_weights(
        self, image: UInt8[Tensor, "batch channel height width"], samples: int
    ) -> Float[Tensor, "sample batch"]:
        """``log p(x | z) + log p(z) − log q(z | x)``."""
        pixels = to_pixels(image)
        mean, scale = self.posterior(pixels)
        z = mean + scale * torch.randn(samples, *mean.shape, device=mean.device)
        return self.log_likelihood(pixels, z) + self.log_prior(z) - gaussian_log_density(z, mean, scale)
