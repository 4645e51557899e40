"""VAEs with a regulariser of their latents: objectives written out, estimates against enumeration, bounds."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.beta_tcvae import BetaTCVAEConfig, total_correlation
from pipeline.models.beta_vae import BetaVAEConfig
from pipeline.models.dip_vae import DipVAEIConfig, DipVAEIIConfig
from pipeline.models.parts.regularised_vae import RegularisedVAE
from pipeline.models.vae import VAEConfig
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.quadrature import grid
from tests.pipeline.models.reference_densities import gaussian, log_bernoulli, log_normal, network
from tests.pipeline.models.tiny_models import (
    IMAGES,
    LABELS,
    TINY,
    assert_written_out,
    batch_of,
    gradients,
    randomise,
)

pytestmark = pytest.mark.usefixtures("float64")

SIZES: dict[str, Any] = {"latent_size": 2, "hidden_width": 8}
SYSTEMS: dict[str, Any] = {
    "beta_vae": BetaVAEConfig(beta=3.0, **SIZES),
    "beta_tcvae": BetaTCVAEConfig(beta=3.0, **SIZES),
    "dip_vae_i": DipVAEIConfig(covariance_weight=2.0, variance_factor=5.0, **SIZES),
    "dip_vae_ii": DipVAEIIConfig(covariance_weight=2.0, variance_factor=5.0, **SIZES),
}
PLAIN: dict[str, Any] = {
    "beta_vae": BetaVAEConfig(beta=1.0, **SIZES),
    "beta_tcvae": BetaTCVAEConfig(beta=1.0, **SIZES),
    "dip_vae_i": DipVAEIConfig(covariance_weight=0.0, **SIZES),
    "dip_vae_ii": DipVAEIIConfig(covariance_weight=0.0, **SIZES),
}
"""At these strengths each is a plain VAE."""
BATCH = batch_of(IMAGES, LABELS, 0)
ROWS = len(IMAGES)
every_system = pytest.mark.parametrize("system", SYSTEMS)


def tiny(config: Any, training_rows: int = 50) -> Any:
    """With posteriors far enough apart for latents that depend on each other."""
    model = config.build(replace(TINY, training_rows=training_rows))
    randomise(model)
    with torch.no_grad():
        model.encoder[-1].weight[:2] *= 4
    return model


def written_out(system: str, mean: Tensor, scale: Tensor, z: Tensor, training_rows: int) -> list[Tensor]:
    """The regulariser of each image, number by number."""
    images, latents = range(len(mean)), range(mean.shape[1])
    if system == "beta_vae":
        kl = (mean**2 + scale**2 - 1) / 2 - torch.log(scale)
        return [2 * sum(kl[n, d] for d in latents) for n in images]  # type: ignore[misc]
    if system == "beta_tcvae":
        found = []
        for n in images:
            each = [
                [torch.exp(log_normal(z[n, d], mean[m, d], scale[m, d])) for d in latents] for m in images
            ]
            joint = aggregate([torch.stack(one).prod() for one in each], n, training_rows)
            single = [aggregate([one[d] for one in each], n, training_rows) for d in latents]
            found.append(2 * (torch.log(joint) - sum(torch.log(one) for one in single)))
        return found
    penalty: Any = 0.0
    for i, j in itertools.product(latents, latents):
        centre = [sum(mean[n, d] for n in images) / len(mean) for d in (i, j)]
        covariance = sum((mean[n, i] - centre[0]) * (mean[n, j] - centre[1]) for n in images) / len(mean)
        if i == j and system == "dip_vae_ii":
            covariance = covariance + sum(scale[n, i] ** 2 for n in images) / len(mean)
        penalty = penalty + (10 * (covariance - 1) ** 2 if i == j else 2 * covariance**2)
    return [penalty] * len(mean)


def aggregate(densities: list[Tensor], own: int, training_rows: int) -> Tensor:
    """The estimate of ``q(z)`` in appendix C.2 of Chen et al., averaged over which of the other images is its last."""
    others = [m for m in range(len(densities)) if m != own]
    n, m = training_rows, len(others)
    estimates = []
    for last in others:
        rest = sum(densities[other] for other in others if other != last)
        estimates.append(densities[own] / n + rest / m + (n - m) / (n * m) * densities[last])
    return torch.stack(estimates).mean()


@every_system
def test_objective_and_gradient_are_those_written_out(system: str, draws: InjectedDraws) -> None:
    model = tiny(SYSTEMS[system])
    z_noise = noise(ROWS, 2, seed=1)
    draws.give(z_noise)
    losses = model(BATCH)
    weights: dict[str, Tensor] = dict(model.named_parameters())
    mean, scale = gaussian(network(weights, "encoder", IMAGES / 255))
    z = mean + scale * z_noise
    elbo = log_bernoulli(IMAGES / 255, network(weights, "decoder", z)) - (
        (mean**2 + scale**2 - 1) / 2 - torch.log(scale)
    ).sum(-1)
    regulariser = torch.stack(written_out(system, mean, scale, z, training_rows=50))
    assert_written_out(model, losses.objective, elbo - regulariser)
    assert regulariser.abs().min() > 0.01
    torch.testing.assert_close(losses.bound, elbo)
    assert float(losses.terms["regulariser"][0]) == pytest.approx(float(regulariser.detach().sum()), rel=1e-6)


@every_system
def test_without_strength_it_is_the_plain_vae_bit_for_bit(system: str, draws: InjectedDraws) -> None:
    found = []
    for config in (VAEConfig(**SIZES), PLAIN[system]):
        model = tiny(config)
        draws.give(noise(ROWS, 2, seed=1))
        objective = model(BATCH).objective
        found.append([objective, *gradients(objective.sum(), model).values()])
    for vaes, own in zip(*found, strict=True):
        assert torch.equal(vaes, own)


def posteriors(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Means, standard deviations and samples of two latents of each training image."""
    mean, scale = noise(rows, 2, seed=1), noise(rows, 2, seed=2).exp()
    return mean, scale, mean + scale * noise(rows, 2, seed=3)


def densities_of_all(z: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """``q(z)`` at one sample and ``q(z_d)`` of each of its latents, by enumeration of all training images."""
    each = log_normal(z, mean, scale).exp()
    return each.prod(1).mean(), each.mean(0)


def test_the_total_correlation_is_exact_if_the_batch_is_the_data_set() -> None:
    mean, scale, z = posteriors(6)
    found = total_correlation(z, mean, scale, first=0, training_rows=6)
    joint, single = zip(*[densities_of_all(one, mean, scale) for one in z], strict=True)
    torch.testing.assert_close(found, torch.stack(joint).log() - torch.stack(single).log().sum(1))


def test_estimates_of_densities_are_right_on_average_over_all_batches() -> None:
    """At a sample of an image, over all batches with that image: what stratified sampling is for."""
    rows, size, own = 6, 3, 4
    mean, scale, z = posteriors(rows)
    joint, single = densities_of_all(z[own], mean, scale)
    batches = [batch for batch in itertools.combinations(range(rows), size) if own in batch]
    found = []
    for batch in batches:
        others = [own, *(row for row in batch if row != own)]
        each = [torch.exp(log_normal(z[own], mean[row], scale[row])) for row in others]
        estimate = aggregate([one.prod() for one in each], 0, rows)
        estimates = [aggregate([one[d] for one in each], 0, rows) for d in range(2)]
        correlation = total_correlation(
            z[own][None], mean[list(batch)], scale[list(batch)], batch.index(own), rows
        )
        expected = estimate.log() - torch.stack(estimates).log().sum()
        torch.testing.assert_close(correlation, expected[None])
        found.append(torch.stack([estimate, *estimates]))
    assert len(batches) == 10
    torch.testing.assert_close(torch.stack(found).mean(0), torch.stack([joint, *single]))


def test_the_first_own_row_of_a_full_batch_is_the_samples_own() -> None:
    """Shares of a batch, one after the other, are the batch: its rows may be in any order."""
    mean, scale, z = posteriors(6)
    whole = total_correlation(z, mean, scale, first=0, training_rows=40)
    shares = [
        total_correlation(z[start:stop], mean, scale, first=start, training_rows=40)
        for start, stop in ((0, 3), (3, 4), (4, 6))
    ]
    torch.testing.assert_close(torch.cat(shares), whole)
    order = [3, 0, 5, 1, 4, 2]
    torch.testing.assert_close(total_correlation(z[order], mean[order], scale[order], 0, 40), whole[order])


@every_system
@torch.no_grad()
def test_the_objective_is_a_bound_below_that_of_the_vae(system: str, draws: InjectedDraws) -> None:
    """On average over a data set that is one batch; the exact likelihood is by quadrature."""
    model: RegularisedVAE = tiny(SYSTEMS[system], training_rows=ROWS)
    z, log_cell = grid(2, radius=9.0, points=161)
    logits = network(dict(model.named_parameters()), "decoder", z)
    evidence = torch.stack(
        [
            (log_bernoulli(x, logits) + log_normal(z, 0.0, 1.0).sum(-1) + log_cell).logsumexp(0)
            for x in IMAGES / 255
        ]
    ).mean()
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(12)
    objective = bound = torch.zeros(())
    for one, other in itertools.product(range(12), repeat=2):
        draws.give(torch.tensor([[nodes[one], nodes[other]]]).expand(ROWS, -1))
        losses = model(BATCH)
        weight = node_weights[one] * node_weights[other] / (2 * math.pi)
        objective = objective + weight * losses.objective.mean()
        bound = bound + weight * losses.bound.mean()
    assert objective + 0.01 < bound < evidence - 0.05


@every_system
@torch.no_grad()
def test_one_image_alone_has_a_finite_objective_and_no_total_correlation(system: str) -> None:
    """As the last of a split that is measured."""
    losses = tiny(SYSTEMS[system])(batch_of(IMAGES[:1], LABELS[:1], 0))
    assert losses.objective.isfinite().all()
    if system == "beta_tcvae":
        torch.testing.assert_close(losses.objective, losses.bound)


@pytest.mark.parametrize(
    ("config", "options", "sentence"),
    [
        (BetaVAEConfig, {"beta": -1.0}, "beta_vae: beta is -1.0; it must not be negative"),
        (BetaVAEConfig, {"latent_size": 0}, "beta_vae: latent_size is 0; it must be at least 1"),
        (BetaTCVAEConfig, {"beta": -1.0}, "beta_tcvae: beta is -1.0; it must not be negative"),
        (
            DipVAEIConfig,
            {"covariance_weight": -1.0},
            "dip_vae_i: covariance_weight is -1.0; it must not be negative",
        ),
        (
            DipVAEIIConfig,
            {"variance_factor": -1.0},
            "dip_vae_ii: variance_factor is -1.0; it must not be negative",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(config: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        config(**options)


def test_beta_tcvae_takes_no_number_of_rows_for_granted() -> None:
    for rows in (None, 1):
        with pytest.raises(ConfigError, match="needs the number of training rows, at least 2; it is"):
            BetaTCVAEConfig().build(replace(TINY, training_rows=rows))
