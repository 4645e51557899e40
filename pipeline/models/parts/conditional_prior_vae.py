"""What systems have in common that have ``p(z_c | y)``: they generate, intervene and traverse by it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.models.interface import DataSpec
from pipeline.models.parts.characteristic_vae import CharacteristicVAE, CharacteristicVAEConfig, sample
from pipeline.models.parts.conditional_prior import ConditionalPrior
from pipeline.models.parts.image_vae import straight_path
from pipeline.models.parts.label_classifier import concat_blocks
from pipeline.models.parts.label_estimators import LabelMarginal, label_marginal


class ConditionalPriorVAE(CharacteristicVAE):
    """``p(z_c | y)`` beside ``q(z | x)``, ``p(x | z)`` and ``q(y | z_c)``."""

    def __init__(self, config: CharacteristicVAEConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.style_size = config.style_size
        self.conditional_prior = ConditionalPrior(self.layout, data)

    def marginal_prior(
        self, choice: LabelMarginal, z_c: Float[Tensor, "*rows characteristic"], joint: Sequence[Tensor]
    ) -> Float[Tensor, "*rows label"]:
        """``log p(z_i)`` of each label by the chosen estimator; ``joint`` holds its summands, per block."""
        log_q = [None] * len(joint) if choice == "exact" else self.classifier(z_c)
        return concat_blocks([label_marginal(choice, *block) for block in zip(joint, log_q, strict=True)])

    # what it can do

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z]`` for a fresh ``z_c ~ p(z_c | y)`` and ``z_s ~ p(z_s)`` per row."""
        labels, _ = self.layout.in_block_order(labels, torch.ones_like(labels, dtype=torch.bool))
        z_c = self.conditional_prior.sample(labels)
        z_s = torch.randn(labels.shape[0], self.style_size, device=labels.device)
        return self.decode(torch.cat([z_c, z_s], dim=-1))

    def intervene(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """``E[x | z]`` for fresh ``z_i ~ p(z_i | y_i)`` of the label; all other latents are the posterior mean's."""
        mean, scale = (table[values.long()] for table in self.conditional_prior.of_label(label))
        return self.decode(
            self.with_latents_of(label, self.posterior_mean(image), sample(mean, scale, draws))
        )

    def traverse(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        steps: int,
        *,
        start: int = 0,
        end: int = 1,
    ) -> Float[Tensor, "step batch channel height width"]:
        """``E[x | z]`` while ``z_i`` goes straight from the mean of ``p(z_i | start)`` to that of ``p(z_i | end)``."""
        means, _ = self.conditional_prior.of_label(label)
        path = straight_path(means[start], means[end], steps)[:, None]
        return self.decode(self.with_latents_of(label, self.posterior_mean(image), path))
