"""Rb-VAE, sRb-VAE, sVAE and Mathieu written out from their formulas (Ruiz et al. 2019), slowly, for one image at a time.

As in ``ccvae_reference``, nothing here comes from the code under test but the weights of its networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.models.parts.reference_vae import FactorVAEConfig
from tests.pipeline.models.csvae_reference import kl_from_standard
from tests.pipeline.models.reference_densities import gaussian, log_normal, network


@dataclass(frozen=True)
class Draws:
    """The noise of one image, the prior's samples that go with it, and which inputs of discriminators are kept."""

    z: Tensor
    e: Tensor | None
    """None for a reference."""
    drawn_z: Tensor
    drawn_e: Tensor | None
    kept: tuple[Sequence[float], Sequence[float]] = ((1, 1, 1), (1, 1, 1))
    """Image, ``z`` and ``e``; of the image of the data, and of the generated one."""


class RbVAEReference:
    """The densities, the discriminators, and the objective of each player for one image."""

    def __init__(self, model: nn.Module, config: FactorVAEConfig) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.scale, self.latents = config.likelihood_scale, config.latent_size

    def q(self, name: str, x: Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(*gaussian(network(self.weights, name, x)))

    def q_z(self, x: Tensor) -> torch.distributions.Normal:
        return self.q("encoder", x)

    def q_e(self, x: Tensor) -> torch.distributions.Normal:
        return self.q("target_encoder", x)

    def image(self, z: Tensor, e: Tensor) -> Tensor:
        """The mean; the code has ``e`` first."""
        return 1 / (1 + torch.exp(-network(self.weights, "decoder", torch.cat([e, z], dim=-1))))

    def log_p_x(self, x: Tensor, z: Tensor, e: Tensor) -> Tensor:
        """Laplace."""
        return (-torch.abs(x - self.image(z, e)) / self.scale - math.log(2 * self.scale)).sum(-1)

    @property
    def e_r(self) -> Tensor:
        return self.weights["reference_target"]

    def bound(self, x: Tensor, draws: Draws) -> Tensor:
        """Eq. 3."""
        q_z = self.q_z(x)
        z = q_z.mean + q_z.stddev * draws.z
        if draws.e is None:
            return self.log_p_x(x, z, self.e_r) - kl_from_standard(q_z)
        q_e = self.q_e(x)
        e = q_e.mean + q_e.stddev * draws.e
        return self.log_p_x(x, z, e) - kl_from_standard(q_z) - kl_from_standard(q_e)

    def d(self, name: str, x: Tensor, codes: Sequence[Tensor], kept: Sequence[float]) -> Tensor:
        """A discriminator's logit."""
        features = [network(self.weights, f"{name}.image_network", x)]
        for number, code in enumerate(codes):
            layer = f"{name}.code_layers.{number}"
            features.append(self.weights[f"{layer}.weight"] @ code + self.weights[f"{layer}.bias"])
        seen = [leaky(one) * keep for one, keep in zip(features, kept, strict=True)]
        first, last = f"{name}.joined.0", f"{name}.joined.2"
        hidden = leaky(self.weights[f"{first}.weight"] @ torch.cat(seen) + self.weights[f"{first}.bias"])
        return (self.weights[f"{last}.weight"] @ hidden + self.weights[f"{last}.bias"])[0]

    def symmetric(
        self, x: Tensor, draws: Draws, image_weight: float, latent_weight: float
    ) -> tuple[Tensor, Tensor]:
        """Eq. 6 with reconstruction terms, and the objective of the discriminator of this kind of image."""
        q_z = self.q_z(x)
        z = q_z.mean + q_z.stddev * draws.z
        if draws.e is None or draws.drawn_e is None:
            name, e, drawn_e = "reference_discriminator", self.e_r, self.e_r
        else:
            q_e = self.q_e(x)
            name, e, drawn_e = "unlabelled_discriminator", q_e.mean + q_e.stddev * draws.e, draws.drawn_e
        generated = self.image(draws.drawn_z, drawn_e)
        latent = log_normal(draws.drawn_z, self.q_z(generated).mean, self.q_z(generated).stddev).sum()
        codes, drawn = [z], [draws.drawn_z]
        if draws.drawn_e is not None:
            of_e = self.q_e(generated)
            latent = latent + log_normal(drawn_e, of_e.mean, of_e.stddev).sum()
            codes, drawn = [z, e], [draws.drawn_z, drawn_e]
        return self._players(name, x, codes, generated, drawn, draws, image_weight, latent_weight, e, latent)

    def _players(
        self,
        name: str,
        x: Tensor,
        codes: list[Tensor],
        generated: Tensor,
        drawn: list[Tensor],
        draws: Draws,
        image_weight: float,
        latent_weight: float,
        e: Tensor,
        latent: Tensor,
    ) -> tuple[Tensor, Tensor]:
        of_data, of_model = (
            self.d(name, pixels, inputs, kept[: 1 + len(inputs)])
            for pixels, inputs, kept in ((x, codes, draws.kept[0]), (generated, drawn, draws.kept[1]))
        )
        model = image_weight * self.log_p_x(x, codes[0], e) + latent_weight * latent - of_data + of_model
        right = torch.log(1 / (1 + torch.exp(-of_data))), torch.log(1 - 1 / (1 + torch.exp(-of_model)))
        return model, (right[0] + right[1]) / 2


class SVAEReference(RbVAEReference):
    """Without ``e``: the decoder's code is ``z`` alone."""

    def log_p_x(self, x: Tensor, z: Tensor, e: Tensor) -> Tensor:
        return super().log_p_x(x, z, z.new_zeros(*z.shape[:-1], 0))

    def symmetric(
        self, x: Tensor, draws: Draws, image_weight: float, latent_weight: float
    ) -> tuple[Tensor, Tensor]:
        nothing = x.new_zeros(0)
        q_z = self.q_z(x)
        z, generated = q_z.mean + q_z.stddev * draws.z, self.image(draws.drawn_z, nothing)
        of_generated = self.q_z(generated)
        latent = log_normal(draws.drawn_z, of_generated.mean, of_generated.stddev).sum()
        return self._players(
            "discriminator",
            x,
            [z],
            generated,
            [draws.drawn_z],
            draws,
            image_weight,
            latent_weight,
            nothing,
            latent,
        )


def leaky(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, 0.2 * values)
