"""A trained model's outputs over a split, computed once and shared by all measures of a cell."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pipeline.measures.answers import ANSWERS, Failed, compute
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.label_readers import LabelReaders
from pipeline.measures.needs import Answer
from pipeline.models.capabilities import KnownLabels, labels_if_needed


@dataclass(frozen=True)
class ModelView:
    """A model in evaluation mode, and the split to measure.

    Outputs that several measures need for every image (``Needs.answers``) are computed in one pass over the split, when the
    first of them is used, so that images are read once. They are kept in main memory, for each
    image 4 bytes per log-probability of a label's value and per latent, 8 for a bound, and 2 per value of a reconstruction:
    for 20,000 images of 3 x 64 x 64 with 18 binary labels some 6 MB, and 490 MB more if a measure needs reconstructions.
    """

    model: nn.Module
    examples: MeasuredSplit
    identity: str = ""
    """Identity of the cell, which seeds random numbers."""
    answers: Collection[Answer] = ()
    """What the planned measures need, computed in the first pass."""
    load_readers: Callable[[], LabelReaders] | None = None
    """Loads the label readers; None if the run's configuration names none."""
    _known: dict[Answer, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def label_log_probabilities(self) -> list[Float[Tensor, "row value"]]:
        """``log q(y_i | x)`` of every label over the entire split, on the CPU."""
        found: list[Tensor] = self._answer("label_log_probabilities")
        return found

    @property
    def label_latents(self) -> Float[Tensor, "row latent"]:
        """Posterior means of the labels' latents, on the CPU."""
        return self._one("label_latents")

    @property
    def bounds(self) -> Float[Tensor, " row"]:
        """A lower bound of ``log p(x)`` in nats of every image, one sample each, on the CPU."""
        return self._one("bounds")

    @property
    def reconstructions(self) -> Float[Tensor, "row channel height width"]:
        """Mean images in [0, 1] decoded from posterior means, in float16 on the CPU."""
        return self._one("reconstructions")

    @cached_property
    def readers(self) -> LabelReaders:
        """The ensemble of independent classifiers, loaded on the view's device when a measure first uses it.

        Only for measures whose ``Needs.extras`` have ``label_readers``.

        Raises:
            RunError: one of them is not trained yet, or was trained on another data set.
        """
        if self.load_readers is None:
            raise LookupError("this measure does not state that it needs label_readers")
        return self.load_readers()

    def first(self, count: int) -> UInt8[Tensor, "row channel height width"]:
        """The first images of the split (all of them if there are fewer), on the device."""
        return self.examples.rows(0, count)

    def known_labels(self, count: int) -> KnownLabels | None:
        """The known labels of the first images, for a model that cannot encode without any; None for one that can."""
        return labels_if_needed(self.model, self.examples.known_labels(0, count))

    def on(self, split: str) -> ModelView:
        """The same model on another split, for measures that fit something on ``train`` or choose on ``valid``."""
        return (
            self
            if split == self.examples.split
            else ModelView(self.model, replace(self.examples, split=split), self.identity)
        )

    def codes(self, count: int) -> Float[Tensor, "row latent"]:
        """The codes (posterior means) of the first images of the split, on the CPU; with known labels if needed."""
        size, count = self.examples.batch_size, min(count, len(self.examples))
        found = []
        for start in range(0, count, size):
            self.examples.heartbeat()
            end = min(start + size, count)
            known = labels_if_needed(self.model, self.examples.known_labels(start, end))
            found.append(self.model.encode(self.examples.rows(start, end), known).float().cpu())  # type: ignore[operator]
        return torch.cat(found)

    def codes_with_known_labels(self, count: int) -> Float[Tensor, "row latent"]:
        """The same with the labels that are known of each image, whether or not the model needs them."""
        size, count = self.examples.batch_size, min(count, len(self.examples))
        found = []
        for start in range(0, count, size):
            self.examples.heartbeat()
            end = min(start + size, count)
            code = self.model.encode(self.examples.rows(start, end), self.examples.known_labels(start, end))  # type: ignore[operator]
            found.append(code.float().cpu())
        return torch.cat(found) if found else torch.empty(0, 0)

    def _one(self, name: Answer) -> Tensor:
        (found,) = self._answer(name)
        return torch.as_tensor(found)

    def _answer(self, name: Answer) -> list[Tensor]:
        if name not in self._known:
            together = dict.fromkeys((name, *(other for other in ANSWERS if other in self.answers)))
            wanted = [other for other in together if other not in self._known]
            self._known.update(compute(self.model, self.examples, self.identity, wanted))
        found = self._known[name]
        if isinstance(found, Failed):
            raise found.error
        answer: list[Tensor] = found
        return answer
