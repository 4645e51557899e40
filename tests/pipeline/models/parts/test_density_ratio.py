"""A discriminator's ``d`` is the log-density ratio of two known distributions, in size and sign."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from pipeline.models.parts.density_ratio import DensityRatio


def discriminator(dropout: float = 0.0) -> DensityRatio:
    torch.manual_seed(0)
    return DensityRatio(nn.Linear(1, 16), (1,), 16, dropout)


def sample(rows: int, centre: float, correlation: float) -> tuple[Tensor, list[Tensor]]:
    """An "image" of one pixel and a code of one number, both with unit variance."""
    x, code = torch.randn(2, rows, 1)
    return centre + x, [centre + correlation * x + (1 - correlation**2) ** 0.5 * code]


def log_density(x: Tensor, code: Tensor, centre: float, correlation: float) -> Tensor:
    given_x = Normal(centre + correlation * (x - centre), (1 - correlation**2) ** 0.5)
    return (Normal(centre, 1.0).log_prob(x) + given_x.log_prob(code)).squeeze(-1)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_the_discriminator_learns_the_log_density_ratio_of_two_gaussians(dropout: float) -> None:
    """They differ in their centre and in how image and code belong together; dropout leaves room for error."""
    of_q, of_p = (0.4, 0.6), (-0.4, 0.0)
    model = discriminator(dropout)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
    for step in range(400):
        if step == 300:
            optimiser.param_groups[0]["lr"] = 2e-3
        comparison = model.compare(sample(512, *of_q), sample(512, *of_p))
        optimiser.zero_grad()
        (-comparison.objective.mean()).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        q, p = sample(4000, *of_q), sample(4000, *of_p)
        x, code = torch.cat([q[0], p[0]]), torch.cat([q[1][0], p[1][0]])
        found = model(x, [code])
        expected = log_density(x, code, *of_q) - log_density(x, code, *of_p)
        compared = model.compare(q, p)
    assert expected.std() > 1  # there is something to be found
    assert (found - expected).abs().mean() < (0.15 if dropout == 0 else 0.3)
    assert torch.corrcoef(torch.stack([found, expected]))[0, 1] > 0.97
    # So the divergence is the symmetric Kullback-Leibler divergence, which is not negative.
    symmetric = expected[:4000].mean() - expected[4000:].mean()
    torch.testing.assert_close(compared.divergence.mean(), symmetric, rtol=0.25, atol=0)
    assert float(compared.accuracy.mean()) > 0.7


def test_each_player_gets_its_own_gradient_alone() -> None:
    model = discriminator(0.25)
    q, p = sample(8, 0.4, 0.6), sample(8, -0.4, 0.0)
    inputs = [q[0], *q[1], p[0], *p[1]]
    for tensor in inputs:
        tensor.requires_grad_()
    comparison = model.compare((inputs[0], inputs[1:2]), (inputs[2], inputs[3:]))
    parameters = list(model.parameters())
    for value, own, others in (
        (comparison.divergence, inputs, parameters),
        (comparison.objective, parameters, inputs),
    ):
        found = torch.autograd.grad(value.sum(), own + others, retain_graph=True, allow_unused=True)
        assert all(gradient is not None and gradient.any() for gradient in found[: len(own)])
        assert all(gradient is None for gradient in found[len(own) :])


def test_inputs_are_dropped_as_a_whole_and_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = discriminator(0.25)
    x, code = torch.randn(2, 3, 1)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([[0.2, 0.9], [0.9, 0.2], [0.3, 0.3]]))
    comparison = model.compare((x, [code]), (x, [code]))
    kept = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert torch.equal(comparison.divergence, torch.zeros(3))
    torch.testing.assert_close(model._kept(x), kept)
    without_image, without_code, whole = model(x, [code], kept)
    assert whole == model(x, [code])[2]
    assert without_image == model(torch.zeros_like(x), [code], kept)[0]
    assert without_code == model(x, [torch.zeros_like(code)], kept)[1]
    model.eval()
    assert model._kept(x) is None
