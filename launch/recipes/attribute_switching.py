"""Klys et al. 2018: the four systems of table 1, on faces with one attribute or one of seven expressions; more figures.

2300 epochs of Adam 5e-4 on batches of 64, all labels observed, as in their 7.1: the learning rate decays after 1, 3, 9,
... 729 ... 729 epochs, to a tenth in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from launch.recipes.runs import run
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.cond_vae import CondVAEConfig, CondVAEInfoConfig
from pipeline.models.csvae import CSVAEConfig
from pipeline.models.registry import ModelConfig
from pipeline.models.vae import VAEConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig

RECONSTRUCTION, KL, ADVERSARY = 20.0, 0.2, 10.0
"""CSVAE's weights for all systems: 7.1 says that they share hyperparameters, and lists no others."""
OPTIMISER = OptimiserConfig(
    learning_rate=5e-4, milestones=tuple(3**power for power in range(7)), decay=0.1 ** (1 / 7)
)
SYSTEMS: tuple[ModelConfig, ...] = (
    VAEConfig(likelihood="gaussian", reconstruction_weight=RECONSTRUCTION, kl_weight=KL),
    CondVAEConfig(reconstruction_weight=RECONSTRUCTION, kl_weight=KL, hidden_labels=0.0),
    CondVAEInfoConfig(
        reconstruction_weight=RECONSTRUCTION, kl_weight=KL, information_weight=ADVERSARY, hidden_labels=0.0
    ),
    CSVAEConfig(hidden_labels=0.0),
)


BOTH_LABELS, MAKEUP = "celeba_glasses_facial_hair", "celeba_heavy_makeup"


def csvae_table1() -> list[RunConfig]:
    """TFD, CelebA's faces with and without glasses, and with and without facial hair, three seeds."""
    data = [DataConfig(name=name) for name in ("tfd", "celeba_glasses", "celeba_facial_hair")]
    return _runs("csvae-table1", data, epochs=2300, seeds=3)


def csvae_table1_quick() -> list[RunConfig]:
    """Drawn faces with and without glasses."""
    data = [DataConfig(name="drawn_faces", options=("count=6000", "read_as=celeba_glasses"))]
    return _runs("csvae-table1-quick", data, epochs=10, seeds=1)


def csvae_figures() -> list[RunConfig]:
    """CSVAE on CelebA's faces with both labels, and the three systems of figure 3 on those with and without makeup."""
    return _of_figures("csvae-figures", DataConfig(name=BOTH_LABELS), DataConfig(name=MAKEUP), epochs=2300)


def csvae_figures_quick() -> list[RunConfig]:
    """Drawn faces, read as these."""
    both, makeup = (
        DataConfig(name="drawn_faces", options=("count=6000", f"read_as={name}"))
        for name in (BOTH_LABELS, MAKEUP)
    )
    return _of_figures("csvae-figures-quick", both, makeup, epochs=10)


def _of_figures(recipe: str, both: DataConfig, makeup: DataConfig, *, epochs: int) -> list[RunConfig]:
    _, *manipulating = SYSTEMS
    return [
        *_runs(recipe, [both], epochs=epochs, seeds=1, systems=SYSTEMS[-1:]),
        *_runs(recipe, [makeup], epochs=epochs, seeds=1, systems=manipulating),
    ]


def _runs(
    recipe: str,
    data: Iterable[DataConfig],
    *,
    epochs: int,
    seeds: int,
    systems: Sequence[ModelConfig] = SYSTEMS,
) -> list[RunConfig]:
    training = TrainingConfig(epochs=epochs, batch_size=64)
    return [
        run(recipe, entry, system, training, OPTIMISER, seed=seed)
        for seed, entry, system in product(range(seeds), data, systems)
    ]
