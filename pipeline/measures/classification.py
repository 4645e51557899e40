"""Measure 1: how often the model's label is the true one (CCVAE tables 1 and 6, ReVAE tables 1 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pipeline.field_checks import check_at_least
from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """Accuracy over observed labels, next to what the majority of the training labels would score.

    ``classification_accuracy`` counts labels, not batches: each observed label of each example weighs the same.
    ``balanced_accuracy`` and ``auroc`` (one against the rest) are means over labels and the classes that occur;
    ``calibration_error`` is a mean over labels. A number that the split has no label for, or no label of two
    classes, is left out.
    """

    bins: int = 15
    """Of equal width, of the confidence in ``calibration_error``."""

    name: ClassVar[str] = "classification"
    version: ClassVar[int] = 2
    """2: ``calibration_error``, and balanced accuracy and AUROC of each label."""
    needs: ClassVar[Needs] = Needs(
        capabilities=("Classifies",), columns=("labels",), answers=("label_log_probabilities",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "classification_accuracy": Metric(unit="share", better="higher"),
        "majority_baseline": Metric(unit="share", better="none"),
        "balanced_accuracy": Metric(unit="share", better="higher"),
        "auroc": Metric(unit="share", better="higher"),
        "calibration_error": Metric(unit="share", better="lower"),
        "classified_labels": Metric(unit="labels", better="none"),
    }

    def __post_init__(self) -> None:
        check_at_least(1, self, "bins")

    def __call__(self, view: ModelView) -> Measured:
        """Evaluate the model's probabilities; arrays have each label's own numbers."""
        import numpy as np

        examples, manifest = view.examples, view.examples.data.manifest
        probabilities = [each.double().exp().numpy() for each in view.label_log_probabilities]
        majority = [int(np.argmax(shares)) for shares in manifest.splits["train"].label_frequencies]
        found = agreement(probabilities, examples.labels, examples.observed, majority, self.bins)
        names = np.array([label.name for label in manifest.labels], dtype=np.str_)
        return replace(found, arrays=found.arrays | {"labels": names})


def agreement(
    probabilities: Sequence[np.ndarray],
    labels: np.ndarray,
    observed: np.ndarray,
    majority: Sequence[int],
    bins: int = 15,
) -> Measured:
    """How well probabilities agree with labels.

    Args:
        probabilities: for each label (row, value).
        labels: (row, label).
        observed: (row, label), which of them are known.
        majority: the most frequent value of each label in training.
        bins: of the calibration error.
    """
    import numpy as np

    correct, of_majority = np.zeros(len(majority), dtype=np.int64), np.zeros(len(majority), dtype=np.int64)
    balanced, auroc, error = (np.full(len(majority), np.nan) for _ in range(3))
    for index, probability in enumerate(probabilities):
        known = observed[:, index]
        truth, probability = labels[known, index].astype(np.int64), probability[known]
        if not len(truth):
            continue
        predicted = probability.argmax(axis=1)
        is_right = predicted == truth
        correct[index] = is_right.sum()
        of_majority[index] = (truth == majority[index]).sum()
        error[index] = expected_calibration_error(probability.max(axis=1), is_right, bins)
        classes = np.unique(truth)
        if len(classes) > 1:
            balanced[index] = np.mean([is_right[truth == value].mean() for value in classes])
            auroc[index] = _auroc(truth, probability)
    counts = observed.sum(0)
    count = int(counts.sum())
    numbers = {"classified_labels": float(count)}
    if count:
        numbers |= {
            "classification_accuracy": float(correct.sum() / count),
            "majority_baseline": float(of_majority.sum() / count),
            "calibration_error": float(np.nanmean(error)),
        }
    if not np.isnan(balanced).all():
        numbers |= {"balanced_accuracy": float(np.nanmean(balanced)), "auroc": float(np.nanmean(auroc))}
    shares = np.where(counts, [correct, of_majority] / np.maximum(counts, 1), np.nan)
    return Measured(
        numbers=numbers,
        counts=dict.fromkeys(numbers.keys() - {"classified_labels"}, count),
        arrays={
            "label_accuracy": shares[0],
            "label_majority_baseline": shares[1],
            "label_balanced_accuracy": balanced,
            "label_auroc": auroc,
            "label_calibration_error": error,
            "label_count": counts,
        },
    )


def expected_calibration_error(confidence: np.ndarray, is_right: np.ndarray, bins: int) -> float:
    """Mean over examples of ``|accuracy − confidence|`` of their bin (eq. 3 of Guo et al. 2017).

    Args:
        confidence: (row,), the probability of the predicted value.
        is_right: (row,), whether that value is the true one.
        bins: of equal width, each including its upper end.
    """
    import numpy as np

    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=is_right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def _auroc(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the classes that occur of the area under the curve of one class against the rest."""
    import numpy as np

    classes = [value for value in range(probability.shape[1]) if (truth == value).any()]
    return float(np.mean([_area(truth == value, probability[:, value]) for value in classes]))


def _area(is_positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the curve: how often a positive's score is above a negative's, a tie counting half.

    Mann and Whitney's U over the number of pairs. scikit-learn has it too, but takes a second to import.
    """
    import numpy as np

    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # of tied scores the mean rank, counted from 1
    positives = int(is_positive.sum())
    u = rank[place][is_positive].sum() - positives * (positives + 1) / 2
    return float(u / (positives * (len(score) - positives)))
