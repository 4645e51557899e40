"""``p(z_c | y)`` and ``p(y)``, factorised over labels: a learned table for binary ones, an MLP for each other label.

Labels are in the order of the layout's blocks (``LabelLayout.in_block_order``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pipeline.models.interface import DataSpec
from pipeline.models.parts.densities import gaussian_log_density
from pipeline.models.parts.label_classifier import concat_blocks, values_given
from pipeline.models.parts.label_layout import LabelBlock, LabelLayout
from pipeline.networks import mlp, scale_of, split_mean_and_scale

_UNIT_SCALE = math.log(math.e - 1)
"""The inverse of softplus at 1."""


REACH = 10.0
"""Factor between a table's means and its parameters. Adam moves a parameter by at most the learning rate, and while an MLP's
output is a sum over many, a table's entry is one: after 300 steps it would be a tenth of the way to the posterior
(``docs/results.md``)."""


class PriorTable(nn.Module):
    """``p(z_i | y_i) = N(m_{i,y}, s_{i,y}²)`` for each binary label; a standard normal for both values at the start."""

    log_prior: Tensor

    def __init__(self, log_prior: Float[Tensor, "label 2"]) -> None:
        super().__init__()
        self.raw_mean = nn.Parameter(torch.zeros(log_prior.shape))
        self.raw_scale = nn.Parameter(torch.full(log_prior.shape, _UNIT_SCALE))
        self.register_buffer("log_prior", log_prior)

    def table(self) -> tuple[Float[Tensor, "label 2 1"], Float[Tensor, "label 2 1"]]:
        """Mean and scale of ``p(z_i | y_i)``."""
        return REACH * self.raw_mean.unsqueeze(-1), scale_of(self.raw_scale).unsqueeze(-1)

    def joint(self, z: Float[Tensor, "*rows label"]) -> Float[Tensor, "*rows label 2"]:
        """``log p(z_i | y_i) + log p(y_i)`` of both values."""
        mean, scale = self.table()
        return gaussian_log_density(z[..., None, None], mean, scale) + self.log_prior


class PriorNetwork(nn.Module):
    """``p(z | y)`` of one label: an MLP values–50–2 × latents (CCVAE D.6)."""

    log_prior: Tensor

    def __init__(self, latents: int, log_prior: Float[Tensor, "1 value"]) -> None:
        super().__init__()
        self.network = mlp([log_prior.shape[1], 50, 2 * latents])
        self.register_buffer("log_prior", log_prior)

    def table(self) -> tuple[Float[Tensor, "1 value latent"], Float[Tensor, "1 value latent"]]:
        """Mean and scale of ``p(z | y)``."""
        cardinality = self.log_prior.shape[1]
        mean, scale = split_mean_and_scale(self.network(torch.eye(cardinality, device=self.log_prior.device)))
        return mean[None], scale[None]

    def joint(self, z: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows 1 value"]:
        """``log p(z | y) + log p(y)`` of every value."""
        mean, scale = self.table()
        return gaussian_log_density(z[..., None, None, :], mean, scale) + self.log_prior


def _prior_of(block: LabelBlock, data: DataSpec) -> PriorTable | PriorNetwork:
    log_prior = torch.stack([data.log_label_prior(label) for label in block.labels])
    return PriorTable(log_prior) if block.is_diagonal else PriorNetwork(block.latents, log_prior)


class ConditionalPrior(nn.Module):
    """``p(z_c | y) = Π_i p(z_i | y_i)`` and ``p(y) = Π_i p(y_i)`` over the blocks of a layout."""

    def __init__(self, layout: LabelLayout, data: DataSpec) -> None:
        super().__init__()
        self.layout = layout
        self.blocks = nn.ModuleList(_prior_of(block, data) for block in layout.blocks)

    def joint(self, z_c: Float[Tensor, "*rows characteristic"]) -> tuple[Tensor, ...]:
        """``log p(z_i | y_i) + log p(y_i)`` of every value: per block (rows, label, value)."""
        latents = self.layout.split_latents(z_c)
        return tuple(block.joint(z) for block, z in zip(self.blocks, latents, strict=True))  # type: ignore[operator]

    def log_prior(self, labels: UInt8[Tensor, "rows label"]) -> Float[Tensor, "rows label"]:
        """``log p(y_i)`` of the given values."""
        rows = labels.shape[0]
        return self.given([block.log_prior.expand(rows, -1, -1) for block in self.blocks], labels)  # type: ignore[operator]

    def given(
        self, of_blocks: Sequence[Tensor], labels: UInt8[Tensor, "rows label"]
    ) -> Float[Tensor, "*more_rows label"]:
        """Select the given values from numbers for every value, per block (…, row, label, value)."""
        return values_given(self.layout, of_blocks, labels)

    def of_label(self, label: int) -> tuple[Float[Tensor, "value latent"], Float[Tensor, "value latent"]]:
        """Mean and scale of ``p(z_i | y_i)`` of a label of the data set, a row per value."""
        block, place = self.layout.block_of(label)
        mean, scale = self.blocks[block].table()  # type: ignore[operator]
        return mean[place], scale[place]

    def of_labels(
        self, labels: UInt8[Tensor, "rows label"]
    ) -> tuple[Float[Tensor, "rows characteristic"], Float[Tensor, "rows characteristic"]]:
        """Mean and scale of ``p(z_c | y)`` for each row of arranged labels."""
        means: list[Tensor] = []
        scales: list[Tensor] = []
        for block, y in zip(self.blocks, self.layout.split_labels(labels), strict=True):
            places = torch.arange(y.shape[1], device=y.device)
            for found, table in zip((means, scales), block.table(), strict=True):  # type: ignore[operator]
                found.append(table[places, y.long()].flatten(1))
        return concat_blocks(means), concat_blocks(scales)

    def sample(self, labels: UInt8[Tensor, "rows label"]) -> Float[Tensor, "rows characteristic"]:
        """A fresh ``z_c ~ p(z_c | y)`` for each row of arranged labels."""
        mean, scale = self.of_labels(labels)
        return mean + scale * torch.randn_like(mean)
