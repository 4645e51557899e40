"""Model outputs that measures need for every image of a split, computed batch by batch in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from data_prep.errors import Interrupted, LeaseLost
from pipeline.data.batch import Batch
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.needs import Answer
from pipeline.measures.randomness import own_random_numbers, seed_everything, seed_of
from pipeline.models.capabilities import KnownLabels, labels_if_needed


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of an output: the exception that was raised when computing it."""

    error: Exception


def _log_probabilities(model: Any, image: Tensor, known: KnownLabels) -> list[Tensor]:
    return list(model.classify(image))


def _label_latents(model: Any, image: Tensor, known: KnownLabels) -> list[Tensor]:
    return [model.characteristic_latents(image, labels_if_needed(model, known)).float()]


def _reconstructions(model: Any, image: Tensor, known: KnownLabels) -> list[Tensor]:
    return [model.reconstruct(image, labels_if_needed(model, known)).half()]


def _bounds(model: Any, image: Tensor, known: KnownLabels) -> list[Tensor]:
    nothing = torch.zeros_like(known.labels)
    batch = Batch(image=image, labels=nothing, observed=nothing.bool(), labelled=0)
    return [model.log_likelihood_bound(batch).double()]


ANSWERS: dict[Answer, Callable[[Any, Tensor, KnownLabels], list[Tensor]]] = {
    "label_log_probabilities": _log_probabilities,
    "label_latents": _label_latents,
    "reconstructions": _reconstructions,
    "bounds": _bounds,
}
"""How each output is computed: tensors with a row per image."""


@torch.no_grad()
def compute(
    model: Any, examples: MeasuredSplit, identity: str, names: Sequence[Answer]
) -> dict[Answer, list[Tensor] | Failed]:
    """These outputs over an entire split, on the CPU.

    Random numbers of an output depend only on the cell, the split, the output and the batch; the caller's generators
    are left unchanged. An output that raises affects only the measures that need it.
    """
    whole: dict[Answer, list[Tensor] | Failed] = {name: [] for name in names}
    begin = 0
    with own_random_numbers():
        for image, known in examples.batches():
            end = begin + len(image)
            for name in names:
                kept = whole[name]
                if isinstance(kept, Failed):
                    continue
                seed_everything(seed_of(identity, examples.split, name, begin))
                try:
                    parts = ANSWERS[name](model, image, known)
                    if not kept:  # allocated in full at once, so that memory is not needed twice at the end
                        kept += [
                            part.new_empty(len(examples), *part.shape[1:], device="cpu") for part in parts
                        ]
                    for place, part in zip(kept, parts, strict=True):
                        place[begin:end] = part
                except (Interrupted, LeaseLost):
                    raise
                except Exception as error:
                    whole[name] = Failed(error)
            begin = end
    return whole
