from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.measures.disentanglement import Disentanglement
from pipeline.measures.disentanglement_scores import (
    Rows,
    attribute_predictability,
    disentanglement_completeness_informativeness,
    fixed_factor_votes,
    in_bins,
    is_category,
    mutual_information,
    mutual_information_gap,
    specialisation,
    varying,
    vote_accuracy,
)
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble

GRID = np.array(list(itertools.product(range(11), range(12), range(3))), dtype=float)
"""Every combination of two quantities and a category, so that they are exactly independent."""
PERFECT = np.stack([-2 * GRID[:, 1], GRID[:, 2] + 5, 0.1 * GRID[:, 0]], 1)
ANGLE = np.pi / 4
MIXED = PERFECT @ np.array(
    [[np.cos(ANGLE), 0, 20 * np.sin(ANGLE)], [0, 1, 0], [-np.sin(ANGLE), 0, 20 * np.cos(ANGLE)]]
)
NOISE = np.random.default_rng(1).standard_normal((len(GRID), 4))


def scores_of(codes: np.ndarray) -> dict[str, float]:
    rows = Rows(codes, GRID)
    dci = disentanglement_completeness_informativeness(rows, rows, seed=0)
    votes = [fixed_factor_votes(rows, 20, 300, 64, np.random.default_rng(seed)) for seed in (1, 2)]
    return {
        "mig": mutual_information_gap(rows, 20).mean(),
        "sap": attribute_predictability(rows, rows).mean(),
        "disentanglement": dci.disentanglement,
        "completeness": dci.completeness,
        "informativeness": dci.informativeness,
        "factor_vae": vote_accuracy(*votes),
    }


def test_a_latent_per_factor_has_the_best_scores() -> None:
    found = scores_of(PERFECT)
    assert found["mig"] == pytest.approx(1)
    # For the category the second best latent is right by chance, a third of the time.
    assert found["sap"] == pytest.approx((1 + 1 + 2 / 3) / 3, abs=0.01)
    assert min(found[name] for name in ("disentanglement", "completeness", "informativeness")) > 0.99
    assert found["factor_vae"] == 1


def test_two_factors_mixed_in_two_latents_are_informative_and_not_separate() -> None:
    rows = Rows(MIXED, GRID)
    assert mutual_information_gap(rows, 20)[:2] == pytest.approx([0, 0], abs=0.15)
    assert attribute_predictability(rows, rows)[:2] == pytest.approx([0, 0], abs=0.15)
    found, perfect = scores_of(MIXED), scores_of(PERFECT)
    assert found["informativeness"] > 0.95
    for name in ("mig", "sap", "disentanglement", "completeness"):
        assert found[name] < perfect[name] - 0.2


def test_noise_is_at_chance() -> None:
    train, test = Rows(NOISE, GRID), Rows(NOISE[::-1], GRID)
    assert mutual_information_gap(train, 20).mean() < 0.03
    assert attribute_predictability(train, test).mean() < 0.05
    assert disentanglement_completeness_informativeness(train, test, seed=0).informativeness < 0.15
    votes = [fixed_factor_votes(train, 20, 600, 64, np.random.default_rng(seed)) for seed in (1, 2)]
    assert vote_accuracy(*votes) < 0.5


def test_gap_by_hand() -> None:
    factor = np.array([0.0, 0, 1, 1])
    half = np.array([0.0, 1, 1, 1])  # I = H(half) - H(half | factor) = 0.5623 - 0.5 ln 2
    rows = Rows(np.stack([10 * factor, half], 1), factor[:, None])
    shared = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) - 0.5 * np.log(2)
    assert mutual_information(half.astype(int), factor.astype(int)) == pytest.approx(shared)
    assert mutual_information_gap(rows, 20) == pytest.approx([(np.log(2) - shared) / np.log(2)])
    alone = Rows(half[:, None], factor[:, None])
    assert mutual_information_gap(alone, 20) == pytest.approx([shared / np.log(2)])


def test_specialisation_by_hand() -> None:
    assert specialisation(np.eye(3)) == 1
    assert specialisation(np.ones((2, 3))) == pytest.approx(0)
    assert specialisation(np.array([[1.0, 1.0], [2.0, 0.0]])) == pytest.approx(0.5)
    assert specialisation(np.array([[0.0, 0.0], [2.0, 0.0]])) == 1
    assert specialisation(np.zeros((2, 2))) == 0
    assert specialisation(np.ones((2, 1))) == 1


def test_bins_have_equal_counts_unless_values_are_few() -> None:
    assert in_bins(np.array([7.0, 3, 7, 5]), 20).tolist() == [2, 0, 2, 1]
    assert np.bincount(in_bins(np.arange(1000.0) ** 3, 20)).tolist() == [50] * 20
    assert is_category(np.array([0.0, 1, 5]))
    assert not is_category(np.array([0.0, 0.5]))
    assert not is_category(np.arange(11.0))
    assert not is_category(np.arange(1.0, 11)), "the widths of transformed digits are quantities"
    assert varying(np.array([[1.0, 2], [1, 3]])).tolist() == [False, True]


def test_the_measure_compares_what_varies(examples, monkeypatch) -> None:
    chance = np.random.default_rng(0)
    columns = {split: chance.random((len(examples.data.images(split)), 3)) for split in ("train", "test")}
    for each in columns.values():
        each[:, 1] = 4.0
    monkeypatch.setattr(type(examples.data), "column", lambda self, split, name: columns[split])
    named = replace(examples.data.manifest, factors=("red", "constant", "size"))
    monkeypatch.setattr(examples.data, "manifest", named)
    monkeypatch.setattr(
        ModelView, "codes", lambda self, count: torch.from_numpy(columns[self.examples.split][:count])
    )
    found = Disentanglement(bins=3, groups=100, group_size=16)(ModelView(AllAble(), examples))
    assert found.arrays["factors"].tolist() == ["red", "size"]
    assert found.numbers["factors_compared"] == 2
    assert found.numbers["mig"] > 0.4
    assert found.numbers["dci_disentanglement"] > 0.9
    assert found.arrays["importance"].shape == (2, 2)
    assert set(found.numbers) == set(Disentanglement.metrics)


def test_without_anything_that_varies_there_is_no_score(examples, monkeypatch) -> None:
    monkeypatch.setattr(type(examples.data), "column", lambda self, split, name: np.ones((41, 2)))
    monkeypatch.setattr(ModelView, "codes", lambda self, count: torch.rand(41, 3))
    found = Disentanglement()(ModelView(AllAble(), examples))
    assert found.numbers == {"factors_compared": 0.0}
