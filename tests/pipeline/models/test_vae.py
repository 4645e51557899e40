"""The plain VAE: its weighted objective, and its bound against the exact likelihood."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.parts.densities import gaussian_pixel_log_density
from pipeline.models.vae import VAE, VAEConfig
from tests.pipeline.models.csvae_reference import AttributeReference, kl_from_standard
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.reference_densities import log_normal, network
from tests.pipeline.models.tiny_models import (
    IMAGES,
    LABELS,
    TINY,
    assert_written_out,
    batch_of,
    randomise,
    repeated,
)


def tiny(**options: Any) -> VAE:
    settings: dict[str, Any] = {"latent_size": 2, "hidden_width": 8} | options
    model = VAEConfig(**settings).build(TINY)
    randomise(model)
    return model


@pytest.mark.usefixtures("float64")
def test_objective_and_gradient_are_those_written_out(draws: InjectedDraws) -> None:
    model = tiny(reconstruction_weight=3.0, kl_weight=0.4, likelihood="gaussian", likelihood_scale=0.2)
    z_noise = noise(5, 2, seed=1)
    draws.give(z_noise)
    losses = model(batch_of(IMAGES, LABELS, 3))
    weights: dict[str, Tensor] = dict(model.named_parameters())
    x = IMAGES / 255
    q = AttributeReference.gaussian(network(weights, "encoder", x))
    mean = torch.sigmoid(network(weights, "decoder", q.mean + q.stddev * z_noise))
    log_likelihood, kl = log_normal(x, mean, 0.2).sum(-1), kl_from_standard(q)
    expected = 3 * log_likelihood - 0.4 * kl
    assert_written_out(model, losses.objective, expected)
    assert float(losses.terms["elbo"][0]) == pytest.approx(
        float((log_likelihood - kl).detach().sum()), rel=1e-6
    )


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_bound_is_below_the_likelihood_by_the_divergence_of_the_posterior(draws: InjectedDraws) -> None:
    model = tiny()
    weights: dict[str, Tensor] = dict(model.named_parameters())
    z, log_cell = grid(2, radius=9.0, points=161)
    standard, node_weights = gaussian_grid(2)
    for image in IMAGES[:3]:
        x = image / 255
        logits = network(weights, "decoder", z)
        log_joint = (x * logits - logits.exp().log1p()).sum(-1) + log_normal(z, 0.0, 1.0).sum(-1)
        log_evidence = (log_joint + log_cell).logsumexp(0)
        log_q = AttributeReference.gaussian(network(weights, "encoder", x)).log_prob(z).sum(-1)
        divergence = ((log_q + log_cell).exp() * (log_q - log_joint + log_evidence)).sum()
        draws.give(standard)
        bound = (node_weights * model(repeated(image, len(standard))).objective).sum()
        assert float(log_evidence - bound) == pytest.approx(float(divergence), abs=2e-3)
        assert divergence > 0.05


@pytest.mark.usefixtures("float64")
def test_gaussian_pixels_are_torchs_around_the_sigmoid() -> None:
    logits, pixels = noise(3, 2, 5, seed=0), noise(2, 5, seed=1).sigmoid()
    for scale in (1.0, 0.03):
        expected = torch.distributions.Normal(logits.sigmoid(), scale).log_prob(pixels).sum(-1)
        torch.testing.assert_close(gaussian_pixel_log_density(pixels, logits, scale), expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"latent_size": 0}, "vae: latent_size is 0; it must be at least 1"),
        ({"kl_weight": -1.0}, "vae: kl_weight is -1.0; it must not be negative"),
        ({"likelihood_scale": -1.0}, "vae: likelihood_scale is -1.0; it must be above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        VAEConfig(**options)
