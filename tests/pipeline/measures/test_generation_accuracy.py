"""Images are generated from labels, and the readers agree with all, or as often as by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.measures.drawn_labels import drawn_labels, label_shares
from pipeline.measures.generation_accuracy import GenerationAccuracy, generation_summary
from pipeline.measures.measure import Measured
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter


def test_accuracy_and_chance_by_hand() -> None:
    labels = torch.tensor([[0, 2], [1, 0], [1, 0], [1, 1]], dtype=torch.uint8)
    read = torch.tensor([[[0, 2], [0, 0], [1, 1], [1, 1]]])
    found = generation_summary(read, labels, (2, 3))
    assert found.numbers == {
        "generation_accuracy": pytest.approx(6 / 8),
        "generation_chance": pytest.approx(
            ((1 * 2 + 3 * 2) / 16 + (2 * 1 + 1 * 2 + 1 * 1) / 16) / 2,
        ),
    }
    assert found.counts["generation_accuracy"] == 8
    assert found.arrays["label_generation_accuracy"].tolist() == [0.75, 0.75]
    expected = [[1, 2 / 3, np.nan], [1 / 2, 1, 1]]
    assert found.arrays["value_generation_accuracy"].tolist() == [
        pytest.approx(each, nan_ok=True) for each in expected
    ]


def test_labels_are_uniform_or_as_frequent_as_in_training() -> None:
    torch.manual_seed(0)
    world = Painted.drawn((2, 4), 100)
    world.labels[:, 0], world.labels[:90, 1], world.labels[90:, 1] = 1, 2, 3
    manifest = world.described()
    assert label_shares(manifest, "prior") == [[0, 1], [0, 0, pytest.approx(0.9), pytest.approx(0.1)]]
    uniform = drawn_labels(label_shares(manifest, "uniform"), 4000)
    assert uniform.float().mean(0).tolist() == pytest.approx([0.5, 1.5], abs=0.05)
    prior = drawn_labels(label_shares(manifest, "prior"), 4000)
    assert prior[:, 0].min() == 1
    assert prior[:, 1].float().mean() == pytest.approx(2.1, abs=0.02)


def measured(model: type[Painter], cardinalities: tuple[int, ...], **settings: Any) -> Measured:
    torch.manual_seed(1)
    world = Painted.drawn(cardinalities, 3)
    return GenerationAccuracy(images=2000, **settings)(world.view(model(cardinalities), batch_size=500))


@pytest.mark.parametrize(("cardinalities", "chance"), [((2, 2, 2), 0.5), ((10,), 0.1), ((2, 2, 5), 0.4)])
def test_a_generator_that_obeys_is_always_right_and_one_that_does_not_as_often_as_by_chance(
    cardinalities: tuple[int, ...], chance: float
) -> None:
    exact, none = (measured(model, cardinalities).numbers for model in (Painter, IgnoresLabels))
    assert exact["generation_accuracy"] == 1
    assert exact["generation_chance"] == pytest.approx(chance, abs=0.01)
    assert none["generation_accuracy"] == pytest.approx(chance, abs=0.025)
    assert none["generation_chance"] == pytest.approx(chance, abs=0.01)
    assert exact["generation_accuracy_reader_sd"] == 0


def test_frequent_labels_are_right_more_often_by_chance() -> None:
    """A label that is always on in training is given and seen: it is right, and no merit."""
    torch.manual_seed(0)
    world = Painted.drawn((2,), 5)
    world.labels[:] = 1
    world.manifest = world.described()
    found = GenerationAccuracy(images=100, labels="prior")(world.view(Painter((2,))))
    assert found.numbers["generation_accuracy"] == found.numbers["generation_chance"] == 1
    assert np.isnan(found.arrays["value_generation_accuracy"][0, 0])
