"""The sampled label of eq. 5: its expected gradient is that of enumeration, and not without the score term."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from pipeline.models.parts.label_estimators import label_marginal
from tests.pipeline.models.ccvae_cases import (
    PREDICTIVE_SAMPLES,
    build,
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
    repeated,
)

pytestmark = pytest.mark.usefixtures("float64")


def expected_sampled_gradient(draws: InjectedDraws, *, keep_score: bool) -> dict[str, Tensor]:
    """Exact expectation over the drawn classes of the gradient of ``jensen_sampled``, all nine pairs enumerated.

    With its own draw as baseline the score term vanishes.
    """
    model = build(label_marginal="jensen_sampled")
    reference = CCVAEReference(model, TINY, model.config)
    z_noise = noise(1, 5, 3, seed=1)
    total = torch.zeros(())
    for drawn in range(3):
        for baseline in range(3):
            draws.give(
                z_noise,
                torch.zeros(PREDICTIVE_SAMPLES, 0, 2),
                classes=(
                    torch.full((1, 5, 1), drawn),
                    torch.full((1, 5, 1), baseline if keep_score else drawn),
                ),
            )
            objective = model(batch_of(IMAGES, LABELS, 0)).objective
            for row in range(5):
                x = IMAGES[row] / 255
                mean, scale = reference.posterior(x)
                z = (mean + scale * z_noise[0, row]).detach()
                log_probability = reference.log_q_y(0, z, drawn) + reference.log_q_y(0, z, baseline)
                total = total + torch.exp(log_probability).detach() * objective[row]
    return gradients(total, model)


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
    """The trap in public code: only noise is left."""
    without = expected_sampled_gradient(draws, keep_score=False)
    assert part(without, "classifier").abs().max() < 1e-12
    assert part(without, "conditional_prior").norm() > 0.1


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


def test_the_baseline_takes_out_of_the_score_what_all_values_have_in_common() -> None:
    """The trap: brackets of many nats times the score, with no baseline, are noise that hides everything else."""
    log_q = torch.tensor([[0.2, 0.3, 0.5]]).log().expand(5000, 1, 3).clone().requires_grad_()
    spread = []
    for common in (0.0, -1000.0):
        torch.manual_seed(0)
        joint = torch.tensor([[-1.0, -2.0, -1.5]]) + common
        value = label_marginal("jensen_sampled", joint.expand(5000, 1, 3), log_q.log_softmax(-1))
        (gradient,) = torch.autograd.grad(value.sum(), log_q)
        spread.append(gradient.std(0))
    torch.testing.assert_close(spread[0], spread[1])
    assert spread[0].max() < 2
