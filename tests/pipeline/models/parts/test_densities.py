"""Each density against its definition: sums over all values, integrals, and torch's own distributions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.parts.densities import (
    bernoulli_log_density,
    class_log_probability,
    gaussian_kl,
    gaussian_log_density,
    log_mean_exp,
    standard_gaussian_kl,
    standard_gaussian_log_density,
)
from pipeline.networks import SMALLEST_SCALE, split_mean_and_scale
from tests.pipeline.models.injected_draws import noise
from tests.pipeline.models.quadrature import grid

pytestmark = pytest.mark.usefixtures("float64")


def test_gaussian_is_torchs_and_sums_over_the_last_axis() -> None:
    value, mean, scale = noise(4, 5, seed=0), noise(5, seed=1), noise(4, 1, seed=2).exp().expand(4, 5)
    expected = torch.distributions.Normal(mean, scale).log_prob(value).sum(-1)
    torch.testing.assert_close(gaussian_log_density(value, mean, scale), expected)
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(value).sum(-1)
    torch.testing.assert_close(standard_gaussian_log_density(value), standard)


def test_gaussians_of_no_latents_have_log_density_zero() -> None:
    empty = torch.zeros(4, 0)
    torch.testing.assert_close(standard_gaussian_log_density(empty), torch.zeros(4))
    torch.testing.assert_close(gaussian_log_density(empty, empty, empty), torch.zeros(4))


def test_gaussian_integrates_to_one() -> None:
    z, log_cell = grid(2, radius=12.0, points=301)
    log_density = gaussian_log_density(z, torch.tensor([0.3, -1.0]), torch.tensor([0.5, 1.7]))
    assert float((log_density + log_cell).logsumexp(0)) == pytest.approx(0, abs=1e-9)


def test_divergence_from_the_standard_gaussian_is_its_integral() -> None:
    mean, scale = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 1.7])
    z, log_cell = grid(2, radius=14.0, points=401)
    log_q = gaussian_log_density(z, mean, scale)
    integral = ((log_q + log_cell).exp() * (log_q - standard_gaussian_log_density(z))).sum()
    assert float(standard_gaussian_kl(mean, scale)) == pytest.approx(float(integral), abs=1e-9)
    assert float(standard_gaussian_kl(torch.zeros(3), torch.ones(3))) == 0


def test_divergence_between_gaussians_is_its_integral() -> None:
    mean, scale = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 1.7])
    prior_mean, prior_scale = torch.tensor([-0.4, 0.2]), torch.tensor([1.3, 0.9])
    z, log_cell = grid(2, radius=14.0, points=401)
    log_q = gaussian_log_density(z, mean, scale)
    integral = ((log_q + log_cell).exp() * (log_q - gaussian_log_density(z, prior_mean, prior_scale))).sum()
    assert float(gaussian_kl(mean, scale, prior_mean, prior_scale)) == pytest.approx(
        float(integral), abs=1e-9
    )
    assert float(gaussian_kl(mean, scale, mean, scale)) == pytest.approx(0, abs=1e-15)


def test_bernoulli_sums_to_one_over_all_images() -> None:
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    total = bernoulli_log_density(images, torch.tensor([-2.0, 0.3, 1.0, 5.0])).logsumexp(0)
    assert float(total) == pytest.approx(0, abs=1e-12)


def test_grey_pixels_count_as_shares_of_both_values() -> None:
    logits = noise(3, 4, seed=0)
    black, white = (bernoulli_log_density(torch.full((4,), value), logits) for value in (0.0, 1.0))
    grey = bernoulli_log_density(torch.full((4,), 0.3), logits)
    torch.testing.assert_close(grey, 0.3 * white + 0.7 * black)


def test_bernoulli_stays_finite_where_probabilities_round_to_zero() -> None:
    logits = torch.tensor([[800.0], [-800.0]]).requires_grad_()
    wrong = bernoulli_log_density(torch.tensor([[0.0], [1.0]]), logits)
    torch.testing.assert_close(wrong, torch.tensor([-800.0, -800.0]))
    (gradient,) = torch.autograd.grad(wrong.sum(), logits)
    torch.testing.assert_close(gradient, torch.tensor([[-1.0], [1.0]]))


def test_log_mean_exp_is_the_log_of_the_mean_over_the_first_axis() -> None:
    values = noise(7, 3, seed=0)
    torch.testing.assert_close(log_mean_exp(values), values.exp().mean(0).log())
    far = torch.tensor([[-2000.0], [-2001.0]])
    assert float(log_mean_exp(far)) == pytest.approx(-2000 + math.log((1 + math.exp(-1)) / 2))


# picking a class


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
def test_each_row_gets_its_own_class(rows: int, categories: int, seed: int) -> None:
    log_probabilities = noise(rows, categories, seed=seed)
    classes = torch.randint(categories, (rows,), generator=torch.Generator().manual_seed(seed))
    found = class_log_probability(log_probabilities, classes.to(torch.uint8))
    expected = [float(log_probabilities[row, int(classes[row])]) for row in range(rows)]
    assert found.tolist() == expected


def test_a_column_of_labels_is_refused_where_torch_would_broadcast_it() -> None:
    """The trap: labels of shape (B, 1) become (B, B), and every row sees the labels of all."""
    log_probabilities, column = noise(4, 3, seed=0).log_softmax(-1), torch.zeros(4, 1, dtype=torch.int64)
    assert torch.distributions.Categorical(logits=log_probabilities).log_prob(column).shape == (4, 4)
    with pytest.raises(ValueError, match=r"classes of shape \(4, 1\) for rows \(4,\)"):
        class_log_probability(log_probabilities, column)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 4), (4, 4)])
def test_labels_are_never_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="classes of shape"):
        class_log_probability(noise(4, 3, seed=0), torch.zeros(shape, dtype=torch.int64))


# scales


def test_scales_are_softplus_and_never_below_a_thousandth() -> None:
    mean, scale = split_mean_and_scale(torch.tensor([[1.0, -2.0, 0.5, -50.0]]))
    torch.testing.assert_close(mean, torch.tensor([[1.0, -2.0]]))
    torch.testing.assert_close(scale, torch.tensor([[math.log(1 + math.exp(0.5)), SMALLEST_SCALE]]))
    assert SMALLEST_SCALE == 1e-3


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_what_autocast_narrowed_comes_out_in_float32(narrow: torch.dtype) -> None:
    torch.set_default_dtype(torch.float32)  # as in every run; the fixture sets it back
    mean, scale = split_mean_and_scale(torch.zeros(2, 4, dtype=narrow))
    pixels, logits = torch.zeros(2, 4), torch.zeros(2, 4, dtype=narrow)
    assert {mean.dtype, scale.dtype, bernoulli_log_density(pixels, logits).dtype} == {torch.float32}
