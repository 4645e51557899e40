"""sRb-VAE (Ruiz et al. 2019, section 4.3): Rb-VAE's model, learned by minimising a symmetric divergence.

Eq. 6 with two discriminators, one for each kind of image, and explicit reconstruction terms of images and latents
(``pipeline.models.parts.symmetric_vae``):

    unlabelled  d_ξ(x, z, e) learns log q(e, z | x) p_u(x) / p(x | e, z) p(z) p(e)
    reference   d_γ(x, z)    learns log q(z | x) p_r(x) / p(x | e_r, z) p(z)

Each unlabelled image of a batch goes with an image generated from ``p(z) p(e)``, each reference with one from ``p(z)`` and
``e_r``: Algorithm 1, where all players move at the same time. The recorded ``elbo`` is Rb-VAE's bound, which is not
optimised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import Adversary, DataSpec, Losses, to_pixels
from pipeline.models.parts.densities import gaussian_log_density
from pipeline.models.parts.reference_vae import after, before
from pipeline.models.parts.symmetric_vae import SymmetricVAEConfig
from pipeline.models.rb_vae import ReferenceVAE
from pipeline.networks import split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class SRbVAEConfig(SymmetricVAEConfig):
    """sRb-VAE: its batches have as many images of the reference set as others; it uses no labels."""

    system: Annotated[Literal["srb_vae"], tyro.conf.Suppress] = "srb_vae"
    target_size: int = 32
    """Number of latents ``e`` of the target factors, which are the same in all images of the reference set."""

    def __post_init__(self) -> None:
        SymmetricVAEConfig.__post_init__(self)
        check_at_least(1, self, "target_size")

    def build(self, data: DataSpec) -> SRbVAE:
        return SRbVAE(self, data)


class SRbVAE(ReferenceVAE):
    """sRb-VAE for images, and its discriminators."""

    def __init__(self, config: SRbVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data, config.target_size)
        self.config = config
        self.unlabelled_discriminator = config.discriminator(data, config.latent_size, config.target_size)
        self.reference_discriminator = config.discriminator(data, config.latent_size)

    def adversaries(self) -> tuple[Adversary, ...]:
        """``d_ξ`` and ``d_γ``."""
        rate = self.config.adversary_learning_rate
        return (
            self.unlabelled_discriminator.as_adversary("unlabelled_discriminator", rate),
            self.reference_discriminator.as_adversary("reference_discriminator", rate),
        )

    def forward(self, batch: Batch) -> Losses:
        """The objectives of all players for each example, from one sample of its latents and one generated image."""
        pixels, references = to_pixels(batch.image), batch.references
        unlabelled = len(pixels) - references
        code, kl, target_kl = self.sampled(pixels, references)
        log_likelihood = self.log_likelihood(pixels, code)
        drawn = self._drawn(pixels, unlabelled)
        generated = self.mean_pixels(drawn)
        latent_log_likelihood = self._latent_log_likelihood(generated, drawn, references)

        of_unlabelled = self.unlabelled_discriminator.compare(
            (pixels[references:], self._codes(code[references:])),
            (generated[references:], self._codes(drawn[references:])),
        )
        of_references = self.reference_discriminator.compare(
            (pixels[:references], self._codes(code[:references])[:1]),
            (generated[:references], self._codes(drawn[:references])[:1]),
        )
        divergence = torch.cat([of_references.divergence, of_unlabelled.divergence])
        objective = self.config.objective(pixels.shape[1], divergence, log_likelihood, latent_log_likelihood)
        elbo = log_likelihood - kl - after(references, target_kl)
        terms = {
            "log_likelihood": log_likelihood,
            "latent_log_likelihood": latent_log_likelihood,
            "kl": kl,
            "unlabelled/target_kl": target_kl,
            "reference/log_likelihood": log_likelihood[:references],
            "unlabelled/log_likelihood": log_likelihood[references:],
        }
        for name, found in (("reference", of_references), ("unlabelled", of_unlabelled)):
            terms[f"{name}/divergence"] = found.divergence
            terms[f"{name}/discriminator_log_probability"] = found.objective
            terms[f"{name}/discriminator_accuracy"] = found.accuracy
        return Losses.of(
            objective,
            elbo,
            terms,
            {
                "unlabelled_discriminator": after(references, of_unlabelled.objective),
                "reference_discriminator": before(of_references.objective, unlabelled),
            },
        )

    def _drawn(self, pixels: Tensor, unlabelled: int) -> Float[Tensor, "batch code"]:
        """Codes from the prior: ``ẑ``, with ``e_r`` for each reference and ``ê`` for each unlabelled image."""
        z = torch.randn(len(pixels), self.config.latent_size, device=pixels.device)
        e = torch.randn(unlabelled, self.config.target_size, device=pixels.device)
        return self.with_references(e, z)

    def _codes(self, code: Float[Tensor, "rows code"]) -> list[Tensor]:
        """``z`` and ``e``."""
        e, z = code.split([self.config.target_size, self.config.latent_size], dim=-1)
        return [z, e]

    def _latent_log_likelihood(
        self,
        generated: Float[Tensor, "batch pixel"],
        drawn: Float[Tensor, "batch code"],
        references: int,
    ) -> Float[Tensor, " batch"]:
        """``log q(ẑ | x̂)``, and ``log q(ê | x̂)`` of images that are not generated from ``e_r``."""
        z, e = self._codes(drawn)
        of_z = split_mean_and_scale(self.encoder(generated))
        of_e = split_mean_and_scale(self.target_encoder(generated[references:]))
        own = gaussian_log_density(e[references:], *of_e)
        return gaussian_log_density(z, *of_z) + after(references, own)
