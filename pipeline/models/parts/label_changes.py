"""Other labels for the images of a batch: what a label is changed to where a model is asked to draw it."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.models.parts.full_batch import rows_of_all_ranks
from pipeline.networks import full_precision

LabelChange = Literal["one_label", "another_row", "mixed"]


def changed_labels(
    change: LabelChange,
    labels: UInt8[Tensor, "rows label"],
    cardinalities: Int64[Tensor, " label"],
    batch: Batch,
) -> tuple[UInt8[Tensor, "rows label"], Bool[Tensor, "rows label"]]:
    """The changed labels, and which of them are to be drawn anew.

    Args:
        change: one label of each row; all labels of a row, to those of another row; or each with half of the probability.
        labels: of each row of the batch, all of them known.
        cardinalities: number of values of each label.
        batch: the rows, with those that other ranks have of the full batch.
    """
    if change == "one_label":
        return with_one_changed(labels, cardinalities)
    of_another = of_another_row(labels, batch)
    every = torch.ones_like(labels, dtype=torch.bool)
    if change == "another_row":
        return of_another, every
    changed, chosen = with_one_changed(labels, cardinalities)
    whole = torch.rand(len(labels), 1, device=labels.device) < 0.5
    return torch.where(whole, of_another, changed), torch.where(whole, every, chosen)


def with_one_changed(
    labels: UInt8[Tensor, "rows label"], cardinalities: Int64[Tensor, " label"]
) -> tuple[UInt8[Tensor, "rows label"], Bool[Tensor, "rows label"]]:
    """In each row one label, any with the same probability, at another of its values, likewise; and which one it is."""
    rows, count = labels.shape
    place = (torch.rand(rows, 1, device=labels.device) * count).long()
    further = 1 + (torch.rand(rows, 1, device=labels.device) * (cardinalities - 1)).long()
    chosen = torch.arange(count, device=labels.device) == place
    changed = ((labels + further) % cardinalities).to(torch.uint8)
    return torch.where(chosen, changed, labels), chosen


def of_another_row(labels: UInt8[Tensor, "rows label"], batch: Batch) -> UInt8[Tensor, "rows label"]:
    """For each row the labels of another row of the full batch, any with the same probability; of a single row, its own."""
    everybodys, before = rows_of_all_ranks(full_precision(labels), batch)
    rows, all_rows = len(labels), len(everybodys)
    own = before + torch.arange(rows, device=labels.device)
    further = 1 + (torch.rand(rows, device=labels.device) * (all_rows - 1)).long()
    return everybodys[(own + further) % all_rows].to(torch.uint8)
