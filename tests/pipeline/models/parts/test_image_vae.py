"""Which density of pixels a data set gets, and models of 64 × 64 images."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.data.batch import Batch
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.densities import laplace_log_density
from pipeline.models.parts.image_vae import choose_likelihood
from pipeline.models.registry import PRESETS
from tests.pipeline.models.injected_draws import noise


def shape(image: tuple[int, int, int], cardinalities: tuple[int, ...] = (2,)) -> DataSpec:
    return DataSpec(
        image_shape=image,
        cardinalities=cardinalities,
        label_frequencies=tuple(tuple([1 / values] * values) for values in cardinalities),
    )


@pytest.mark.parametrize(
    ("image", "likelihood"),
    [
        ((3, 64, 64), "laplace"),
        ((1, 64, 64), "laplace"),
        ((3, 28, 28), "laplace"),
        ((1, 28, 28), "bernoulli"),
        ((1, 48, 48), "bernoulli"),
    ],
)
def test_auto_is_decided_by_the_shape_of_the_image(image: tuple[int, int, int], likelihood: str) -> None:
    data = shape(image)
    assert choose_likelihood("auto", data) == likelihood
    assert choose_likelihood("bernoulli", data) == "bernoulli"
    assert choose_likelihood("laplace", data) == "laplace"


@pytest.mark.usefixtures("float64")
def test_laplace_is_torchs_with_scale_1_around_the_sigmoid() -> None:
    logits, pixels = noise(3, 2, 5, seed=0), noise(2, 5, seed=1).sigmoid()
    expected = torch.distributions.Laplace(logits.sigmoid(), 1.0).log_prob(pixels).sum(-1)
    torch.testing.assert_close(laplace_log_density(pixels, logits), expected)
    exact = laplace_log_density(pixels, pixels.logit())
    torch.testing.assert_close(exact, torch.full((2,), -5 * math.log(2)))


def batch(image: tuple[int, int, int], labels: int, rows: int, observed_rows: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        image=torch.randint(256, (rows, *image), dtype=torch.uint8, generator=generator),
        labels=torch.randint(2, (rows, labels), dtype=torch.uint8, generator=generator),
        observed=(torch.arange(rows) < observed_rows)[:, None].expand(-1, labels),
        labelled=observed_rows,
    )


def test_celebas_model_has_the_papers_latents() -> None:
    model = PRESETS["ccvae-celeba"].config().build(shape((3, 64, 64), (2,) * 18))
    assert isinstance(model.encoder, nn.Sequential)
    assert model.encoder[-1].out_features == 2 * (18 + 27)


@pytest.mark.parametrize("labelled", [0, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("preset", ["ccvae-celeba", "ccvae-exact"])
def test_a_step_on_faces_or_radiographs_moves_every_parameter_in_reach(
    preset: str, channels: int, labelled: int
) -> None:
    torch.manual_seed(0)
    image = (channels, 64, 64)
    model = PRESETS[preset].config().build(shape(image, (2,) * 5))
    losses = model(batch(image, 5, 4, labelled))
    assert losses.objective.isfinite().all()
    total, count = losses.terms["log_likelihood"]
    assert total / count < -channels * 64 * 64 * math.log(2)  # the highest density that a Laplace has
    losses.objective.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_one_step_encodes_each_image_once() -> None:
    model = CCVAEConfig.celeba().build(shape((1, 64, 64), (2, 2)))
    seen: list[Any] = []
    model.encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    model(batch((1, 64, 64), 2, 6, 3))
    assert seen == [(6, 64 * 64)]


def test_bf16_autocast_of_the_convolutional_model_stays_within_a_hundredth() -> None:
    torch.manual_seed(0)
    data = shape((3, 64, 64), (2,) * 3)
    model = CCVAEConfig.celeba().build(data)
    found = []
    for narrow in (False, True):
        torch.manual_seed(1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            found.append(model(batch(data.image_shape, 3, 4, 2)).objective)
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found[1], found[0], rtol=0.01, atol=0)
