"""Expressions for unlabelled faces: those that a classifier is at least 0.9 sure of.

Klys et al. 2018, 5.2.1: "A classifier was trained on the labelled subset (around 4000 examples) and applied to each
unlabelled point. If the classifier assigned some label at least a 0.9 probability the data point was included with that
label, otherwise it was discarded." They do not say which classifier. This one is closed-form, so that it gives the same
labels on every machine: linear discriminant analysis with Ledoit-Wolf shrinkage of the covariance, on faces
resized to 24 x 24 and standardised to mean 0 and deviation 1 each.

Its scores are not calibrated: with 576 features it is far too confident. So they are divided
by the temperature that gives the labelled faces the best log-likelihood in a five-fold cross-validation over persons
(the same face must not be in both training and evaluation). "At least 0.9" is then a calibrated probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEAST_PROBABILITY = 0.9
FEWEST_EXAMPLES = 10
"""minimum number of examples of each expression"""

_SIDE = 24
_FOLDS = 5
_BLOCK = 1024
_TEMPERATURES = 2.0 ** (np.arange(41) / 4)
"""a fixed grid: the choice must not depend on rounding errors"""


@dataclass(frozen=True)
class Labelling:
    """The classifier's result for some faces."""

    expressions: NDArray[np.int64]
    """(n,): the likeliest expression; -1 where it is not sure, or where people labelled the face"""
    accuracy: float
    """accuracy on labelled faces of unseen persons"""
    sure_accuracy: float
    """the same among those that it was sure of"""


def features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Faces (n, H, W) → (n, 576): small, each with mean 0 and deviation 1."""
    resized = (Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX) for image in images)
    small = np.stack([np.asarray(image, dtype=np.float64).reshape(-1) for image in resized])
    small -= small.mean(axis=1, keepdims=True)
    return np.asarray(small / (small.std(axis=1, keepdims=True) + 1.0))


def label_faces(
    images: NDArray[np.uint8], expressions: NDArray[np.int64], identities: NDArray[np.int64]
) -> Labelling:
    """Expressions for those of the faces (n, H, W) that have none.

    ``expressions`` (n,) is -1 where unlabelled, and so is ``identities`` (n,). Every expression that occurs needs
    ``FEWEST_EXAMPLES``.
    """
    given, others = np.flatnonzero(expressions >= 0), np.flatnonzero(expressions < 0)
    known, truth = features(images[given]), expressions[given]
    scores = _held_out_scores(known, truth, identities[given])
    likelihood = [_log_softmax(scores / t)[np.arange(len(scores)), truth].mean() for t in _TEMPERATURES]
    temperature = float(_TEMPERATURES[np.argmax(likelihood)])
    right = scores.argmax(axis=1) == truth
    sure = _likeliest(scores, temperature) >= 0
    discriminant = _Discriminant(known, truth, scores.shape[1])
    judged = np.full(len(expressions), -1)
    for start in range(0, len(others), _BLOCK):
        block = others[start : start + _BLOCK]
        judged[block] = _likeliest(discriminant.scores(features(images[block])), temperature)
    return Labelling(judged, float(right.mean()), float(right[sure].mean()) if sure.any() else float("nan"))


class _Discriminant:
    """Linear scores of ``classes`` classes; one without an example gets a score of minus infinity."""

    def __init__(self, known: NDArray[np.float64], expressions: NDArray[np.int64], classes: int) -> None:
        from sklearn.covariance import ledoit_wolf  # here, because it takes a second to import

        counts = np.bincount(expressions, minlength=classes)
        means = np.stack(
            [known[expressions == k].mean(axis=0) if counts[k] else known[0] * 0 for k in range(classes)]
        )
        covariance, _ = ledoit_wolf(known - means[expressions], assume_centered=True)
        self._weights = np.linalg.solve(covariance + 1e-6 * np.eye(len(covariance)), means.T)
        with np.errstate(divide="ignore"):
            self._offsets = np.log(counts / counts.sum()) - 0.5 * (means.T * self._weights).sum(axis=0)

    def scores(self, known: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, classes): log-probabilities, up to a number per row, if faces were Gaussian."""
        return known @ self._weights + self._offsets


def _held_out_scores(
    known: NDArray[np.float64], expressions: NDArray[np.int64], identities: NDArray[np.int64]
) -> NDArray[np.float64]:
    classes = int(expressions.max()) + 1
    # A face without identity counts as a person of its own.
    person = np.where(identities >= 0, identities, identities.max() + 1 + np.arange(len(identities)))
    fold = np.unique(person, return_inverse=True)[1] % _FOLDS
    scores = np.zeros((len(known), classes))
    for held_out in range(_FOLDS):
        here = fold == held_out
        if here.any() and not here.all():
            scores[here] = _Discriminant(known[~here], expressions[~here], classes).scores(known[here])
    # A class missing from a fold would have probability 0 there, and its examples a likelihood of 0.
    return np.where(np.isfinite(scores), scores, scores.min(initial=0.0, where=np.isfinite(scores)))


def _likeliest(scores: NDArray[np.float64], temperature: float) -> NDArray[np.int64]:
    probability = np.exp(_log_softmax(scores / temperature))
    return np.where(probability.max(axis=1) >= LEAST_PROBABILITY, probability.argmax(axis=1), -1)


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
