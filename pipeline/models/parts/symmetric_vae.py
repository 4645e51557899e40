"""Shared by sVAE and sRb-VAE: the symmetric divergence by discriminators, and explicit reconstruction terms.

Eq. 6 of Ruiz et al. 2019 without its factor of 2, for one discriminator ``d`` with codes ``c``: ``x`` is an image of the
data with ``c ~ q(c | x)``, ``ĉ`` a sample of the prior with its image ``x̂``. The model maximises

    − E_q [ d(x, c) ] + E_p [ d(x̂, ĉ) ] + w_x E_q [ log p(x | c) ] + w_c E_p [ log q(ĉ | x̂) ]

and the discriminator learns ``d = log q/p`` (``density_ratio``). With weights of 1 and an exact ``d`` the last two
terms also restore what the gradient of ``E_q d − E_p d`` lacks as ``d`` is held fixed: ``∇ log p(x | c)`` for the
decoder and ``∇ log q(ĉ | x̂)`` for the encoder. But ``log p(x | c)``, a sum over pixels with a narrow density, has
thousands of nats, and a ``d`` that is learned only tens: with w_x = 1 discriminators win outright, and nothing pulls
codes to the prior, or target factors out of ``z`` (``docs/results.md``). So by default it is the mean over pixel
values that counts; the paper states no weight. ``x̂`` is the mean of ``p(x | ĉ)``: a sample would have the
likelihood's noise, by which a discriminator can tell it from any image of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.field_checks import check_above_zero, check_at_least
from pipeline.models.interface import DataSpec
from pipeline.models.parts.density_ratio import DensityRatio
from pipeline.models.parts.reference_vae import FactorVAEConfig

OF_MEAN = 8.0
"""Factor of the mean of ``log p(x | c)`` over an image's values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SymmetricVAEConfig(FactorVAEConfig):
    """The fields of the objective and of the discriminators."""

    reconstruction_weight: float | None = field(default=None, metadata={"identity_default": 1.0})
    """Factor w_x of ``log p(x | c)`` of images of the data; None: 8 divided by the number of an image's values, which are
    12,288 for 64 x 64 pixels in colour."""
    latent_reconstruction_weight: float = 1.0
    """Factor w_c of ``log q(ĉ | x̂)`` of generated images."""
    adversary_width: int = 128
    """Width of the layers of a discriminator after its image network and its latents."""
    adversary_learning_rate: float | None = None
    """The discriminators' learning rate; None: the run's."""
    discriminator_dropout: float = 0.25
    """Probability that a discriminator does not see the image, or one of its latents, while training."""

    def __post_init__(self) -> None:
        FactorVAEConfig.__post_init__(self)
        check_at_least(0, self, "reconstruction_weight", "latent_reconstruction_weight")
        check_at_least(1, self, "adversary_width")
        check_above_zero(self, "adversary_learning_rate")
        if not 0 <= self.discriminator_dropout < 1:
            raise ConfigError(
                f"{self.system}: discriminator_dropout is {self.discriminator_dropout}; it is a probability below 1"
            )

    def discriminator(self, data: DataSpec, *code_sizes: int) -> DensityRatio:
        """A discriminator of images and codes of these sizes."""
        network = self.networks(data).encoder(self.adversary_width)
        return DensityRatio(network, code_sizes, self.adversary_width, self.discriminator_dropout)

    def objective(
        self,
        values: int,
        divergence: Float[Tensor, " batch"],
        log_likelihood: Float[Tensor, " batch"],
        latent_log_likelihood: Float[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """What the model maximises, per example, of images with this number of values."""
        weight = self.reconstruction_weight
        return (
            (OF_MEAN / values if weight is None else weight) * log_likelihood
            + self.latent_reconstruction_weight * latent_log_likelihood
            - divergence
        )
