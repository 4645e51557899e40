"""Table 6 of Joy et al. 2021: one class label, MNIST and FashionMNIST."""

from __future__ import annotations

from itertools import product

from data_prep.supervision import PAPER_RATES
from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.m2 import M2Config
from pipeline.training.settings import TrainingConfig

SYSTEMS = (CCVAEConfig, M2Config)


def fashion_mnist_quick() -> list[RunConfig]:
    """Two systems, two rates, two ranks: every part of the pipeline in minutes."""
    return [
        RunConfig(
            data=DataConfig(name="fashion_mnist", supervision_rate=rate),
            model=system(),
            training=TrainingConfig(epochs=3, ranks=2),
        )
        for system, rate in product(SYSTEMS, (0.06, 1.0))
    ]


def fashion_mnist() -> list[RunConfig]:
    """The FashionMNIST half of the table, three seeds."""
    return _table_6("fashion-mnist", "fashion_mnist")


def mnist() -> list[RunConfig]:
    """The MNIST half of the table, three seeds."""
    return _table_6("mnist", "mnist")


def _table_6(recipe: str, data: str) -> list[RunConfig]:
    training = TrainingConfig(epochs=100)
    return [
        run(recipe, DataConfig(name=data, supervision_rate=rate), system(), training, seed=seed)
        for seed, system, rate in product(range(3), SYSTEMS, PAPER_RATES)
    ]
