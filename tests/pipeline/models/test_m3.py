"""M3: its objective against the formula, its bound against the exact likelihood, and what it does by rejection."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.models.m3 import M3, M3Config
from tests.pipeline.models.ccvae_reference import CCVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import BINARY, LABELS, MIXED, OBSERVED, batch_with, columns_of
from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.reference_densities import log_normal
from tests.pipeline.models.tiny_models import IMAGES, assert_written_out, part, randomise

IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)
DATA = [pytest.param(BINARY, id="binary"), pytest.param(MIXED, id="mixed")]


def tiny(data: DataSpec, **options: Any) -> M3:
    settings = {"characteristic_size": 2, "style_size": 1, "hidden_width": 8, **options}
    model = M3Config(**settings).build(data)
    randomise(model)
    return model


def sure(data: DataSpec, **options: Any) -> M3:
    """A model whose classifier reaches any value of each label within the latents that the prior draws."""
    model = tiny(data, **options)
    with torch.no_grad():
        for name, parameter in model.classifier.named_parameters():
            if name == "blocks.0.slope":
                parameter.copy_(torch.tensor([2.0, -1.5]))
            elif name == "blocks.0.intercept":
                parameter.copy_(torch.tensor([0.3, -0.4]))
            else:
                parameter.mul_(2.5)
    return model


def reference_of(model: M3, data: DataSpec) -> CCVAEReference:
    return CCVAEReference(model, data, CCVAEConfig(characteristic_size=model.config.characteristic_size))


def latents(model: M3) -> int:
    return model.layout.latents + model.config.style_size


def written_out(model: M3, data: DataSpec, z_noise: Tensor, observed: Tensor) -> Tensor:
    reference, found = reference_of(model, data), []
    for row, image in enumerate(IMAGES[: len(observed)]):
        mean, scale = reference.posterior(image / 255)
        z = mean + scale * z_noise[row]
        value = reference.log_p_x(image / 255, z)
        for m, s in zip(mean, scale, strict=True):  # KL of one latent from the standard normal
            value = value - (m**2 + s**2 - 1 - torch.log(s**2)) / 2
        for i, y in enumerate(LABELS[row, columns_of(data)].tolist()):
            if observed[row, i]:
                value = value + model.config.classifier_weight * reference.log_q_y(i, z, y)
        found.append(value)
    return torch.stack(found)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("alpha", [0.0, 1.0, 50.0])
@pytest.mark.usefixtures("float64")
def test_objective_and_gradient_are_those_written_out(
    alpha: float, data: DataSpec, draws: InjectedDraws
) -> None:
    model = tiny(data, classifier_weight=alpha)
    observed = OBSERVED[:, columns_of(data)]
    z_noise = noise(5, latents(model), seed=1)
    draws.give(z_noise)
    found = model(batch_with(data, observed, 3)).objective
    expected = written_out(model, data, z_noise, observed)
    found_gradient = assert_written_out(model, found, expected, every_parameter=False)
    assert (part(found_gradient, "classifier").norm() > 0) == (alpha > 0)


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_without_labels_it_is_the_bound_of_a_vae(draws: InjectedDraws) -> None:
    model = tiny(BINARY, style_size=0)
    reference = reference_of(model, BINARY)
    standard, weights = gaussian_grid(2)
    z, log_cell = grid(2, radius=9.0, points=161)
    nothing = torch.zeros(len(standard), 2, dtype=torch.bool)
    for image in IMAGES[:3]:
        log_joint = reference.log_p_x(image / 255, z) + log_normal(z, 0.0, 1.0).sum(-1)
        log_p_x = (log_joint + log_cell).logsumexp(0)
        log_q = reference.log_q_z(z, image / 255)
        divergence = ((log_q + log_cell).exp() * (log_q - log_joint + log_p_x)).sum()
        draws.give(standard)
        batch = batch_with(
            BINARY, nothing, 0, images=image.expand(len(standard), -1), labels=torch.zeros(1, 2)
        )
        bound = (weights * model(batch).objective).sum()
        assert float(log_p_x - bound) == pytest.approx(float(divergence), abs=2e-3)
        assert divergence > 0.05


# what it can do


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_accepted_latents_convince_the_classifier(label: int) -> None:
    model = sure(MIXED, confidence=0.6)
    reference = reference_of(model, MIXED)
    for y in reference.values(label):
        torch.manual_seed(0)
        values = torch.full((200,), y, dtype=torch.uint8)
        z = torch.zeros(200, 5)
        z[:, reference.places[label]] = model.accepted_latents(label, values)
        probability = torch.exp(reference.log_q_y(label, z, y))
        assert probability.min() >= 0.6
        assert probability.std() > 0.01


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_accepted_latents_are_prior_samples_truncated_where_the_classifier_is_unsure() -> None:
    model = sure(BINARY, confidence=0.8)
    torch.manual_seed(0)
    latent = torch.cat([model.accepted_latents(0, torch.ones(500, dtype=torch.uint8)) for _ in range(20)])
    slope, intercept = (float(p[0]) for p in model.classifier.blocks[0].parameters())
    assert slope > 0
    standard, log_cell = grid(1, radius=9.0, points=20_001)
    kept = (slope * standard + intercept > math.log(0.8 / 0.2)) * torch.exp(
        log_normal(standard, 0.0, 1.0) + log_cell
    )
    mean = (kept * standard).sum() / kept.sum()
    square = (kept * standard**2).sum() / kept.sum()
    assert float(latent.mean()) == pytest.approx(float(mean), abs=0.02)
    assert float((latent**2).mean()) == pytest.approx(float(square), abs=0.08)


@torch.no_grad()
def test_if_no_sample_is_accepted_the_most_probable_one_is_used(draws: InjectedDraws) -> None:
    model = tiny(BINARY, confidence=0.99)
    classifier = model.classifier.blocks[0]
    classifier.slope.fill_(0.1)  # type: ignore[operator]
    classifier.intercept.fill_(0.0)  # type: ignore[operator]
    given = noise(1000, 2, 1, seed=0)
    draws.give(given)
    found = model.accepted_latents(1, torch.tensor([1, 0], dtype=torch.uint8))
    torch.testing.assert_close(found[0, 0], given[:, 0, 0].max().float())
    torch.testing.assert_close(found[1, 0], given[:, 1, 0].min().float())


@torch.no_grad()
def test_generated_images_are_decoded_from_accepted_latents() -> None:
    model = sure(MIXED, confidence=0.5)
    decoded: list[Tensor] = []
    model.decoder.register_forward_hook(lambda _, inputs, __: decoded.append(inputs[0]))
    torch.manual_seed(0)
    labels = torch.tensor([[1, 2, 0], [0, 1, 1]], dtype=torch.uint8).repeat(50, 1)
    assert model.generate(labels).shape == (100, 1, 2, 2)
    reference = reference_of(model, MIXED)
    for row, values in enumerate(labels.tolist()):
        for label, y in enumerate(values):
            assert reference.log_q_y(label, decoded[0][row], y).exp() >= 0.5 - 1e-6
    assert decoded[0][:, 4].std() > 0.5


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_an_intervention_changes_the_latents_of_its_label_alone() -> None:
    model = sure(MIXED)
    decoded: list[Tensor] = []
    model.decoder.register_forward_hook(lambda _, inputs, __: decoded.append(inputs[0]))
    torch.manual_seed(0)
    values = torch.tensor([1, 0, 2, 0, 1], dtype=torch.uint8)
    assert model.intervene(IMAGE, 1, values, 3).shape == (3, 5, 1, 2, 2)
    z = model.posterior(IMAGES / 255)[0]
    moved = decoded[0] - z
    assert (moved[..., [0, 1, 4]] == 0).all()
    assert (moved[..., 2:4] != 0).all()
    reference = reference_of(model, MIXED)
    for row, y in enumerate(values.tolist()):
        ours = reference.log_q_y(1, decoded[0][:, row], y)
        assert all(
            (ours > reference.log_q_y(1, decoded[0][:, row], other)).all() for other in {0, 1, 2} - {y}
        )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_closest_flip_is_where_the_other_value_becomes_probable_enough(sign: int) -> None:
    model = sure(MIXED, confidence=0.75)
    model.classifier.blocks[0].slope.mul_(sign)  # type: ignore[operator]
    reference, posterior_mean = reference_of(model, MIXED), model.posterior(IMAGES / 255)[0]
    z = 2 * noise(5, 5, seed=7)
    flipped = set()
    for label in (0, 2):
        place = reference.places[label]
        latent = model.closest_flip(label, z)
        for row in range(5):
            now = int(torch.exp(reference.log_q_y(label, z[row], 1)) > 0.5)
            flipped.add(1 - now)
            changed = z[row].clone()
            changed[place] = latent[row]
            assert float(reference.log_q_y(label, changed, 1 - now).exp()) == pytest.approx(0.75)
            changed[place] += 1e-3 * (z[row, place] - latent[row]).sign()  # anything closer convinces less
            assert float(reference.log_q_y(label, changed, 1 - now).exp()) < 0.75
        expected = posterior_mean.clone()
        expected[:, place] = model.closest_flip(label, posterior_mean)
        torch.testing.assert_close(model.flip_closest(IMAGE, label), model.decode(expected))
    assert flipped == {0, 1}


@torch.no_grad()
def test_a_classifier_that_ignores_its_latent_needs_no_distant_one() -> None:
    model = tiny(BINARY)
    model.classifier.blocks[0].slope.zero_()  # type: ignore[operator]
    latent = model.closest_flip(0, torch.zeros(4, 3))
    assert latent.isfinite().all()
    assert latent.abs().max() <= 10


def test_labels_without_a_closed_form_have_no_closest_flip() -> None:
    with pytest.raises(ConfigError, match="label 1 is not a binary label with one latent"):
        tiny(MIXED).flip_closest(IMAGE, 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"confidence": 0.4}, "m3: confidence is 0.4; it is a probability, 0.5 or more, below 1"),
        ({"confidence": 1.0}, "m3: confidence is 1.0; it is a probability, 0.5 or more, below 1"),
        ({"classifier_weight": -1.0}, "m3: classifier_weight is -1.0; it must not be negative"),
        ({"characteristic_size": 0}, "m3: characteristic_size is 0; it must be at least 1"),
        ({"style_size": -1}, "m3: style_size is -1; it must not be negative"),
        ({"label_latents": (0,)}, r"m3: label_latents is \(0,\); each must be at least 1"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        M3Config(**options)
