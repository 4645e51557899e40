from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.measures.latent_separation import LatentSeparation, separation
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_two_shifted_samples_are_apart_by_the_shift() -> None:
    chance = np.random.default_rng(0)
    same = chance.standard_normal(500)
    latents = np.concatenate([same, same + 3])[:, None]
    values = np.repeat([0, 1], 500)
    scaled, raw = separation(latents, values)
    assert raw == pytest.approx(3)
    assert scaled == pytest.approx(3 / same.std(ddof=1))
    # The scale of a latent does not matter, and a further latent that says nothing does not either.
    with_noise = np.concatenate([10 * latents, chance.random((1000, 1))], 1)
    assert separation(with_noise, values) == pytest.approx((scaled, 30))


def test_by_hand() -> None:
    latents = np.array([[0.0], [2], [5], [7], [11]])
    values = np.array([0, 0, 1, 1, 2])
    # Pairs are 5, 10 and 5 apart; pooled deviations are sqrt(4/2), sqrt(2/1) and sqrt(2/1).
    assert separation(latents, values) == pytest.approx((20 / 3 / np.sqrt(2), 20 / 3))


def test_shuffled_values_are_hardly_apart() -> None:
    chance = np.random.default_rng(0)
    latents, values = chance.standard_normal((2000, 1)), chance.integers(0, 2, 2000)
    assert separation(latents, values)[0] < 0.15
    assert separation(latents + 2 * values[:, None], values)[0] > 1.8


def test_values_without_spread_and_a_single_value() -> None:
    assert separation(np.array([[0.0], [1.0]]), np.array([0, 1])) == (np.inf, 1)
    assert separation(np.array([[1.0], [1.0]]), np.array([0, 1])) == (0, 0)
    assert np.isnan(separation(np.array([[1.0], [2.0]]), np.array([1, 1]))).all()
    assert np.isnan(separation(np.empty((0, 2)), np.empty(0))).all()


def test_the_measure_takes_known_labels_only(examples, monkeypatch) -> None:
    labels = torch.from_numpy(examples.labels).float()
    monkeypatch.setattr(
        AllAble, "characteristic_latents", lambda self, image, known=None: torch.zeros(len(image), 8)
    )
    view = ModelView(AllAble(), examples)
    view._known["label_latents"] = [(labels[:, :, None] * torch.tensor([0.0, 5.0])).flatten(1)]
    found = LatentSeparation()(view)
    assert found.arrays["separation_raw"][:3].tolist() == [5, 5, 5]
    # The five values of the fourth label are equally spaced: the mean distance of two of them is 2.
    assert found.arrays["separation_raw"][3] == pytest.approx(10)
    assert found.numbers["latent_separation_raw"] == pytest.approx(25 / 4)
    assert found.arrays["count"].tolist() == examples.observed.sum(0).tolist()
    assert LatentSeparation(images=0)(view).numbers == {}
