"""Which factors a reference set holds still, and how much of each a linear model reads from latents: pure functions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from pipeline.measures.disentanglement_scores import is_category

STILL = 0.6
"""Largest standard deviation of a target factor within the reference set, as a share of that among all other images."""
_STRENGTHS = np.logspace(-2, 4, 13)


def hardly_varies(
    factors: Float[np.ndarray, "row factor"], in_set: Bool[np.ndarray, " row"]
) -> Bool[np.ndarray, " factor"]:
    """Which factors vary at most ``STILL`` times as much within the set as among the other rows; none if either is empty."""
    if not in_set.any() or in_set.all():
        return np.zeros(factors.shape[1], dtype=bool)
    others = factors[~in_set].std(0)
    found: Bool[np.ndarray, " factor"] = (others > 0) & (factors[in_set].std(0) <= STILL * others)
    return found


def readable(factors: Float[np.ndarray, "row factor"]) -> Bool[np.ndarray, " factor"]:
    """Which factors vary, and are quantities or have two values."""
    return np.array(
        [len(np.unique(each)) == 2 or (np.ptp(each) > 0 and not is_category(each)) for each in factors.T]
    )


def explained(
    fit_codes: Float[np.ndarray, "fitted latent"],
    fit_factors: Float[np.ndarray, "fitted factor"],
    codes: Float[np.ndarray, "row latent"],
    factors: Float[np.ndarray, "row factor"],
) -> Float[np.ndarray, " factor"]:
    """R² of a ridge regression of each factor on rows of its own, its strength by leave-one-out; at least 0."""
    from sklearn.linear_model import RidgeCV

    middle, scale = fit_codes.mean(0), fit_codes.std(0)
    scale = np.where(scale > 0, scale, 1)
    regression = RidgeCV(_STRENGTHS, alpha_per_target=True).fit((fit_codes - middle) / scale, fit_factors)
    wrong = ((regression.predict((codes - middle) / scale).reshape(factors.shape) - factors) ** 2).mean(0)
    found: Float[np.ndarray, " factor"] = np.maximum(1 - wrong / factors.var(0), 0)
    return found
