"""Table 1 of Ruiz et al. 2019: what a linear model reads of the target factors from the latents of nine systems.

Section 5.2: figure 7's networks, 32 latents for each encoder, a Laplace likelihood (``likelihood_scale`` 0.005 is 0.01 for
images in [−1, 1]), Adam 1e-4 with (0.5, 0.99), 36 images per step. Systems with a reference set have 36 unlabelled images
and 36 references (Algorithm 1); the others see each training image once per epoch, whatever set it is of. The paper has
the best of several strengths of regularisation, from 1 to 50; these are our defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.registry import BY_DEFAULT
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.beta_tcvae import BetaTCVAEConfig
from pipeline.models.beta_vae import BetaVAEConfig
from pipeline.models.dip_vae import DipVAEIConfig, DipVAEIIConfig
from pipeline.models.mathieu import MathieuConfig
from pipeline.models.rb_vae import RbVAEConfig
from pipeline.models.registry import ModelConfig
from pipeline.models.srb_vae import SRbVAEConfig
from pipeline.models.svae import SVAEConfig
from pipeline.models.vae import VAEConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

IMAGES = 36
"""Of each kind, in a step."""
OPTIMISER = OptimiserConfig(learning_rate=1e-4, betas=(0.5, 0.99))
FASTER = replace(OPTIMISER, learning_rate=5e-4)
"""For the quick recipes, whose few hundred steps of 1e-4 would hardly leave a black image."""
_PAPER: dict[str, Any] = {
    "network": "pixel_norm",
    "likelihood": "laplace",
    "likelihood_scale": 0.005,
    "latent_size": 32,
}
WITH_REFERENCES: tuple[ModelConfig, ...] = (
    RbVAEConfig(**_PAPER),
    SRbVAEConfig(**_PAPER),
    MathieuConfig(**_PAPER),
)
SYSTEMS: tuple[ModelConfig, ...] = (
    VAEConfig(**_PAPER),
    BetaVAEConfig(**_PAPER),
    BetaTCVAEConfig(**_PAPER),
    DipVAEIConfig(**_PAPER),
    DipVAEIIConfig(**_PAPER),
    SVAEConfig(**_PAPER),
    *WITH_REFERENCES,
)
MEASURES = (*BY_DEFAULT, "linear_probes", "conditional_synthesis", "reconstruction")


def rb_vae_table1() -> list[RunConfig]:
    """Transformed MNIST, 30 epochs, three seeds."""
    return _runs("rb-vae-table1", DataConfig(name="transformed_mnist"), SYSTEMS, epochs=30, seeds=3)


def rb_vae_table1_quick() -> list[RunConfig]:
    """A tenth of the digits, 2 epochs."""
    data = DataConfig(name="transformed_mnist", options=("count=10000",))
    return _runs("rb-vae-table1-quick", data, SYSTEMS, FASTER, epochs=2, seeds=1)


def rb_vae_table1_affectnet() -> list[RunConfig]:
    """AffectNet with neutral references, 20 epochs, three seeds."""
    return _runs("rb-vae-table1-affectnet", DataConfig(name="affectnet"), SYSTEMS, epochs=20, seeds=3)


def rb_vae_drawn_faces_quick() -> list[RunConfig]:
    """Drawn faces, of which those with a neutral expression are the references; 5 epochs."""
    data = DataConfig(name="drawn_faces", options=("count=6000", "reference=neutral"))
    systems = (VAEConfig(**_PAPER), *WITH_REFERENCES)
    found = _runs("rb-vae-drawn-faces-quick", data, systems, FASTER, epochs=5, seeds=1)
    measures = (*MEASURES, "disentanglement")  # against the factors that the faces are drawn from
    return [replace(each, measures=MeasuresConfig(take=measures)) for each in found]


def _runs(
    recipe: str,
    data: DataConfig,
    systems: Iterable[ModelConfig],
    optimiser: OptimiserConfig = OPTIMISER,
    *,
    epochs: int,
    seeds: int,
) -> list[RunConfig]:
    found = []
    for seed, system in product(range(seeds), systems):
        size = 2 * IMAGES if system in WITH_REFERENCES else IMAGES
        training = TrainingConfig(epochs=epochs, batch_size=size)
        made = run(recipe, data, system, training, optimiser, seed=seed)
        take = tuple(dict.fromkeys((*made.measures.take, *MEASURES)))
        found.append(replace(made, measures=MeasuresConfig(take=take)))
    return found
