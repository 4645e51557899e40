"""CCVAE's objectives are bounds: exact log-likelihoods of tiny models come from quadrature and enumeration.

Two kinds of average of the objective are taken. Over noise on a dense grid, weighted by its density, they are expectations
without sampling error; over torch's own draws they show that the noise is drawn as it should be.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from tests.pipeline.models.ccvae_reference import CCVAEReference, Exact
from tests.pipeline.models.injected_draws import InjectedDraws, spread_noise
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.reference_densities import network
from tests.pipeline.models.tiny_models import IMAGES, LABELS, TINY, repeated, tiny_ccvae

pytestmark = pytest.mark.usefixtures("float64")

STYLE_SIZES = [pytest.param(0, id="z_c alone"), pytest.param(1, id="z_c and z_s")]


def tiny(style_size: int = 0, seed: int = 0, **options: object) -> tuple[CCVAE, CCVAEReference]:
    """A model whose weights are not truncated unless that is asked for: only then is its objective eq. 4."""
    settings: dict[str, Any] = {"label_marginal": "exact", "weight_limit": None, **options}
    config = CCVAEConfig(characteristic_size=1, style_size=style_size, hidden_width=8, **settings)
    model = tiny_ccvae(config, seed=seed)
    return model, CCVAEReference(model, TINY, config)


def expected_unlabelled(model: CCVAE, draws: InjectedDraws, image: Tensor) -> Tensor:
    """Expectation over ``z`` of the unlabelled objective."""
    noise, weights = gaussian_grid(model.config.characteristic_size + model.config.style_size)
    no_labels = torch.zeros(model.config.predictive_samples, 0, 1)
    draws.give(noise[None], no_labels)
    return (weights * model(repeated(image, len(noise))).objective).sum()


def expected_labelled(model: CCVAE, draws: InjectedDraws, image: Tensor, label: Tensor) -> Tensor:
    """Expectation over ``z`` of the labelled objective, the predictive samples spread evenly over their distribution."""
    noise, weights = gaussian_grid(model.config.characteristic_size + model.config.style_size)
    predictive = spread_noise(model.config.predictive_samples)[:, None].expand(-1, len(noise), -1)
    draws.give(noise[None], predictive)
    return (weights * model(repeated(image, len(noise), label)).objective).sum()


def mean_and_error(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


@pytest.mark.parametrize("style_size", STYLE_SIZES)
@torch.no_grad()
def test_the_references_bounds_miss_the_exact_likelihoods_by_their_divergences(style_size: int) -> None:
    _, reference = tiny(style_size)
    tolerance = 2e-3 if style_size else 1e-5  # the grid over two latents is coarser
    for image, label in zip(IMAGES[: 1 if style_size else 3], LABELS.tolist(), strict=False):
        unlabelled, labelled = (Exact(reference, image / 255, (y,)) for y in (None, label))
        gaps = {
            "unlabelled": (unlabelled.log_likelihood() - float(unlabelled.bound()), unlabelled.gap()),
            "jensen": (
                unlabelled.log_likelihood() - float(unlabelled.jensen_bound()),
                unlabelled.jensen_gap(),
            ),
            "labelled": (labelled.log_likelihood() - float(labelled.bound()), labelled.gap()),
        }
        for gap, divergence in gaps.values():
            assert gap == pytest.approx(divergence, abs=tolerance)
            assert 0.1 < gap < 5  # a bound that is neither tight by chance nor far off
        assert gaps["jensen"][0] > gaps["unlabelled"][0] + 0.1
        total = torch.stack([Exact(reference, image / 255, (y,)).q_y() for y in range(3)]).sum()
        assert float(total) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("style_size", STYLE_SIZES)
@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated"])
@torch.no_grad()
def test_unlabelled_objective_is_its_bound_in_expectation(
    marginal: str, style_size: int, draws: InjectedDraws
) -> None:
    model, reference = tiny(style_size, label_marginal=marginal)
    tolerance = 2e-3 if style_size else 1e-5
    for image in IMAGES[:3]:
        exact = Exact(reference, image / 255, (None,))
        found = float(expected_unlabelled(model, draws, image))
        bound, gap = (
            (exact.bound(), exact.gap())
            if marginal == "exact"
            else (exact.jensen_bound(), exact.jensen_gap())
        )
        assert found == pytest.approx(float(bound), abs=tolerance)
        assert exact.log_likelihood() - found == pytest.approx(gap, abs=tolerance)


@torch.no_grad()
def test_sampled_jensen_objective_is_the_enumerated_bound_in_expectation(draws: InjectedDraws) -> None:
    model, reference = tiny(label_marginal="jensen_sampled")
    noise, weights = gaussian_grid(1)
    for image in IMAGES[:3]:
        exact = Exact(reference, image / 255, (None,))
        mean, scale = reference.posterior(image / 255)
        z = mean + scale * noise
        found = 0.0
        for y in range(3):
            drawn, baseline = (torch.full((1, len(noise)), value) for value in (y, (y + 1) % 3))
            draws.give(noise[None], torch.zeros(100, 0, 1), classes=(drawn[..., None], baseline[..., None]))
            objective = model(repeated(image, len(noise))).objective
            found += float((weights * torch.exp(reference.log_q_y(0, z, y)) * objective).sum())
        assert found == pytest.approx(float(exact.jensen_bound()), abs=1e-5)


@pytest.mark.parametrize("style_size", STYLE_SIZES)
@pytest.mark.parametrize("importance_samples", [1, 4])
@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated", "jensen_sampled"])
@torch.no_grad()
def test_unlabelled_objective_averages_below_the_exact_log_likelihood(
    marginal: str, importance_samples: int, style_size: int
) -> None:
    model, reference = tiny(
        style_size,
        label_marginal=marginal,
        importance_samples=importance_samples,
        weight_gradient="none",
    )
    exact = Exact(reference, IMAGES[0] / 255, (None,))
    torch.manual_seed(3)
    average, error = mean_and_error(model(repeated(IMAGES[0], 20_000 // importance_samples)).objective)
    assert error < 0.03
    bound = exact.bound() if marginal == "exact" else exact.jensen_bound()
    assert average == pytest.approx(float(bound), abs=4 * error)
    assert average + 4 * error < exact.log_likelihood()


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("style_size", STYLE_SIZES)
@torch.no_grad()
def test_labelled_objective_is_equation_4_in_expectation(
    bounded: bool, style_size: int, draws: InjectedDraws
) -> None:
    samples = 100 if style_size else 1000
    model, reference = tiny(style_size, predictive_samples=samples, bounded_weight=bounded)
    # The bounded weight counts z among the samples of q(y|x): a bias of order 1 / samples, tested next.
    tolerance = (2e-3 if style_size else 5e-4) + (3.0 / samples if bounded else 0.0)
    for image, label in list(zip(IMAGES, LABELS, strict=True))[: 1 if style_size else 3]:
        exact = Exact(reference, image / 255, (int(label),))
        found = float(expected_labelled(model, draws, image, label))
        assert found == pytest.approx(float(exact.bound()), abs=tolerance)
        assert exact.log_likelihood() - found == pytest.approx(exact.gap(), abs=tolerance)


@torch.no_grad()
def test_the_bounded_weights_bias_falls_with_the_number_of_samples(draws: InjectedDraws) -> None:
    biases = []
    for samples in (25, 100, 400):
        model, reference = tiny(predictive_samples=samples)
        exact = float(Exact(reference, IMAGES[0] / 255, (int(LABELS[0]),)).bound())
        biases.append(abs(float(expected_labelled(model, draws, IMAGES[0], LABELS[0])) - exact))
    assert biases[0] > 2.5 * biases[1] > 2.5**2 * biases[2]


@pytest.mark.parametrize("bounded", [False, True])
@torch.no_grad()
def test_labelled_objective_averages_below_the_exact_joint_log_likelihood(bounded: bool) -> None:
    model, reference = tiny(predictive_samples=400, bounded_weight=bounded)
    torch.manual_seed(3)
    for image, label in zip(IMAGES[:2], LABELS, strict=False):
        exact = Exact(reference, image / 255, (int(label),))
        average, error = mean_and_error(model(repeated(image, 2000, label)).objective)
        assert error < 0.1
        assert average == pytest.approx(float(exact.bound()), abs=4 * error)
        assert average + 4 * error < exact.log_likelihood()


@torch.no_grad()
def test_a_truncated_weight_is_biased_by_what_is_cut_off(draws: InjectedDraws) -> None:
    """Truncation trades eq. 4's value for a smaller variance: what a run records as its objective is no bound then."""
    image, label = IMAGES[1], LABELS[1]
    biases: dict[float | None, float] = {}
    for limit in (1.0, 1.1, 1.2, 3.0, None):
        model, reference = tiny(weight_limit=limit, bounded_weight=False, predictive_samples=1000)
        exact = Exact(reference, image / 255, (int(label),))
        found = float(expected_labelled(model, draws, image, label))
        if limit is not None:
            assert found == pytest.approx(float(exact.bound(limit)), abs=2e-3)
        biases[limit] = found - float(exact.bound())
    assert 5 > biases[1.0] > biases[1.1] > biases[1.2] > 0.01
    # No weight of this model reaches 3.
    assert biases[3.0] == biases[None] == pytest.approx(0, abs=5e-4)


@pytest.mark.parametrize("bounded", [False, True])
@torch.no_grad()
def test_self_normalised_weights_converge_to_equation_4(bounded: bool, draws: InjectedDraws) -> None:
    for image, label in zip(IMAGES[:3], LABELS, strict=False):
        errors = []
        for samples in (4, 64, 4096):
            model, reference = tiny(
                importance_samples=samples,
                predictive_samples=2000,
                bounded_weight=bounded,
                weight_gradient="none",
            )
            draws.give(spread_noise(samples)[:, None], spread_noise(2000)[:, None])
            found = float(model(repeated(image, 1, label)).objective)
            exact = Exact(reference, image / 255, (int(label),))
            errors.append(abs(found - float(exact.bound())))
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 2e-3


@torch.no_grad()
def test_self_normalised_weights_converge_with_torchs_own_draws() -> None:
    model, reference = tiny(importance_samples=20_000, predictive_samples=20_000, weight_gradient="none")
    torch.manual_seed(3)
    exact = Exact(reference, IMAGES[0] / 255, (int(LABELS[0]),)).bound()
    objective = model(repeated(IMAGES[0], 4, LABELS[0])).objective
    assert objective.numpy() == pytest.approx(float(exact), abs=0.08)


@torch.no_grad()
def test_classify_is_the_posterior_predictive() -> None:
    model, reference = tiny()
    torch.manual_seed(3)
    (log_q,) = model.classify(repeated(IMAGES[0], 200).image)
    assert log_q.exp().sum(-1).numpy() == pytest.approx(1.0, abs=1e-12)
    for y in range(3):
        # Each row averages 100 samples of a probability: the mean over 200 rows errs by less than 0.5 / √20000.
        exact = Exact(reference, IMAGES[0] / 255, (y,)).q_y()
        assert float(log_q[:, y].exp().mean()) == pytest.approx(float(exact), abs=0.015)


@pytest.mark.parametrize("style_size", STYLE_SIZES)
@torch.no_grad()
def test_generated_images_are_those_of_the_class(style_size: int) -> None:
    model, reference = tiny(style_size)
    standard, weights = gaussian_grid(1 + style_size)
    torch.manual_seed(3)
    for y in range(3):
        mean, scale = reference.prior(0, y)
        z = torch.cat([mean + scale * standard[:, :1], standard[:, 1:]], dim=-1)
        expected = (weights[:, None] * torch.sigmoid(network(reference.weights, "decoder", z))).sum(0)
        found = model.generate(torch.full((20_000, 1), y, dtype=torch.uint8)).mean(0).flatten()
        torch.testing.assert_close(found, expected, rtol=0, atol=0.015)


@torch.no_grad()
def test_reconstruction_and_latents_are_those_of_the_posterior_mean() -> None:
    model, reference = tiny(style_size=1)
    image = repeated(IMAGES[0], 2).image
    mean, _ = reference.posterior(IMAGES[0] / 255)
    decoded = torch.sigmoid(network(reference.weights, "decoder", mean))
    torch.testing.assert_close(model.reconstruct(image), decoded.reshape(1, 1, 2, 2).expand(2, -1, -1, -1))
    torch.testing.assert_close(model.characteristic_latents(image), mean[:1].expand(2, -1))
