"""M2 with one class label against exact log-likelihoods of tiny models, and its formulas written out (``m2_reference``)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.models.m2 import M2, M2Config
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.m2_reference import M2Reference
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.tiny_models import (
    CLASS_FREQUENCIES,
    IMAGES,
    LABELS,
    assert_written_out,
    batch_of,
    gradients,
    part,
    repeated,
    tiny_m2,
)

pytestmark = pytest.mark.usefixtures("float64")

LABELLED = 3


def tiny(latent_size: int = 1, classifier_weight: float = 0.0) -> tuple[M2, M2Reference]:
    model = tiny_m2(M2Config(latent_size=latent_size, hidden_width=8, classifier_weight=classifier_weight))
    return model, M2Reference(model, (CLASS_FREQUENCIES,), latent_size)


@pytest.mark.parametrize("latent_size", [1, 2])
@torch.no_grad()
def test_labelled_objective_is_its_bound_in_expectation(latent_size: int, draws: InjectedDraws) -> None:
    model, reference = tiny(latent_size)
    z_noise, weights = gaussian_grid(latent_size)
    tolerance = {1: 1e-5, 2: 2e-3}[latent_size]
    for image, label in zip(IMAGES[:3], LABELS, strict=False):
        x, y = image / 255, (int(label),)
        draws.give(z_noise, torch.zeros(0, 3, latent_size))
        found = float((weights * model(repeated(image, len(z_noise), label)).objective).sum())
        assert found == pytest.approx(float(reference.bound(x, y)), abs=tolerance)
        gap = float(reference.log_p_xy(x, y)) - found
        assert gap == pytest.approx(float(reference.gap(x, y)), abs=tolerance)
        assert gap > 0.01


@torch.no_grad()
def test_unlabelled_objective_is_its_bound_in_expectation(draws: InjectedDraws) -> None:
    model, reference = tiny()
    z_noise, weights = gaussian_grid(1)
    for image in IMAGES[:3]:
        x = image / 255
        draws.give(torch.zeros(0, 1), z_noise[:, None].expand(-1, 3, -1))
        found = float((weights * model(repeated(image, len(z_noise))).objective).sum())
        assert found == pytest.approx(float(reference.bound(x, (None,))), abs=1e-5)
        gap = float(reference.log_p_xy(x, (None,))) - found
        assert gap == pytest.approx(float(reference.gap(x, (None,))), abs=1e-5)
        assert gap > 0.01


@torch.no_grad()
def test_objectives_average_below_the_exact_log_likelihoods_with_torchs_own_draws() -> None:
    model, reference = tiny()
    torch.manual_seed(3)
    x, label = IMAGES[0] / 255, LABELS[0]
    for batch, exact in [
        (repeated(IMAGES[0], 20_000, label), reference.log_p_xy(x, (int(label),))),
        (repeated(IMAGES[0], 20_000), reference.log_p_xy(x, (None,))),
    ]:
        objective = model(batch).objective
        error = float(objective.std()) / 20_000**0.5
        assert error < 0.01
        assert float(objective.mean()) + 4 * error < float(exact)
        draws_differ = objective[0] != objective[1]
        assert draws_differ


def test_objective_and_gradient_are_those_written_out(draws: InjectedDraws) -> None:
    model, reference = tiny(latent_size=2, classifier_weight=3.0)
    known, unknown = noise(LABELLED, 2, seed=1), noise(2, 3, 2, seed=2)
    draws.give(known, unknown)
    found = model(batch_of(IMAGES, LABELS, LABELLED)).objective
    expected = torch.stack(
        [
            reference.estimate(IMAGES[row] / 255, (int(LABELS[row]),), known[row].expand(3, -1), 3.0)
            for row in range(LABELLED)
        ]
        + [reference.estimate(IMAGES[LABELLED + row] / 255, (None,), unknown[row]) for row in range(2)]
    )
    assert_written_out(model, found, expected)


def test_gradient_is_that_of_finite_differences(draws: InjectedDraws) -> None:
    model, _ = tiny(latent_size=2, classifier_weight=3.0)

    def objective() -> torch.Tensor:
        draws.give(noise(LABELLED, 2, seed=1), noise(2, 3, 2, seed=2))
        return model(batch_of(IMAGES, LABELS, LABELLED)).objective.sum()

    gradient = gradients(objective(), model)
    step = 1e-6
    for index, (name, parameter) in enumerate(model.named_parameters()):
        direction = noise(*parameter.shape, seed=100 + index)
        sides = []
        for side in (step, -2 * step, step):
            with torch.no_grad():
                parameter.add_(side * direction)
                sides.append(float(objective()))
        difference = (sides[0] - sides[1]) / (2 * step)
        found = float((gradient[name] * direction).sum())
        assert found == pytest.approx(difference, rel=1e-6, abs=1e-6), name


def test_labelled_examples_train_the_classifier_through_its_weighted_term_alone(
    draws: InjectedDraws,
) -> None:
    model, reference = tiny(classifier_weight=7.0)
    draws.give(noise(1, 1, seed=1), torch.zeros(0, 3, 1))
    found = gradients(model(batch_of(IMAGES[:1], LABELS[:1], 1)).objective.sum(), model)
    expected = gradients(7 * reference.log_q_y(IMAGES[0] / 255, (int(LABELS[0]),)), model)
    torch.testing.assert_close(part(found, "classifier"), part(expected, "classifier"))


@torch.no_grad()
def test_recorded_elbo_leaves_the_classifiers_extra_term_out(draws: InjectedDraws) -> None:
    elbo = []
    for weight in (0.0, 50.0):
        model, _ = tiny(classifier_weight=weight)
        draws.give(noise(LABELLED, 1, seed=1), noise(2, 3, 1, seed=2))
        losses = model(batch_of(IMAGES, LABELS, LABELLED))
        elbo.append(losses.terms["elbo"])
        if weight == 0:
            torch.testing.assert_close(losses.terms["objective"], losses.terms["elbo"])
    torch.testing.assert_close(elbo[0], elbo[1])
    assert elbo[0][1] == len(IMAGES)


@torch.no_grad()
def test_classify_is_the_classifier() -> None:
    model, reference = tiny()
    (log_q,) = model.classify(batch_of(IMAGES, LABELS, 0).image)
    for row, image in enumerate(IMAGES):
        for y in range(3):
            expected = float(reference.log_q_y(image / 255, (y,)))
            assert float(log_q[row, y]) == pytest.approx(expected, abs=1e-12)


@torch.no_grad()
def test_generated_images_are_those_of_the_prior() -> None:
    model, reference = tiny()
    z, weights = gaussian_grid(1)
    torch.manual_seed(3)
    for y in range(3):
        found = model.generate(torch.full((20_000, 1), y, dtype=torch.uint8)).mean(0).flatten()
        expected = (
            weights[:, None] * torch.sigmoid(reference.conditioned("decoder", z, reference.code((y,))))
        ).sum(0)
        torch.testing.assert_close(found, expected, rtol=0, atol=0.015)


@pytest.mark.parametrize("field", ["latent_size", "hidden_width"])
def test_sizes_below_one_are_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"m2: {field} is 0; it must be at least 1"):
        M2Config(**{field: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classifier_weight": -1.0}, "m2: classifier_weight is -1.0; it must not be negative"),
        ({"system": "ccvae"}, "ccvae: system is 'ccvae'; it must be m2"),
    ],
)
@pytest.mark.usefixtures("no_type_checks")
def test_other_meaningless_settings_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        M2Config(**options)
