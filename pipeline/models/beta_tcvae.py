"""β-TCVAE (Chen et al. 2018): a VAE that pays β times for the total correlation of its latents.

    E_{q(z|x)} [ log p(x|z) ] − KL(q(z|x) ‖ p(z)) − (β − 1) E_{q(z)} [ log q(z) − Σ_d log q(z_d) ]

That is their eq. 4 with α = γ = 1. ``q(z) = 1/N Σ_n q(z | x_n)`` over the N training images is estimated from a batch; they
are all that it is trained on, those of a reference set too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec
from pipeline.models.parts.densities import gaussian_log_density
from pipeline.models.parts.full_batch import rows_of_all_ranks
from pipeline.models.parts.regularised_vae import Latents, RegularisedVAE, RegularisedVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class BetaTCVAEConfig(RegularisedVAEConfig):
    """A β-TCVAE, without labels."""

    system: Annotated[Literal["beta_tcvae"], tyro.conf.Suppress] = "beta_tcvae"
    beta: float = 6.0
    """Factor of the total correlation; 1 is a plain VAE. Ruiz et al. 2019 try values from 1 to 50."""

    def __post_init__(self) -> None:
        RegularisedVAEConfig.__post_init__(self)
        check_at_least(0, self, "beta")

    def build(self, data: DataSpec) -> BetaTCVAE:
        return BetaTCVAE(self, data)


class BetaTCVAE(RegularisedVAE):
    """A β-TCVAE for images; it couples the examples of a batch (``CouplesBatch``)."""

    smallest_batch: ClassVar[int] = 2

    def __init__(self, config: BetaTCVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        if data.training_rows is None or data.training_rows < 2:
            raise ConfigError(
                f"{config.system} needs the number of training rows, at least 2; it is {data.training_rows}"
            )
        self.config, self.training_rows = config, data.training_rows

    def regulariser(self, latents: Latents, batch: Batch) -> Float[Tensor, "#batch"]:
        """``(β − 1) (log q(z) − Σ_d log q(z_d))`` at the sample of each image."""
        posterior, first = rows_of_all_ranks(torch.cat([latents.mean, latents.scale], dim=1), batch)
        mean, scale = posterior.chunk(2, dim=1)
        return (self.config.beta - 1) * total_correlation(
            latents.sample, mean, scale, first, self.training_rows
        )


def total_correlation(
    z: Float[Tensor, "batch latent"],
    mean: Float[Tensor, "full_batch latent"],
    scale: Float[Tensor, "full_batch latent"],
    first: int,
    training_rows: int,
) -> Float[Tensor, " batch"]:
    """``log q(z) − Σ_d log q(z_d)``, both by stratified sampling of the batch, at samples of its rows from ``first`` on."""
    log_each = gaussian_log_density(z[:, None, :, None], mean[..., None], scale[..., None])
    log_weights = stratified_log_weights(log_each, first, training_rows)
    log_joint = (log_weights + log_each.sum(-1)).logsumexp(1)
    return log_joint - (log_weights[..., None] + log_each).logsumexp(1).sum(-1)


def stratified_log_weights(
    log_each: Float[Tensor, "batch full_batch latent"], first: int, training_rows: int
) -> Float[Tensor, "batch full_batch"]:
    """Of each image of the batch (second axis) in the estimate of ``q(z)`` at a sample of one of them (first axis).

    The sample's own image counts 1 / N, as among all N; the M others of the batch stand for the N − 1 others. Chen et al.
    (appendix C.2) distinguish one of the M, which counts (N − M) / NM where the rest count 1 / M. This is the mean over
    which one it is: unbiased like theirs, of less variance, exact if the batch is the data set, and independent of the
    order of its rows, and so of the number of ranks.
    """
    own_rows, rows = log_each.shape[:2]
    others = rows - 1
    if not others:  # nothing to compare with, as when the last image of a split is measured
        return log_each.new_zeros(1, 1)
    log_other = math.log((training_rows - 1) / (training_rows * others))
    weights = log_each.new_full((own_rows, rows), log_other)
    weights.diagonal(first).fill_(-math.log(training_rows))
    return weights
