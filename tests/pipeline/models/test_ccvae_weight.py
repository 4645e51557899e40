"""CCVAE's importance weight: what bounds it, what its limit does to value and gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE
from pipeline.models.parts.characteristic_vae import sample
from tests.pipeline.models.ccvae_cases import (
    NETWORKS,
    build,
    labelled_gradient,
    labelled_objective,
)
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.tiny_models import (
    IMAGES,
    LABELS,
    gradients,
    label_columns,
    part,
    repeated,
)

pytestmark = pytest.mark.usefixtures("float64")


@torch.no_grad()
@pytest.mark.parametrize("predictive_samples", [0, 1, 5])
def test_a_bounded_weight_is_at_most_the_number_of_samples(predictive_samples: int) -> None:
    def largest_weight(bounded: bool) -> float:
        model = build(bounded_weight=bounded, predictive_samples=predictive_samples)
        for parameter in model.classifier.parameters():
            parameter.mul_(6)  # so sharp that one sample may hold all of the probability
        torch.manual_seed(0)
        losses = model(repeated(IMAGES[0], 2000, LABELS[0]))
        assert losses.objective.isfinite().all()
        return float(model_weight(model).max())

    def model_weight(model: CCVAE) -> Tensor:
        mean, scale = model.posterior(IMAGES[:1].expand(2000, -1) / 255)
        labels, observed = label_columns(LABELS[:1].expand(2000))
        z_c = sample(mean[:, :2], scale[:, :2], 1)
        log_predictive = model.log_predictive(mean, scale, z_c, labels, observed)
        weight, _ = model.weight(z_c, labels, observed, log_predictive)
        return weight

    bounded = largest_weight(True)
    assert bounded <= predictive_samples + 1 + 1e-9
    if predictive_samples:
        assert largest_weight(False) > 10 * bounded


def drawn_weights(**options: Any) -> tuple[CCVAE, Tensor]:
    """A model with a sharp classifier, and the weights of 300 draws for one labelled image (300,), the same at each call."""
    model = build(**options)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(2)
    mean, scale = model.posterior(IMAGES[:1].expand(300, -1) / 255)
    torch.manual_seed(0)
    z_c = mean[:, :2] + scale[:, :2] * torch.randn(1, 300, 2)
    labels, observed = label_columns(LABELS[:1].expand(300))
    log_predictive = model.log_predictive(mean, scale, z_c, labels, observed)
    weight, _ = model.weight(z_c, labels, observed, log_predictive)
    return model, weight[0]


@pytest.mark.parametrize("bounded", [False, True])
@torch.no_grad()
def test_a_limited_weight_is_the_smaller_of_weight_and_limit(bounded: bool) -> None:
    _, weight = drawn_weights(bounded_weight=bounded)
    for limit in (1.0, 1.5):
        assert 20 < (weight > limit).sum() < 280
        _, limited = drawn_weights(bounded_weight=bounded, weight_limit=limit)
        torch.testing.assert_close(limited, weight.clamp(max=limit), rtol=1e-12, atol=0)
        assert torch.equal(limited[weight <= limit], weight[weight <= limit])


@pytest.mark.parametrize(
    ("weight_gradient", "reparameterise"),
    [("as_printed", False), ("as_printed", True), ("denominator", False)],
)
def test_a_truncated_weights_gradient_is_scaled_down_as_its_value_is(
    weight_gradient: str, reparameterise: bool
) -> None:
    options = {"weight_gradient": weight_gradient, "reparameterise_classifier": reparameterise}
    values = drawn_weights(**options)[1].detach()
    rows = [
        int((values - near).abs().argmin()) for near in (10.0, 1.6, 1.4)
    ]  # the largest, and about the limit
    factors = [1.5 / float(values[row]) for row in rows[:2]] + [1.0]
    assert factors[0] < factors[1] < 0.99
    for row, factor in zip(rows, factors, strict=True):
        model, weight = drawn_weights(**options)
        limited_model, limited = drawn_weights(weight_limit=1.5, **options)
        found = gradients(limited[row], limited_model)
        for name, gradient in gradients(weight[row], model).items():
            torch.testing.assert_close(found[name], factor * gradient, rtol=1e-9, atol=1e-12, msg=name)
        assert part(found, "classifier").norm() > 0.01


def test_a_limit_above_every_weight_changes_nothing(draws: InjectedDraws) -> None:
    found = []
    for limit in (None, 1000.0, float("inf")):
        model = build(weight_limit=limit)
        objective = labelled_objective(model, draws)
        found.append(torch.cat([objective.detach()[None], part(gradients(objective, model), *NETWORKS)]))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_self_normalised_weights_are_not_limited(draws: InjectedDraws) -> None:
    options = {"importance_samples": 4, "weight_gradient": "as_printed"}
    found = [
        part(labelled_gradient(draws, weight_limit=limit, **options), *NETWORKS) for limit in (None, 1.0)
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_weight_beyond_the_largest_number_is_limited_too(dtype: torch.dtype) -> None:
    """Without its bound a weight may be as large as 1 / q(y | x), whose samples may all have missed the class."""
    model = build(bounded_weight=False, weight_limit=3.0).to(dtype)
    log_predictive = torch.full((1,), -1000.0, dtype=dtype, requires_grad=True)
    weight, _ = model.weight(torch.zeros(1, 1, 2, dtype=dtype), *label_columns(LABELS[:1]), log_predictive)
    assert float(weight.detach()) == pytest.approx(3.0, rel=1e-6)
    (gradient,) = torch.autograd.grad(weight.sum(), log_predictive)
    assert float(gradient) == pytest.approx(-3.0, rel=1e-6)


@torch.no_grad()
def test_the_recorded_weight_is_the_limited_one() -> None:
    averages = []
    for limit in (None, 1.0):
        torch.manual_seed(0)
        losses = build(weight_limit=limit, predictive_samples=100)(repeated(IMAGES[0], 2000, LABELS[0]))
        total, count = losses.terms["labelled/largest_weight"]
        averages.append(float(total / count))
    assert averages[0] == pytest.approx(1, abs=0.05)  # the expectation of a ratio of densities
    assert averages[1] < 0.9


@torch.no_grad()
def test_self_normalised_weights_add_up_to_one_where_the_classifier_is_all_but_certain() -> None:
    model = build(importance_samples=5, weight_gradient="none")
    for parameter in model.classifier.parameters():
        parameter.mul_(1000)
    z_c = noise(5, 3, 2, seed=0)
    weight, label_term = model.weight(z_c, *label_columns(LABELS[:3]), torch.zeros(3))
    assert label_term.min() < -1000  # whose probability is zero in floating point
    torch.testing.assert_close(weight.sum(0), torch.ones(3))
