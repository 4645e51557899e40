from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.measures.gaussian_process import LabelProcess, centres, fit, mutual_information
from pipeline.measures.mutual_information import MutualInformation
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_by_hand() -> None:
    sure = torch.tensor([[[1.0, 0], [0, 1]]]).expand(4, 2, 2)
    unsure = torch.tensor([[[1.0, 0]], [[0, 1]]])
    noisy = torch.full((3, 1, 2), 0.5)
    tiny = 1e-12
    assert mutual_information((sure + tiny).log()).abs().max() < 1e-9
    assert float(mutual_information((unsure + tiny).log())) == pytest.approx(math.log(2))
    assert float(mutual_information(noisy.log())) == pytest.approx(0)  # noise is not ignorance
    half = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]])
    entropy = [-(p * math.log(p) + (1 - p) * math.log(1 - p)) for p in (0.7, 0.9, 0.5)]
    assert float(mutual_information(half.log())) == pytest.approx(entropy[0] - (entropy[1] + entropy[2]) / 2)


def blobs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features around one of three centres, and which."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(3, (count,), generator=generator)
    places = 6 * torch.eye(3, 4)[values]
    return places + torch.randn(count, 4, generator=generator), values


@pytest.fixture(scope="module")
def process() -> LabelProcess:
    """Of a label of three values and a binary one that is known for some rows: whether it is the last value."""
    torch.manual_seed(0)
    features, values = blobs(400, seed=0)
    labels = torch.stack([values, values == 2], 1).byte()
    observed = torch.ones(400, 2, dtype=torch.bool)
    observed[::2, 1] = False
    labels[~observed] = 255
    return fit(features, labels, observed, [3, 2], inducing=12, steps=80, batch_size=64, alive=lambda: None)


@torch.no_grad()
def test_it_reads_what_it_was_fitted_to_and_does_not_know_what_is_far_away(process: LabelProcess) -> None:
    features, values = blobs(200, seed=1)
    three, two = process.log_probabilities(features, 64)
    assert (three.exp().mean(0).argmax(-1) == values).float().mean() > 0.97
    assert (two.exp().mean(0).argmax(-1) == (values == 2)).float().mean() > 0.97
    far = process.log_probabilities(features + 100, 64)[0]
    near_mi, far_mi = mutual_information(three).mean(), mutual_information(far).mean()
    assert near_mi < 0.15
    assert far_mi > 3 * near_mi
    between = process.log_probabilities(features.mean(0).expand(200, -1), 64)[0]
    assert mutual_information(between).mean() > near_mi


def test_inducing_points_are_the_rows_if_there_are_few() -> None:
    features, _ = blobs(20, seed=0)
    assert torch.equal(centres(features, 20), features)
    assert centres(features, 3).shape == (3, 4)


class Reads:
    """A reader whose features are four pixels of the image."""

    def __init__(self) -> None:
        self.members = [self]

    def features(self, image: Tensor) -> Tensor:
        return image[:, 0, 0, :4][None]

    def log_probabilities(self, features: Tensor) -> list[Tensor]:
        return [torch.zeros(len(features), values) for values in (2, 2, 2, 5)]

    def quality(self, examples: Any) -> float:
        return 0.9


class Generates(AllAble):
    def __init__(self, odd: float) -> None:
        super().__init__()
        self.odd = odd

    def generate(self, labels: Tensor) -> Tensor:
        return torch.rand(len(labels), 3, 64, 64) + self.odd


@torch.no_grad()
def test_odd_images_are_more_uncertain(examples, monkeypatch, caplog) -> None:
    monkeypatch.setattr(ModelView, "readers", property(lambda self: Reads()))
    measure = MutualInformation(images=30, inducing=8, steps=40, samples=16)
    found = {}
    for odd in (0.0, 20.0):
        torch.manual_seed(0)
        with caplog.at_level(logging.WARNING):
            found[odd] = measure(ModelView(Generates(odd), examples))
    assert found[20.0].numbers["mutual_information"] > 2 * found[0.0].numbers["mutual_information"]
    for measured in found.values():
        assert set(measured.numbers) == set(MutualInformation.metrics)
        assert len(measured.arrays["label_mutual_information"]) == 4
        real = measured.numbers["mutual_information_of_real_images"]
        assert found[0.0].numbers["mutual_information"] == pytest.approx(real, rel=0.6)
    # The labels of these images are noise, and the reader's zeros always read the first value.
    deficit = found[0.0].numbers["gaussian_process_deficit"]
    assert ("has not converged" in caplog.text) == (deficit > 0.02)
