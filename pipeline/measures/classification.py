"""Measure 1: how often the model's label is the true one (CCVAE tables 1 and 6, ReVAE tables 1 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pipeline.measures.measure import Measured, Metric, Needs

if TYPE_CHECKING:
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
    needs: ClassVar[Needs] = Needs(capabilities=("Classifies",), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "classification_accuracy": Metric(unit="share", better="higher"),
        "majority_baseline": Metric(unit="share", better="none"),
        "balanced_accuracy": Metric(unit="share", better="higher"),
        "auroc": Metric(unit="share", better="higher"),
        "classified_labels": Metric(unit="labels", better="none"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Of the model's most probable value of each label."""
        from sklearn.metrics import recall_score

        labels, observed = view.examples.labels, view.examples.observed
        frequencies = view.examples.data.manifest.splits["train"].label_frequencies
        correct = majority = 0
        balanced, auroc = [], []
        for index, log_probability in enumerate(view.label_log_probabilities):
            known = observed[:, index]
            truth = labels[known, index].astype(np.int64)
            probability = log_probability.double().exp().numpy()[known]
            predicted = probability.argmax(axis=1)
            correct += int((predicted == truth).sum())
            majority += int((truth == int(np.argmax(frequencies[index]))).sum())
            classes = np.unique(truth)
            if len(classes) > 1:
                balanced.append(recall_score(truth, predicted, labels=classes, average="macro"))
                auroc.append(_auroc(truth, probability))
        count = int(observed.sum())
        numbers = {"classified_labels": float(count)}
        if count:
            numbers |= {"classification_accuracy": correct / count, "majority_baseline": majority / count}
        if balanced:
            numbers |= {"balanced_accuracy": float(np.mean(balanced)), "auroc": float(np.mean(auroc))}
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers.keys() - {"classified_labels"}, count))


def _auroc(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the classes that occur of the area under the curve of one class against the rest."""
    from sklearn.metrics import roc_auc_score

    classes = [value for value in range(probability.shape[1]) if (truth == value).any()]
    return float(np.mean([roc_auc_score(truth == value, probability[:, value]) for value in classes]))
