"""The mean importance weight of an image is its exact likelihood, which sums to 1 over all binary images."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.diva import DivaConfig
from pipeline.models.interface import DataSpec
from pipeline.models.m2 import M2Config
from pipeline.models.m3 import M3Config
from pipeline.models.mvae import MVAEConfig
from pipeline.models.vae import VAEConfig
from tests.pipeline.models.labels_cases import MIXED
from tests.pipeline.models.tiny_models import TINY, randomise

EVERY_IMAGE = torch.tensor(list(itertools.product((0, 255), repeat=4)), dtype=torch.uint8).reshape(
    -1, 1, 2, 2
)
SAMPLES = 20_000
STYLED: dict[str, Any] = {"hidden_width": 8, "characteristic_size": 1, "style_size": 1}
MODELS: dict[str, tuple[Any, DataSpec]] = {
    "vae": (VAEConfig(hidden_width=8, latent_size=2), TINY),
    "mvae": (MVAEConfig(hidden_width=8, label_width=8, latent_size=2), MIXED),
    "m3": (M3Config(**STYLED), MIXED),
    "ccvae, one class label": (CCVAEConfig(**STYLED), TINY),
    "ccvae": (CCVAEConfig(**STYLED), MIXED),
    "diva": (DivaConfig(**STYLED), MIXED),
    "m2, one class label": (M2Config(hidden_width=8, latent_size=2), TINY),
    "m2": (M2Config(hidden_width=8, latent_size=2), MIXED),
}
FROM_LABELS = ("ccvae", "diva", "m2")
"""They generate from ``p(y)``; the others from ``p(z)`` alone."""


def widen(model: nn.Module) -> None:
    """Give the posterior standard deviations around 1.7: a narrower one than the prior has weights of infinite variance."""
    *_, last = (each for each in model.encoder.modules() if isinstance(each, nn.Linear))  # type: ignore[union-attr]
    half = len(last.weight) // 2
    last.weight[half:] *= 0.1
    last.bias[half:] = 1.5


def probability_by_the_generative_model(name: str, model: Any, data: DataSpec) -> Tensor:
    """(sample, image): ``p(x | z)`` of every image at samples of the prior, made without any posterior."""
    if name.startswith(FROM_LABELS):
        labels = [
            torch.multinomial(torch.tensor(frequencies), SAMPLES, replacement=True)
            for frequencies in data.label_frequencies
        ]
        mean = model.generate(torch.stack(labels, dim=1).to(torch.uint8))
    else:
        mean = model.decode(torch.randn(SAMPLES, model.encode(EVERY_IMAGE).shape[1]))
    x = EVERY_IMAGE.flatten(1) / 255
    chance = mean.reshape(SAMPLES, 1, 4)
    return (x * chance + (1 - x) * (1 - chance)).prod(-1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_mean_weight_is_the_likelihood(name: str) -> None:
    config, data = MODELS[name]
    model = config.build(data)
    randomise(model)
    widen(model)
    torch.manual_seed(1)
    weights = model.log_importance_weights(EVERY_IMAGE, SAMPLES).exp()
    assert weights.shape == (SAMPLES, 16)
    generated = probability_by_the_generative_model(name, model, data)
    found, expected = weights.mean(0), generated.mean(0)
    error = (weights.var(0) + generated.var(0)).div(SAMPLES).sqrt()
    assert ((found - expected).abs() < 5 * error).all()
    assert float(found.sum()) == pytest.approx(1, abs=5 * float(weights.sum(1).std()) / SAMPLES**0.5)
    assert float(expected.max() / expected.min()) > 1.3  # images that cannot be taken for each other
