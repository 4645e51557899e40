"""One label is changed; matrices and shares say which labels the readers then see otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.measures.intervention_changes import (
    Interventions,
    attributes_of,
    change_matrices,
    condition_number,
    intervention_summary,
    other_values,
)
from pipeline.measures.measure import Measured
from pipeline.measures.single_interventions import SingleInterventions
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter, Readers


def test_condition_numbers_by_hand() -> None:
    assert condition_number(np.diag([3.0, 3.0, 3.0])) == pytest.approx(1)
    assert condition_number(np.diag([8.0, -2.0])) == pytest.approx(4)
    assert condition_number(np.ones((2, 2))) > 1e15
    assert condition_number(np.zeros((2, 2))) == math.inf
    with_unknown = np.array([[2.0, np.nan, 0], [5.0, np.nan, 7.0], [0, np.nan, 1.0]])
    assert condition_number(with_unknown) == pytest.approx(2)
    assert math.isnan(condition_number(np.full((2, 2), np.nan)))


def test_other_values_are_never_the_same_and_any_other() -> None:
    torch.manual_seed(0)
    values = torch.tensor([[0, 0], [1, 4], [1, 2]]).repeat(200, 1)
    others = other_values(values, (2, 5))
    assert (others[:, 0] == 1 - values[:, 0]).all()
    assert (others[:, 1] != values[:, 1]).all()
    assert set(others[values[:, 1] == 2, 1].tolist()) == {0, 1, 3, 4}


def test_matrices_and_shares_by_hand() -> None:
    """Two binary labels and three images; one judge. Off to on: label 0 of the images 0 and 1, label 1 of none."""
    read = torch.tensor([[0, 1], [0, 1], [1, 1]])
    log_before = torch.full((1, 3, 2, 2), 0.5).log()
    after = torch.tensor([[[0.9, 0.5], [0.5, 0.2]], [[0.7, 0.3], [0.5, 0.6]], [[0.1, 0.5], [0.3, 0.1]]])[None]
    read_before = read[None, :, None].expand(-1, -1, 2, -1)
    found = Interventions(
        read=read,
        given=1 - read,
        log_before=log_before,
        log_after=after.log(),
        read_before=read_before,
        read_after=(after > 0.5).long(),
        read_in_reconstruction=torch.tensor([[[0, 1], [0, 0], [1, 1]]]),
    )
    two = attributes_of((2, 2))
    switched_on = change_matrices(found, two, on=True, probability=True)[0].numpy()
    assert switched_on[:, 0] == pytest.approx([(0.4 + 0.2) / 2, (0 - 0.2) / 2])  # what changes, down
    assert np.isnan(switched_on[:, 1]).all()
    switched_off = change_matrices(found, two, on=False, probability=True)[0].numpy()
    assert pytest.approx(np.array([[-0.4, 0], [-0.2 / 3, (-0.3 + 0.1 - 0.4) / 3]])) == switched_off.T
    in_nats = change_matrices(found, two, on=True, probability=False)[0, 0, 0]
    assert float(in_nats) == pytest.approx((math.log(1.8) + math.log(1.4)) / 2)

    summary = intervention_summary(found, (2, 2))
    assert summary.arrays["switched_on"].tolist() == pytest.approx([1, np.nan], nan_ok=True)
    assert summary.arrays["switched_off"].tolist() == pytest.approx([1, 2 / 3])
    assert summary.arrays["kept"].tolist() == pytest.approx([1, 2 / 3])
    # Of label 1 (read as on) all three images change when label 0 is set; of label 0, image 2 does when label 1 is.
    assert summary.arrays["others_changed"].tolist() == pytest.approx([1, 1 / 3])
    assert summary.numbers["switched_on"] == 1
    assert summary.numbers["kept"] == pytest.approx(5 / 6)
    assert summary.counts["kept"] == 3
    assert summary.arrays["images_with"].tolist() == [1, 3]
    assert summary.arrays["images_given"].tolist() == [2, 0]


class Entangled(Painter):
    """Setting a label sets the next one as well."""

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        code = self.encode(image).expand(draws, -1, -1).clone()
        for each in (label, (label + 1) % len(self.cardinalities)):
            code[..., self.latents_of(each)] = self.draw(each, values, draws)
        return self.decode(code)


def measured(model: type[Painter], world: Painted, **settings: Any) -> Measured:
    torch.manual_seed(0)
    return SingleInterventions(**settings)(world.view(model(world.cardinalities)))


def test_exact_interventions_beat_entangled_ones_and_these_beat_none() -> None:
    world = Painted.drawn((2, 2, 2), 60)
    exact, entangled, none = (measured(model, world).numbers for model in (Painter, Entangled, IgnoresLabels))
    for name in ("log_prob_condition_number_on", "probability_condition_number_off"):
        assert exact[name] < 1.5 < entangled[name]
        assert none[name] > 10
    for each in (exact, entangled):
        assert each["switched_on"] == each["switched_off"] == each["kept"] == 1
    assert exact["others_changed"] == 0 < 0.2 < entangled["others_changed"]
    assert exact["other_log_prob_change_on"] == pytest.approx(0, abs=1e-5)
    assert exact["own_log_prob_change_on"] > 1 > -1 > exact["own_log_prob_change_off"]
    # Chance: nothing changes.
    assert none["switched_on"] == none["switched_off"] == none["others_changed"] == 0
    assert none["own_log_prob_change_on"] == 0
    assert none["kept"] == 1


@pytest.mark.parametrize("cardinalities", [(6,), (2, 5)])
def test_every_value_of_a_class_label_is_an_attribute(cardinalities: tuple[int, ...]) -> None:
    world = Painted.drawn(cardinalities, 80)
    found = measured(Painter, world)
    last = len(cardinalities) - 1
    values = [f"label {last}: {value}" for value in range(cardinalities[last])]
    assert found.arrays["attributes"].tolist() == ["label 0"] * last + values
    assert found.arrays["switched_on"].tolist() == [1.0] * sum(each - (each == 2) for each in cardinalities)
    assert found.numbers["switched_off"] == 1
    assert found.arrays["probability_change_on"].shape == (len(found.arrays["attributes"]),) * 2
    assert ("log_prob_condition_number_on" in found.numbers) == (2 in cardinalities)


def test_a_label_that_is_always_on_cannot_be_switched_on_and_one_image_is_enough() -> None:
    world = Painted.drawn((2, 2, 2), 1)
    world.labels[:, 1] = 1
    found = measured(Painter, world, images=5)
    assert np.isnan(found.arrays["switched_on"][1])
    assert found.arrays["switched_off"][1] == 1
    world = Painted.drawn((2, 2), 1)
    world.labels[:] = 1
    found = measured(Painter, world)
    assert not {"switched_on", "log_prob_condition_number_on"} & found.numbers.keys()
    assert found.numbers["switched_off"] == found.numbers["kept"] == 1


def test_the_reference_has_the_label_at_the_value_that_is_read() -> None:
    """As in MVAE: a decoded label looks otherwise than a reconstruction before anything is changed."""

    class Shifted(Painter):
        def intervene(
            self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
        ) -> Tensor:
            return 1 - super().intervene(image, label, values, draws)

    world = Painted.drawn((2, 2), 40)
    found = measured(Shifted, world).numbers
    assert found["others_changed"] == 0
    assert found["kept"] == 1
    assert found["switched_on"] == found["switched_off"] == 0


def test_members_are_judges_of_their_own() -> None:
    world = Painted.drawn((2, 2), 20)
    torch.manual_seed(0)
    one, both = (
        SingleInterventions()(world.view(Painter((2, 2)), Readers((2, 2), sharpness))).numbers
        for sharpness in ((4.0,), (4.0, 8.0))
    )
    assert "own_log_prob_change_on_reader_sd" not in one
    assert both["own_log_prob_change_on_reader_sd"] > 0.1
