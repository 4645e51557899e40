"""The bound of a VAE with two weighted terms, shared by a plain VAE and those of Klys et al. 2018."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pipeline.field_checks import check_at_least
from pipeline.models.interface import Losses
from pipeline.models.parts.image_vae import ImageVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedVAEConfig(ImageVAEConfig):
    """The fields of the latents and the weights of a VAE's two terms."""

    latent_size: int = 10
    """Number of latents ``z``."""
    reconstruction_weight: float = 1.0
    """Factor of ``log p(x | z)``; with both factors 1 the objective is a bound."""
    kl_weight: float = 1.0
    """Factor of ``KL(q(z | x) ‖ p(z))``."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "latent_size")
        check_at_least(0, self, "reconstruction_weight", "kl_weight")


def weighted_bound(
    config: WeightedVAEConfig, log_likelihood: Float[Tensor, " batch"], kl: Float[Tensor, " batch"]
) -> Losses:
    """Both weighted terms as the objective; the bound itself is recorded as a term."""
    elbo = log_likelihood - kl
    objective = config.reconstruction_weight * log_likelihood - config.kl_weight * kl
    return Losses.of(objective, elbo, {"log_likelihood": log_likelihood, "kl": kl})
