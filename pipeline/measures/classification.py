"""Measure 1: how often the model's label is the true one (CCVAE tables 1 and 6, ReVAE tables 1 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """Accuracy over observed labels, next to what the majority of the training labels would score.

    ``classification_accuracy`` counts labels, not batches: each observed label of each example weighs the same.
    ``balanced_accuracy`` and ``auroc`` (one against the rest) are means over labels and the classes that occur. A
    number that the split has no label for, or no label of two classes, is left out.
    """

    name: ClassVar[str] = "classification"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("Classifies",), columns=("labels",), answers=("label_log_probabilities",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "classification_accuracy": Metric(unit="share", better="higher"),
        "majority_baseline": Metric(unit="share", better="none"),
        "balanced_accuracy": Metric(unit="share", better="higher"),
        "auroc": Metric(unit="share", better="higher"),
        "classified_labels": Metric(unit="labels", better="none"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Evaluate the model's most probable values; arrays have each label's own accuracy and baseline."""
        import numpy as np

        examples, manifest = view.examples, view.examples.data.manifest
        probabilities = [each.double().exp().numpy() for each in view.label_log_probabilities]
        majority = [int(np.argmax(shares)) for shares in manifest.splits["train"].label_frequencies]
        found = agreement(probabilities, examples.labels, examples.observed, majority)
        names = np.array([label.name for label in manifest.labels], dtype=np.str_)
        return replace(found, arrays=found.arrays | {"labels": names})


def agreement(
    probabilities: Sequence[np.ndarray], labels: np.ndarray, observed: np.ndarray, majority: Sequence[int]
) -> Measured:
    """How well probabilities agree with labels.

    Args:
        probabilities: for each label (row, value).
        labels: (row, label).
        observed: (row, label), which of them are known.
        majority: the most frequent value of each label in training.
    """
    import numpy as np
    from sklearn.metrics import recall_score

    correct, of_majority = np.zeros(len(majority), dtype=np.int64), np.zeros(len(majority), dtype=np.int64)
    balanced, auroc = [], []
    for index, probability in enumerate(probabilities):
        known = observed[:, index]
        truth, probability = labels[known, index].astype(np.int64), probability[known]
        predicted = probability.argmax(axis=1)
        correct[index] = (predicted == truth).sum()
        of_majority[index] = (truth == majority[index]).sum()
        classes = np.unique(truth)
        if len(classes) > 1:
            balanced.append(recall_score(truth, predicted, labels=classes, average="macro"))
            auroc.append(_auroc(truth, probability))
    counts = observed.sum(0)
    count = int(counts.sum())
    numbers = {"classified_labels": float(count)}
    if count:
        numbers |= {
            "classification_accuracy": float(correct.sum() / count),
            "majority_baseline": float(of_majority.sum() / count),
        }
    if balanced:
        numbers |= {"balanced_accuracy": float(np.mean(balanced)), "auroc": float(np.mean(auroc))}
    shares = np.where(counts, [correct, of_majority] / np.maximum(counts, 1), np.nan)
    return Measured(
        numbers=numbers,
        counts=dict.fromkeys(numbers.keys() - {"classified_labels"}, count),
        arrays={"label_accuracy": shares[0], "label_majority_baseline": shares[1], "label_count": counts},
    )


def _auroc(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the classes that occur of the area under the curve of one class against the rest."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    classes = [value for value in range(probability.shape[1]) if (truth == value).any()]
    return float(np.mean([roc_auc_score(truth == value, probability[:, value]) for value in classes]))
