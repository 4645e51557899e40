"""Rb-VAE, sRb-VAE and sVAE: objectives and gradients of all players against the formulas, bounds against the likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.models.rb_vae import RbVAE, RbVAEConfig
from pipeline.models.srb_vae import SRbVAE, SRbVAEConfig
from pipeline.models.svae import SVAE, SVAEConfig
from tests.pipeline.models.csvae_reference import kl_from_standard
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.rb_vae_reference import Draws, RbVAEReference, SVAEReference
from tests.pipeline.models.reference_densities import log_normal
from tests.pipeline.models.tiny_models import (
    IMAGES,
    LABELS,
    TINY,
    assert_players,
    assert_written_out,
    batch_of,
    randomise,
)

REFERENCES = 2
"""The first of the five images."""
SETTINGS: dict[str, Any] = {"network": "mlp", "latent_size": 3, "hidden_width": 8, "likelihood_scale": 0.3}
OF_TARGETS: dict[str, Any] = {"target_size": 2}
OF_SYMMETRIC: dict[str, Any] = {
    "adversary_width": 6,
    "reconstruction_weight": 0.7,
    "latent_reconstruction_weight": 1.3,
}
X = IMAGES.double() / 255
KEPT = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 1], [1, 1, 1]])
"""Of each image of the data; the generated ones have the same in reverse order of the rows."""


def tiny(config: Any) -> Any:
    model = config.build(TINY)
    randomise(model)
    return model


def batch(references: int = REFERENCES) -> Batch:
    return replace(batch_of(IMAGES, LABELS, 0), references=references)


def draws_of(row: int, references: int, *, drops: bool = False) -> Draws:
    """What ``give`` has torch draw."""
    shown = row - references
    kept = KEPT, KEPT.flip(0)
    return Draws(
        z=noise(5, 3, seed=1)[row],
        e=None if shown < 0 else noise(5 - references, 2, seed=2)[shown],
        drawn_z=noise(5, 3, seed=3)[row],
        drawn_e=None if shown < 0 else noise(5 - references, 2, seed=4)[shown],
        kept=tuple(each[row].double().tolist() if drops else [1.0] * 3 for each in kept),  # type: ignore[arg-type]
    )


def dropping(monkeypatch: pytest.MonkeyPatch, references: int) -> None:
    """Inputs are dropped as ``KEPT`` says: of unlabelled images first, as their discriminator is."""
    of_data, of_generated = KEPT.double(), KEPT.double().flip(0)
    given = [of_data[references:], of_generated[references:], of_data[:references], of_generated[:references]]

    def rand(rows: int, inputs: int, **_: Any) -> Tensor:
        one = given.pop(0)
        assert len(one) == rows
        return one[:, :inputs]

    monkeypatch.setattr(torch, "rand", rand)


@pytest.mark.parametrize("references", [REFERENCES, 0])
@pytest.mark.usefixtures("float64")
def test_rb_vaes_objective_and_gradient_are_those_written_out(references: int, draws: InjectedDraws) -> None:
    model = tiny(RbVAEConfig(**SETTINGS, **OF_TARGETS))
    draws.give(noise(5, 3, seed=1), noise(5 - references, 2, seed=2))
    losses = model(batch(references))
    reference = RbVAEReference(model, RbVAEConfig(**SETTINGS, **OF_TARGETS))
    expected = torch.stack([reference.bound(x, draws_of(row, references)) for row, x in enumerate(X)])
    found = assert_written_out(model, losses.objective, expected, every_parameter=False)
    for name, gradient in found.items():
        assert gradient.any() == (references > 0 or name != "reference_target"), name


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.usefixtures("float64")
def test_srb_vaes_players_have_the_objectives_and_gradients_written_out(
    dropout: float, draws: InjectedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SRbVAEConfig(**SETTINGS, **OF_TARGETS, **OF_SYMMETRIC, discriminator_dropout=dropout)
    model = tiny(config)
    assert isinstance(model, SRbVAE)
    rest = 5 - REFERENCES
    draws.give(noise(5, 3, seed=1), noise(rest, 2, seed=2), noise(5, 3, seed=3), noise(rest, 2, seed=4))
    dropping(monkeypatch, REFERENCES)
    losses = model(batch())
    reference = RbVAEReference(model, config)
    rows = [draws_of(row, REFERENCES, drops=dropout > 0) for row in range(5)]
    both = [reference.symmetric(x, of_row, 0.7, 1.3) for x, of_row in zip(X, rows, strict=True)]
    of_model, of_discriminator = (torch.stack(each) for each in zip(*both, strict=True))
    is_reference = torch.arange(5) < REFERENCES
    expected = {
        "reference_discriminator": of_discriminator * is_reference,
        "unlabelled_discriminator": of_discriminator * ~is_reference,
    }
    assert_players(model, losses, of_model, expected)
    bound = torch.stack([reference.bound(x, of_row) for x, of_row in zip(X, rows, strict=True)])
    torch.testing.assert_close(losses.bound, bound)


@pytest.mark.usefixtures("float64")
def test_svaes_players_have_the_objectives_and_gradients_written_out(
    draws: InjectedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SVAEConfig(**SETTINGS, **OF_SYMMETRIC)
    model = tiny(config)
    assert isinstance(model, SVAE)
    draws.give(noise(5, 3, seed=1), noise(5, 3, seed=3))
    dropping(monkeypatch, 0)
    losses = model(batch(0))
    reference = SVAEReference(model, config)
    both = [reference.symmetric(x, draws_of(row, 0, drops=True), 0.7, 1.3) for row, x in enumerate(X)]
    of_model, of_discriminator = (torch.stack(each) for each in zip(*both, strict=True))
    q = reference.q_z(X)
    z = q.mean + q.stddev * noise(5, 3, seed=1)
    torch.testing.assert_close(losses.bound, reference.log_p_x(X, z, z) - kl_from_standard(q))
    assert_players(model, losses, of_model, {"discriminator": of_discriminator})


@pytest.mark.parametrize("is_reference", [True, False])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_bound_is_below_the_likelihood_by_the_divergence_of_the_posterior(
    is_reference: bool, draws: InjectedDraws
) -> None:
    """Of ``log p(x | y)``, for Rb-VAE and, with the same weights, for sRb-VAE."""
    settings = SETTINGS | {"latent_size": 1, "target_size": 1, "likelihood_scale": 1.0}
    config = RbVAEConfig(**settings)
    model = tiny(config)
    assert isinstance(model, RbVAE)
    model.reference_target.add_(0.8)
    other = SRbVAEConfig(**settings).build(TINY)
    other.load_state_dict(model.state_dict(), strict=False)
    reference = RbVAEReference(model, config)
    nodes, log_cell = grid(1 if is_reference else 2, radius=9.0, points=4001 if is_reference else 241)
    standard, weights = gaussian_grid(1 if is_reference else 2)
    for image in IMAGES[:2]:
        x = image / 255
        z, q = nodes[:, :1], reference.q_z(x)
        e = reference.e_r.expand(len(nodes), -1) if is_reference else nodes[:, 1:]
        log_joint = reference.log_p_x(x, z, e) + log_normal(nodes, 0.0, 1.0).sum(-1)
        log_q = q.log_prob(z)[:, 0]
        if not is_reference:
            log_q = log_q + reference.q_e(x).log_prob(e)[:, 0]
        log_evidence = (log_joint + log_cell).logsumexp(0)
        divergence = ((log_q + log_cell).exp() * (log_q - log_joint + log_evidence)).sum()
        rows = len(standard)
        many = replace(
            batch_of(image.expand(rows, -1), torch.zeros(rows), 0), references=rows if is_reference else 0
        )
        e_noise = standard[:0] if is_reference else standard[:, 1:]
        for each in (model, other):
            draws.give(standard[:, :1], e_noise[:, :1])
            if each is other:
                draws._noise += [noise(rows, 1, seed=5), noise(len(e_noise), 1, seed=6)]
            bound = (weights * each.log_likelihood_bound(many)).sum()
            assert float(log_evidence - bound) == pytest.approx(float(divergence), rel=2e-3, abs=2e-3)
        assert divergence > 0.02
        if is_reference:
            assert float(kl_from_standard(q)) > 0.01


def test_images_count_by_the_mean_over_their_values_unless_a_weight_is_given() -> None:
    divergence, log_likelihood, latent = torch.tensor([3.0]), torch.tensor([-960.0]), torch.tensor([-5.0])
    given = SVAEConfig(reconstruction_weight=0.5, latent_reconstruction_weight=2.0)
    assert float(given.objective(768, divergence, log_likelihood, latent)) == -480 - 10 - 3
    for values, mean in ((768, -1.25), (2 * 768, -0.625)):
        objective = SRbVAEConfig().objective(values, divergence, log_likelihood, latent)
        assert float(objective) == 8 * mean - 5 - 3


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (lambda: RbVAEConfig(target_size=0), "rb_vae: target_size is 0; it must be at least 1"),
        (lambda: SRbVAEConfig(latent_size=0), "srb_vae: latent_size is 0; it must be at least 1"),
        (
            lambda: SVAEConfig(discriminator_dropout=1.0),
            "svae: discriminator_dropout is 1.0; it is a probability below 1",
        ),
        (
            lambda: SRbVAEConfig(reconstruction_weight=-1.0),
            "srb_vae: reconstruction_weight is -1.0; it must not be negative",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(config: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        config()
