"""Table 1 of Joy et al. 2021, pictures with several labels: CelebA, CheXpert, and pictures drawn like theirs; and hair.

100 epochs of Adam 2e-4, as in their C.3. CheXpert has "the same networks" as CelebA there, whose 45 latents are 18 for
the labels and 27 for style: with five labels that leaves 40. Quick recipes use a larger learning rate and smaller batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from data_prep.supervision import PAPER_RATES
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

FACES, RADIOGRAPHS = (18, 27), (5, 40)
"""Labels, and latents for style."""
HAIR_RATES = (0.1, 0.9)

FEW_FACES = DataConfig(name="drawn_faces", options=("count=6000",))
FEW_RADIOGRAPHS = DataConfig(name="drawn_radiographs", options=("count=4000",))
FEW_HAIR_COLOURS = DataConfig(name="drawn_faces", options=("count=6000", "read_as=celeba_hair"))


def celeba_table1() -> list[RunConfig]:
    """The CelebA half of the table, three seeds."""
    return _paper("celeba-table1", "celeba", _systems(*FACES))


def celeba_table1_quick() -> list[RunConfig]:
    """CCVAE for one epoch of CelebA, at two rates."""
    runs = product(_systems(*FACES)[:1], (0.06, 1.0))
    return _quick("celeba-table1-quick", DataConfig(name="celeba"), runs, epochs=1)


def chexpert_table1() -> list[RunConfig]:
    """The CheXpert half of the table, three seeds."""
    return _paper("chexpert-table1", "chexpert", _systems(*RADIOGRAPHS))


def chexpert_table1_quick() -> list[RunConfig]:
    """CCVAE for one epoch of the frontal views of CheXpert, at two rates."""
    runs = product(_systems(*RADIOGRAPHS)[:1], (0.06, 1.0))
    return _quick("chexpert-table1-quick", DataConfig(name="chexpert"), runs, epochs=1)


def drawn_faces() -> list[RunConfig]:
    """The table on 20,000 drawn faces with CelebA's 18 labels, three seeds."""
    return _paper("drawn-faces", "drawn_faces", _systems(*FACES))


def drawn_faces_quick() -> list[RunConfig]:
    """6,000 drawn faces, one seed."""
    return _quick("drawn-faces-quick", FEW_FACES, product(_systems(*FACES), PAPER_RATES), epochs=5)


def drawn_radiographs() -> list[RunConfig]:
    """The table on 20,000 drawn radiographs with CheXpert's five labels, three seeds."""
    return _paper("drawn-radiographs", "drawn_radiographs", _systems(*RADIOGRAPHS))


def drawn_radiographs_quick() -> list[RunConfig]:
    """4,000 drawn radiographs, one seed."""
    runs = product(_systems(*RADIOGRAPHS), PAPER_RATES)
    return _quick("drawn-radiographs-quick", FEW_RADIOGRAPHS, runs, epochs=5)


def hair_multiclass() -> list[RunConfig]:
    """CelebA with its hair as one label of five values, at the rates of Pilchen et al., three seeds."""
    return _paper("hair-multiclass", "celeba_hair", [CCVAEConfig.celeba()], HAIR_RATES)


def hair_multiclass_quick() -> list[RunConfig]:
    """The same on 6,000 drawn faces."""
    runs = product([CCVAEConfig.celeba()], HAIR_RATES)
    return _quick("hair-multiclass-quick", FEW_HAIR_COLOURS, runs, epochs=5)


def ccvae_figure8() -> list[RunConfig]:
    """CelebA with eq. 8's gradients as they are printed, ``z_c`` reparameterised in the classifier, and not."""
    return _paper("ccvae-figure8", "celeba", _as_printed(), (1.0,))


def ccvae_figure8_quick() -> list[RunConfig]:
    """The same on 6,000 drawn faces."""
    runs = _quick("ccvae-figure8-quick", FEW_FACES, product(_as_printed(), (1.0,)), epochs=5)
    return [replace(run, training=replace(run.training, log_every_steps=10)) for run in runs]


def _as_printed() -> list[ModelConfig]:
    printed = replace(CCVAEConfig.celeba(), weight_gradient="as_printed")
    return [printed, replace(printed, reparameterise_classifier=True)]


def _systems(labels: int, style_size: int) -> list[ModelConfig]:
    """CCVAE, what the table compares it with, and M3; the others have CCVAE's latent sizes (the paper gives none)."""
    return [
        CCVAEConfig(style_size=style_size),
        M2Config(latent_size=style_size),
        DivaConfig(style_size=style_size),
        MVAEConfig(latent_size=labels + style_size),
        M3Config(style_size=style_size),
    ]


def _paper(
    recipe: str, data: str, systems: list[ModelConfig], rates: Iterable[float] = PAPER_RATES
) -> list[RunConfig]:
    training, optimiser = TrainingConfig(epochs=100), OptimiserConfig(learning_rate=2e-4)
    return [
        run(recipe, DataConfig(name=data, supervision_rate=rate), system, training, optimiser, seed=seed)
        for seed, system, rate in product(range(3), systems, rates)
    ]


def _quick(
    recipe: str, data: DataConfig, runs: Iterable[tuple[ModelConfig, float]], *, epochs: int
) -> list[RunConfig]:
    training, optimiser = TrainingConfig(epochs=epochs, batch_size=32), OptimiserConfig(learning_rate=1e-3)
    return [
        run(recipe, replace(data, supervision_rate=rate), system, training, optimiser)
        for system, rate in runs
    ]
