"""Scores of how separately a code represents known factors: MIG, DCI, SAP and FactorVAE's, as pure functions.

Codes are (row, latent) and factors (row, factor), rows in the same order. Factors and latents that do not vary say
nothing: ``varying`` finds the others. Scores that fit something fit it on rows of their own (``train``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

MOST_CATEGORIES = 10
"""A factor of whole numbers from 0 on with at most so many values is a category; all others are quantities."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Codes and factors of the same images."""

    codes: Float[np.ndarray, "row latent"]
    factors: Float[np.ndarray, "row factor"]


@dataclass(frozen=True, slots=True)
class DCI:
    """The three scores of Eastwood and Williams (2018)."""

    disentanglement: float
    """Whether each latent is important for one factor only; 1 is best."""
    completeness: float
    """Whether each factor needs one latent only; 1 is best."""
    informativeness: float
    """Mean over factors of the accuracy (categories) or R² (quantities) of a random forest on rows of its own."""
    importance: Float[np.ndarray, "latent factor"]
    """Of each latent for each factor; columns sum to 1."""


def varying(columns: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, " column"]:
    """Which columns have more than one value."""
    return (columns != columns[:1]).any(0)


def is_category(factor: Float[np.ndarray, " row"]) -> bool:
    """Whether a factor has a few whole numbers as its values, counted from 0; a line that is 1 to 10 pixels wide has not."""
    is_counted = not factor.min() and bool((factor == np.round(factor)).all())
    return is_counted and len(np.unique(factor)) <= MOST_CATEGORIES


def in_bins(column: Float[np.ndarray, " row"], bins: int) -> Int64[np.ndarray, " row"]:
    """The number of each value's bin: one for each value if there are at most ``bins``, else of bins with equal counts."""
    values, places = np.unique(column, return_inverse=True)
    if len(values) <= bins:
        return places.astype(np.int64)
    inner = np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(inner, column, side="right").astype(np.int64)


def mutual_information(first: Int64[np.ndarray, " row"], second: Int64[np.ndarray, " row"]) -> float:
    """Mutual information in nats of two discrete variables, from their counts."""
    joint = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(joint, (first, second), 1 / len(first))
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    occurs = joint > 0
    return float((joint[occurs] * np.log(joint[occurs] / apart[occurs])).sum())


def mutual_information_gap(rows: Rows, bins: int) -> Float[np.ndarray, " factor"]:
    """For each factor, how much more the best latent says about it than the second best, as a share of its entropy.

    Eq. 5 of Chen et al. (2018), before the mean over factors; latents and quantities in bins of equal counts.
    """
    latents = [in_bins(column, bins) for column in rows.codes.T]
    gaps = np.empty(rows.factors.shape[1])
    for place, factor in enumerate(rows.factors.T):
        binned = in_bins(factor, bins)
        shared = sorted((mutual_information(latent, binned) for latent in latents), reverse=True)
        gaps[place] = (shared[0] - (shared[1] if len(shared) > 1 else 0.0)) / mutual_information(
            binned, binned
        )
    return gaps


def attribute_predictability(train: Rows, test: Rows) -> Float[np.ndarray, " factor"]:
    """For each factor, how much better the best latent alone predicts it than the second best (SAP, Kumar et al. 2018).

    Their section 3: quantities by the squared correlation, categories by the balanced accuracy of a linear classifier.
    """
    return np.array(
        [
            _best_two(
                [
                    _predictability(
                        train.codes[:, latent], train.factors[:, place], test.codes[:, latent], factor
                    )
                    for latent in range(test.codes.shape[1])
                ]
            )
            for place, factor in enumerate(test.factors.T)
        ]
    )


def _best_two(scores: list[float]) -> float:
    first, second = sorted([*scores, 0.0], reverse=True)[:2]
    return first - second


def _predictability(
    train_latent: Float[np.ndarray, " row"],
    train_factor: Float[np.ndarray, " row"],
    latent: Float[np.ndarray, " test_row"],
    factor: Float[np.ndarray, " test_row"],
) -> float:
    from sklearn.svm import LinearSVC

    if not is_category(np.concatenate([train_factor, factor])):
        return float(np.corrcoef(latent, factor)[0, 1] ** 2)
    scale = train_latent.std() or 1.0
    middle = train_latent.mean()
    classifier = LinearSVC(C=0.01, class_weight="balanced", dual=False)
    classifier.fit((train_latent[:, None] - middle) / scale, train_factor)
    correct = classifier.predict((latent[:, None] - middle) / scale) == factor
    return float(np.mean([correct[factor == value].mean() for value in np.unique(factor)]))


def disentanglement_completeness_informativeness(train: Rows, test: Rows, seed: int) -> DCI:
    """The scores of Eastwood and Williams (2018, section 2), importance by random forests as in their section 4.2."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    importance = np.zeros((train.codes.shape[1], train.factors.shape[1]))
    correct = np.empty(train.factors.shape[1])
    for place, factor in enumerate(train.factors.T):
        kind = RandomForestClassifier if is_category(factor) else RandomForestRegressor
        # All latents at every split: with a few of them at random, useless ones seem important.
        forest = kind(n_estimators=20, max_depth=12, max_features=None, random_state=seed, n_jobs=1)
        forest.fit(train.codes, factor)
        importance[:, place] = forest.feature_importances_
        correct[place] = forest.score(test.codes, test.factors[:, place])
    return DCI(
        disentanglement=specialisation(importance),
        completeness=specialisation(importance.T),
        informativeness=float(correct.mean()),
        importance=importance,
    )


def specialisation(importance: Float[np.ndarray, "row column"]) -> float:
    """Mean over rows, weighted by their sums, of 1 minus the entropy of a row's shares, in units of a uniform row's.

    1 if each row is about one column, 0 if each is about all columns equally; a single column is 1.
    """
    columns = importance.shape[1]
    if columns == 1:
        return 1.0
    weights = importance.sum(1)
    shares = importance / np.where(weights > 0, weights, 1)[:, None]
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1) / np.log(columns)
    return float((weights * (1 - entropy)).sum() / weights.sum()) if weights.sum() > 0 else 0.0


def fixed_factor_votes(
    rows: Rows, bins: int, groups: int, size: int, chance: np.random.Generator
) -> Int64[np.ndarray, "latent factor"]:
    """How often each latent varies least, relative to all rows, in ``groups`` groups of ``size`` images that share a factor.

    Section 4 of Kim and Mnih (2018). Their groups are generated with a factor at a fixed value; a data set has
    groups with one value of a category, or one bin of a quantity, drawn with repetition.
    """
    votes = np.zeros((rows.codes.shape[1], rows.factors.shape[1]), dtype=np.int64)
    spread = rows.codes.std(0)
    binned = [in_bins(factor, bins) for factor in rows.factors.T]
    members = [[np.flatnonzero(column == value) for value in range(column.max() + 1)] for column in binned]
    for factor in chance.integers(len(binned), size=groups).tolist():
        same = members[factor][int(binned[factor][chance.integers(len(rows.codes))])]
        group = rows.codes[chance.choice(same, size)]
        votes[int(np.argmin(group.std(0) / spread)), factor] += 1
    return votes


def vote_accuracy(
    train: Int64[np.ndarray, "latent factor"], test: Int64[np.ndarray, "latent factor"]
) -> float:
    """Share of test groups whose factor is the most frequent one of their latent among the training groups."""
    return float(test[np.arange(len(test)), train.argmax(1)].sum() / test.sum())
