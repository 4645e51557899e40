"""CCVAE with several labels, some of them unobserved: objective and gradient against the formula written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from pipeline.models.interface import DataSpec
from tests.pairwise import pairwise
from tests.pipeline.models.ccvae_reference import CCVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import (
    BINARY,
    LABELS,
    MIXED,
    OBSERVED,
    batch_with,
    columns_of,
    known_values,
)
from tests.pipeline.models.tiny_models import IMAGES, assert_written_out, tiny_ccvae

pytestmark = pytest.mark.usefixtures("float64")

SAMPLES = 5
"""Of ``q(y | x)``."""
DATA = [pytest.param(BINARY, id="binary"), pytest.param(MIXED, id="mixed")]
CHOICES = pairwise(
    {
        "data": [BINARY, MIXED],
        "posterior_predictive": ["quadrature", "monte_carlo", "monte_carlo_joint"],
        "label_marginal": ["exact", "jensen_enumerated", "jensen_sampled"],
        "bounded_weight": [False, True],
        "weight": [
            {"weight_gradient": "as_printed", "importance_samples": 1},
            {"weight_gradient": "denominator", "importance_samples": 1},
            {"weight_gradient": "as_printed", "importance_samples": 3, "reparameterise_classifier": True},
            {"weight_gradient": "none", "importance_samples": 3},
        ],
    }
)


def tiny(data: DataSpec, **choice: Any) -> CCVAE:
    settings = {"characteristic_size": 2, "style_size": 1, "hidden_width": 8, "weight_limit": None, **choice}
    return tiny_ccvae(CCVAEConfig(predictive_samples=SAMPLES, **settings), data)


def latents(model: CCVAE) -> int:
    return model.layout.latents + model.config.style_size


def give_draws(model: CCVAE, draws: InjectedDraws, labelled: int, rows: int = 5) -> dict[str, Any]:
    """Have the next objective of ``rows`` rows use fixed draws; returns them, as the reference takes them."""
    config, blocks = model.config, model.layout.blocks
    z_noise = noise(config.importance_samples, rows, latents(model), seed=1)
    predictive = noise(SAMPLES, labelled, model.layout.latents, seed=2)
    given = [z_noise, predictive]
    if config.posterior_predictive == "quadrature":  # only labels that are not binary are sampled
        binary = len(blocks[0].labels)
        given = [z_noise, predictive[..., binary:]] if len(blocks) > 1 else [z_noise]
    drawn, baseline = (
        [
            torch.randint(
                block.cardinality,
                (config.importance_samples, rows, len(block.labels)),
                generator=torch.Generator().manual_seed(seed),
            )
            for block in blocks
        ]
        for seed in (3, 4)
    )
    sampled = config.label_marginal == "jensen_sampled"
    in_turn = [each for pair in zip(drawn, baseline, strict=True) for each in pair]
    draws.give(*given, classes=tuple(in_turn) if sampled else ())
    order = [label for block in blocks for label in block.labels]
    by_label = [
        [torch.cat(values, dim=-1)[..., order.index(label)] for label in range(len(order))]
        for values in (drawn, baseline)
    ]
    return {"noise": z_noise, "predictive": predictive, "drawn": by_label[0], "baseline": by_label[1]}


def by_reference(model: CCVAE, data: DataSpec, given: dict[str, Any], observed: Tensor) -> Tensor:
    reference = CCVAEReference(model, data, model.config)
    expected = []
    for row, known in enumerate(known_values(data, observed)):
        predictive = given["predictive"]
        expected.append(
            reference.estimate(
                IMAGES[row] / 255,
                known,
                given["noise"][:, row],
                predictive[:, row] if row < predictive.shape[1] else torch.zeros(0, predictive.shape[2]),
                [values[:, row] for values in given["drawn"]],
                [values[:, row] for values in given["baseline"]],
            )
        )
    return torch.stack(expected)


def by_equation_8(model: CCVAE, data: DataSpec, given: dict[str, Any]) -> Tensor:
    """The supervised objective of five rows, all their labels known, from one sample of ``z``."""
    reference, found = CCVAEReference(model, data, model.config), []
    for row, values in enumerate(LABELS[:, columns_of(data)].tolist()):
        x, labels = IMAGES[row] / 255, list(enumerate(values))
        mean, scale = reference.posterior(x)
        z = mean + scale * given["noise"][0, row]
        log_q_y = torch.stack([reference.log_q_y(i, z.detach(), y) for i, y in labels]).sum()
        log_predictive = reference.log_predictive(x, values, given["predictive"][:, row], [z])
        log_prior = torch.stack([reference.log_p_z(i, z, y) for i, y in labels]).sum()
        bracket = reference.log_p_x(x, z) + log_prior + reference.log_p_style(z) - log_q_y
        weight = torch.exp(log_q_y - log_predictive)
        log_p_y = sum(reference.log_p_y(i, y) for i, y in labels)
        found.append(weight * (bracket - reference.log_q_z(z, x)) + log_predictive + log_p_y)
    return torch.stack(found)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: described(**choice))
def test_objective_and_gradient_are_those_written_out(choice: dict[str, Any], draws: InjectedDraws) -> None:
    settings = dict(choice)
    data = settings.pop("data")
    model = tiny(data, classifier_weight=1.7, **settings.pop("weight"), **settings)
    observed = OBSERVED[:, columns_of(data)]
    given = give_draws(model, draws, labelled=3)
    found = model(batch_with(data, observed, 3)).objective
    expected = by_reference(model, data, given, observed)
    assert_written_out(model, found, expected)


def described(data: DataSpec, weight: dict[str, Any], **others: Any) -> str:
    said = ["binary" if data is BINARY else "mixed", *others.values(), *weight.values()]
    return "-".join(map(str, said))


@pytest.mark.parametrize("predictive", ["quadrature", "monte_carlo", "monte_carlo_joint"])
@pytest.mark.parametrize("data", DATA)
@torch.no_grad()
def test_with_no_label_observed_the_formula_is_the_unlabelled_one(
    data: DataSpec, predictive: str, draws: InjectedDraws
) -> None:
    """Also where the rows are among those that pay for ``q(y | x)``: both ends of one formula."""
    for samples in (1, 3):
        model = tiny(
            data, posterior_predictive=predictive, importance_samples=samples, weight_gradient="none"
        )
        observed = torch.zeros(5, len(data.cardinalities), dtype=torch.bool)
        found = []
        for labelled in (0, 5):
            give_draws(model, draws, labelled)
            found.append(model(batch_with(data, observed, labelled)).objective)
        torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("data", DATA)
def test_with_every_label_observed_the_formula_is_the_supervised_one(
    data: DataSpec, draws: InjectedDraws
) -> None:
    observed = torch.ones(5, len(data.cardinalities), dtype=torch.bool)
    found = []
    for marginal in ("exact", "jensen_enumerated", "jensen_sampled"):
        model = tiny(data, label_marginal=marginal, weight_gradient="as_printed")
        given = give_draws(model, draws, labelled=5)
        found.append(model(batch_with(data, observed, 5)).objective)
        assert_written_out(model, found[-1], by_equation_8(model, data, given))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@torch.no_grad()
def test_quadrature_is_the_limit_of_both_monte_carlo_estimates() -> None:
    observed = torch.ones(5, 3, dtype=torch.bool)
    log_q = {}
    for choice in ("quadrature", "monte_carlo", "monte_carlo_joint"):
        model = tiny(MIXED, posterior_predictive=choice, bounded_weight=False)
        object.__setattr__(model.config, "predictive_samples", 200_000)
        mean, scale = model.posterior(IMAGES / 255)
        labels, known = model.layout.in_block_order(batch_with(MIXED, observed, 5).labels, observed)
        torch.manual_seed(0)
        log_q[choice] = model.log_predictive(mean, scale, torch.zeros(1, 5, 4), labels, known)
    torch.testing.assert_close(log_q["monte_carlo"], log_q["quadrature"], rtol=0, atol=0.01)
    torch.testing.assert_close(log_q["monte_carlo_joint"], log_q["quadrature"], rtol=0, atol=0.015)


@torch.no_grad()
def test_classify_is_the_posterior_predictive_of_every_label() -> None:
    model = tiny(MIXED)
    reference = CCVAEReference(model, MIXED, model.config)
    torch.manual_seed(0)
    repeated = IMAGES[:1].to(torch.uint8).reshape(1, 1, 2, 2).expand(400, -1, -1, -1)
    found = model.classify(repeated)
    for label in (0, 2):
        for y in (0, 1):
            assert float(found[label][0, y].exp()) == pytest.approx(
                float(reference.q_y(IMAGES[0] / 255, label, y)), abs=1e-9
            )
    mean, scale = reference.posterior(IMAGES[0] / 255)
    z = mean + scale * noise(40_000, 5, seed=0)
    for y in range(3):
        expected = reference.log_q_y(1, z, y).exp().mean()
        assert float(found[1][:, y].exp().mean()) == pytest.approx(float(expected), abs=0.01)


@torch.no_grad()
def test_generated_images_are_those_of_their_labels() -> None:
    model = tiny(MIXED)
    reference = CCVAEReference(model, MIXED, model.config)
    torch.manual_seed(0)
    labels = torch.tensor([[1, 2, 0]], dtype=torch.uint8).expand(40_000, -1)
    found = model.generate(labels).mean(0).flatten()
    z = torch.zeros(40_000, 5)
    one_hot = torch.eye(3)[2]
    for label, y in ((0, 1), (2, 0)):
        place = reference.places[label].start
        mean, raw = (reference.weights[f"conditional_prior.blocks.0.{n}"] for n in ("raw_mean", "raw_scale"))
        row = reference.binary.index(label)
        z[:, place] = 10 * mean[row, y] + torch.log1p(raw[row, y].exp()) * noise(40_000, seed=5 + label)
    z[:, 4] = noise(40_000, seed=9)
    outputs = model.conditional_prior.blocks[1].network(one_hot)  # type: ignore[operator]
    z[:, 2:4] = outputs[:2] + torch.log1p(outputs[2:].exp()) * noise(40_000, 2, seed=8)
    torch.testing.assert_close(found, model.decode(z).mean(0).flatten(), rtol=0, atol=0.015)
