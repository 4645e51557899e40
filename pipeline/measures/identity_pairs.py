"""Pictures of one person with different values of a label, and the points that change the one into the other best."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor


def identity_pairs(
    persons: Int64[np.ndarray, " row"],
    values: Integer[np.ndarray, " row"],
    known: Bool[np.ndarray, " row"],
) -> Int64[np.ndarray, "pair 2"]:
    """All ordered pairs of rows of the same person (negative: not known) with different known values of a label."""
    rows = np.flatnonzero(known & (persons >= 0))
    rows = rows[np.argsort(persons[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(persons[rows])) + 1
    found = [np.empty((0, 2), dtype=np.int64)]
    for own in np.split(rows, starts):
        first, second = np.repeat(own, len(own)), np.tile(own, len(own))
        found.append(np.stack([first, second], 1)[values[first] != values[second]])
    return np.concatenate(found)


def squared_errors(
    first: Float[Tensor, "row channel height width"], second: Float[Tensor, "row channel height width"]
) -> Float[Tensor, " row"]:
    """Of each picture, summed over its pixels."""
    return (first - second).square().flatten(1).sum(1)


def best_points(
    start: Float[Tensor, "value point"],
    errors: Callable[[Tensor], Iterable[Float[Tensor, ""]]],
    steps: int,
    learning_rate: float,
) -> Float[Tensor, "value point"]:
    """The points with the smallest sum of errors that Adam comes across.

    Args:
        start: where it begins; returned if nothing is better.
        errors: parts of the sum at some points, each released before the next.
        steps: number of updates.
        learning_rate: of Adam.
    """
    with torch.enable_grad():
        points = start.detach().clone().requires_grad_(True)
        optimiser = torch.optim.Adam([points], lr=learning_rate)
        best, least = start, float("inf")
        for step in range(steps + 1):
            gradient, total = torch.zeros_like(points), 0.0
            for part in errors(points):
                total += float(part.detach())
                if part.requires_grad and step < steps:
                    (own,) = torch.autograd.grad(part, points, allow_unused=True)
                    gradient += 0 if own is None else own
            if total < least:
                best, least = points.detach().clone(), total
            points.grad = gradient
            optimiser.step()
    return best
