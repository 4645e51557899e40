"""Pictures of the user's own: ``--raw FOLDER --options labels=smiling,hair size=64`` says which, and what they show.

The systems and the optimiser of table 1 of Joy et al. 2021, with its 27 latents for style, whatever the labels are; one
seed (``--seeds 3`` trains more).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.diva import DivaConfig
from pipeline.models.m2 import M2Config
from pipeline.models.m3 import M3Config
from pipeline.models.mvae import MVAEConfig
from pipeline.models.registry import ModelConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

RATES = (0.06, 1.0)
STYLE, LATENTS = 27, 45
SYSTEMS: tuple[ModelConfig, ...] = (
    CCVAEConfig(style_size=STYLE),
    M2Config(latent_size=STYLE),
    DivaConfig(style_size=STYLE),
    MVAEConfig(latent_size=LATENTS),
    M3Config(style_size=STYLE),
)


def pictures() -> list[RunConfig]:
    """Five systems at two rates, 100 epochs."""
    training, optimiser = TrainingConfig(epochs=100), OptimiserConfig(learning_rate=2e-4)
    return _runs("pictures", SYSTEMS, training, optimiser)


def pictures_quick() -> list[RunConfig]:
    """CCVAE and M2, 5 epochs of small batches."""
    training, optimiser = TrainingConfig(epochs=5, batch_size=32), OptimiserConfig(learning_rate=1e-3)
    return _runs("pictures-quick", SYSTEMS[:2], training, optimiser)


def _runs(
    recipe: str, systems: Iterable[ModelConfig], training: TrainingConfig, optimiser: OptimiserConfig
) -> list[RunConfig]:
    return [
        run(recipe, DataConfig(name="pictures", supervision_rate=rate), system, training, optimiser)
        for system, rate in product(systems, RATES)
    ]
