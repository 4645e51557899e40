"""What CCVAE can do with an image: each capability changes the latents that it names, and no others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAE, CCVAEConfig
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import MIXED
from tests.pipeline.models.tiny_models import IMAGES, tiny_ccvae

pytestmark = pytest.mark.usefixtures("float64")

PLACES = {0: slice(0, 1), 1: slice(2, 4), 2: slice(1, 2)}
"""Of each label's latents: binary labels first."""
IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)


def tiny(**options: Any) -> CCVAE:
    settings = {"characteristic_size": 2, "style_size": 2, "hidden_width": 8, **options}
    return tiny_ccvae(CCVAEConfig(**settings), MIXED)


def posterior_mean(model: CCVAE) -> Tensor:
    return model.posterior(IMAGES / 255)[0]


@pytest.mark.parametrize("draws_per_image", [1, 3])
@pytest.mark.parametrize("label", [0, 1, 2])
@torch.no_grad()
def test_an_intervention_redraws_the_latents_of_its_label_and_keeps_the_rest(
    label: int, draws_per_image: int, draws: InjectedDraws
) -> None:
    model = tiny()
    own = PLACES[label]
    values = torch.tensor([1, 0, 1, 0, 0], dtype=torch.uint8)
    fresh = noise(draws_per_image, 5, own.stop - own.start, seed=1)
    draws.give(fresh)
    found = model.intervene(IMAGE, label, values, draws_per_image)
    assert found.shape == (draws_per_image, 5, 1, 2, 2)
    mean, scale = model.conditional_prior.of_label(label)
    for draw in range(draws_per_image):
        for row, value in enumerate(values.tolist()):
            z = posterior_mean(model)[row].clone()
            z[own] = mean[value] + scale[value] * fresh[draw, row]
            torch.testing.assert_close(found[draw, row], model.decode(z))


@torch.no_grad()
def test_many_draws_of_an_intervention_are_those_of_the_labels_prior() -> None:
    model = tiny()
    torch.manual_seed(0)
    values = torch.full((1,), 1, dtype=torch.uint8)
    found = model.intervene(IMAGE[:1], 0, values, 20_000).mean(0)
    mean, scale = model.conditional_prior.of_label(0)
    z = posterior_mean(model)[:1].expand(20_000, -1).clone()
    z[:, 0] = mean[1] + scale[1] * noise(20_000, seed=3)
    torch.testing.assert_close(found, model.decode(z).mean(0, keepdim=True), rtol=0, atol=0.01)


@torch.no_grad()
def test_a_swap_takes_characteristics_and_style_from_one_image_each() -> None:
    model = tiny()
    found = model.swap(IMAGE[:4], IMAGE[1:])
    z = posterior_mean(model)
    for row in range(4):
        torch.testing.assert_close(found[row], model.decode(torch.cat([z[row, :4], z[row + 1, 4:]])))
    torch.testing.assert_close(model.swap(IMAGE, IMAGE), model.reconstruct(IMAGE))
    without_style = tiny(style_size=0)
    torch.testing.assert_close(without_style.swap(IMAGE[:4], IMAGE[1:]), without_style.reconstruct(IMAGE[:4]))


@pytest.mark.parametrize(("label", "start", "end"), [(0, 0, 1), (1, 2, 0), (2, 1, 0)])
@torch.no_grad()
def test_a_traversal_goes_from_the_mean_of_one_value_to_that_of_the_other(
    label: int, start: int, end: int
) -> None:
    model = tiny()
    found = model.traverse(IMAGE, label, 5, start=start, end=end)
    assert found.shape == (5, 5, 1, 2, 2)
    mean, _ = model.conditional_prior.of_label(label)
    for step in range(5):
        z = posterior_mean(model)
        z[:, PLACES[label]] = (1 - step / 4) * mean[start] + step / 4 * mean[end]
        torch.testing.assert_close(found[step], model.decode(z))


@torch.no_grad()
def test_reconstruction_and_characteristics_are_those_of_the_posterior_mean() -> None:
    model = tiny()
    torch.testing.assert_close(model.reconstruct(IMAGE), model.decode(posterior_mean(model)))
    torch.testing.assert_close(model.characteristic_latents(IMAGE), posterior_mean(model)[:, :4])
