"""Accuracy counts labels, for any batches; the majority baseline is next to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.data.dataset import DataSet
from pipeline.measures.classification import Classification, agreement, expected_calibration_error
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
    assert of_one_class.keys() == {
        *("classified_labels", "classification_accuracy", "majority_baseline", "calibration_error")
    }


def test_each_label_has_its_own_balanced_accuracy_and_auroc() -> None:
    """Of the first label, the fourth of the true and one of three of the others is read; the second is never on."""
    arrays = measured(observed=OBSERVED & [True, False]).arrays
    assert arrays["label_balanced_accuracy"].tolist() == pytest.approx([(1 + 1 / 3) / 2, np.nan], nan_ok=True)
    assert arrays["label_auroc"].tolist() == pytest.approx([(1 + 1 / 3) / 2, np.nan], nan_ok=True)
    assert arrays["label_calibration_error"].tolist() == pytest.approx([2 / 7, np.nan], nan_ok=True)


def test_balanced_accuracy_and_auroc_are_those_of_scikit_learn_also_with_ties() -> None:
    from sklearn.metrics import recall_score, roc_auc_score

    rng = np.random.default_rng(0)
    probability = rng.dirichlet([0.5] * 4, size=300).round(1)
    truth = rng.integers(3, size=300)  # the fourth class never occurs
    found = agreement([probability], truth[:, None], np.ones((300, 1), dtype=bool), [0]).numbers
    areas = [roc_auc_score(truth == value, probability[:, value]) for value in range(3)]
    assert found["auroc"] == pytest.approx(np.mean(areas), abs=1e-12)
    recall = recall_score(truth, probability.argmax(1), labels=[0, 1, 2], average="macro")
    assert found["balanced_accuracy"] == pytest.approx(recall, abs=1e-12)


def test_the_calibration_error_of_two_bins_by_hand() -> None:
    """Bins (0, 0.5] and (0.5, 1]: accuracies 0.5 and 1, mean confidences 0.45 and 0.8."""
    confidence, is_right = np.array([0.4, 0.5, 0.7, 0.9]), np.array([True, False, True, True])
    assert expected_calibration_error(confidence, is_right, 2) == pytest.approx((2 * 0.05 + 2 * 0.2) / 4)


def test_the_calibration_error_is_that_of_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([0.5] * 5, size=400)
    truth = rng.integers(5, size=400)
    expected = functional.multiclass_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(truth), num_classes=5, n_bins=15
    )
    found = expected_calibration_error(probability.max(1), probability.argmax(1) == truth, 15)
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_probabilities_that_are_true_are_calibrated_and_certain_guesses_are_not() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, size=20_000)
    is_right = rng.uniform(size=20_000) < sure
    assert expected_calibration_error(sure, is_right, 15) < 0.02
    assert expected_calibration_error(np.ones(20_000), is_right, 15) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("batch_size", [7, 200])
def test_an_entire_split_is_measured(tiny_data_set: Path, batch_size: int) -> None:
    class First(nn.Module):
        def classify(self, image: Tensor) -> list[Tensor]:
            return [torch.eye(10)[torch.zeros(len(image), dtype=torch.long)].clamp(1e-6).log()]

    examples = MeasuredSplit(DataSet(tiny_data_set), "test", torch.device("cpu"), batch_size)
    numbers = Classification()(ModelView(First(), examples)).numbers
    assert numbers["classified_labels"] == 200
    assert numbers["classification_accuracy"] == pytest.approx(0.1)
