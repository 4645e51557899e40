"""What each choice of CCVAE's estimators does to the gradient, derived by hand from eq. 5 and 8."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from tests.pipeline.models.ccvae_reference import CCVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.tiny_models import (
    CLASS_FREQUENCIES,
    IMAGES,
    LABELS,
    batch_of,
    gradients,
    part,
    repeated,
    tiny_ccvae,
)

pytestmark = pytest.mark.usefixtures("float64")

PREDICTIVE_SAMPLES = 6
NOT_CLASSIFIER = ("encoder", "decoder", "conditional_prior")
NETWORKS = ("classifier", *NOT_CLASSIFIER)


def build(**options: Any) -> CCVAE:
    return tiny_ccvae(
        CCVAEConfig(
            **{
                "characteristic_size": 2,
                "style_size": 1,
                "hidden_width": 8,
                "predictive_samples": PREDICTIVE_SAMPLES,
                "label_marginal": "exact",
                "weight_limit": None,
                **options,
            }
        )
    )


def labelled_objective(model: CCVAE, draws: InjectedDraws) -> Tensor:
    """The objective of one labelled image, for noise that is the same at every call."""
    draws.give(noise(model.config.importance_samples, 1, 3, seed=1), noise(PREDICTIVE_SAMPLES, 1, 2, seed=2))
    return model(batch_of(IMAGES[:1], LABELS[:1], 1)).objective.sum()


def labelled_gradient(draws: InjectedDraws, **options: Any) -> dict[str, Tensor]:
    model = build(**options)
    return gradients(labelled_objective(model, draws), model)


def log_predictive(model: CCVAE) -> Tensor:
    """``log q(y | x)`` for the noise of ``labelled_objective``."""
    reference = CCVAEReference(model, CLASS_FREQUENCIES, model.config)
    mean, scale = reference.posterior(IMAGES[0] / 255)
    z_c = mean[:2] + scale[:2] * noise(PREDICTIVE_SAMPLES, 1, 2, seed=2)[:, 0]
    if model.config.bounded_weight:
        own = mean + scale * noise(model.config.importance_samples, 1, 3, seed=1)[:, 0]
        z_c = torch.cat([z_c, own[:, :2]])
    return torch.exp(reference.log_q_y(z_c, int(LABELS[0]))).mean().log()


@torch.no_grad()
def weighted_bracket(model: CCVAE) -> Tensor:
    """``w`` times the bracket of eq. 8 for the noise of ``labelled_objective`` with one importance sample."""
    reference = CCVAEReference(model, CLASS_FREQUENCIES, model.config)
    x, y = IMAGES[0] / 255, int(LABELS[0])
    mean, scale = reference.posterior(x)
    z = mean + scale * noise(1, 1, 3, seed=1)[0, 0]
    log_q_y = reference.log_q_y(z, y)
    prior = reference.log_p_characteristic(z, y) + reference.log_p_style(z)
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
        for choice in ("as_printed", "denominator", "none")
        for reparameterise in (False, True)
    ]
    assert values == pytest.approx([values[0]] * 6, rel=1e-12)


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


# the weight


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
        classes = LABELS[:1].expand(1, 2000)
        z_c = model.sample_characteristic(mean, scale, 1)
        weight, _ = model.weight(z_c, classes, model.log_predictive(mean, scale, z_c, classes))
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
    classes = LABELS[:1].expand(1, 300)
    weight, _ = model.weight(z_c, classes, model.log_predictive(mean, scale, z_c, classes))
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


@pytest.mark.parametrize("reparameterise", [False, True])
@pytest.mark.parametrize("weight_gradient", ["as_printed", "denominator"])
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
    weight, _ = model.weight(torch.zeros(1, 1, 2, dtype=dtype), LABELS[None, :1], log_predictive)
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
    classes = LABELS[:3].expand(5, 3)
    weight, label_term = model.weight(z_c, classes, torch.zeros(3))
    assert label_term.min() < -1000  # whose probability is zero in floating point
    torch.testing.assert_close(weight.sum(0), torch.ones(3))


# the sampled label of eq. 5


def expected_sampled_gradient(draws: InjectedDraws, keep_score: bool) -> dict[str, Tensor]:
    """Exact expectation over the drawn classes of the gradient of ``jensen_sampled``, all nine pairs enumerated."""
    model = build(label_marginal="jensen_sampled")
    reference = CCVAEReference(model, CLASS_FREQUENCIES, model.config)
    z_noise = noise(1, 5, 3, seed=1)
    total = torch.zeros(())
    for drawn in reference.classes:
        for baseline in reference.classes:
            draws.give(
                z_noise,
                torch.zeros(PREDICTIVE_SAMPLES, 0, 2),
                classes=(torch.full((1, 5), drawn), torch.full((1, 5), baseline)),
            )
            objective = model(batch_of(IMAGES, LABELS, 0)).objective
            for row in range(5):
                x = IMAGES[row] / 255
                mean, scale = reference.posterior(x)
                z = (mean + scale * z_noise[0, row]).detach()
                log_probability = reference.log_q_y(z, drawn) + reference.log_q_y(z, baseline)
                value = (
                    objective[row]
                    if keep_score
                    else reference.unlabelled_estimate(x, z_noise[:, row], *both(drawn, drawn))
                )
                total = total + torch.exp(log_probability).detach() * value
    return gradients(total, model)


def both(drawn: int, baseline: int) -> tuple[Tensor, Tensor]:
    return torch.tensor([drawn]), torch.tensor([baseline])


def enumerated_gradient(draws: InjectedDraws) -> dict[str, Tensor]:
    model = build(label_marginal="jensen_enumerated")
    draws.give(noise(1, 5, 3, seed=1), torch.zeros(PREDICTIVE_SAMPLES, 0, 2))
    return gradients(model(batch_of(IMAGES, LABELS, 0)).objective.sum(), model)


def test_sampling_the_label_leaves_the_expected_gradient_as_enumeration_has_it(draws: InjectedDraws) -> None:
    sampled, enumerated = expected_sampled_gradient(draws, keep_score=True), enumerated_gradient(draws)
    for name, gradient in enumerated.items():
        torch.testing.assert_close(sampled[name], gradient, rtol=1e-9, atol=1e-10, msg=name)
    assert part(enumerated, "classifier").norm() > 0.1


def test_without_the_score_term_the_classifiers_expected_gradient_is_zero(draws: InjectedDraws) -> None:
    """The trap in public code: with its own draw as baseline the score term vanishes, and only noise is left."""
    without = part(expected_sampled_gradient(draws, keep_score=False), "classifier")
    assert without.abs().max() < 1e-12


def test_torchs_own_label_draws_give_the_enumerated_gradient_on_average() -> None:
    rows = 20_000
    found: dict[Literal["jensen_sampled", "jensen_enumerated"], Tensor] = {}
    for marginal in ("jensen_sampled", "jensen_enumerated"):
        model = build(label_marginal=marginal)
        torch.manual_seed(3)
        objective = model(repeated(IMAGES[0], rows)).objective.mean()
        found[marginal] = part(gradients(objective, model), "classifier")
    distance = (found["jensen_sampled"] - found["jensen_enumerated"]).norm()
    assert distance < 0.1 * found["jensen_enumerated"].norm()
