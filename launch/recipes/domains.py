"""Digits in an unseen rotation (Ilse et al. 2019, section 4.1): each of six rotations is held out in turn.

Batches of 100 and Adam 1e-3, as theirs. They train for at most 500 epochs, stop after 100 without better accuracy on
the training digits, and repeat with ten choices of digits; here it is 500 epochs and three choices.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.diva_original import DivaOriginalConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

ROTATIONS = (0, 15, 30, 45, 60, 75)


def rotated_mnist() -> list[RunConfig]:
    """Every rotation held out, three choices of digits."""
    return _runs(ROTATIONS, range(3), DivaOriginalConfig(), epochs=500)


def rotated_mnist_quick() -> list[RunConfig]:
    """One rotation held out, one choice of digits, and a proportionally short warm-up."""
    return _runs(ROTATIONS[-1:], range(1), DivaOriginalConfig(warm_up_epochs=4), epochs=20)


def _runs(
    held_out: Iterable[int], seeds: Iterable[int], model: DivaOriginalConfig, *, epochs: int
) -> list[RunConfig]:
    return [
        RunConfig(
            data=DataConfig(name="rotated_mnist", options=(f"held_out={angle}", f"seed={seed}")),
            model=model,
            optimiser=OptimiserConfig(learning_rate=1e-3),
            training=TrainingConfig(epochs=epochs, batch_size=100),
            seed=seed,
        )
        for seed, angle in product(seeds, held_out)
    ]
