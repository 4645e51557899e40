"""Measure 1: how often the model's label is the true one (CCVAE tables 1 and 6, ReVAE tables 1 and 5)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import recall_score, roc_auc_score

from pipeline.measures.examples import MeasuredSplit
from pipeline.models.capabilities import Classifies


@torch.no_grad()
def classification(model: Classifies, examples: MeasuredSplit) -> dict[str, float]:
    """Accuracy over observed labels, beside what the majority of the training labels would score.

    ``classification_accuracy`` counts labels, not batches: each observed label of each example weighs the same.
    ``balanced_accuracy`` and ``auroc`` (one against the rest) are means over labels and the classes that occur. A
    number that the split has no label for, or no label of two classes, is left out.
    """
    labels, observed = examples.labels, examples.observed
    batches = [model.classify(image) for image in examples.images()]
    frequencies = examples.data.manifest.splits["train"].label_frequencies
    correct = majority = 0
    balanced, auroc = [], []
    for index in range(labels.shape[1]):
        known = observed[:, index]
        truth = labels[known, index].astype(np.int64)
        probability = torch.cat([batch[index] for batch in batches]).double().exp().cpu().numpy()[known]
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
    return numbers


def _auroc(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the classes that occur of the area under the curve of one class against the rest."""
    classes = [value for value in range(probability.shape[1]) if (truth == value).any()]
    return float(np.mean([roc_auc_score(truth == value, probability[:, value]) for value in classes]))
