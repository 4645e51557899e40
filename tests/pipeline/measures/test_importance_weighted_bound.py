from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.measures.importance_weighted_bound import ImportanceWeightedBound, bound_and_sample_size
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_bound_and_sample_size_by_hand() -> None:
    weights = torch.tensor([[1.0, 1, 1], [3, 1, 0], [2, 1, 0]], dtype=torch.float64).log() - 1000
    bound, size = bound_and_sample_size(weights)
    assert (bound + 1000).tolist() == pytest.approx([math.log(2), 0, math.log(1 / 3)])
    assert size.tolist() == pytest.approx([36 / 14, 3, 1])


class Weighs(AllAble):
    """``w`` is log-normal: ``log p(x)`` is 0 for every image, and its ELBO -0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def log_importance_weights(self, image: Tensor, samples: int) -> Tensor:
        self.calls.append((samples, len(image)))
        return -0.5 + torch.randn(samples, len(image))


def test_more_samples_are_closer_to_the_likelihood(examples) -> None:
    found = {}
    for samples in (1, 20, 600):
        model = Weighs()
        torch.manual_seed(0)
        measured = ImportanceWeightedBound(samples=samples, images=30)(ModelView(model, examples))
        found[samples] = measured.numbers["importance_weighted_bound"]
        assert measured.counts["importance_weighted_bound"] == 30
        assert sum(taken * images for taken, images in model.calls) == 30 * samples
        assert max(taken for taken, _ in model.calls) <= 8
    assert found[1] == pytest.approx(-0.5, abs=0.4)
    assert found[20] == pytest.approx(-0.04, abs=0.2)
    assert found[600] == pytest.approx(0, abs=0.04)


def test_a_probability_of_grey_pixels_is_no_code_length(examples) -> None:
    model = Weighs()
    bits = "importance_weighted_bits_per_dimension"
    found = ImportanceWeightedBound(samples=2)(ModelView(model, examples)).numbers
    expected = (-found["importance_weighted_bound"] / (3 * 64 * 64) + math.log(256)) / math.log(2)
    assert found[bits] == pytest.approx(expected)
    model.has_pixel_density = False
    assert bits not in ImportanceWeightedBound(samples=2)(ModelView(model, examples)).numbers
