"""Shared by systems with ``p(z_c | y)``, which they use to generate, intervene and traverse."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.models.interface import DataSpec
from pipeline.models.parts.characteristic_vae import sample
from pipeline.models.parts.conditional_prior import ConditionalPrior
from pipeline.models.parts.densities import standard_gaussian_log_density
from pipeline.models.parts.label_classifier import concat_blocks
from pipeline.models.parts.label_estimators import LabelMarginal, label_marginal
from pipeline.models.parts.label_latents import IntervenesByLatents, TraversesByLatents
from pipeline.models.parts.own_readings import OwnReadingsConfig, OwnReadingsVAE


class ConditionalPriorVAE(IntervenesByLatents, TraversesByLatents, OwnReadingsVAE):
    """``p(z_c | y)`` in addition to ``q(z | x)``, ``p(x | z)`` and ``q(y | z_c)``."""

    def __init__(self, config: OwnReadingsConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.style_size = config.style_size
        self.conditional_prior = ConditionalPrior(self.layout, data)

    def marginal_prior(
        self, choice: LabelMarginal, z_c: Float[Tensor, "*rows characteristic"], joint: Sequence[Tensor]
    ) -> Float[Tensor, "*rows label"]:
        """``log p(z_i)`` of each label by the chosen estimator; ``joint`` holds its summands, per block."""
        log_q = [None] * len(joint) if choice == "exact" else self.classifier(z_c)
        return concat_blocks([label_marginal(choice, *block) for block in zip(joint, log_q, strict=True)])

    def log_prior(self, z: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows"]:
        """``log p(z_c) + log p(z_s)``, the labels summed out exactly."""
        z_c, z_s = self.split(z)
        of_labels = concat_blocks([block.logsumexp(-1) for block in self.conditional_prior.joint(z_c)])
        return of_labels.sum(-1) + standard_gaussian_log_density(z_s)

    def characteristics_of(self, labels: UInt8[Tensor, "rows label"]) -> Float[Tensor, "rows characteristic"]:
        """Fresh ``z_c ~ p(z_c | y)`` for arranged labels."""
        return self.conditional_prior.sample(labels)

    # capabilities

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z]`` for a fresh ``z_c ~ p(z_c | y)`` and ``z_s ~ p(z_s)`` per row."""
        labels, _ = self.layout.in_block_order(labels, torch.ones_like(labels, dtype=torch.bool))
        z_c = self.conditional_prior.sample(labels)
        z_s = torch.randn(labels.shape[0], self.style_size, device=labels.device)
        return self.decode(torch.cat([z_c, z_s], dim=-1))

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """Fresh ``z_i ~ p(z_i | y_i)``."""
        mean, scale = (table[values.long()] for table in self.conditional_prior.of_label(label))
        return sample(mean, scale, draws)

    def centres(self, label: int) -> Float[Tensor, "value own"]:
        """The mean of ``p(z_i | y_i)`` of each value."""
        return self.conditional_prior.of_label(label)[0]
