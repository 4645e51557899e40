"""Rb-VAE (Ruiz et al. 2019, sections 4.1 and 4.2): a reference set tells target factors ``e`` from common ones ``z``.

Generative:  ``p(z) p(e | y) p(x | z, e)``, with ``p(e | y = 0) = N(0, I)`` and ``e = e_r``, which is learned, if ``y = 1``
Inference:   ``q(z | x)``, and ``q(e | x)`` if ``y = 0``

    unlabelled  E_q [ log p(x | z, e) ]   − KL(q(z|x) ‖ p(z)) − KL(q(e|x) ‖ p(e))
    reference   E_q [ log p(x | z, e_r) ] − KL(q(z|x) ‖ p(z))

Eq. 3 is the sum of the means over unlabelled and over reference images. A batch has as many of each, so that its mean is
half of that. Each is a bound of ``log p(x | y)``. (The caption of the paper's figure 2 has ``y = 0`` for references by
mistake.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
import tyro
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, Losses, term, to_pixels
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.importance import WeighsSamplesOfPosterior
from pipeline.models.parts.reference_vae import EncodesTargets, FactorVAEConfig, after
from pipeline.networks import split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class RbVAEConfig(FactorVAEConfig):
    """Rb-VAE: its batches have as many images of the reference set as others; it uses no labels."""

    system: Annotated[Literal["rb_vae"], tyro.conf.Suppress] = "rb_vae"
    target_size: int = 32
    """Number of latents ``e`` of the target factors, which are the same in all images of the reference set."""

    def __post_init__(self) -> None:
        FactorVAEConfig.__post_init__(self)
        check_at_least(1, self, "target_size")

    def build(self, data: DataSpec) -> RbVAE:
        return RbVAE(self, data, self.target_size)


class Posterior(NamedTuple):
    """A sample of ``(e, z)`` for each image of a batch, and the divergence from the prior of what it was drawn from."""

    code: Float[Tensor, "batch latent"]
    """References have ``e_r``."""
    kl: Float[Tensor, " batch"]
    """``KL(q(z|x) ‖ p(z))``."""
    target_kl: Float[Tensor, " unlabelled"]
    """``KL(q(e|x) ‖ p(e))``."""


class ReferenceVAE(EncodesTargets, WeighsSamplesOfPosterior):
    """The model of Rb-VAE and sRb-VAE, which differ in their objective."""

    def __init__(self, config: FactorVAEConfig, data: DataSpec, target_size: int) -> None:
        super().__init__(config, data, target_size=target_size, target_outputs=2 * target_size)
        self.reference_target = nn.Parameter(torch.zeros(target_size))

    @property
    def reference_characteristics(self) -> Float[Tensor, " own"]:
        """``e_r``, the target factors of every reference image."""
        return self.reference_target

    def posterior(self, pixels: Float[Tensor, "batch pixel"]) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(e, z | x)`` of unlabelled images, each (batch, latent)."""
        of_both = (split_mean_and_scale(network(pixels)) for network in (self.target_encoder, self.encoder))
        mean, scale = (torch.cat(parts, dim=-1) for parts in zip(*of_both, strict=True))
        return mean, scale

    def with_references(
        self, e: Float[Tensor, "unlabelled target"], z: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch code"]:
        """Codes: ``e_r`` for the references, which come first, and ``e`` for all others."""
        of_references = self.reference_target.expand(len(z) - len(e), -1)
        return torch.cat([torch.cat([of_references, e]), z], dim=-1)

    def sampled(self, pixels: Float[Tensor, "batch pixel"], references: int) -> Posterior:
        """Of each image; no ``e`` is inferred for a reference."""
        mean, scale = split_mean_and_scale(self.encoder(pixels))
        e_mean, e_scale = split_mean_and_scale(self.target_encoder(pixels[references:]))
        z = mean + scale * torch.randn_like(mean)
        e = e_mean + e_scale * torch.randn_like(e_mean)
        kls = (standard_gaussian_kl(mean, scale), standard_gaussian_kl(e_mean, e_scale))
        return Posterior(self.with_references(e, z), *kls)


class RbVAE(ReferenceVAE):
    """Rb-VAE for images."""

    def forward(self, batch: Batch) -> Losses:
        """The bound of each example, from one sample of its latents; its divergences are analytic."""
        pixels, references = to_pixels(batch.image), batch.references
        code, kl, target_kl = self.sampled(pixels, references)
        log_likelihood = self.log_likelihood(pixels, code)
        elbo = log_likelihood - kl - after(references, target_kl)
        return Losses(
            objective=elbo,
            terms={
                "objective": term(elbo),
                "log_likelihood": term(log_likelihood),
                "kl": term(kl),
                "unlabelled/target_kl": term(target_kl),
                "reference/log_likelihood": term(log_likelihood[:references]),
                "unlabelled/log_likelihood": term(log_likelihood[references:]),
            },
        )
