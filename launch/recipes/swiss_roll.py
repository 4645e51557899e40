"""Section 5.1 of Klys et al. 2018: CSVAE on the swiss roll, with Z and W planes, as its figure 2 shows them.

There the points labelled 1 map near the origin of W, by the paper's formula for the prior; its attribute switching maps
them away from it. A standard deviation of 1/30 of the bytes' range is one unit of the roll. That and the width of the
networks are ours.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from launch.recipes.attribute_switching import OPTIMISER
from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.csvae import CSVAEConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

DATA = DataConfig(name="swiss_roll")
MODEL = CSVAEConfig(
    latent_size=2, hidden_width=64, adversary_width=64, likelihood_scale=1 / 30, hidden_labels=0.0
)


def swiss_roll() -> list[RunConfig]:
    """The paper's 2300 epochs on batches of 64, either prior, three seeds."""
    training = TrainingConfig(epochs=2300, batch_size=64, checkpoint_every_epochs=100)
    return [
        run("swiss-roll", DATA, replace(MODEL, attribute_at_origin=at_origin), training, OPTIMISER, seed=seed)
        for seed, at_origin in product(range(3), (True, False))
    ]


def swiss_roll_quick() -> list[RunConfig]:
    """Twenty epochs at six times the learning rate, one prior, one seed."""
    training, optimiser = TrainingConfig(epochs=20, batch_size=50), OptimiserConfig(learning_rate=3e-3)
    return [run("swiss-roll-quick", DATA, MODEL, training, optimiser)]
