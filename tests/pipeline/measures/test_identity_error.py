"""Persons are styles; a picture with another value of the label, against a true one of that person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.manifest import Manifest
from pipeline.measures.identity_error import IdentityError
from pipeline.measures.identity_pairs import best_points, identity_pairs, squared_errors
from pipeline.measures.measure import DoesNotApply, Measured
from pipeline.models.capabilities import ClassMeans
from tests.pipeline.measures.painted import SIDE, Painted, Painter


def test_pairs_are_of_one_person_with_different_known_values() -> None:
    persons = np.array([3, 1, 3, -1, 3, 1, -1])
    values = np.array([0, 1, 2, 0, 2, 0, 1])
    known = np.array([1, 1, 1, 1, 1, 0, 1], dtype=bool)
    pairs = identity_pairs(persons, values, known)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 2), (0, 4), (2, 0), (4, 0)]
    assert identity_pairs(persons, values, ~known | (persons < 0)).shape == (0, 2)


def test_errors_by_hand() -> None:
    first, second = torch.zeros(2, 1, 2, 2), torch.tensor([[[[1.0, 2], [0, 0]]], [[[0, 0], [0, 0.5]]]])
    assert squared_errors(first, second).tolist() == [5, 0.25]


def test_points_go_to_the_minimum_and_stay_where_there_is_none_better() -> None:
    goal = torch.tensor([[1.0, -2], [0.5, 0]])

    def errors(points: Tensor) -> list[Tensor]:
        return [(points[0] - goal[0]).square().sum(), (points[1] - goal[1]).square().sum()]

    assert best_points(torch.zeros(2, 2), errors, 300, 0.05).numpy() == pytest.approx(goal.numpy(), abs=0.02)
    assert torch.equal(best_points(goal, errors, 5, 1.0), goal)
    assert torch.equal(best_points(goal, lambda points: [torch.tensor(1.0)], 5, 1.0), goal)


class Persons(Painted):
    """Six persons, each with a style of its own."""

    def described(self) -> Manifest:
        self.persons = np.arange(len(self)) % 6
        self.style = self.persons / 6
        return replace(super().described(), factors=("age", "identity"))

    def column(self, split: str, name: Any) -> np.ndarray:
        return np.stack([self.style, self.persons], axis=1).astype(np.float32)


class Switches(Painter):
    """Paints the point of the value; its own points are black."""

    def switching_points(self, label: int, means: ClassMeans) -> Tensor:
        return torch.zeros(int(self.cardinalities[label]), 1)

    def switch_attribute(
        self,
        image: Tensor,
        label: int,
        values: Tensor,
        draws: int = 1,
        labels: Any = None,
        points: Any = None,
    ) -> Tensor:
        code = self.encode(image)
        code[:, self.latents_of(label)] = points[values.long()]
        return self.decode(code)[None]


class SwitchesNothing(Switches):
    def switch_attribute(self, image: Tensor, *_: Any, **__: Any) -> Tensor:
        return self.reconstruct(image)[None]


def measured(model: type[Switches], world: Painted, **settings: Any) -> Measured:
    torch.manual_seed(0)
    return IdentityError(**settings)(world.view(model(world.cardinalities), batch_size=150))


def test_points_that_fit_beat_the_systems_own_and_changing_nothing() -> None:
    world = Persons.drawn((3,), 60)
    fitted, own, none = (
        measured(Switches, world, pairs=300, steps=100),
        measured(Switches, world, pairs=300, steps=0),
        measured(SwitchesNothing, world, pairs=300),
    )
    # What no point can tell: how the label looks in the second picture.
    shades = (world.labels[:, 0] + world.wobble[:, 0]) / 3
    within = np.mean([shades[world.labels[:, 0] == value].var() for value in range(3)])
    assert fitted.numbers["identity_mse"] == pytest.approx(SIDE * within, rel=0.25)
    assert fitted.numbers["identity_mse"] < 0.2 * none.numbers["identity_mse"]
    assert own.numbers["identity_mse"] > 3 * fitted.numbers["identity_mse"]
    # Chance.
    assert none.numbers["identity_mse"] == none.numbers["identity_target_original"]
    assert none.numbers["identity_original_changed"] == 0
    assert fitted.numbers["identity_original_changed"] > 0.5 * none.numbers["identity_target_original"]
    assert fitted.counts["identity_mse"] == 300
    changed, moved, unchanged = fitted.arrays["errors"]
    assert fitted.arrays["compared"].tolist()[0] == "target_minus_changed"
    assert changed == fitted.numbers["identity_mse"] < moved < unchanged
    larger = measured(SwitchesNothing, world, pairs=300, scale=255.0).numbers
    assert larger["identity_target_original"] == pytest.approx(
        255**2 * none.numbers["identity_target_original"]
    )


def test_without_pairs_of_one_person_it_says_why() -> None:
    with pytest.raises(DoesNotApply, match="painted does not say which images show the same person"):
        measured(Switches, Painted.drawn((2,), 20))
    world = Persons.drawn((2,), 6)
    with pytest.raises(DoesNotApply, match="no two images of the split show one person"):
        measured(Switches, world)
    del world.manifest.splits["valid"]
    with pytest.raises(DoesNotApply, match="no split valid"):
        measured(Switches, world)
