"""Which latents belong to which label: labels in blocks of the same kind, their latents concatenated in ``z_c``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LabelBlock:
    """Binary labels with one latent each, all of them together; or one label with its own latent vector."""

    labels: tuple[int, ...]
    """Their indices in the data set's order."""
    cardinality: int
    latents: int
    """Number of latents of the block."""

    @property
    def is_diagonal(self) -> bool:
        """Whether each label is binary and has one latent."""
        return self.cardinality == 2 and self.latents == len(self.labels)


def label_blocks(cardinalities: Sequence[int], latents: Sequence[int]) -> tuple[LabelBlock, ...]:
    """The blocks of labels with these cardinalities and numbers of latents: binary ones with one latent first."""
    kinds = list(zip(cardinalities, latents, strict=True))
    binary = tuple(label for label, kind in enumerate(kinds) if kind == (2, 1))
    blocks = [LabelBlock(binary, 2, len(binary))] if binary else []
    return (*blocks, *(LabelBlock((i,), *kind) for i, kind in enumerate(kinds) if kind != (2, 1)))


def latents_per_label(
    cardinalities: Sequence[int], requested: Sequence[int], class_latents: int, system: str
) -> tuple[int, ...]:
    """The requested latents per label, or by default one for a binary label and ``class_latents`` for others.

    Raises:
        ConfigError: there is no label, or a different number of labels than requested.
    """
    if not cardinalities:
        raise ConfigError(f"{system} needs a data set with labels; this one has none")
    if requested and len(requested) != len(cardinalities):
        raise ConfigError(
            f"{system}: label_latents names {len(requested)} labels; the data set has {len(cardinalities)}"
        )
    return tuple(requested) or tuple(
        1 if cardinality == 2 else class_latents for cardinality in cardinalities
    )


class LabelLayout(nn.Module):
    """Blocks of labels, and the resulting order of labels; it has no parameters."""

    order: Tensor
    cardinalities: Tensor

    def __init__(self, blocks: tuple[LabelBlock, ...]) -> None:
        super().__init__()
        self.blocks = blocks
        order = [label for block in blocks for label in block.labels]
        self.labels = len(order)
        self.latents = sum(block.latents for block in blocks)
        self.in_order = order == sorted(order)
        self.register_buffer("order", torch.tensor(order), persistent=False)
        cardinalities = [block.cardinality for block in blocks for _ in block.labels]
        self.register_buffer("cardinalities", torch.tensor(cardinalities), persistent=False)

    def in_block_order(
        self, labels: UInt8[Tensor, "rows label"], observed: Bool[Tensor, "rows label"]
    ) -> tuple[UInt8[Tensor, "rows label"], Bool[Tensor, "rows label"]]:
        """Labels and mask with the labels in the order of the blocks; unobserved values become 0."""
        if not self.in_order:
            labels, observed = labels[:, self.order], observed[:, self.order]
        return labels.masked_fill(~observed, 0), observed

    def split_latents(self, z_c: Tensor) -> tuple[Tensor, ...]:
        """The latents of each block, (rows, latents of the block)."""
        return z_c.split([block.latents for block in self.blocks], dim=-1)

    def latents_by_label(self, z_c: Tensor) -> tuple[Tensor, ...]:
        """The latents of each block, (rows, label, own latents of a label)."""
        blocks = zip(self.split_latents(z_c), self.blocks, strict=True)
        return tuple(latents.unflatten(-1, (len(block.labels), -1)) for latents, block in blocks)

    def split_labels(self, of_labels: Tensor) -> tuple[Tensor, ...]:
        """Split a tensor whose last axis is the arranged labels into the labels of each block."""
        return of_labels.split([len(block.labels) for block in self.blocks], dim=-1)

    def by_latent(self, of_labels: Tensor) -> Tensor:
        """The entry of its label for each latent of ``z_c``, from entries of arranged labels, (rows, label)."""
        each = zip(self.split_labels(of_labels), self.blocks, strict=True)
        return torch.cat(
            [
                of_block[..., None].expand(-1, -1, block.latents // len(block.labels)).flatten(1)
                for of_block, block in each
            ],
            dim=1,
        )

    def in_data_order(self, of_labels: Sequence[Tensor]) -> list[Tensor]:
        """One entry per arranged label, restored to the order of the data set."""
        order = [label for block in self.blocks for label in block.labels]
        return [of_labels[order.index(label)] for label in range(self.labels)]

    def block_of(self, label: int) -> tuple[int, int]:
        """Number of the block of a label of the data set, and the label's index in it; IndexError if there is none."""
        for number, block in enumerate(self.blocks):
            if label in block.labels:
                return number, block.labels.index(label)
        raise IndexError(f"label {label} of a data set with {self.labels} labels")

    def latents_of(self, label: int) -> slice:
        """The position in ``z_c`` of the latents of a label of the data set."""
        number, place = self.block_of(label)
        block = self.blocks[number]
        each = block.latents // len(block.labels)
        start = sum(before.latents for before in self.blocks[:number]) + each * place
        return slice(start, start + each)
