"""CCVAE's objective is a bound whatever of two binary labels is observed: exact values by quadrature and enumeration."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from tests.pipeline.models.ccvae_reference import CCVAEReference, Exact, Values
from tests.pipeline.models.injected_draws import InjectedDraws
from tests.pipeline.models.labels_cases import BINARY, batch_with
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.tiny_models import IMAGES, tiny_ccvae

pytestmark = pytest.mark.usefixtures("float64")

PARTLY_OBSERVED: list[Values] = [(1, 0), (0, 0), (1, None), (None, 0), (None, None)]
TOLERANCE = 2e-3
"""Of the grids over two latents."""


def tiny(**options: Any) -> tuple[CCVAE, CCVAEReference]:
    settings: dict[str, Any] = {
        "label_marginal": "exact",
        "posterior_predictive": "quadrature",
        "weight_limit": None,
        **options,
    }
    model = tiny_ccvae(CCVAEConfig(hidden_width=8, **settings), BINARY)
    return model, CCVAEReference(model, BINARY, model.config)


def objective(model: CCVAE, image: Tensor, y: Values, rows: int) -> Tensor:
    """The objective of one image in many rows."""
    labels = torch.tensor([[value or 0 for value in y]]).expand(rows, -1)
    observed = torch.tensor([[value is not None for value in y]]).expand(rows, -1)
    labelled = rows if any(value is not None for value in y) else 0
    batch = batch_with(BINARY, observed, labelled, images=image.expand(rows, -1), labels=labels)
    return model(batch).objective


def expected(model: CCVAE, draws: InjectedDraws, image: Tensor, y: Values) -> float:
    """Expectation of the objective over ``z``, without sampling error."""
    noise, weights = gaussian_grid(2)
    draws.give(noise[None])
    return float((weights * objective(model, image, y, len(noise))).sum())


@pytest.mark.parametrize("y", PARTLY_OBSERVED, ids=str)
@torch.no_grad()
def test_objective_misses_the_exact_log_likelihood_by_its_divergence(y: Values, draws: InjectedDraws) -> None:
    model, reference = tiny()
    for image in IMAGES[:2]:
        exact = Exact(reference, image / 255, y)
        gap = exact.log_likelihood() - expected(model, draws, image, y)
        assert gap == pytest.approx(exact.gap(), abs=TOLERANCE)
        assert 0.1 < gap < 5


@pytest.mark.parametrize("y", PARTLY_OBSERVED, ids=str)
@torch.no_grad()
def test_jensens_objective_is_below_by_the_divergence_over_unobserved_labels_too(
    y: Values, draws: InjectedDraws
) -> None:
    model, reference = tiny(label_marginal="jensen_enumerated")
    exact = Exact(reference, IMAGES[0] / 255, y)
    gap = exact.log_likelihood() - expected(model, draws, IMAGES[0], y)
    assert gap == pytest.approx(exact.jensen_gap(), abs=TOLERANCE)
    if None in y:
        assert gap > exact.gap() + 0.01


@pytest.mark.parametrize("importance_samples", [1, 4])
@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated", "jensen_sampled"])
@pytest.mark.parametrize("predictive", ["quadrature", "monte_carlo", "monte_carlo_joint"])
@torch.no_grad()
def test_averages_over_torchs_own_draws_are_below_the_exact_log_likelihood(
    predictive: str, marginal: str, importance_samples: int
) -> None:
    model, reference = tiny(
        posterior_predictive=predictive,
        label_marginal=marginal,
        importance_samples=importance_samples,
        weight_gradient="none",
        predictive_samples=400,
    )
    torch.manual_seed(3)
    for y in PARTLY_OBSERVED[::2]:
        values = objective(model, IMAGES[0], y, 4000)
        exact = Exact(reference, IMAGES[0] / 255, y)
        error = float(values.std()) / len(values) ** 0.5
        assert error < 0.07
        assert float(values.mean()) + 4 * error < exact.log_likelihood()
        if importance_samples == 1:  # self-normalised weights are biased by about one over their number
            gap = exact.gap() if marginal == "exact" else exact.jensen_gap()
            assert exact.log_likelihood() - float(values.mean()) == pytest.approx(gap, abs=4 * error + 0.01)


@torch.no_grad()
def test_an_analytic_divergence_times_the_weight_is_another_number(draws: InjectedDraws) -> None:
    """The trap in public code: ``w`` and ``log p(z | y)`` both depend on ``z``; taken apart, they are not the bound."""
    model, reference = tiny()
    for image in IMAGES[:3]:
        exact = Exact(reference, image / 255, (1, 0))
        apart = exact.with_analytic_divergence()
        assert abs(apart - expected(model, draws, image, (1, 0))) > 20 * TOLERANCE


@torch.no_grad()
def test_divergences_averaged_over_sampled_labels_are_another_number(draws: InjectedDraws) -> None:
    """The same without labels: ``q(y | z_c)`` and ``log p(z_c | y)`` belong to one sample of ``z``."""
    model, reference = tiny(label_marginal="jensen_enumerated")
    for image in IMAGES[:3]:
        apart = Exact(reference, image / 255, (None, None)).with_averaged_divergence()
        assert abs(apart - expected(model, draws, image, (None, None))) > 20 * TOLERANCE


@torch.no_grad()
def test_the_probabilities_of_the_values_of_a_label_add_up(draws: InjectedDraws) -> None:
    """``p(y)`` is the frequency it is given as, used once: bounds of all values together stay below ``log p(x)``."""
    model, reference = tiny()
    bounds = [expected(model, draws, IMAGES[0], (a, b)) for a in (0, 1) for b in (0, 1)]
    exact = Exact(reference, IMAGES[0] / 255, (None, None)).log_likelihood()
    together = float(torch.tensor(bounds).logsumexp(0))
    assert exact - 1.5 < together < exact
