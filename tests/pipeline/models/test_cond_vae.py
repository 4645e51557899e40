"""CondVAE and CondVAE-info: objectives and gradients against the formulas, the bound against the exact likelihood."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.capabilities import KnownLabels
from pipeline.models.cond_vae import CondVAE, CondVAEConfig, CondVAEInfo, CondVAEInfoConfig
from pipeline.models.interface import DataSpec
from tests.pipeline.models.csvae_reference import CondVAEReference
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
from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.tiny_models import IMAGES, assert_players, randomise

IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)
SYSTEMS = ["cond_vae", "cond_vae_info"]


def tiny(system: str, data: DataSpec = MIXED, **options: Any) -> CondVAE | CondVAEInfo:
    settings: dict[str, Any] = {"latent_size": 2, "hidden_width": 8, "hidden_labels": 0.0}
    settings |= {"likelihood_scale": 0.5} | options
    if system == "cond_vae":
        model: CondVAE | CondVAEInfo = CondVAEConfig(**settings).build(data)
    else:
        model = CondVAEInfoConfig(adversary_width=6, **settings).build(data)
    randomise(model)
    return model


@pytest.mark.parametrize("data", [pytest.param(BINARY, id="binary"), pytest.param(MIXED, id="mixed")])
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
def test_objectives_and_gradients_are_those_written_out(
    system: str, data: DataSpec, draws: InjectedDraws
) -> None:
    options = {"reconstruction_weight": 3.0, "kl_weight": 0.4}
    options |= {"information_weight": 2.5} if system == "cond_vae_info" else {}
    model = tiny(system, data, **options)
    observed, z_noise = OBSERVED[:, columns_of(data)], noise(5, 2, seed=1)
    draws.give(z_noise)
    losses = model(batch_with(data, observed, 3))
    reference = CondVAEReference(model, data, model.config)
    rows = zip(IMAGES / 255, known_values(data, observed), z_noise, strict=True)
    both = [reference.objectives(x, values, values, own) for x, values, own in rows]
    gains = [gain for _, gain in both if gain is not None]
    of_adversary = {"adversary": torch.stack(gains)} if gains else {}
    assert_players(model, losses, torch.stack([value for value, _ in both]), of_adversary)


@pytest.mark.parametrize("values", [(1, 0), (0, None), (None, None)])
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_bound_is_below_the_conditional_likelihood_by_the_divergence_of_the_posterior(
    system: str, values: tuple[int | None, int | None], draws: InjectedDraws
) -> None:
    """Of ``log p(x | y)``; unknown labels are a condition of their own."""
    options = {} if system == "cond_vae" else {"information_weight": 0.0}
    model = tiny(system, BINARY, **options)
    reference = CondVAEReference(model, BINARY, model.config)
    z, log_cell = grid(2, radius=8.0, points=201)
    standard, weights = gaussian_grid(2)
    rows = len(standard)
    observed = torch.tensor([value is not None for value in values]).expand(rows, -1)
    labels = torch.tensor([value or 0 for value in values]).expand(rows, -1)
    for image in IMAGES[:2]:
        x = image / 255
        latents = torch.cat([z, reference.y(values).expand(len(z), -1)], dim=-1)
        log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
        log_joint = reference.log_p_x(x, latents) + log_prior
        log_evidence = (log_joint + log_cell).logsumexp(0)
        log_q = reference.q_z(x, values).log_prob(z).sum(-1)
        divergence = ((log_q + log_cell).exp() * (log_q - log_joint + log_evidence)).sum()
        draws.give(standard)
        batch = batch_with(BINARY, observed, rows, images=image.expand(rows, -1), labels=labels)
        bound = (weights * model(batch).objective).sum()
        assert float(log_evidence - bound) == pytest.approx(float(divergence), rel=2e-3, abs=2e-3)
        assert divergence > 0.05


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_encoder_gains_where_the_adversary_errs(draws: InjectedDraws) -> None:
    found = []
    for weight in (1.0, 2.0):
        model = tiny("cond_vae_info", information_weight=weight)
        draws.give(noise(5, 2, seed=1))
        found.append(model(batch_with(MIXED, OBSERVED, 3)))
    read = found[0].adversaries["adversary"]
    assert (read[:3] < 0).all()
    assert (read[3:] == 0).all()  # no label of theirs is observed
    torch.testing.assert_close(found[1].objective - found[0].objective, -read)


@torch.no_grad()
def test_the_encoder_of_cond_vae_sees_the_labels_and_that_of_cond_vae_info_does_not() -> None:
    for system, sees in (("cond_vae", True), ("cond_vae_info", False)):
        model, found = tiny(system), []
        for labels in (LABELS, LABELS[[1, 2, 3, 4, 0]]):
            attributes = model.attributes.of_known(labels.to(torch.uint8))
            found.append(model.encoded(IMAGES / 255, attributes)[0])
        assert torch.equal(*found) != sees


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_labels_are_hidden_from_the_networks_in_training_and_not_from_the_adversary(
    system: str, draws: InjectedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch, "rand", lambda *shape, **_: torch.tensor([0.2, 0.7, 0.9, 0.1, 0.4]).reshape(shape)
    )
    model = tiny(system, hidden_labels=0.5)
    reference, values = CondVAEReference(model, MIXED, model.config), known_values(MIXED, OBSERVED)
    shown_labels: list[list[int | None]] = [[None] * 3, *values[1:]]
    z_noise = noise(5, 2, seed=1)
    for training, expected in ((True, shown_labels), (False, values)):
        model.train(training)
        draws.give(z_noise)
        found = model(batch_with(MIXED, OBSERVED, 3)).objective
        rows = zip(IMAGES / 255, values, expected, z_noise, strict=True)
        torch.testing.assert_close(found, torch.stack([reference.objectives(*row)[0] for row in rows]))


# what they can do


KNOWN = KnownLabels(torch.where(OBSERVED, LABELS, 255).to(torch.uint8), OBSERVED)


def encoded(model: CondVAE | CondVAEInfo, values: list[list[int | None]]) -> tuple[Tensor, Tensor]:
    """Written out, the attributes of images with these labels, and the mean of ``z`` under them."""
    reference = CondVAEReference(model, MIXED, model.config)
    y = torch.stack([reference.y(shown_labels) for shown_labels in values])
    z = [reference.q_z(x / 255, shown_labels).mean for x, shown_labels in zip(IMAGES, values, strict=True)]
    return y, torch.stack(z)


def decoded(model: CondVAE | CondVAEInfo, y: Tensor, z: Tensor) -> Tensor:
    """Straight from the decoder, which takes ``z`` first."""
    return torch.sigmoid(model.decoder(torch.cat([z, y], dim=-1))).unflatten(-1, (1, 2, 2))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_images_without_labels_are_encoded_under_the_frequencies_of_the_values(system: str) -> None:
    model = tiny(system, hidden_labels=0.1)
    y, z = encoded(model, [[None] * 3] * 5)
    assert y[0].tolist() == pytest.approx([0.3, 0.5, 0.3, 0.2, 0.6])
    torch.testing.assert_close(model.reconstruct(IMAGE), decoded(model, y, z))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_an_intervention_changes_one_label_of_the_condition(system: str) -> None:
    model = tiny(system)
    y, z = encoded(model, known_values(MIXED, OBSERVED))
    torch.testing.assert_close(model.reconstruct(IMAGE, KNOWN), decoded(model, y, z))
    values = [2, 0, 1, 1, 2]
    found = model.intervene(IMAGE, 1, torch.tensor(values, dtype=torch.uint8), 2, KNOWN)
    y[:, 1:4] = torch.eye(3)[values]
    torch.testing.assert_close(found, decoded(model, y, z).expand(2, -1, -1, -1, -1))
    path = model.traverse(IMAGE, 2, 3, start=1, end=0, labels=KNOWN)
    y, z = encoded(model, known_values(MIXED, OBSERVED))
    for step, share in enumerate((1.0, 0.5, 0.0)):
        y[:, 4] = share
        torch.testing.assert_close(path[step], decoded(model, y, z))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_switching_encodes_with_the_images_own_label_and_decodes_with_the_new_one_alone(system: str) -> None:
    """``G_ij`` of section 4.3; points are its ``p``, the intensity."""
    model = tiny(system)
    _, z = encoded(model, known_values(MIXED, OBSERVED))
    values = torch.tensor([2, 0, 1, 1, 2], dtype=torch.uint8)
    alone = torch.zeros(5, 5)
    alone[range(5), 1 + values.long()] = 1.0
    found = model.switch_attribute(IMAGE, 1, values, 2, KNOWN)
    torch.testing.assert_close(found, decoded(model, alone, z).expand(2, -1, -1, -1, -1))
    points = torch.tensor([[0.5], [2.0], [3.0]])
    found = model.switch_attribute(IMAGE, 1, values, 1, KNOWN, points)
    torch.testing.assert_close(found[0], decoded(model, alone * points[values.long()], z))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_generated_images_are_decoded_under_their_labels(system: str, draws: InjectedDraws) -> None:
    model, fresh = tiny(system), noise(2, 2, seed=3)
    draws.give(fresh)
    generated = model.generate(torch.tensor([[1, 0, 1], [0, 2, 0]], dtype=torch.uint8))
    y = torch.tensor([[1.0, 1, 0, 0, 1], [0, 0, 0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(generated, decoded(model, y, fresh))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"information_weight": -1.0},
            "cond_vae_info: information_weight is -1.0; it must not be negative",
        ),
        ({"adversary_width": 0}, "cond_vae_info: adversary_width is 0; it must be at least 1"),
        (
            {"hidden_labels": math.nan},
            "cond_vae_info: hidden_labels is nan; it is a share, 0 or more, below 1",
        ),
        (
            {"adversary_learning_rate": -1.0},
            "cond_vae_info: adversary_learning_rate is -1.0; it must be above 0",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        CondVAEInfoConfig(**options)
