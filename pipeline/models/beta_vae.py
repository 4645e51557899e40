"""β-VAE (Higgins et al. 2017): a VAE that pays β times for its KL.

    E_{q(z|x)} [ log p(x|z) ] − β KL(q(z|x) ‖ p(z))

With β = 1 it is the plain VAE, exactly; above 1 its objective is a bound too, a looser one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from jaxtyping import Float
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec
from pipeline.models.parts.regularised_vae import Latents, RegularisedVAE, RegularisedVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class BetaVAEConfig(RegularisedVAEConfig):
    """A β-VAE, without labels."""

    system: Annotated[Literal["beta_vae"], tyro.conf.Suppress] = "beta_vae"
    beta: float = 4.0
    """Factor of ``KL(q(z | x) ‖ p(z))``; 1 is a plain VAE. Ruiz et al. 2019 try values from 1 to 50."""

    def __post_init__(self) -> None:
        RegularisedVAEConfig.__post_init__(self)
        check_at_least(0, self, "beta")

    def build(self, data: DataSpec) -> BetaVAE:
        return BetaVAE(self, data)


class BetaVAE(RegularisedVAE):
    """A β-VAE for images."""

    def __init__(self, config: BetaVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.config = config

    def regulariser(self, latents: Latents, batch: Batch) -> Float[Tensor, "#batch"]:
        """``(β − 1) KL(q(z | x) ‖ p(z))``."""
        return (self.config.beta - 1) * latents.kl
