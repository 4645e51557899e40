"""Labels of any cardinalities as numbers for networks: one-hot codes in, log-probabilities of every value out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec
from pipeline.models.parts.densities import class_log_probability
from pipeline.networks import full_precision, one_hot

NEVER = -1e30
"""Log-probability of a value that a label cannot have: finite, so that ``p log p`` is 0 there and not a NaN."""


class LabelCodes(nn.Module):
    """The values of all labels concatenated (``width`` of them), label by label; it has no parameters.

    If labels have different numbers of values, tensors per label and value are padded to the most; padding has
    probability 0.
    """

    exists: Tensor
    places: Tensor
    existing: Tensor

    def __init__(self, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.cardinalities = tuple(cardinalities)
        self.labels, self.width, self.most = len(cardinalities), sum(cardinalities), max(cardinalities)
        exists = torch.arange(self.most) < torch.tensor(self.cardinalities)[:, None]
        self.have_as_many_values = bool(exists.all())
        self.register_buffer("exists", exists, persistent=False)
        self.register_buffer("existing", exists.flatten().nonzero()[:, 0], persistent=False)
        # The position of each value of each label in the row of all values.
        places = torch.zeros(self.labels, self.most, dtype=torch.long)
        places[exists] = torch.arange(self.width)
        self.register_buffer("places", places, persistent=False)

    def of_label(self, label: int) -> slice:
        """The position of a label's values in the row of all values."""
        start = sum(self.cardinalities[:label])
        return slice(start, start + self.cardinalities[label])

    def code(self, labels: UInt8[Tensor, "*rows label"]) -> Float[Tensor, "*rows width"]:
        """Concatenated one-hot codes of all labels; where one is unknown, any of its values stands."""
        return self.side_by_side(one_hot(labels, self.most))

    def side_by_side(self, of_values: Float[Tensor, "*rows label most"]) -> Float[Tensor, "*rows width"]:
        """Numbers for each value of each label, without the padding."""
        flat = of_values.flatten(-2)
        return flat if self.have_as_many_values else flat.index_select(-1, self.existing)

    def log_probabilities(self, logits: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows label most"]:
        """Log-probabilities of every value of each label from the concatenated logits of all values."""
        logits = full_precision(logits)
        if self.have_as_many_values:
            return logits.unflatten(-1, (self.labels, self.most)).log_softmax(-1)
        per_label = logits.index_select(-1, self.places.flatten()).unflatten(-1, (self.labels, self.most))
        return per_label.masked_fill(~self.exists, NEVER).log_softmax(-1)

    def given(
        self,
        log_probabilities: Float[Tensor, "*rows label most"],
        labels: UInt8[Tensor, "*rows label"],
        observed: Bool[Tensor, "*rows label"],
    ) -> Float[Tensor, "*rows label most"]:
        """The same, with all probability of observed labels on their value."""
        certain = (1 - one_hot(labels.masked_fill(~observed, 0), self.most)) * NEVER
        return torch.where(observed[..., None], certain, log_probabilities)

    def combinations(self) -> UInt8[Tensor, "combination label"]:
        """Every combination of the labels' values."""
        every = itertools.product(*(range(cardinality) for cardinality in self.cardinalities))
        return torch.tensor(list(every), dtype=torch.uint8, device=self.places.device)

    def log_prior(self, data: DataSpec) -> Float[Tensor, "label most"]:
        """``log p(y_i)`` of every value, from the frequencies of the data set."""
        log_prior = torch.full((self.labels, self.most), NEVER, dtype=torch.get_default_dtype())
        log_prior[self.exists] = torch.cat([data.log_label_prior(label) for label in range(self.labels)])
        return log_prior

    def by_label(self, log_probabilities: Float[Tensor, "rows label most"]) -> list[Tensor]:
        """One tensor per label, (rows, its own number of values)."""
        each = zip(log_probabilities.unbind(1), self.cardinalities, strict=True)
        return [of_label[:, :cardinality] for of_label, cardinality in each]


def known_or_predicted(
    log_probabilities: Float[Tensor, "rows label most"], known: KnownLabels | None
) -> UInt8[Tensor, "rows label"]:
    """The known value of each label, and for unknown ones the most probable value."""
    read = log_probabilities.argmax(-1).to(torch.uint8)
    return read if known is None else torch.where(known.observed, known.labels, read)


def log_likelihood_of(
    log_probabilities: Float[Tensor, "rows label most"],
    labels: UInt8[Tensor, "rows label"],
    observed: Bool[Tensor, "rows label"],
) -> Float[Tensor, " rows"]:
    """``log q(y_O)``, summed over the observed labels of each row."""
    each = class_log_probability(log_probabilities, labels.masked_fill(~observed, 0))
    return each.masked_fill(~observed, 0).sum(-1)
