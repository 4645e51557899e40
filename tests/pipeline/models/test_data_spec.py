"""What a model is told of a data set, from its manifest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from data_prep.manifest import LabelSpec, Manifest, SplitSpec
from pipeline.models.interface import DataSpec


def manifest(labels_used: dict[str, tuple[int, ...]]) -> Manifest:
    """Of two labels, and ten examples to train on."""
    split = SplitSpec(
        name="train",
        rows=10,
        shards=(),
        beton=None,
        label_frequencies=((0.7, 0.3), (0.5, 0.3, 0.2)),
        labels_used=labels_used,
    )
    labels = [("glasses", ("no", "yes")), ("hair", ("black", "brown", "blond"))]
    return Manifest(
        name="faces",
        digest="0" * 16,
        image_shape=(3, 4, 5),
        labels=tuple(LabelSpec(name, len(values), values) for name, values in labels),
        factors=(),
        splits={"train": split},
        options={},
        sources={},
        seed=0,
        rows_per_shard=10,
    )


@pytest.mark.parametrize(
    ("labels_used", "partly"),
    [
        ({"0.2": (2, 2), "1.0": (10, 10)}, False),
        ({"0.2": (2, 1), "1.0": (10, 9)}, True),
        ({"0.2": (2, 2)}, True),  # nobody knows
    ],
)
def test_single_labels_are_known_to_be_there_only_where_no_example_lacks_one(
    labels_used: dict[str, tuple[int, ...]], partly: bool
) -> None:
    """M2 takes all labels of a labelled example as observed where it is told so."""
    shape = DataSpec.of(manifest(labels_used))
    assert shape.partly_observed == partly
    assert shape.image_shape == (3, 4, 5)
    assert shape.pixels == 60
    assert shape.training_rows == 10
    assert shape.cardinalities == (2, 3)
    for label, frequencies in enumerate(((0.7, 0.3), (0.5, 0.3, 0.2))):
        torch.testing.assert_close(shape.log_label_prior(label).exp(), torch.tensor(frequencies))


def test_the_neutral_value_of_a_label_of_several_values_is_the_absence_of_the_others() -> None:
    labels = (
        LabelSpec("glasses", 2, ("yes", "neutral")),
        LabelSpec("expression", 3, ("happy", "sad", "neutral")),
        LabelSpec("hair", 3, ("black", "brown", "blond")),
    )
    of_three = replace(
        manifest({"1.0": (10, 10)}),
        labels=labels,
        splits={
            "train": replace(
                manifest({}).splits["train"], label_frequencies=((0.7, 0.3), (0.5, 0.3, 0.2), (0.5, 0.3, 0.2))
            )
        },
    )
    shape = DataSpec.of(of_three)
    assert [shape.absent_value(label) for label in range(3)] == [0, 2, None]
    unnamed = DataSpec(
        image_shape=(1, 2, 2), cardinalities=(2, 3), label_frequencies=((0.5, 0.5), (0.4, 0.3, 0.3))
    )
    assert [unnamed.absent_value(label) for label in range(2)] == [0, None]


def test_a_class_that_never_occurs_has_a_finite_log_prior() -> None:
    shape = DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=((0.25, 0.75, 0.0),))
    log_prior = shape.log_label_prior(0)
    torch.testing.assert_close(log_prior[:2].exp(), torch.tensor([0.25, 0.75]))
    assert -90 < log_prior[2] < -80


def test_a_label_that_is_never_observed_has_equally_probable_values() -> None:
    shape = DataSpec(image_shape=(1, 2, 2), cardinalities=(4,), label_frequencies=((0.0, 0.0, 0.0, 0.0),))
    torch.testing.assert_close(shape.log_label_prior(0).exp(), torch.full((4,), 0.25))
