"""DIP-VAE-I and -II (Kumar et al. 2018): VAEs whose latents are pulled to covariance I over all images.

    E_{q(z|x)} [ log p(x|z) ] − KL(q(z|x) ‖ p(z)) − λ_od Σ_{i≠j} C_ij² − λ_d Σ_i (C_ii − 1)²

``C`` is the covariance of the posterior means (I, their eq. 6), or of samples of ``q(z)`` (II, eq. 7), which is that plus
the mean of the posterior variances; of each batch, divided by its number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec
from pipeline.models.parts.full_batch import rows_of_all_ranks
from pipeline.models.parts.regularised_vae import Latents, RegularisedVAE, RegularisedVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class DipVAEConfig(RegularisedVAEConfig):
    """The fields of both kinds."""

    covariance_weight: float = 10.0
    """``λ_od``: factor of squared covariances of two latents; 0 is a plain VAE. Ruiz et al. 2019 try 1 to 50."""
    variance_factor: float = 1.0
    """``λ_d / λ_od``: how many times as much the squared distances of variances from 1 count."""

    def __post_init__(self) -> None:
        RegularisedVAEConfig.__post_init__(self)
        check_at_least(0, self, "covariance_weight", "variance_factor")


@dataclass(frozen=True, kw_only=True, slots=True)
class DipVAEIConfig(DipVAEConfig):
    """A DIP-VAE-I, without labels."""

    system: Annotated[Literal["dip_vae_i"], tyro.conf.Suppress] = "dip_vae_i"
    variance_factor: float = 10.0
    """``λ_d / λ_od``: how many times as much the squared distances of variances from 1 count."""

    def build(self, data: DataSpec) -> DipVAEI:
        return DipVAEI(self, data)


@dataclass(frozen=True, kw_only=True, slots=True)
class DipVAEIIConfig(DipVAEConfig):
    """A DIP-VAE-II, without labels."""

    system: Annotated[Literal["dip_vae_ii"], tyro.conf.Suppress] = "dip_vae_ii"

    def build(self, data: DataSpec) -> DipVAEII:
        return DipVAEII(self, data)


class DipVAEI(RegularisedVAE):
    """A DIP-VAE-I for images; it couples the examples of a batch (``CouplesBatch``)."""

    smallest_batch: ClassVar[int] = 2

    def __init__(self, config: DipVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.config = config

    def regulariser(self, latents: Latents, batch: Batch) -> Float[Tensor, "#batch"]:
        """``λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²``, the same for all examples of a batch."""
        posterior, _ = rows_of_all_ranks(torch.cat([latents.mean, latents.scale], dim=1), batch)
        covariance = self.covariance(*posterior.chunk(2, dim=1))
        variance = covariance.diagonal()
        of_pairs = (covariance - variance.diag()).square().sum()
        of_variances = (variance - 1).square().sum()
        return self.config.covariance_weight * (of_pairs + self.config.variance_factor * of_variances)[None]

    def covariance(
        self, mean: Float[Tensor, "full_batch latent"], scale: Float[Tensor, "full_batch latent"]
    ) -> Float[Tensor, "latent latent"]:
        """That of the posterior means."""
        away = mean - mean.mean(0)
        return (away[:, :, None] * away[:, None, :]).mean(0)  # autocast would narrow a matrix product


class DipVAEII(DipVAEI):
    """A DIP-VAE-II for images."""

    def covariance(
        self, mean: Float[Tensor, "full_batch latent"], scale: Float[Tensor, "full_batch latent"]
    ) -> Float[Tensor, "latent latent"]:
        """That of samples of all posteriors."""
        return super().covariance(mean, scale) + scale.square().mean(0).diag()
