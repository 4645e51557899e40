"""With and without terms of this project (docs/consistency.md): consistency on drawn faces, pseudo-labels on FashionMNIST.

Other values of a term's fields are ``--set``: ``--set model.consistency_weight=3,10,30``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from launch.recipes.runs import run
from launch.recipes.several_labels import FEW_FACES
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

RATES = (0.2, 1.0)
DECAYING = OptimiserConfig(learning_rate=1e-3, milestones=(21, 27), decay=0.3)
"""After 70 % and 90 % of 30 epochs."""
FEW_RATES = (0.004, 0.06)


def consistency() -> list[RunConfig]:
    """6,000 drawn faces, 30 epochs, three seeds; every label and a fifth of the images' labels."""
    training = TrainingConfig(epochs=30, batch_size=32, precision="bfloat16")
    return [
        run(
            "consistency",
            replace(FEW_FACES, supervision_rate=rate),
            model,
            training,
            DECAYING,
            seed=seed,
        )
        for seed, rate, model in product(
            range(3), RATES, (CCVAEConfig.constant_weight(), CCVAEConfig.consistent())
        )
    ]


def consistency_quick() -> list[RunConfig]:
    """The same for 5 epochs, with all labels, one seed; the term begins after one of them."""
    training = TrainingConfig(epochs=5, batch_size=32, precision="bfloat16")
    consistent = replace(CCVAEConfig.consistent(), consistency_after_steps=150)
    return [
        run("consistency-quick", FEW_FACES, model, training, OptimiserConfig(learning_rate=1e-3))
        for model in (CCVAEConfig.constant_weight(), consistent)
    ]


def few_labels() -> list[RunConfig]:
    """FashionMNIST with 240 and 3,600 labels, table 6's settings, three seeds."""
    training = TrainingConfig(epochs=100)
    return [
        run(
            "few-labels",
            DataConfig(name="fashion_mnist", supervision_rate=rate),
            model,
            training,
            seed=seed,
        )
        for seed, rate, model in product(range(3), FEW_RATES, (CCVAEConfig(), CCVAEConfig.few_labels()))
    ]


def few_labels_quick() -> list[RunConfig]:
    """The same for 8 epochs, with 3,600 labels, one seed."""
    data, training = DataConfig(name="fashion_mnist", supervision_rate=0.06), TrainingConfig(epochs=8)
    return [
        run("few-labels-quick", data, model, training) for model in (CCVAEConfig(), CCVAEConfig.few_labels())
    ]
