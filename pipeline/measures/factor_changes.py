"""How far factors move in pictures when labels are set to their other values: functions of tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from pipeline.measures.factor_reading import explained
from pipeline.measures.judged import mean_where, spread
from pipeline.measures.measure import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorsSeen:
    """What judges read of the factors of images and of interventions on their binary labels."""

    truth: Float[Tensor, "row factor"]
    """Of the images."""
    labels: Integer[Tensor, "row label"]
    observed: Bool[Tensor, "row label"]
    given: Int64[Tensor, "row label"]
    """The value that each label is set to; the other one is that before."""
    in_image: Float[Tensor, "judge row factor"]
    before: Float[Tensor, "judge row label factor"]
    """Not a number for labels that were not intervened on, as ``after``."""
    after: Float[Tensor, "judge row label factor"]
    means: Float[Tensor, "label 2 factor"]
    """Of the factors in training images without and with each label."""
    deviations: Float[Tensor, " factor"]
    """Standard deviations of the factors in training."""


def own_factors(correlations: Float[Tensor, "label factor"], least: float) -> Int64[Tensor, " label"]:
    """The factor of the largest absolute correlation with each label; -1 if it is smaller than ``least``."""
    largest = correlations.abs().max(1)
    return torch.where(largest.values >= least, largest.indices, -1)


def factor_summary(
    found: FactorsSeen,
    own: Int64[Tensor, " label"],
    tied: Bool[Tensor, "label factor"],
    least_r2: float,
) -> Measured:
    """Means over the labels whose own factor is readable, and arrays per label and per label and factor.

    Args:
        found: what is read.
        own: the factor of each label, or -1.
        tied: factors that belong to a label; they are not among its others.
        least_r2: by the ensemble, of a readable factor.
    """
    r2 = torch.stack([explained(read, found.truth) for read in found.in_image])
    readable = (r2[0] >= least_r2) & (found.deviations > 0)
    labels = [label for label, factor in enumerate(own.tolist()) if factor >= 0]
    shape = (len(r2), len(own))
    names = ("moved_on", "moved_off", "moved_by_nature")
    moved = {name: torch.full(shape, torch.nan, dtype=torch.float64) for name in names}
    r2_of_own, others = (torch.full(shape, torch.nan, dtype=torch.float64) for _ in range(2))
    change = (found.after - found.before).double()
    for label in labels:
        factor = int(own[label])
        r2_of_own[:, label] = r2[:, factor]
        if not readable[factor]:
            continue
        difference = (found.means[label, 1, factor] - found.means[label, 0, factor]).double()
        shares = change[:, :, label, factor] / difference
        on, known = found.given[:, label] == 1, found.observed[:, label]
        moved["moved_on"][:, label] = mean_where(shares, on, (1,))
        moved["moved_off"][:, label] = mean_where(-shares, ~on, (1,))
        real, has = found.in_image[:, :, factor].double() / difference, found.labels[:, label] == 1
        moved["moved_by_nature"][:, label] = mean_where(real, known & has, (1,)) - mean_where(
            real, known & ~has, (1,)
        )
        other = readable & ~tied[label]
        if other.any():
            distance = change[:, :, label][..., other].abs() / found.deviations[other]
            others[:, label] = distance.mean((1, 2))
    numbers: dict[str, float] = {}
    arrays = {}
    of_labels = {**moved, "r2": r2_of_own}
    for name, values in of_labels.items():
        numbers |= spread(f"own_factor_{name}", values.nanmean(1))
        arrays[f"own_factor_{name}"] = values[0].numpy()
    numbers |= spread("other_factors_moved", others.nanmean(1))
    arrays["other_factors_moved"] = others[0].numpy()
    arrays["factor_r2"] = r2[0].numpy()
    signed = change[0] * (2 * found.given[..., None] - 1) / found.deviations
    arrays["factor_change"] = signed.mean(0).numpy()
    counted = {
        name: int((~torch.isnan(values[0])).sum())
        for name, values in {
            **{f"own_factor_{k}": v for k, v in of_labels.items()},
            "other_factors_moved": others,
        }.items()
    }
    return Measured(
        numbers=numbers,
        counts={name: counted[name.removesuffix("_reader_sd")] for name in numbers},
        arrays=arrays,
    )
