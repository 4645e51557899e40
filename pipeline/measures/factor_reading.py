"""Factors of pictures, as read by ridge regressions from the label readers' features and from coarse pixels.

The readers' features say what labels tell of the factors, pixels the rest. Features are (row, feature), float32; the first
judge reads from the features of all readers, each further one from those of one reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor
from torch.nn import functional

STRENGTHS = tuple(10.0**power for power in range(6))
"""Of the regularisation, for features with standard deviation 1; chosen for each factor on ``valid``."""
MOST_PIXELS = 24
"""Height and width that larger images are reduced to."""


@dataclass(frozen=True)
class RidgeReading:
    """A linear regression of every factor on some of the features."""

    columns: Int64[Tensor, " column"]
    """Which features."""
    centre: Float[Tensor, " column"]
    weight: Float[Tensor, "column factor"]
    mean: Float[Tensor, " factor"]

    def __call__(self, features: Float[Tensor, "row feature"]) -> Float[Tensor, "row factor"]:
        """The factors, in their own units."""
        found: Tensor = (features[:, self.columns] - self.centre) @ self.weight + self.mean
        return found


def ridge_readings(
    fit: tuple[Float[Tensor, "row feature"], Float[Tensor, "row factor"]],
    choose: tuple[Float[Tensor, "other feature"], Float[Tensor, "other factor"]],
    judges: Sequence[Int64[Tensor, " _"]],
) -> list[RidgeReading]:
    """A regression for each judge, who sees only its columns of the features.

    Args:
        fit: features and factors to fit on.
        choose: features and factors on which each factor's strength of regularisation has the smallest squared error.
        judges: for each of them the columns that it sees.
    """
    features, factors = (each.double() for each in fit)
    centre, scale, mean = features.mean(0), features.std(0), factors.mean(0)
    scale = torch.where(scale > 1e-6, scale, torch.inf)  # constant features get no weight
    standard = (features - centre) / scale
    products, answers = standard.T @ standard, standard.T @ (factors - mean)
    found = []
    for columns in judges:
        seen = products[columns][:, columns]
        best: Tensor | None = None
        error = torch.full_like(mean, torch.inf)
        for strength in STRENGTHS:
            root = torch.linalg.cholesky(seen + strength * torch.eye(len(seen), device=seen.device))
            weight = torch.cholesky_solve(answers[columns], root) / scale[columns, None]
            predicted = (choose[0][:, columns].double() - centre[columns]) @ weight + mean
            its_error = (predicted - choose[1]).square().mean(0)
            best = weight if best is None else torch.where(its_error < error, weight, best)
            error = torch.minimum(error, its_error)
        assert best is not None
        found.append(RidgeReading(columns, centre[columns].float(), best.float(), mean.float()))
    return found


def explained(
    read: Float[Tensor, "row factor"], truth: Float[Tensor, "row factor"]
) -> Float[Tensor, " factor"]:
    """R²: 1 for a perfect reading, 0 for the mean of the truth; not a number for a factor that does not vary."""
    read, truth = read.double(), truth.double()
    of_mean = (truth - truth.mean(0)).square().sum(0)
    return torch.where(of_mean > 0, 1 - (read - truth).square().sum(0) / of_mean, torch.nan)


def correlations(
    labels: Integer[Tensor, "row label"],
    observed: Bool[Tensor, "row label"],
    factors: Float[Tensor, "row factor"],
) -> Float[Tensor, "label factor"]:
    """The correlation of each binary label, where it is observed, with each factor; 0 if one of the two does not vary.

    It orders the factors as their standardised difference between the two values does.
    """
    rows = []
    for label, known in zip(labels.double().T, observed.T, strict=True):
        y, v = label[known], factors[known].double()
        y, v = y - y.mean(), v - v.mean(0)
        size = y.square().sum().sqrt() * v.square().sum(0).sqrt()
        rows.append(torch.where(size > 0, (y @ v) / size.where(size > 0, torch.ones_like(size)), 0.0))
    return torch.stack(rows)


def picture_features(
    features: Callable[[Tensor], Float[Tensor, "member row feature"]],
    image: Float[Tensor, "row channel height width"],
) -> Float[Tensor, "row feature"]:
    """The readers' features, reader by reader, and the pixels after them."""
    side = min(MOST_PIXELS, *image.shape[-2:])
    pixels = functional.adaptive_avg_pool2d(image.float(), side).flatten(1)
    return torch.cat([*features(image).float(), pixels], dim=1)


def columns_of_judges(members: int, size: int, features: int) -> list[Int64[Tensor, " _"]]:
    """What each judge sees of ``picture_features``: the first everything, the others one reader's and the pixels.

    Args:
        members: number of readers.
        size: number of features of each.
        features: number of all features and pixels.
    """
    every = torch.arange(features)
    pixels = every[members * size :]
    return [every, *(torch.cat([every[k * size : (k + 1) * size], pixels]) for k in range(members))]
