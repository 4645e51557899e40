"""Table 1 of Ruiz et al. 2019: what a linear model reads of the target factors from the latents of nine systems.

Section 5.2: figure 7's networks, 32 latents for each encoder, a Laplace likelihood (``likelihood_scale`` 0.005 is 0.01 for
images in [−1, 1]), Adam 1e-4 with (0.5, 0.99), 36 images per step. Systems with a reference set have 36 unlabelled images
and 36 references (Algorithm 1); the others see each training image once per epoch, whatever set it is of. The paper has
the best of several strengths of regularisation, from 1 to 50: ``rb-vae-strengths`` trains them, and the report of table 1
takes the one that is best in cross-validation within the fold that the probe is fitted on, of which nothing is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.registry import PRESETS, ModelConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

IMAGES = 36
"""Of each kind, in a step."""
OPTIMISER = OptimiserConfig(learning_rate=1e-4, betas=(0.5, 0.99))
FASTER = replace(OPTIMISER, learning_rate=5e-4)
"""For the quick recipes, whose few hundred steps of 1e-4 would hardly leave a black image."""
VAE, SVAE, *WITH_REFERENCES = (
    PRESETS[name].config() for name in ("vae-ruiz", "svae", "rb_vae", "srb_vae", "mathieu")
)
REGULARISED = {
    PRESETS[f"{system}-ruiz"].config(): field
    for system, field in (
        ("beta_vae", "beta"),
        ("beta_tcvae", "beta"),
        ("dip_vae_i", "covariance_weight"),
        ("dip_vae_ii", "covariance_weight"),
    )
}
"""Systems with a strength of regularisation, and the field that sets it."""
STRENGTHS = (2.0, 5.0, 10.0, 20.0, 50.0)
"""In the paper's range; 1 is a plain VAE, or nearly."""
SYSTEMS = (VAE, *REGULARISED, SVAE, *WITH_REFERENCES)
MEASURES = ("linear_probes", "conditional_synthesis", "reconstruction")
"""Next to the default ones, also of recipes that no report needs them of."""


def rb_vae_table1() -> list[RunConfig]:
    """Transformed MNIST, 30 epochs, three seeds."""
    return _runs("rb-vae-table1", DataConfig(name="transformed_mnist"), SYSTEMS, epochs=30, seeds=3)


def rb_vae_table1_quick() -> list[RunConfig]:
    """A tenth of the digits, 2 epochs."""
    data = DataConfig(name="transformed_mnist", options=("count=10000",))
    return _runs("rb-vae-table1-quick", data, SYSTEMS, FASTER, epochs=2, seeds=1)


def rb_vae_strengths() -> list[RunConfig]:
    """Five strengths of each system that has one, on transformed MNIST, 30 epochs, one seed."""
    return _of_strengths("rb-vae-strengths", DataConfig(name="transformed_mnist"), epochs=30)


def rb_vae_strengths_quick() -> list[RunConfig]:
    """The same on a tenth of the digits, 2 epochs."""
    data = DataConfig(name="transformed_mnist", options=("count=10000",))
    return _of_strengths("rb-vae-strengths-quick", data, FASTER, epochs=2)


def rb_vae_strengths_affectnet() -> list[RunConfig]:
    """The same on AffectNet, 20 epochs."""
    return _of_strengths("rb-vae-strengths-affectnet", DataConfig(name="affectnet"), epochs=20)


def rb_vae_table1_affectnet() -> list[RunConfig]:
    """AffectNet with neutral references, 20 epochs, three seeds."""
    return _runs("rb-vae-table1-affectnet", DataConfig(name="affectnet"), SYSTEMS, epochs=20, seeds=3)


def rb_vae_drawn_faces_quick() -> list[RunConfig]:
    """Drawn faces without hair and background, of which those with a neutral expression are the references; 5 epochs."""
    data = DataConfig(name="drawn_faces", options=("count=6000", "reference=neutral", "view=face"))
    found = _runs("rb-vae-drawn-faces-quick", data, (VAE, *WITH_REFERENCES), FASTER, epochs=5, seeds=1)
    # against the factors that the faces are drawn from
    return [_with_measures(each, "factor_separation", "disentanglement") for each in found]


def _of_strengths(
    recipe: str, data: DataConfig, optimiser: OptimiserConfig = OPTIMISER, *, epochs: int
) -> list[RunConfig]:
    systems: list[ModelConfig] = [
        replace(system, **{field: strength})  # type: ignore[arg-type]
        for (system, field), strength in product(REGULARISED.items(), STRENGTHS)
    ]
    return _runs(recipe, data, systems, optimiser, epochs=epochs, seeds=1)


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
        found.append(_with_measures(run(recipe, data, system, training, optimiser, seed=seed), *MEASURES))
    return found


def _with_measures(config: RunConfig, *names: str) -> RunConfig:
    return replace(
        config, measures=MeasuresConfig(take=tuple(dict.fromkeys((*config.measures.take, *names))))
    )
