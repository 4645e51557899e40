"""What readers see change when one label of a picture is set to another value: functions of tensors.

An *attribute* is what a matrix has a row and a column for: a binary label being on, or each value of a class label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from data_prep.manifest import LabelSpec
from pipeline.measures.judged import Judgement, mean_where, spread
from pipeline.measures.measure import Measured


@dataclass(frozen=True, slots=True)
class Attribute:
    """A label with one of its values."""

    label: int
    value: int
    is_binary: bool


def attributes_of(cardinalities: Sequence[int]) -> list[Attribute]:
    """Of each binary label its value 1, of other labels every value."""
    return [
        Attribute(label, value, cardinality == 2)
        for label, cardinality in enumerate(cardinalities)
        for value in ([1] if cardinality == 2 else range(cardinality))
    ]


def attribute_names(labels: Sequence[LabelSpec]) -> list[str]:
    """The label's name, for one of several values with the value's."""
    return [
        labels[each.label].name
        if each.is_binary
        else f"{labels[each.label].name}: {labels[each.label].values[each.value]}"
        for each in attributes_of([label.cardinality for label in labels])
    ]


def attribute_log_probabilities(
    judgement: Judgement, attributes: Sequence[Attribute]
) -> Float[Tensor, "judge batch attribute"]:
    """``log p`` of every attribute in every picture."""
    return torch.stack([judgement[each.label][..., each.value] for each in attributes], dim=-1)


def other_values(
    values: Int64[Tensor, "batch label"], cardinalities: Sequence[int]
) -> Int64[Tensor, "batch label"]:
    """Another value of each label: the other one of a binary label, a random one of several."""
    sizes = torch.tensor(cardinalities, device=values.device)
    shift = 1 + (torch.rand(values.shape, device=values.device) * (sizes - 1)).long().clamp(max=sizes - 2)
    return (values + shift) % sizes


@dataclass(frozen=True, slots=True)
class Interventions:
    """What is seen in pictures decoded with one label at the value that is read in them, and at another one."""

    read: Int64[Tensor, "row label"]
    """The value of each label that the ensemble reads in the image."""
    given: Int64[Tensor, "row label"]
    """The value that the label is set to."""
    log_before: Float[Tensor, "judge row label attribute"]
    """``log p`` of each attribute, the label decoded at the value that is read."""
    log_after: Float[Tensor, "judge row label attribute"]
    """The same, the label set to the other value."""
    read_before: Int64[Tensor, "judge row label read"]
    """The value of every label that is read, the label decoded at the value that is read in the image."""
    read_after: Int64[Tensor, "judge row label read"]
    """The same, the label set to the other value."""
    read_in_reconstruction: Int64[Tensor, "judge row label"] | None
    """The value of every label that is read in the plain reconstruction; None if there is none."""


def change_matrices(
    found: Interventions, attributes: Sequence[Attribute], *, on: bool, probability: bool
) -> Float[Tensor, "judge seen changed"]:
    """Mean change of (the logarithm of) the probability of each attribute, a column for each that is switched.

    ``on``: over the images that are set to it, not having it before; else over those that have it and are set to
    another value. A column without images is not a number.
    """
    change = (
        found.log_after.exp() - found.log_before.exp() if probability else found.log_after - found.log_before
    )
    values = found.given if on else found.read
    columns = [
        mean_where(change[:, :, each.label], (values[:, each.label] == each.value)[:, None], (1,))
        for each in attributes
    ]
    return torch.stack(columns, dim=-1)


def condition_number(matrix: Float[np.ndarray, "seen changed"]) -> float:
    """The largest singular value by the smallest, of the attributes whose column is known; NaN if there are none.

    It is 1 if every label changes itself alone and all do it equally, and infinite if the matrix is singular.
    """
    known = ~np.isnan(matrix).any(0)
    if not known.any():
        return float("nan")
    sizes = np.linalg.svd(matrix[np.ix_(known, known)], compute_uv=False)
    return float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else float("inf")


def intervention_summary(found: Interventions, cardinalities: Sequence[int]) -> Measured:
    """Condition numbers, means of the matrices, and shares; arrays have the matrices, and shares per attribute."""
    attributes = attributes_of(cardinalities)
    binary = [place for place, each in enumerate(attributes) if each.is_binary]
    numbers: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    for direction in ("on", "off"):
        for kind in ("log_prob", "probability"):
            matrices = change_matrices(
                found, attributes, on=direction == "on", probability=kind == "probability"
            )
            arrays[f"{kind}_change_{direction}"] = matrices[0].numpy()
            # The probabilities of a class label sum to one: with all its values, the matrix is singular.
            conditions = [condition_number(each[np.ix_(binary, binary)]) for each in matrices.numpy()]
            numbers |= spread(f"{kind}_condition_number_{direction}", torch.tensor(conditions))
            arrays[f"{kind}_condition_number_{direction}"] = np.array(conditions[0])
            if kind == "log_prob":
                own = matrices.diagonal(dim1=1, dim2=2)
                numbers |= spread(f"own_log_prob_change_{direction}", own.nanmean(-1))
                others = ~torch.eye(len(attributes), dtype=torch.bool)
                if len(attributes) > 1:
                    numbers |= spread(
                        f"other_log_prob_change_{direction}", matrices.abs()[:, others].nanmean(-1)
                    )
    for name, shares in _shares(found, attributes).items():
        numbers |= spread(name, shares.nanmean(-1))
        arrays[name] = shares[0].numpy()
    having = [int((found.read[:, each.label] == each.value).sum()) for each in attributes]
    given = [int((found.given[:, each.label] == each.value).sum()) for each in attributes]
    arrays |= {"images_with": np.array(having), "images_given": np.array(given)}
    return Measured(numbers=numbers, counts=dict.fromkeys(numbers, len(found.read)), arrays=arrays)


def _shares(
    found: Interventions, attributes: Sequence[Attribute]
) -> dict[str, Float[Tensor, "judge attribute"]]:
    """Of the images that have (lack) each attribute, in how many it is still (then, no longer) seen."""
    shares: dict[str, list[Tensor]] = {"switched_on": [], "switched_off": [], "others_changed": []}
    if found.read_in_reconstruction is not None:
        shares["kept"] = []
    for each in attributes:
        label = each.label
        has, set_to = found.read[:, label] == each.value, found.given[:, label] == each.value
        is_seen = found.read_after[:, :, label, label] == each.value
        shares["switched_on"].append(mean_where(is_seen, set_to, (1,)))
        shares["switched_off"].append(mean_where(~is_seen, has, (1,)))
        changed = found.read_after[:, :, label] != found.read_before[:, :, label]
        others = torch.arange(changed.shape[-1]) != label
        of_others = mean_where(changed[..., others], (has | set_to)[:, None], (1, 2))
        shares["others_changed"].append(of_others)
        if found.read_in_reconstruction is not None:
            still = found.read_in_reconstruction[:, :, label] == each.value
            shares["kept"].append(mean_where(still, has, (1,)))
    return {name: torch.stack(columns, dim=-1) for name, columns in shares.items()}
