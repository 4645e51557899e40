from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.data.dataset import DataSet
from pipeline.measures import linear_probe_scores
from pipeline.measures.applies import why_not
from pipeline.measures.disentanglement import Disentanglement
from pipeline.measures.latent_separation import LatentSeparation
from pipeline.measures.linear_probe_scores import (
    ClassAccuracies,
    FactorErrors,
    class_accuracies,
    factor_errors,
)
from pipeline.measures.linear_probes import LinearProbes, _quantities
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.view import ModelView
from pipeline.models.capabilities import KnownLabels
from tests.pipeline.measures.all_able import AllAble

CHANCE = np.random.default_rng(0)


def test_a_linear_factor_is_read_exactly_and_noise_as_by_a_constant() -> None:
    latents = CHANCE.standard_normal((600, 3))
    factors = np.stack([2 * latents[:, 0] - latents[:, 2] + 1, CHANCE.random(600)], 1)
    for errors in factor_errors(latents[:300], factors[:300], latents[300:], factors[300:]):
        assert errors[0] < 1e-3
        assert errors[1] == pytest.approx(0.25, abs=0.02)  # of a uniform variable around its mean


def test_classes_that_are_apart_are_read_and_others_by_chance() -> None:
    values = np.repeat([0, 1, 3], [300, 60, 240])
    latents = CHANCE.standard_normal((600, 2))
    latents[:, 0] += 9 * values
    rows = CHANCE.permutation(600)
    fit, test = rows[:300], rows[300:]
    read = class_accuracies(latents[fit], values[fit], latents[test], values[test])
    assert read.shares.tolist() == pytest.approx([1, 1, 1], abs=0.02)
    assert read.in_cross_validation == pytest.approx(1, abs=0.02)
    guessed = class_accuracies(latents[fit, 1:], values[fit], latents[test, 1:], values[test])
    assert guessed.shares.mean() == pytest.approx(1 / 3, abs=0.1)
    assert guessed.in_cross_validation == pytest.approx(1 / 3, abs=0.1)


class Separate(AllAble):
    """Knows the first factor in its first latent, which is the label's, and the second in its last."""

    def characteristic_latents(self, image: torch.Tensor, labels: object = None) -> torch.Tensor:
        return torch.zeros(len(image), 2)


def test_target_latents_are_probed_apart_from_the_others(examples, monkeypatch) -> None:
    def codes(view: ModelView, count: int) -> torch.Tensor:
        factors = torch.from_numpy(view.examples.data.column(view.examples.split, "factors")[:count].copy())
        labels = torch.from_numpy(view.examples.labels[:count].astype(np.float32))
        return torch.cat([3 * factors[:, :1] - 5, 10 * labels[:, :1], factors[:, 1:], 0 * labels], 1)

    monkeypatch.setattr(ModelView, "codes", codes)
    found = LinearProbes()(ModelView(Separate(), examples))
    assert set(found.numbers) == set(LinearProbes.metrics)
    assert found.arrays["factors"].tolist() == ["one", "two"]
    own, common = (found.arrays[f"linear_probe_mae{suffix}"] for suffix in ("", "_on_common_factors"))
    assert own[0] < 0.01 < 0.2 < own[1]
    assert common[1] < 0.01 < 0.2 < common[0]
    assert found.numbers["linear_probe_mae_of_a_constant"] == pytest.approx(0.25, abs=0.07)
    assert found.arrays["linear_probe_accuracy"][:2].tolist() == [1, 1]
    assert (
        len(found.arrays["values"])
        == len(found.arrays["labels"])
        == len(found.arrays["linear_probe_accuracy"])
    )
    assert found.arrays["linear_probe_accuracy_on_common_factors"].mean() < 0.7
    # Three labels of two values and one of five.
    assert found.numbers["linear_probe_accuracy_of_chance"] == pytest.approx((3 / 2 + 1 / 5) / 4)


class Told(Separate):
    """Its encoder is given the labels: its own latents are these, and the last one is a shade, or a label too."""

    needs_labels = True

    def __init__(self, *, last: str) -> None:
        super().__init__()
        self.last = last

    def encode(self, image: torch.Tensor, labels: KnownLabels | None = None) -> torch.Tensor:
        assert labels is not None
        own, shade = labels.labels[:, :2].float(), image.float().mean((1, 2, 3))
        return torch.cat([own, (shade if self.last == "shade" else own[:, 0])[:, None]], 1)


def test_latents_that_follow_from_given_labels_say_nothing_of_a_system(examples, monkeypatch) -> None:
    def probed(latents: np.ndarray, known: np.ndarray, *_: object) -> ClassAccuracies | FactorErrors:
        assert np.ptp(latents) > 1  # of shades, not of labels of two values
        assert latents.shape[1] == 1
        return ClassAccuracies(np.ones(2), 1.0) if known.ndim == 1 else FactorErrors(*np.ones((2, 2)))

    monkeypatch.setattr(linear_probe_scores, "class_accuracies", probed)
    monkeypatch.setattr(linear_probe_scores, "factor_errors", probed)
    found = LinearProbes()(ModelView(Told(last="shade"), examples))
    assert {name for name in found.numbers if not name.endswith(("_of_a_constant", "_of_chance"))} == {
        "linear_probe_mae_on_common_factors",
        "linear_probe_accuracy_on_common_factors",
    }
    with pytest.raises(DoesNotApply, match="all latents follow from labels that the encoder is given"):
        LinearProbes()(ModelView(Told(last="label"), examples))
    for measure in (Disentanglement(), LatentSeparation()):
        reason = why_not(measure.needs, Told(last="shade"), examples.data.manifest)
        assert reason == "the system encodes images with known labels only"


def test_colour_components_are_shares_as_they_are(examples, monkeypatch) -> None:
    columns = {"train": np.linspace(0.3, 0.7, 41), "test": np.linspace(0.4, 0.6, 41)}
    monkeypatch.setattr(
        DataSet, "column", lambda self, split, name: np.stack([columns[split]] * 2, 1).astype(np.float32)
    )
    manifest = replace(examples.data.manifest, factors=("green", "size"))
    monkeypatch.setattr(examples.data, "manifest", manifest)
    views = ModelView(Separate(), examples), ModelView(Separate(), examples).on("train")
    names, of_fit, of_test = _quantities(views[1], views[0], 41)  # type: ignore[misc]
    assert names.tolist() == ["green", "size"]
    assert of_fit.min(0).tolist() == pytest.approx([0.3, 0.0])
    assert of_fit.max(0).tolist() == pytest.approx([0.7, 1.0])
    assert of_test.max(0).tolist() == pytest.approx([0.6, 0.75])


def test_a_system_that_separates_nothing_is_probed_in_all_latents(examples, monkeypatch) -> None:
    monkeypatch.setattr(ModelView, "codes", lambda self, count: torch.rand(min(count, len(self.examples)), 3))
    # A class of its own: that AllAble separates latents may be cached by the protocol's instance check.
    unseparated = type("Unseparated", (AllAble,), {"characteristic_latents": None})
    found = LinearProbes(images=20)(ModelView(unseparated(), examples))
    assert not [name for name in found.numbers if "common" in name]
    assert found.counts["linear_probe_mae"] == 20
