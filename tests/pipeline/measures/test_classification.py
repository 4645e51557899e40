"""Accuracy counts labels, whatever the batches; next to it stands what always answering with the majority scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.data.dataset import DataSet
from pipeline.measures.classification import Classification
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.view import ModelView


class Answers:
    """Reads the answer for each label from the image's first pixels."""

    def classify(self, image: Tensor) -> list[Tensor]:
        answers = image.flatten(1)[:, :2].float() / 255
        return [torch.stack([1 - p, p], dim=-1).clamp(1e-6).log() for p in answers.unbind(1)]


class Rows:
    """A split in memory, read in batches of any size."""

    def __init__(
        self, answers: np.ndarray, labels: np.ndarray, observed: np.ndarray, batch_size: int
    ) -> None:
        self.labels, self.observed, self.batch_size = labels, observed, batch_size
        self.image = torch.from_numpy(np.pad(answers * 255, ((0, 0), (0, 2))).astype(np.uint8)).reshape(
            -1, 1, 2, 2
        )
        # Of the training split: most examples have the first label, few the second.
        train = SimpleNamespace(label_frequencies=((0.2, 0.8), (0.9, 0.1)))
        self.data = SimpleNamespace(manifest=SimpleNamespace(splits={"train": train}))

    def images(self) -> Any:
        return self.image.split(self.batch_size)


ANSWERS = np.array([[1, 0], [1, 0], [0, 0], [1, 1], [1, 0], [1, 0], [1, 0]])
LABELS = np.array([[1, 0], [1, 0], [0, 0], [1, 1], [0, 1], [0, 1], [1, 1]], dtype=np.uint8)
OBSERVED = np.array([[1, 1], [1, 1], [1, 1], [1, 1], [1, 0], [1, 1], [1, 1]], dtype=bool)


def measured(
    batch_size: int,
    answers: np.ndarray = ANSWERS,
    labels: np.ndarray = LABELS,
    observed: np.ndarray = OBSERVED,
) -> dict[str, float]:
    rows: Any = Rows(answers, labels, observed, batch_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxtyping.config.jaxtyping_disable", True)
        model: Any = Answers()
        return dict(Classification()(ModelView(model, rows)).numbers)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7])
def test_every_observed_label_counts_the_same_in_any_batches(batch_size: int) -> None:
    """The trap: means of batches, of which the last is short."""
    numbers = measured(batch_size)
    assert numbers["classified_labels"] == 13
    assert numbers["classification_accuracy"] == pytest.approx((5 + 4) / 13)


def test_the_majority_is_that_of_the_training_labels() -> None:
    assert measured(4)["majority_baseline"] == pytest.approx((4 + 3) / 13)


def test_always_answering_with_the_majority_scores_the_baseline_and_half_of_balanced_accuracy() -> None:
    numbers = measured(4, np.tile([1, 0], (7, 1)))
    assert numbers["classification_accuracy"] == numbers["majority_baseline"]
    assert numbers["balanced_accuracy"] == pytest.approx(0.5)
    assert numbers["auroc"] == pytest.approx(0.5)


def test_numbers_that_a_split_has_no_labels_for_are_left_out() -> None:
    assert measured(4, observed=np.zeros_like(OBSERVED)) == {"classified_labels": 0}
    of_one_class = measured(4, labels=np.ones_like(LABELS))
    assert of_one_class.keys() == {"classified_labels", "classification_accuracy", "majority_baseline"}


@pytest.mark.parametrize("batch_size", [7, 200])
def test_a_split_is_measured_whole(tiny_data_set: Path, batch_size: int) -> None:
    class First(nn.Module):
        def classify(self, image: Tensor) -> list[Tensor]:
            return [torch.eye(10)[torch.zeros(len(image), dtype=torch.long)].clamp(1e-6).log()]

    examples = MeasuredSplit(DataSet(tiny_data_set), "test", torch.device("cpu"), batch_size)
    numbers = Classification()(ModelView(First(), examples)).numbers
    assert numbers["classified_labels"] == 200
    assert numbers["classification_accuracy"] == pytest.approx(0.1)
