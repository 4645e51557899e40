"""How far log-probabilities of labels move in swapped pictures, and the pairs that are swapped: functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pipeline.measures.judged import mean_where, spread
from pipeline.measures.measure import Measured


def random_partners(count: int, partners: int) -> Int64[Tensor, "partner row"]:
    """For each of ``count`` rows, different other rows (all of the others if there are fewer): every row equally often.

    In a random order of the rows on a circle, a row's partners are those at the same random distances as everyone's.
    """
    order = torch.randperm(count)
    distances = 1 + torch.randperm(count - 1)[:partners]
    found = torch.empty(len(distances), count, dtype=torch.long)
    found[:, order] = order[(torch.arange(count) + distances[:, None]) % count]
    return found


def swap_summary(
    changes: Float[Tensor, "judge partner row label"],
    of_partners: Float[Tensor, "judge partner row label"],
    of_reconstructions: Float[Tensor, "judge row label"] | None,
    values: Int64[Tensor, "row label"],
    counted: Bool[Tensor, "row label"],
    cardinalities: Sequence[int],
) -> Measured:
    """Means of absolute changes of ``log p(y_a)`` against the original image a; a median too.

    Args:
        changes: in the swapped pictures.
        of_partners: in the other image of each pair, as it is.
        of_reconstructions: in the reconstruction of a; None if there is none.
        values: ``y_a``.
        counted: which of them count.
        cardinalities: number of values of each label.
    """
    pairs = (1, 2, 3)
    found = {"swap_log_prob_difference": changes, "partner_log_prob_difference": of_partners}
    if of_reconstructions is not None:
        found["reconstruction_log_prob_difference"] = of_reconstructions[:, None]
        found["swap_log_prob_difference_from_reconstruction"] = changes - of_reconstructions[:, None]
    numbers: dict[str, float] = {}
    counts: dict[str, int] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, change in found.items():
        size = change.abs()
        numbers |= spread(name, mean_where(size, counted, pairs))
        counts[name] = int(counted.sum()) * size.shape[1]
        arrays[f"label_{name}"] = mean_where(size[0], counted, (0, 1)).numpy()
        if name.startswith("swap"):
            per_value = [
                mean_where(size[0], counted & (values == value), (0, 1))
                for value in range(max(cardinalities))
            ]
            arrays[f"value_{name}"] = torch.stack(per_value, dim=-1).numpy()
    each = changes.abs()[:, :, counted].flatten(1).numpy()
    medians = torch.from_numpy(np.median(each, axis=1))
    numbers |= spread("swap_log_prob_difference_median", medians)
    counts["swap_log_prob_difference_median"] = counts["swap_log_prob_difference"]
    return Measured(numbers=numbers, counts=counts, arrays=arrays)
