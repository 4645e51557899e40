"""CCVAE's objective and its gradient, for given noise, against the formulas written out (``ccvae_reference``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from pipeline.models.registry import PRESETS
from tests.pairwise import pairwise
from tests.pipeline.models.ccvae_reference import CCVAEReference, Exact
from tests.pipeline.models.injected_draws import InjectedDraws, noise, spread_noise
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.tiny_models import (
    IMAGES,
    LABELS,
    TINY,
    assert_written_out,
    batch_of,
    gradients,
    part,
    repeated,
    tiny_ccvae,
)

pytestmark = pytest.mark.usefixtures("float64")

LABELLED = 3
LIMIT = 1.2
"""Lies between the weights of the three labelled images."""
CHOICES = pairwise(
    {
        "weight_gradient": ["as_printed", "denominator", "none"],
        "reparameterise_classifier": [False, True],
        "bounded_weight": [False, True],
        "importance_samples": [1, 4],
        "label_marginal": ["exact", "jensen_enumerated", "jensen_sampled"],
        "weight_limit": [None, LIMIT],
    },
    allowed=lambda choice: (
        not (choice["weight_gradient"] == "denominator" and choice["importance_samples"] > 1)
        and not (choice["weight_gradient"] != "as_printed" and choice["reparameterise_classifier"])
    ),
)


def tiny(**choice: Any) -> CCVAE:
    return tiny_ccvae(
        CCVAEConfig(
            characteristic_size=2,
            style_size=1,
            hidden_width=8,
            predictive_samples=5,
            classifier_weight=1.7,
            **choice,
        )
    )


def objectives(model: CCVAE, draws: InjectedDraws) -> tuple[Tensor, Tensor]:
    """The objective of five images (three of them labelled), and the same by the reference: (5,) each."""
    config = model.config
    reference = CCVAEReference(model, TINY, config)
    samples, unlabelled = config.importance_samples, len(IMAGES) - LABELLED
    size = config.characteristic_size
    z_noise = noise(samples, len(IMAGES), size + config.style_size, seed=1)
    predictive = noise(config.predictive_samples, LABELLED, size, seed=2)
    drawn, baseline = (
        torch.randint(3, (samples, unlabelled), generator=torch.Generator().manual_seed(seed))
        for seed in (3, 4)
    )
    sampled = config.label_marginal == "jensen_sampled"
    draws.give(z_noise, predictive, classes=(drawn[..., None], baseline[..., None]) if sampled else ())
    found = model(batch_of(IMAGES, LABELS, LABELLED)).objective
    expected = [
        reference.estimate(IMAGES[row] / 255, [int(LABELS[row])], z_noise[:, row], predictive[:, row])
        for row in range(LABELLED)
    ] + [
        reference.estimate(
            IMAGES[LABELLED + row] / 255,
            [None],
            z_noise[:, LABELLED + row],
            predictive[:, 0],
            [drawn[:, row]],
            [baseline[:, row]],
        )
        for row in range(unlabelled)
    ]
    return found, torch.stack(expected)


def compare_with_reference(model: CCVAE, draws: InjectedDraws) -> None:
    """Objective and gradient are those of the reference, and every parameter has a gradient."""
    found, expected = objectives(model, draws)
    assert found.dtype == torch.float64
    assert_written_out(model, found, expected)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(map(str, choice.values())))
def test_objective_and_gradient_are_those_written_out(choice: dict[str, Any], draws: InjectedDraws) -> None:
    compare_with_reference(tiny(**choice), draws)


def test_the_limit_of_these_choices_truncates_some_rows_and_not_others(draws: InjectedDraws) -> None:
    found = [objectives(tiny(weight_limit=limit), draws)[0].detach() for limit in (None, LIMIT)]
    assert (found[0] == found[1]).tolist() == [True, False, True, True, True]


@pytest.mark.parametrize(("name", "seed"), [("ccvae", 7), ("ccvae-exact", 7), ("revae", 4)])
def test_whole_presets_are_those_written_out(name: str, seed: int, draws: InjectedDraws) -> None:
    config = PRESETS[name].config()
    assert isinstance(config, CCVAEConfig)
    model = tiny_ccvae(config, seed=seed)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(
                1.5
            )  # so sharp that with these seeds one weight of three exceeds the presets' limit
    compare_with_reference(model, draws)
    limited = objectives(model, draws)[0]
    model.config = replace(config, weight_limit=None)
    assert (limited != objectives(model, draws)[0]).sum() == (config.weight_limit is not None)


@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated"])
@pytest.mark.parametrize("importance_samples", [1, 4])
@pytest.mark.parametrize("bounded", [False, True])
def test_where_nothing_is_stopped_the_gradient_is_that_of_finite_differences(
    bounded: bool, importance_samples: int, marginal: str, draws: InjectedDraws
) -> None:
    choice = {
        "weight_gradient": "as_printed",
        "reparameterise_classifier": True,
        "bounded_weight": bounded,
        "importance_samples": importance_samples,
        "label_marginal": marginal,
        "weight_limit": None,  # a truncated weight's gradient is not that of its value
    }
    model = tiny(**choice)
    found, expected = objectives(model, draws)
    config = model.config
    reference = CCVAEReference(model, TINY, config)
    z_noise, predictive = noise(importance_samples, 5, 3, seed=1), noise(5, LABELLED, 2, seed=2)

    @torch.no_grad()
    def by_reference() -> float:
        labelled = reference.estimate(IMAGES[1] / 255, [int(LABELS[1])], z_noise[:, 1], predictive[:, 1])
        return float(labelled + reference.estimate(IMAGES[3] / 255, [None], z_noise[:, 3], predictive[:, 1]))

    assert by_reference() == pytest.approx(float((expected[1] + expected[3]).detach()), abs=1e-12)
    gradient = gradients(found[1] + found[3], model)
    step = 1e-6
    for index, (name, parameter) in enumerate(model.named_parameters()):
        direction = noise(*parameter.shape, seed=100 + index)
        sides = []
        for side in (step, -2 * step, step):  # there, as far to the other side, and back
            with torch.no_grad():
                parameter.add_(side * direction)
            sides.append(by_reference())
        difference = (sides[0] - sides[1]) / (2 * step)
        assert float((gradient[name] * direction).sum()) == pytest.approx(difference, rel=1e-6, abs=1e-7), (
            name
        )


@pytest.mark.parametrize("estimator", ["one sample", "self-normalised"])
def test_with_nothing_stopped_the_expected_gradient_is_that_of_equation_4(
    estimator: str, draws: InjectedDraws
) -> None:
    one_sample = estimator == "one sample"
    config = CCVAEConfig(
        characteristic_size=1,
        hidden_width=8,
        weight_gradient="as_printed",
        reparameterise_classifier=True,
        bounded_weight=False,
        weight_limit=None,
        predictive_samples=1000,
        importance_samples=1 if one_sample else 8192,
    )
    model = tiny_ccvae(config)
    reference = CCVAEReference(model, TINY, config)
    exact = gradients(Exact(reference, IMAGES[0] / 255, (int(LABELS[0]),)).bound(), model)
    if one_sample:
        z_noise, weights = gaussian_grid(1)
        predictive = spread_noise(1000)[:, None].expand(-1, len(z_noise), -1)
        draws.give(z_noise[None], predictive)
        objective = (weights * model(repeated(IMAGES[0], len(z_noise), LABELS[0])).objective).sum()
    else:
        draws.give(spread_noise(8192)[:, None], spread_noise(1000)[:, None])
        objective = model(repeated(IMAGES[0], 1, LABELS[0])).objective.sum()
    found = gradients(objective, model)
    for network in ("encoder", "decoder", "classifier", "conditional_prior"):
        distance = (part(found, network) - part(exact, network)).norm() / part(exact, network).norm()
        assert distance < 0.01, network


@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated"])
def test_expected_unlabelled_gradient_is_that_of_its_bound(marginal: str, draws: InjectedDraws) -> None:
    config = CCVAEConfig(characteristic_size=1, hidden_width=8, label_marginal=marginal)  # type: ignore[arg-type]
    model = tiny_ccvae(config)
    exact = Exact(CCVAEReference(model, TINY, config), IMAGES[0] / 255, (None,))
    bound = exact.bound() if marginal == "exact" else exact.jensen_bound()
    z_noise, weights = gaussian_grid(1)
    draws.give(z_noise[None], torch.zeros(100, 0, 1))
    found = gradients((weights * model(repeated(IMAGES[0], len(z_noise))).objective).sum(), model)
    expected = gradients(bound, model)
    for network in ("encoder", "decoder", "classifier", "conditional_prior"):
        error = (part(found, network) - part(expected, network)).norm()
        assert error <= 2e-3 * part(expected, network).norm(), network
