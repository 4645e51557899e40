"""Labels are set to other values; factors that are known exactly say what moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.manifest import Manifest
from pipeline.measures.factor_changes import FactorsSeen, factor_summary, own_factors
from pipeline.measures.factor_interventions import FactorInterventions
from pipeline.measures.factor_reading import (
    columns_of_judges,
    correlations,
    explained,
    picture_features,
    ridge_readings,
)
from pipeline.measures.measure import DoesNotApply, Measured
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter


def test_correlations_are_of_the_observed_labels_and_order_the_factors() -> None:
    torch.manual_seed(0)
    factors = torch.randn(50, 3)
    labels = (factors[:, :2] > 0).byte() * torch.tensor([1, 0], dtype=torch.uint8)
    observed = torch.ones(50, 2, dtype=torch.bool)
    observed[:10] = False
    found = correlations(labels, observed, factors).numpy()
    assert found[0] == pytest.approx(np.corrcoef(labels[10:, 0], factors[10:].T)[0, 1:], abs=1e-6)
    assert found[1].tolist() == [0, 0, 0]  # never on
    assert own_factors(torch.tensor([[0.2, -0.9, 0.6], [0.4, 0.3, -0.1]]), 0.5).tolist() == [1, -1]


def test_linear_factors_are_read_exactly_and_noise_is_not_readable() -> None:
    torch.manual_seed(0)
    features = torch.randn(900, 5)
    features[:, 4] = 7  # constant
    factors = torch.stack([3 * features[:, 0] - features[:, 1] + 10, features[:, 2], torch.randn(900)], 1)
    both, only = ridge_readings(
        (features[:400], factors[:400]),
        (features[400:600], factors[400:600]),
        [torch.arange(5), torch.tensor([0, 1])],
    )
    r2 = explained(both(features[600:]), factors[600:])
    assert r2[:2].tolist() == pytest.approx([1, 1], abs=1e-4)
    assert r2[2] == pytest.approx(0, abs=0.05)
    assert explained(only(features[600:]), factors[600:])[1] < 0.05  # its column is not seen


def test_r2_by_hand() -> None:
    truth = torch.tensor([[1.0, 1], [2, 1], [3, 1]])
    assert explained(truth, truth)[0] == 1
    assert explained(torch.full((3, 2), 2.0), truth)[0] == 0
    assert explained(torch.tensor([[1.0, 1], [2, 1], [2, 1]]), truth)[0] == 0.5
    assert torch.isnan(explained(truth, truth)[1])


def test_judges_see_their_reader_and_the_pixels() -> None:
    image = torch.rand(2, 1, 4, 4)
    features = picture_features(lambda each: torch.arange(12.0).reshape(2, 2, 3), image)
    assert features.shape == (2, 2 * 3 + 16)
    assert features[0, :6].tolist() == [0, 1, 2, 6, 7, 8]
    every, _, second = columns_of_judges(2, 3, 22)
    assert features[0, second[:3]].tolist() == [6, 7, 8]
    assert torch.equal(features[:, second[3:]], image.flatten(1))
    assert len(every) == 22


def test_shares_by_hand() -> None:
    """One judge, two labels, three factors; label 0 is made of factor 0, label 1 of none."""
    before = torch.zeros(1, 2, 2, 3)
    after = before.clone()
    after[0, :, 0] = torch.tensor([[3.0, 0.5, 9], [-1, -0.1, 9]])  # set on, set off
    before[:, :, 1] = after[:, :, 1] = torch.nan
    truth = torch.tensor([[0.0, 1, 5], [4, 2, 6]])
    in_image = truth[None].clone()
    in_image[0, :, 2] = 5.5  # nothing is read of factor 2
    found = FactorsSeen(
        truth=truth,
        labels=torch.tensor([[0, 1], [1, 1]]),
        observed=torch.ones(2, 2, dtype=torch.bool),
        given=torch.tensor([[1, 0], [0, 0]]),
        in_image=in_image,
        before=before,
        after=after,
        means=torch.tensor([[[0.0, 0, 0], [4, 0, 0]]]).expand(2, -1, -1),
        deviations=torch.tensor([2.0, 0.5, 1]),
    )
    tied = torch.tensor([[True, False, False]] * 2)
    measured = factor_summary(found, torch.tensor([0, -1]), tied, 0.5)
    assert measured.numbers == {
        "own_factor_moved_on": 0.75,
        "own_factor_moved_off": 0.25,
        "own_factor_moved_by_nature": 1,
        "own_factor_r2": 1,
        "other_factors_moved": pytest.approx((1 + 0.2) / 2),
    }
    assert set(measured.counts.values()) == {1}
    assert np.isnan(measured.arrays["own_factor_moved_on"][1])
    assert measured.arrays["factor_change"][0].tolist() == pytest.approx([(1.5 + 0.5) / 2, (1 + 0.2) / 2, 0])
    unreadable = factor_summary(found, torch.tensor([2, -1]), ~tied, 0.5)
    assert unreadable.numbers == {"own_factor_r2": 0}


class Drawn(Painted):
    """The factors are the shades of the labels and the style."""

    def described(self) -> Manifest:
        shades = [f"shade {place}" for place in range(len(self.cardinalities))]
        return replace(super().described(), factors=(*shades, "style"))

    def column(self, split: str, name: Any) -> np.ndarray:
        shades = (self.labels + self.wobble) / np.array(self.cardinalities)
        return np.concatenate([shades, self.style[:, None]], axis=1).astype(np.float32)


class Entangled(Painter):
    """Setting a label sets the next one as well."""

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        code = self.encode(image).expand(draws, -1, -1).clone()
        for each in (label, (label + 1) % len(self.cardinalities)):
            code[..., self.latents_of(each)] = self.draw(each, values, draws)
        return self.decode(code)


def measured(model: type[Painter], world: Painted) -> Measured:
    torch.manual_seed(0)
    return FactorInterventions()(world.view(model(world.cardinalities)))


def test_exact_interventions_beat_entangled_ones_and_these_beat_none() -> None:
    world = Drawn.drawn((2, 2, 3, 2), 120)
    exact, entangled, none = (measured(model, world) for model in (Painter, Entangled, IgnoresLabels))
    assert exact.arrays["labels"].tolist() == ["label 0", "label 1", "label 3"]
    assert exact.arrays["own_factors"].tolist() == ["shade 0", "shade 1", "shade 3"]
    for name in ("own_factor_moved_on", "own_factor_moved_off"):
        assert exact.numbers[name] == pytest.approx(1, abs=0.1)
        assert entangled.numbers[name] == pytest.approx(1, abs=0.1)
        assert none.numbers[name] == 0
    assert exact.numbers["own_factor_moved_by_nature"] == pytest.approx(1, abs=0.1)
    assert exact.numbers["own_factor_r2"] > 0.99
    assert exact.numbers["other_factors_moved"] < 0.05 < 0.2 < entangled.numbers["other_factors_moved"]
    assert none.numbers["other_factors_moved"] == 0
    assert exact.numbers["reader_accuracy"] == 1
    assert exact.counts["own_factor_r2"] == 3


def test_without_a_label_that_is_tied_to_a_factor_it_says_so() -> None:
    world = Drawn.drawn((2, 2), 40)
    world.labels[:] = 1
    with pytest.raises(DoesNotApply, match="no binary label is tied to a single factor"):
        measured(Painter, world)
    with pytest.raises(DoesNotApply, match="no label is binary"):
        measured(Painter, Drawn.drawn((5,), 40))
