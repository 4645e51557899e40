"""Which factors target latents and common latents have: by hand, for good and bad systems, and at chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.measures import factor_separation
from pipeline.measures.factor_separation import FactorSeparation
from pipeline.measures.factor_separation_scores import explained, hardly_varies, readable
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.view import ModelView

ROWS = 400
CHANCE = np.random.default_rng(0)
FACTORS = {split: CHANCE.random((ROWS, 4)) for split in ("train", "test")}
"""Two of the expression, one of the person, and a category."""
for _each in FACTORS.values():
    _each[:, 3] = np.arange(ROWS) % 3
    _each[: ROWS // 4, :2] = 0.5
    _each[: ROWS // 4, 2] += 3
REFERENCE = np.arange(ROWS) < ROWS // 4
NOISE = {split: CHANCE.standard_normal((ROWS, 2)) for split in FACTORS}


def numbers(
    examples: Any, monkeypatch: pytest.MonkeyPatch, codes: dict[str, np.ndarray], of_e: int = 2
) -> dict[str, float]:
    columns: dict[str, dict[str, np.ndarray]] = {
        "factors": FACTORS,
        "reference": dict.fromkeys(FACTORS, REFERENCE),
    }
    monkeypatch.setattr(type(examples.data), "column", lambda self, split, name: columns[name][split])
    monkeypatch.setattr(factor_separation, "own_latents", lambda view, latents: np.arange(latents) < of_e)
    named = replace(examples.data.manifest, factors=("smile", "brows", "age", "hair"))
    monkeypatch.setattr(examples.data, "manifest", named)
    monkeypatch.setattr(
        ModelView, "codes", lambda self, count: torch.from_numpy(codes[self.examples.split][:count])
    )
    found = FactorSeparation()(ModelView(torch.nn.Identity(), examples))
    assert found.arrays["factors"].tolist() == ["smile", "brows", "age"]
    assert found.arrays["is_target"].tolist() == [True, True, False]
    return dict(found.numbers)


def test_a_system_that_separates_its_factors_is_told_from_one_that_mixes_and_from_noise(
    examples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = np.array([[1.0, 2.0], [-2.0, 1.0]])
    e, z = ({split: each[:, part] for split, each in FACTORS.items()} for part in (slice(0, 2), slice(2, 3)))
    good = {split: np.hstack([e[split] @ turn, 5 * z[split], NOISE[split]]) for split in FACTORS}
    found = numbers(examples, monkeypatch, good)
    ideal = dict(zip(FactorSeparation.metrics, (1, 0, 0, 1), strict=True))
    assert found == pytest.approx(ideal, abs=0.03)

    swapped = {split: np.hstack([NOISE[split], z[split], e[split]]) for split in FACTORS}
    found = numbers(examples, monkeypatch, swapped)
    assert found == pytest.approx(dict(zip(FactorSeparation.metrics, (0, 0, 1, 1), strict=True)), abs=0.03)

    # That an image is a reference is no factor, although references are older.
    noise = {split: np.hstack([NOISE[split], NOISE[split][::-1], REFERENCE[:, None]]) for split in FACTORS}
    assert max(numbers(examples, monkeypatch, noise).values()) < 0.05

    together = numbers(examples, monkeypatch, good, of_e=5)
    assert together == pytest.approx({"target_factors_r2": 1, "common_factors_r2": 1}, abs=0.03)


def test_explained_by_hand() -> None:
    fit = np.array([[-1.0], [0.0], [1.0], [2.0]])
    half = np.array([[0.0], [1.0], [0.0], [1.0]])
    found = explained(
        np.repeat(fit, 9, 0),
        np.repeat(np.hstack([3 * fit + 1, 0 * fit]), 9, 0),
        fit,
        np.hstack([3 * fit + 1, half]),
    )
    assert found == pytest.approx([1, 0], abs=1e-4)


def test_factors_that_are_held_still_and_those_that_can_be_read() -> None:
    factors = np.array([[5.0, 0, 0, 1], [5, 1, 1, 1], [1, 0, 2, 1], [9, 1, 0, 1]])
    in_set = np.array([True, True, False, False])
    assert hardly_varies(factors, in_set).tolist() == [True, False, True, False]
    assert not hardly_varies(factors, ~in_set & in_set).any()
    assert readable(factors).tolist() == [True, True, False, False]


def test_without_a_factor_that_distinguishes_the_references_it_does_not_apply(
    examples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(examples.data),
        "column",
        lambda self, split, name: FACTORS[split] > 0.5 if name == "factors" else np.zeros(ROWS),
    )
    monkeypatch.setattr(ModelView, "codes", lambda self, count: torch.rand(ROWS, 3))
    with pytest.raises(DoesNotApply, match="no factor of the data distinguishes the reference set"):
        FactorSeparation()(ModelView(torch.nn.Identity(), examples))
