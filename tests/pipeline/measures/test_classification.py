"""Accuracy counts labels, for any batches; the majority baseline is next to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.data.dataset import DataSet
from pipeline.measures.classification import Classification, agreement
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.measure import Measured
from pipeline.measures.view import ModelView

ANSWERS = np.array([[1, 0], [1, 0], [0, 0], [1, 1], [1, 0], [1, 0], [1, 0]])
LABELS = np.array([[1, 0], [1, 0], [0, 0], [1, 1], [0, 1], [0, 1], [1, 1]], dtype=np.uint8)
OBSERVED = np.array([[1, 1], [1, 1], [1, 1], [1, 1], [1, 0], [1, 1], [1, 1]], dtype=bool)


MAJORITY = (1, 0)
"""Of the training split: most examples have the first label, few the second."""


def measured(
    answers: np.ndarray = ANSWERS, labels: np.ndarray = LABELS, observed: np.ndarray = OBSERVED
) -> Measured:
    probabilities = [np.stack([1 - answer, answer], axis=-1).astype(float) for answer in answers.T]
    return agreement(probabilities, labels, observed, MAJORITY)


def test_every_observed_label_counts_the_same() -> None:
    """The trap: means over labels, of which one is known less often."""
    found = measured()
    assert found.numbers["classified_labels"] == found.counts["classification_accuracy"] == 13
    assert found.numbers["classification_accuracy"] == pytest.approx((5 + 4) / 13)


def test_each_label_has_its_own_baseline() -> None:
    arrays = measured().arrays
    assert arrays["label_count"].tolist() == [7, 6]
    assert arrays["label_accuracy"].tolist() == pytest.approx([5 / 7, 4 / 6])
    assert arrays["label_majority_baseline"].tolist() == pytest.approx([4 / 7, 3 / 6])
    unknown = measured(observed=OBSERVED & [True, False]).arrays
    assert unknown["label_accuracy"].tolist() == pytest.approx([5 / 7, np.nan], nan_ok=True)


def test_the_majority_is_that_of_the_training_labels() -> None:
    assert measured().numbers["majority_baseline"] == pytest.approx((4 + 3) / 13)


def test_always_answering_with_the_majority_scores_the_baseline_and_half_of_balanced_accuracy() -> None:
    numbers = measured(np.tile([1, 0], (7, 1))).numbers
    assert numbers["classification_accuracy"] == numbers["majority_baseline"]
    assert numbers["balanced_accuracy"] == pytest.approx(0.5)
    assert numbers["auroc"] == pytest.approx(0.5)


def test_numbers_that_a_split_has_no_labels_for_are_left_out() -> None:
    assert measured(observed=np.zeros_like(OBSERVED)).numbers == {"classified_labels": 0}
    of_one_class = measured(labels=np.ones_like(LABELS)).numbers
    assert of_one_class.keys() == {"classified_labels", "classification_accuracy", "majority_baseline"}


@pytest.mark.parametrize("batch_size", [7, 200])
def test_an_entire_split_is_measured(tiny_data_set: Path, batch_size: int) -> None:
    class First(nn.Module):
        def classify(self, image: Tensor) -> list[Tensor]:
            return [torch.eye(10)[torch.zeros(len(image), dtype=torch.long)].clamp(1e-6).log()]

    examples = MeasuredSplit(DataSet(tiny_data_set), "test", torch.device("cpu"), batch_size)
    numbers = Classification()(ModelView(First(), examples)).numbers
    assert numbers["classified_labels"] == 200
    assert numbers["classification_accuracy"] == pytest.approx(0.1)
