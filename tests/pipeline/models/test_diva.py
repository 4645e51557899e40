"""DIVA without domains: its objective against the formula, its bound against the exact likelihood, and its two slips."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.models.diva import DivaConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.label_estimators import LabelMarginal
from tests.pipeline.models.ccvae_reference import Values
from tests.pipeline.models.diva_cases import (
    PARTLY_OBSERVED,
    TOLERANCE,
    DivaReference,
    expected_objective,
    give_draws,
    likelihood_and_gap,
    tiny,
    written_out,
)
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import BINARY, LABELS, MIXED, OBSERVED, batch_with, columns_of
from tests.pipeline.models.reference_densities import log_normal
from tests.pipeline.models.tiny_models import IMAGES, TINY, assert_written_out, batch_of, gradients, part
from tests.pipeline.models.tiny_models import LABELS as CLASSES

DATA = [pytest.param(BINARY, id="binary"), pytest.param(MIXED, id="mixed")]
MARGINALS: list[LabelMarginal] = ["exact", "jensen_enumerated", "jensen_sampled"]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("marginal", MARGINALS)
@pytest.mark.parametrize(("beta", "alpha"), [(1.0, 0.0), (0.3, 50.0), (0.0, 1.0)])
@pytest.mark.usefixtures("float64")
def test_objective_and_gradient_are_those_written_out(
    beta: float, alpha: float, marginal: LabelMarginal, data: DataSpec, draws: InjectedDraws
) -> None:
    model = tiny(data, kl_weight=beta, classifier_weight=alpha, label_marginal=marginal)
    observed = OBSERVED[:, columns_of(data)]
    given = give_draws(model, draws)
    found = model(batch_with(data, observed, 3)).objective
    alphas = [alpha] * len(data.cardinalities)
    expected = written_out(DivaReference(model, data), data, given, observed, beta=beta, alphas=alphas)
    found_gradient = assert_written_out(model, found, expected, every_parameter=False)
    assert (part(found_gradient, "conditional_prior").norm() > 0) == (beta > 0)


@pytest.mark.parametrize("labelled", [0, 3, 5])
@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated"])
@pytest.mark.usefixtures("float64")
def test_with_one_class_label_it_is_the_same_formula(
    marginal: LabelMarginal, labelled: int, draws: InjectedDraws
) -> None:
    """One label: a labelled row pays for no marginal, an unlabelled one for no label."""
    model = tiny(TINY, label_marginal=marginal, kl_weight=0.7, classifier_weight=3.0)
    reference = DivaReference(model, TINY)
    z_noise, *_ = give_draws(model, draws)
    found = model(batch_of(IMAGES, CLASSES, labelled)).objective
    for row in range(5):
        y: Values = [int(CLASSES[row]) if row < labelled else None]
        expected = reference.objective(
            IMAGES[row] / 255, y, z_noise[row], beta=0.7, alphas=[3.0], drawn=[0], baseline=[0]
        )
        torch.testing.assert_close(found[row], expected)


# bounds


@pytest.mark.parametrize("y", PARTLY_OBSERVED, ids=str)
@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated"])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_as_a_bound_it_misses_the_exact_log_likelihood_by_its_divergence(
    marginal: LabelMarginal, y: Values, draws: InjectedDraws
) -> None:
    model = tiny(BINARY, style_size=0, classifier_weight=0.0, label_marginal=marginal)
    reference = DivaReference(model, BINARY)
    for image in IMAGES[:2]:
        log_likelihood, gap = likelihood_and_gap(reference, image, y)
        bound = expected_objective(model, draws, image, y)
        assert log_likelihood - bound == pytest.approx(gap, abs=TOLERANCE)
        assert 0.05 < gap < 5


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_unlabelled_divergence_is_that_from_the_sum_over_all_values_of_all_labels() -> None:
    """``log p(z_c)`` by 12 terms, and the paper's bound of it with ``y ~ q(y | z_c)``: both factorise over labels."""
    model = tiny(MIXED)
    reference = DivaReference(model, MIXED)
    z = noise(5, 4, seed=3)
    mean, scale = (of[:, :4] for of in model.posterior(IMAGES / 255))
    log_posterior = log_normal(z, mean, scale).sum(-1)
    joint, imputed = [], torch.zeros(5)
    for y in product(range(2), range(3), range(2)):
        log_q, log_p = torch.zeros(5), torch.zeros(5)
        for i in reference.labels:
            log_q = log_q + reference.log_q_y(i, z, y[i])
            log_p = log_p + reference.log_p_z(i, z, y[i]) + reference.log_p_y(i, y[i])
        joint.append(log_p)
        imputed = imputed + log_q.exp() * (log_p - log_q)
    log_marginal = torch.stack(joint).logsumexp(0)
    found = []
    for marginal in MARGINALS[:2]:
        model.label_marginal = marginal
        found.append(model.kl_from_marginal(z, mean, scale).sum(-1))
    torch.testing.assert_close(found, [log_posterior - log_marginal, log_posterior - imputed])
    assert (imputed < log_marginal).all()


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_sampled_labels_have_the_enumerated_expectation() -> None:
    model = tiny(TINY, style_size=0, label_marginal="jensen_sampled")
    z = noise(1, 2, seed=3)
    mean, scale = model.posterior(IMAGES[:1] / 255)
    torch.manual_seed(0)
    rows = [of.expand(100_000, -1) for of in (z, mean, scale)]
    sampled = model.kl_from_marginal(*rows)
    model.label_marginal = "jensen_enumerated"
    assert float(sampled.mean()) == pytest.approx(float(model.kl_from_marginal(z, mean, scale)), abs=0.01)
    assert sampled.std() > 0.05


# the classifier's term


@pytest.mark.usefixtures("float64")
def test_the_classifiers_term_counts_for_observed_labels_and_for_nothing_else(draws: InjectedDraws) -> None:
    found = []
    for alpha in (0.0, 50.0):
        model = tiny(MIXED, classifier_weight=alpha)
        z_noise, *_ = give_draws(model, draws)
        found.append(model(batch_with(MIXED, OBSERVED, 3)).objective)
    reference = DivaReference(model, MIXED)
    for row in range(5):
        mean, scale = reference.posterior(IMAGES[row] / 255)
        z = mean + scale * z_noise[row]
        known = [i for i in reference.labels if OBSERVED[row, i]]
        expected = sum((reference.log_q_y(i, z, int(LABELS[row, i])) for i in known), torch.zeros(()))
        torch.testing.assert_close(found[1][row] - found[0][row], 50 * expected)
        assert (expected == 0) == (row >= 3)


@pytest.mark.parametrize("labelled", [0, 5])
def test_imputed_labels_train_the_classifier_and_the_exact_marginal_does_not(labelled: int) -> None:
    for marginal in ("exact", "jensen_enumerated"):
        model = tiny(MIXED, label_marginal=marginal)
        observed = torch.full((5, 3), bool(labelled))
        torch.manual_seed(0)
        gradient = gradients(model(batch_with(MIXED, observed, labelled)).objective.sum(), model)
        trained = bool(part(gradient, "classifier").norm() > 0)
        assert trained == (labelled > 0 or marginal == "jensen_enumerated")


# rows


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_rows_without_an_observed_label_are_the_same_wherever_they_are_counted(draws: InjectedDraws) -> None:
    found = []
    for labelled in (0, 5):
        model = tiny(MIXED)
        give_draws(model, draws)
        found.append(model(batch_with(MIXED, torch.zeros(5, 3, dtype=torch.bool), labelled)).objective)
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


# settings


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kl_weight": -1.0}, "diva: kl_weight is -1.0; it must not be negative"),
        ({"classifier_weight": -1.0}, "diva: classifier_weight is -1.0; it must not be negative"),
        (
            {"label_marginal": "jensen"},
            "diva: label_marginal is 'jensen'; it must be exact, jensen_enumerated or jensen_sampled",
        ),
        ({"style_size": -1}, "diva: style_size is -1; it must not be negative"),
    ],
)
@pytest.mark.usefixtures("no_type_checks")
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        DivaConfig(**options)
