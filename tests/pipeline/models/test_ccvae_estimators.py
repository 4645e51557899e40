"""What each choice of CCVAE's estimators does to the gradient, derived by hand from eq. 5 and 8."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE
from tests.pipeline.models.ccvae_cases import (
    NOT_CLASSIFIER,
    PREDICTIVE_SAMPLES,
    build,
    labelled_gradient,
    labelled_objective,
)
from tests.pipeline.models.ccvae_reference import CCVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.tiny_models import (
    IMAGES,
    LABELS,
    TINY,
    batch_of,
    gradients,
    part,
)

pytestmark = pytest.mark.usefixtures("float64")


def log_predictive(model: CCVAE) -> Tensor:
    """``log q(y | x)`` for the noise of ``labelled_objective``."""
    reference = CCVAEReference(model, TINY, model.config)
    mean, scale = reference.posterior(IMAGES[0] / 255)
    z_c = mean[:2] + scale[:2] * noise(PREDICTIVE_SAMPLES, 1, 2, seed=2)[:, 0]
    if model.config.bounded_weight:
        own = mean + scale * noise(model.config.importance_samples, 1, 3, seed=1)[:, 0]
        z_c = torch.cat([z_c, own[:, :2]])
    return torch.exp(reference.log_q_y(0, z_c, int(LABELS[0]))).mean().log()


@torch.no_grad()
def weighted_bracket(model: CCVAE) -> Tensor:
    """``w`` times the bracket of eq. 8 for the noise of ``labelled_objective`` with one importance sample."""
    reference = CCVAEReference(model, TINY, model.config)
    x, y = IMAGES[0] / 255, int(LABELS[0])
    mean, scale = reference.posterior(x)
    z = mean + scale * noise(1, 1, 3, seed=1)[0, 0]
    log_q_y = reference.log_q_y(0, z, y)
    prior = reference.log_p_z(0, z, y) + reference.log_p_style(z)
    bracket = reference.log_p_x(x, z) + prior - log_q_y - reference.log_q_z(z, x)
    return torch.exp(log_q_y - log_predictive(model)) * bracket


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("importance_samples", [1, 4])
def test_with_a_constant_weight_the_classifier_learns_from_its_predictive_alone(
    importance_samples: int, bounded: bool, draws: InjectedDraws
) -> None:
    options = {
        "weight_gradient": "none",
        "bounded_weight": bounded,
        "importance_samples": importance_samples,
    }
    model = build(classifier_weight=30.0, **options)
    expected = 30 * part(gradients(log_predictive(model), model), "classifier")
    assert expected.norm() > 1
    found = part(gradients(labelled_objective(model, draws), model), "classifier")
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    none = part(labelled_gradient(draws, classifier_weight=0.0, **options), "classifier")
    assert none.count_nonzero() == 0
    one = part(labelled_gradient(draws, classifier_weight=1.0, **options), "classifier")
    seven = part(labelled_gradient(draws, classifier_weight=7.0, **options), "classifier")
    torch.testing.assert_close(seven, 7 * one)


@pytest.mark.parametrize("bounded", [False, True])
def test_through_the_denominator_the_classifier_sees_its_predictive_times_one_minus_the_weighted_bracket(
    bounded: bool, draws: InjectedDraws
) -> None:
    model = build(weight_gradient="denominator", bounded_weight=bounded)
    factor = 1 - weighted_bracket(model)
    assert factor > 1.2  # a negative bracket makes this a strong classifier
    expected = factor * part(gradients(log_predictive(model), model), "classifier")
    found = part(gradients(labelled_objective(model, draws), model), "classifier")
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("bounded", [False, True])
def test_under_the_bars_the_numerators_gradient_reaches_nothing_but_the_classifier(
    bounded: bool, draws: InjectedDraws
) -> None:
    as_printed = labelled_gradient(draws, weight_gradient="as_printed", bounded_weight=bounded)
    denominator = labelled_gradient(draws, weight_gradient="denominator", bounded_weight=bounded)
    torch.testing.assert_close(part(as_printed, *NOT_CLASSIFIER), part(denominator, *NOT_CLASSIFIER))
    assert (part(as_printed, "classifier") - part(denominator, "classifier")).norm() > 0.1


@pytest.mark.parametrize("importance_samples", [1, 4])
def test_dropping_the_bars_changes_the_gradient_of_the_encoder_alone(
    importance_samples: int, draws: InjectedDraws
) -> None:
    with_bars, without = (
        labelled_gradient(
            draws,
            weight_gradient="as_printed",
            importance_samples=importance_samples,
            reparameterise_classifier=reparameterise,
        )
        for reparameterise in (False, True)
    )
    others = ("decoder", "conditional_prior", "classifier")
    torch.testing.assert_close(part(with_bars, *others), part(without, *others))
    assert (part(with_bars, "encoder") - part(without, "encoder")).norm() > 0.1


def test_the_weights_gradient_never_reaches_the_generative_model(draws: InjectedDraws) -> None:
    generative = [
        part(labelled_gradient(draws, weight_gradient=choice), "decoder", "conditional_prior")
        for choice in ("as_printed", "denominator", "none")
    ]
    torch.testing.assert_close(generative[0], generative[1])
    torch.testing.assert_close(generative[0], generative[2])


@torch.no_grad()
def test_choices_of_gradient_leave_the_objective_as_it_is(draws: InjectedDraws) -> None:
    values = [
        float(
            labelled_objective(build(weight_gradient=choice, reparameterise_classifier=reparameterise), draws)
        )
        for choice, reparameterise in (
            ("as_printed", False),
            ("as_printed", True),
            ("denominator", False),
            ("none", False),
        )
    ]
    assert values == pytest.approx([values[0]] * 4, rel=1e-12)


@torch.no_grad()
def test_classifier_weight_multiplies_the_predictive_alone(draws: InjectedDraws) -> None:
    one, ten = (float(labelled_objective(build(classifier_weight=factor), draws)) for factor in (1.0, 10.0))
    assert ten - one == pytest.approx(9 * float(log_predictive(build())), rel=1e-12)


def test_without_labels_the_exact_marginal_leaves_the_classifier_alone(draws: InjectedDraws) -> None:
    model = build()
    draws.give(noise(1, 5, 3, seed=1), torch.zeros(PREDICTIVE_SAMPLES, 0, 2))
    found = gradients(model(batch_of(IMAGES, LABELS, 0)).objective.sum(), model)
    assert part(found, "classifier").count_nonzero() == 0
    assert all(part(found, network).norm() > 0.1 for network in NOT_CLASSIFIER)
