"""Pilchen et al.: 80 epochs on CelebA, with its binary labels, and with hair as one label of five values.

Hair had a single latent there; here it is trained next to the ten of a class label. All latents are 45, as theirs are
with binary labels: 15 of the others, one for hair, and 29 for style (which hair with ten has, too). What they do not
state is as in table 1 of Joy et al. 2021, whose code they trained with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from launch.recipes.runs import run
from launch.recipes.several_labels import FEW_FACES, FEW_HAIR_COLOURS
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

RATES = (0.1, 0.9)
SCHEDULE = ((40, 0.5), (80, 0.1))
"""f = 0.5 after 40 epochs, and 0.1 after 80; 0.9 before."""
BINARY = CCVAEConfig.celeba()
HAIR_IN_ONE = CCVAEConfig(characteristic_size=1, style_size=29)
HAIR_IN_TEN = replace(HAIR_IN_ONE, characteristic_size=10)

CELEBA, HAIR = DataConfig(name="celeba"), DataConfig(name="celeba_hair")


def study_celeba() -> list[RunConfig]:
    """18 binary labels, three seeds."""
    return _runs("study-celeba", _at_rates(CELEBA), [BINARY], epochs=80)


def study_celeba_quick() -> list[RunConfig]:
    """The same on 6,000 drawn faces."""
    return _quick("study-celeba-quick", _at_rates(FEW_FACES), [BINARY], epochs=5)


def study_hair() -> list[RunConfig]:
    """Hair in one latent and in ten, three seeds."""
    return _runs("study-hair", _at_rates(HAIR), [HAIR_IN_ONE, HAIR_IN_TEN], epochs=80)


def study_hair_quick() -> list[RunConfig]:
    """The same on 6,000 drawn faces."""
    return _quick("study-hair-quick", _at_rates(FEW_HAIR_COLOURS), [HAIR_IN_ONE, HAIR_IN_TEN], epochs=5)


def study_hair_schedule() -> list[RunConfig]:
    """Hair in one latent, 40 epochs each with nine, five and one tenth of the labels, three seeds."""
    data = replace(HAIR, supervision_rate=0.9, supervision_schedule=SCHEDULE)
    return _runs("study-hair-schedule", [data], [HAIR_IN_ONE], epochs=120)


def study_hair_schedule_quick() -> list[RunConfig]:
    """The same on 6,000 drawn faces, two epochs each."""
    short = tuple((epoch // 20, rate) for epoch, rate in SCHEDULE)
    data = replace(FEW_HAIR_COLOURS, supervision_rate=0.9, supervision_schedule=short)
    return _quick("study-hair-schedule-quick", [data], [HAIR_IN_ONE], epochs=6)


def _at_rates(data: DataConfig) -> list[DataConfig]:
    return [replace(data, supervision_rate=rate) for rate in RATES]


def _runs(
    recipe: str, data: Iterable[DataConfig], models: Iterable[CCVAEConfig], *, epochs: int
) -> list[RunConfig]:
    training, optimiser = TrainingConfig(epochs=epochs), OptimiserConfig(learning_rate=2e-4)
    return [
        run(recipe, entry, model, training, optimiser, seed=seed)
        for seed, model, entry in product(range(3), models, data)
    ]


def _quick(
    recipe: str, data: Iterable[DataConfig], models: Iterable[CCVAEConfig], *, epochs: int
) -> list[RunConfig]:
    training, optimiser = TrainingConfig(epochs=epochs, batch_size=32), OptimiserConfig(learning_rate=1e-3)
    return [run(recipe, entry, model, training, optimiser) for model, entry in product(models, data)]
