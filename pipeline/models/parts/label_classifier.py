"""``q(y | z_c)``, factorised over labels: a diagonal map for binary labels with one latent, an MLP for each other label.

Labels are in the order of the layout's blocks (``LabelLayout.in_block_order``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.parts.densities import class_log_probability
from pipeline.models.parts.label_layout import LabelBlock, LabelLayout
from pipeline.networks import full_precision, mlp


class DiagonalClassifier(nn.Module):
    """``q(y_i | z_i) = Ber(sigmoid(a_i z_i + b_i))`` for each binary label, with a = 1 and b = 0 at the start."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(labels))
        self.intercept = nn.Parameter(torch.zeros(labels))

    def logits(self, z: Float[Tensor, "*rows label"]) -> Float[Tensor, "*rows label"]:
        """Log odds of ``y_i = 1``."""
        return full_precision(self.slope * z + self.intercept)

    def forward(self, z: Float[Tensor, "*rows label"]) -> Float[Tensor, "*rows label value"]:
        """``log q(y_i | z_i)`` of both values."""
        logits = self.logits(z)
        return functional.logsigmoid(torch.stack([-logits, logits], dim=-1))

    def of_one(self, place: int, z: Float[Tensor, "*rows 1"]) -> Float[Tensor, "*rows value"]:
        """``log q(y_i | z_i)`` of both values of one of the labels, from its own latent."""
        logits = full_precision(self.slope[place] * z + self.intercept[place])
        return functional.logsigmoid(torch.cat([-logits, logits], dim=-1))

    def of(
        self, z: Float[Tensor, "*rows label"], labels: UInt8[Tensor, "*#rows label"]
    ) -> Float[Tensor, "*rows label"]:
        """``log q(y_i | z_i)`` of the given values."""
        return functional.logsigmoid(self.logits(z) * (2 * full_precision(labels) - 1))


class ClassClassifier(nn.Module):
    """``q(y | z)`` of one label: an MLP latents–50–values (CCVAE D.6)."""

    def __init__(self, latents: int, cardinality: int) -> None:
        super().__init__()
        self.network = mlp([latents, 50, cardinality])

    def forward(self, z: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows 1 value"]:
        """``log q(y | z)`` of every value."""
        return full_precision(self.network(z)).log_softmax(-1).unsqueeze(-2)

    def of(
        self, z: Float[Tensor, "*rows latent"], labels: UInt8[Tensor, "*#rows 1"]
    ) -> Float[Tensor, "*rows 1"]:
        """``log q(y | z)`` of the given values."""
        log_q = self(z)
        return class_log_probability(log_q, labels.expand(log_q.shape[:-1]))


def _classifier_of(block: LabelBlock) -> DiagonalClassifier | ClassClassifier:
    if block.is_diagonal:
        return DiagonalClassifier(len(block.labels))
    return ClassClassifier(block.latents, block.cardinality)


class LabelClassifier(nn.Module):
    """``q(y | z_c) = Π_i q(y_i | z_i)`` over the blocks of a layout."""

    def __init__(self, layout: LabelLayout) -> None:
        super().__init__()
        self.layout = layout
        self.blocks = nn.ModuleList(map(_classifier_of, layout.blocks))

    def forward(self, z_c: Float[Tensor, "*rows characteristic"]) -> tuple[Tensor, ...]:
        """``log q(y_i | z_i)`` of every value: per block (rows, label, value)."""
        return tuple(block(z) for block, z in zip(self.blocks, self.layout.split_latents(z_c), strict=True))

    def of(
        self, z_c: Float[Tensor, "*rows characteristic"], labels: UInt8[Tensor, "*#rows label"]
    ) -> Float[Tensor, "*rows label"]:
        """``log q(y_i | z_i)`` of the given values, label by label."""
        latents, values = self.layout.split_latents(z_c), self.layout.split_labels(labels)
        return concat_blocks(
            [block.of(z, y) for block, z, y in zip(self.blocks, latents, values, strict=True)]  # type: ignore[operator]
        )


def values_given(
    layout: LabelLayout, of_blocks: Sequence[Tensor], labels: UInt8[Tensor, "rows label"]
) -> Float[Tensor, "*more_rows label"]:
    """Select the given values from numbers for every value, per block (…, row, label, value)."""
    return concat_blocks(
        [
            class_log_probability(block, y.expand(block.shape[:-1]))
            for block, y in zip(of_blocks, layout.split_labels(labels), strict=True)
        ]
    )


def concat_blocks(of_blocks: Sequence[Tensor]) -> Tensor:
    """Concatenate per-block results, (rows, label of the block), over all arranged labels."""
    return of_blocks[0] if len(of_blocks) == 1 else torch.cat(list(of_blocks), dim=-1)
