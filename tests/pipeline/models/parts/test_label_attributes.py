"""Labels as attributes: a binary label is one, a label of several values one for each."""

from __future__ import annotations

import math

import torch

from pipeline.models.parts.label_attributes import LabelAttributes
from tests.pipeline.models.injected_draws import noise
from tests.pipeline.models.labels_cases import LABELS, MIXED, NEUTRAL

ATTRIBUTES = LabelAttributes(MIXED, "csvae")
"""Of three labels with 2, 3 and 2 values: five."""


def test_known_labels_are_zeros_and_ones_and_unknown_ones_their_frequencies() -> None:
    known = torch.tensor([[True, True, True], [False, True, False], [True, False, True]])
    labels = LABELS[:3].to(torch.uint8).masked_fill(~known, 255)
    expected = [[1, 0, 0, 1, 0], [0.3, 0, 1, 0, 0.6], [1, 0.5, 0.3, 0.2, 1]]
    torch.testing.assert_close(ATTRIBUTES.of(labels, known), torch.tensor(expected))
    assert ATTRIBUTES.of_known(torch.tensor([[0, 0, 1]], dtype=torch.uint8)).tolist() == [[0, 1, 0, 0, 1]]
    torch.testing.assert_close(ATTRIBUTES.of_unknown(2), torch.tensor([[0.3, 0.5, 0.3, 0.2, 0.6]] * 2))


def test_each_label_has_attributes_of_its_own() -> None:
    assert ATTRIBUTES.of_values(1).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert ATTRIBUTES.of_values(2).tolist() == [[0], [1]]
    assert [ATTRIBUTES.of_label(label) for label in range(3)] == [slice(0, 1), slice(1, 4), slice(4, 5)]


def test_a_neutral_value_is_the_absence_of_the_labels_other_values() -> None:
    attributes = LabelAttributes(NEUTRAL, "csvae")
    assert attributes.count == 4
    assert [attributes.of_label(label) for label in range(3)] == [slice(0, 1), slice(1, 3), slice(3, 4)]
    assert attributes.of_values(1).tolist() == [[1, 0], [0, 0], [0, 1]]
    torch.testing.assert_close(attributes.of_unknown(1), torch.tensor([[0.3, 0.5, 0.2, 0.6]]))
    absent, present = noise(1, 4, seed=0).float(), noise(1, 4, seed=1).float()
    found = attributes.per_value(absent, present)[0, 1]
    expected = [present[0, 1] + absent[0, 2], absent[0, 1] + absent[0, 2], absent[0, 1] + present[0, 2]]
    torch.testing.assert_close(found, torch.stack(expected))


def test_densities_given_a_value_are_those_of_the_attributes_that_it_means() -> None:
    absent, present = noise(4, 5, seed=0).float(), noise(4, 5, seed=1).float()
    found = ATTRIBUTES.per_value(absent, present)
    for row in range(4):
        for label, places in enumerate(((0,), (1, 2, 3), (4,))):
            for value in range(len(places) if len(places) > 1 else 2):
                own = value if len(places) > 1 else value - 1  # which of the attributes is present
                expected = sum(
                    float((present if place == own else absent)[row, attribute])
                    for place, attribute in enumerate(places)
                )
                torch.testing.assert_close(float(found[row, label, value]), expected, rtol=1e-5, atol=1e-6)


def test_the_prior_is_that_of_the_frequencies_and_gives_missing_values_nothing() -> None:
    prior = ATTRIBUTES.log_prior.exp()
    torch.testing.assert_close(prior, torch.tensor([[0.7, 0.3, 0], [0.5, 0.3, 0.2], [0.4, 0.6, 0]]))
    assert math.isfinite(float((prior * ATTRIBUTES.log_prior).sum()))
