"""The points that a system switches its labels to: from class means, as section 5.4 of Klys et al. 2018."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from pipeline.measures.measure import DoesNotApply
from pipeline.measures.view import ModelView
from pipeline.models.capabilities import HasLabelLatents
from pipeline.models.parts.class_means import class_means


def switching_points(
    view: ModelView, cardinalities: Sequence[int], means: Literal["auto", "train", "valid"] = "auto"
) -> dict[int, Tensor]:
    """The points of each label, a row per value; none of a label with a value that no image of the split has.

    ``auto``: the paper's split, ``valid`` for systems with latents of labels and ``train`` for others.
    """
    model: Any = view.model
    split: str = means
    if split == "auto":
        split = "valid" if isinstance(model, HasLabelLatents) else "train"
    if split not in view.examples.data.manifest.splits:
        raise DoesNotApply(f"the points are taken from the split {split}, which there is not (see means=)")
    found = class_means(model, view.on(split).examples.batches(), cardinalities)
    return {
        label: model.switching_points(label, found)
        for label, counts in enumerate(found.counts)
        if bool((counts > 0).all())
    }
