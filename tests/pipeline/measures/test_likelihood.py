from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.measures.likelihood import Likelihood, bits_per_dimension
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_pixels_that_are_drawn_evenly_cost_eight_bits() -> None:
    assert bits_per_dimension(0.0, 12288) == pytest.approx(8)


def test_a_density_that_is_twice_as_high_everywhere_saves_a_bit_of_each_value() -> None:
    assert bits_per_dimension(100 * math.log(2), 100) == pytest.approx(7)


class Known(AllAble):
    def log_likelihood_bound(self, batch: Batch) -> Tensor:
        return batch.image[:, 0, 0, 0].float()


def test_every_image_counts_the_same_in_any_batches(examples) -> None:
    expected = torch.cat([image[:, 0, 0, 0] for image in examples.images()]).double().mean()
    found = Likelihood()(ModelView(Known(), examples))
    assert found.numbers["elbo"] == pytest.approx(float(expected))
    assert found.numbers["measured_images"] == found.counts["elbo"] == 41
    assert found.numbers["bits_per_dimension"] == bits_per_dimension(float(expected), 3 * 64 * 64)


def test_probabilities_of_grey_pixels_are_no_code_length(examples) -> None:
    class Bernoulli(Known):
        has_pixel_density = False

    assert Likelihood()(ModelView(Bernoulli(), examples)).numbers.keys() == {"elbo", "measured_images"}
