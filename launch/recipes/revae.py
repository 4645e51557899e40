"""Joy et al. 2020 (ReVAE) on one class label: latents for style, all latents in ``z_c``, and one label per class.

100 epochs of Adam 5e-4, as in their C.2. Their tables have no f = 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.ccvae_one_per_class import OnePerClassCCVAEConfig
from pipeline.models.m2 import M2Config
from pipeline.models.m3 import M3Config
from pipeline.models.registry import ModelConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

RATES = (0.004, 0.06, 0.2)
ADAM = OptimiserConfig(learning_rate=5e-4)
WITH_STYLE: tuple[ModelConfig, ...] = (
    CCVAEConfig.revae(),
    M2Config(latent_size=10),
    M3Config(characteristic_size=4, style_size=10),
)
"""C.2: ``m_c = 4`` and ten more."""
WITHOUT_STYLE: tuple[ModelConfig, ...] = (
    CCVAEConfig(characteristic_size=20),
    CCVAEConfig(characteristic_size=10),
    M2Config(latent_size=10),
)
"""D.1: ``m = 20`` and ``m = 10``."""


def revae_fashion_mnist() -> list[RunConfig]:
    """FashionMNIST in tables 1 and 2, three seeds."""
    return _runs("revae-fashion-mnist", product(["fashion_mnist"], WITH_STYLE, RATES))


def revae_fashion_mnist_quick() -> list[RunConfig]:
    """The same at two rates, few epochs."""
    return _quick("revae-fashion-mnist-quick", WITH_STYLE)


def mnist_style() -> list[RunConfig]:
    """Digits with latents for style, by the systems of figures 22 to 24 of Joy et al. 2021, which name no rate."""
    return _runs("mnist-style", product(["mnist"], WITH_STYLE[:2], (1.0,)), seeds=1)


def revae_without_style() -> list[RunConfig]:
    """Tables 5 and 6, three seeds."""
    return _runs("revae-without-style", product(("mnist", "fashion_mnist"), WITHOUT_STYLE, RATES))


def revae_without_style_quick() -> list[RunConfig]:
    """FashionMNIST, two rates, few epochs."""
    return _quick("revae-without-style-quick", WITHOUT_STYLE)


def revae_one_per_class() -> list[RunConfig]:
    """D.2: digits, of which one of each class is labelled, three choices of these."""
    return [_one_per_class("mnist", 100, seed, "revae-one-per-class") for seed in range(3)]


def revae_one_per_class_quick() -> list[RunConfig]:
    """The same on FashionMNIST, few epochs."""
    return [_one_per_class("fashion_mnist", 3, 0, "revae-one-per-class-quick")]


def _runs(recipe: str, runs: Iterable[tuple[str, ModelConfig, float]], seeds: int = 3) -> list[RunConfig]:
    training = TrainingConfig(epochs=100)
    return [
        run(recipe, DataConfig(name=data, supervision_rate=rate), model, training, ADAM, seed=seed)
        for seed, (data, model, rate) in product(range(seeds), runs)
    ]


def _quick(recipe: str, models: Iterable[ModelConfig]) -> list[RunConfig]:
    return [
        run(
            recipe,
            DataConfig(name="fashion_mnist", supervision_rate=rate),
            model,
            TrainingConfig(epochs=3),
            ADAM,
        )
        for model, rate in product(models, (0.06, 0.2))
    ]


def _one_per_class(data: str, epochs: int, seed: int, recipe: str) -> RunConfig:
    one_of_each = DataConfig(name=data, supervision_rate=0.0, one_per_class=True)
    return run(recipe, one_of_each, OnePerClassCCVAEConfig(), TrainingConfig(epochs=epochs), ADAM, seed=seed)
