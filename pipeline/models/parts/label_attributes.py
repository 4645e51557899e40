"""Labels as binary attributes, ``y ∈ {0, 1}^k`` of Klys et al. 2018: the conditions of the CSVAE family."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from pipeline.models.interface import DataSpec
from pipeline.models.parts.label_codes import LabelCodes
from pipeline.networks import full_precision, one_hot


class LabelAttributes(nn.Module):
    """A binary label is one attribute, present at its value 1; a multi-class label has one per value.

    If one of these is neutral, it is the absence of all the others, and has none: TFD's seven expressions are six
    attributes, as in the paper.

    It has no parameters; ``log_prior`` (label, most values) is ``log p(y_i)`` from the data set's frequencies, those of all
    its observed labels, at any supervision rate.
    """

    places: Tensor
    label_of: Tensor
    membership: Tensor
    log_prior: Tensor
    frequencies: Tensor

    def __init__(self, data: DataSpec, system: str) -> None:
        super().__init__()
        self.codes = codes = LabelCodes(data.labels_for(system))
        owner = [label for label, values in enumerate(codes.cardinalities) for _ in range(values)]
        first = [owner.index(label) for label in range(codes.labels)]
        # An attribute's column among all values; a value that is the absence of attributes has none.
        absent = [data.absent_value(label) for label in range(codes.labels)]
        places = [column for column, label in enumerate(owner) if column - first[label] != absent[label]]
        self.sizes = tuple(
            values - (none is not None) for values, none in zip(codes.cardinalities, absent, strict=True)
        )
        self.count = len(places)
        log_prior = codes.log_prior(data)
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.register_buffer("label_of", torch.tensor(owner), persistent=False)
        membership = one_hot(torch.tensor(owner)[places], codes.labels)
        self.register_buffer("membership", membership, persistent=False)
        self.register_buffer("log_prior", log_prior, persistent=False)
        self.register_buffer("frequencies", codes.side_by_side(log_prior.exp()), persistent=False)

    def of_label(self, label: int) -> slice:
        """The position of the attributes of a label of the data set."""
        start = sum(self.sizes[:label])
        return slice(start, start + self.sizes[label])

    def of(
        self, labels: UInt8[Tensor, "rows label"], known: Bool[Tensor, "rows label"]
    ) -> Float[Tensor, "rows attribute"]:
        """0 or 1; for an unknown label, the frequencies of its values."""
        codes = self.codes.code(labels.masked_fill(~known, 0))
        codes = torch.where(known.index_select(-1, self.label_of), codes, self.frequencies)
        return codes.index_select(-1, self.places)

    def of_known(self, labels: UInt8[Tensor, "rows label"]) -> Float[Tensor, "rows attribute"]:
        """0 or 1: all labels are known."""
        return self.of(labels, torch.ones_like(labels, dtype=torch.bool))

    def of_unknown(self, rows: int) -> Float[Tensor, "rows attribute"]:
        """The frequency of each attribute: no label is known."""
        return self.frequencies.index_select(-1, self.places).expand(rows, -1)

    def of_values(self, label: int) -> Float[Tensor, "value own"]:
        """0 or 1 in the attributes of one label of the data set, a row for each of its values."""
        own = self.places[self.of_label(label)] - self.codes.of_label(label).start
        values = torch.arange(self.codes.cardinalities[label], device=own.device)
        return full_precision(values[:, None] == own)

    def per_label(self, of_attributes: Float[Tensor, "*rows attribute"]) -> Float[Tensor, "*rows label"]:
        """Sums over the attributes of each label."""
        # Not a matrix product: autocast would round densities to bf16.
        return (of_attributes[..., None] * self.membership).sum(-2)

    def per_value(
        self, absent: Float[Tensor, "rows attribute"], present: Float[Tensor, "rows attribute"]
    ) -> Float[Tensor, "rows label most"]:
        """Log density given each value of each label, from those given each attribute's absence and presence."""
        gain = absent.new_zeros(len(absent), self.codes.width).index_copy(-1, self.places, present - absent)
        shape = (self.codes.labels, self.codes.most)
        gain = gain.index_select(-1, self.codes.places.flatten()).unflatten(-1, shape)
        return self.per_label(absent)[..., None] + gain
