"""The independent classifiers that measures rest on: an ensemble of trained cells of the system ``label_reader``.

A single classifier can be fooled by a decoder that was trained to please it; so every measure reports the ensemble's number
and the spread between its members.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.measures.examples import MeasuredSplit
from pipeline.models.label_reader import LabelReader
from pipeline.networks import full_precision
from pipeline.training.watchdog import unwatched


@dataclass(frozen=True)
class LabelReaders:
    """Trained label readers in evaluation mode, all of the data set that is measured."""

    names: tuple[str, ...]
    """Of their cells."""
    members: tuple[LabelReader, ...]
    batch_size: int
    """Images per forward pass."""
    heartbeat: Callable[[], None] = unwatched
    """Called before each forward pass."""
    _qualities: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    @torch.no_grad()
    def log_probabilities(
        self, image: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "member batch _"]]:
        """``log q(y_i | x)`` by each member, one entry per label, for images in [0, 1] (``as_pixels``)."""
        of_members = []
        for member in self.members:
            chunks = [member.log_probabilities(member.features(rows)) for rows in self._chunks(image)]
            of_members.append([torch.cat(of_label) for of_label in zip(*chunks, strict=True)])
        return [torch.stack(of_label) for of_label in zip(*of_members, strict=True)]

    @torch.no_grad()
    def features(
        self, image: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "member batch feature"]:
        """The last hidden layer of each member: the input of its last, linear layer."""
        return torch.stack(
            [torch.cat([member.features(rows) for rows in self._chunks(image)]) for member in self.members]
        )

    def quality(self, examples: MeasuredSplit) -> float:
        """``reader_accuracy``: share of the observed labels that members read correctly in real images, mean over members.

        Computed once for a split; NaN if no label is observed.
        """
        if examples.split not in self._qualities:
            correct = observed = 0
            for image, known in examples.batches():
                read = self.log_probabilities(as_pixels(image))
                for label, of_members in enumerate(read):
                    is_right = of_members.argmax(-1) == known.labels[:, label]
                    correct += int((is_right & known.observed[:, label]).sum())
                observed += int(known.observed.sum())
            share = correct / (observed * len(self.members)) if observed else math.nan
            self._qualities[examples.split] = share
        return self._qualities[examples.split]

    def _chunks(self, image: Tensor) -> list[Tensor]:
        """Flat rows, a forward pass at a time; empty images give one empty pass."""
        self.heartbeat()
        return list(full_precision(image).flatten(1).split(self.batch_size))


def as_pixels(
    image: UInt8[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Images in [0, 1]."""
    return full_precision(image) / 255


def ensemble(
    log_probabilities: Sequence[Float[Tensor, "member batch _"]],
) -> list[Float[Tensor, "batch _"]]:
    """``log`` of the members' mean probability of every value of each label."""
    return [of_label.logsumexp(0) - math.log(len(of_label)) for of_label in log_probabilities]
