"""Linear regressions of factors and of labels from latents, and how well they do, as pure functions.

Latents are (row, latent). The strength of a probe's own regularisation is chosen by cross-validation within the rows that it
is fitted on.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

STRENGTHS = tuple(10.0**power for power in range(-3, 5))
"""Of a probe's regularisation."""
FOLDS = 5
"""Of the cross-validation."""


class FactorErrors(NamedTuple):
    """Mean absolute errors of a ridge regression of each factor."""

    errors: Float[np.ndarray, " factor"]
    """Of the rows that it is reported on."""
    in_cross_validation: Float[np.ndarray, " factor"]
    """Of those that it is fitted on, each part by a regression fitted on the others; NaN if there are too few."""


class ClassAccuracies(NamedTuple):
    """How often a logistic regression recognises the values of a label."""

    shares: Float[np.ndarray, " value"]
    """Of the rows with each value that it is reported on."""
    in_cross_validation: float
    """Mean over values, of the rows that it is fitted on, each part by a regression fitted on the others."""


def factor_errors(
    latents: Float[np.ndarray, "row latent"],
    factors: Float[np.ndarray, "row factor"],
    test_latents: Float[np.ndarray, "test latent"],
    test_factors: Float[np.ndarray, "test factor"],
) -> FactorErrors:
    """Of a regression of each factor, fitted on ``latents`` and ``factors``."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    errors, inside = [], []
    for factor, truth in zip(factors.T, test_factors.T, strict=True):
        errors.append(np.abs(probe.fit(latents, factor).predict(test_latents) - truth).mean())
        held_out = cross_val_predict(probe, latents, factor, cv=FOLDS) if len(latents) >= FOLDS else np.nan
        inside.append(np.abs(held_out - factor).mean())
    return FactorErrors(np.array(errors), np.array(inside))


def class_accuracies(
    latents: Float[np.ndarray, "row latent"],
    values: Integer[np.ndarray, " row"],
    test_latents: Float[np.ndarray, "test latent"],
    test_values: Integer[np.ndarray, " test"],
) -> ClassAccuracies:
    """Of a logistic regression of a label, fitted on ``latents`` and ``values``."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(FOLDS, int(np.unique(values, return_counts=True)[1].min()))
    classifier = GridSearchCV(
        LogisticRegression(class_weight="balanced", max_iter=300),
        {"C": [1 / strength for strength in STRENGTHS]},
        cv=folds,
        scoring="balanced_accuracy",
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # weak regularisation may not converge; cross-validation judges what it gives
        predicted = make_pipeline(StandardScaler(), classifier).fit(latents, values).predict(test_latents)
    shares = [(predicted[test_values == value] == value).mean() for value in np.unique(test_values)]
    return ClassAccuracies(np.array(shares), float(classifier.best_score_))
