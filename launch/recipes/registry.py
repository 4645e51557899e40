"""The recipes of this project, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from launch.recipes.attribute_switching import (
    csvae_figures,
    csvae_figures_quick,
    csvae_table1,
    csvae_table1_quick,
)
from launch.recipes.class_labels import fashion_mnist, fashion_mnist_quick, mnist
from launch.recipes.domains import rotated_mnist, rotated_mnist_quick
from launch.recipes.estimators import estimators_drawn_faces, estimators_fashion_mnist
from launch.recipes.own_pictures import pictures, pictures_quick
from launch.recipes.own_readings import consistency, consistency_quick, few_labels, few_labels_quick
from launch.recipes.reference_sets import (
    rb_vae_drawn_faces_quick,
    rb_vae_strengths,
    rb_vae_strengths_affectnet,
    rb_vae_strengths_quick,
    rb_vae_table1,
    rb_vae_table1_affectnet,
    rb_vae_table1_quick,
)
from launch.recipes.revae import (
    mnist_style,
    revae_fashion_mnist,
    revae_fashion_mnist_quick,
    revae_one_per_class,
    revae_one_per_class_quick,
    revae_without_style,
    revae_without_style_quick,
)
from launch.recipes.several_labels import (
    ccvae_figure8,
    ccvae_figure8_quick,
    celeba_table1,
    celeba_table1_quick,
    chexpert_table1,
    chexpert_table1_quick,
    drawn_faces,
    drawn_faces_quick,
    drawn_radiographs,
    drawn_radiographs_quick,
    hair_multiclass,
    hair_multiclass_quick,
)
from launch.recipes.study import (
    study_celeba,
    study_celeba_quick,
    study_hair,
    study_hair_quick,
    study_hair_schedule,
    study_hair_schedule_quick,
)
from launch.recipes.swiss_roll import swiss_roll, swiss_roll_quick
from pipeline.config import RunConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named sweep."""

    describes: str
    """One line for ``--help`` and the list of recipes."""
    runs: Callable[[], list[RunConfig]]


RECIPES = {
    "ccvae-figure8": Recipe(
        "CCVAE's eq. 8 as printed on CelebA, with and without reparameterised z_c, 100 epochs, 3 seeds",
        ccvae_figure8,
    ),
    "ccvae-figure8-quick": Recipe(
        "the same on 6,000 drawn faces, 5 epochs: 2 minutes per run", ccvae_figure8_quick
    ),
    "celeba-table1": Recipe(
        "CCVAE table 1 on CelebA, 18 labels: all systems, 4 rates, 100 epochs, 3 seeds", celeba_table1
    ),
    "celeba-table1-quick": Recipe("CCVAE on CelebA at f = 0.06 and 1, 1 epoch", celeba_table1_quick),
    "chexpert-table1": Recipe(
        "CCVAE table 1 on CheXpert, 5 labels: all systems, 4 rates, 100 epochs, 3 seeds", chexpert_table1
    ),
    "chexpert-table1-quick": Recipe("CCVAE on CheXpert at f = 0.06 and 1, 1 epoch", chexpert_table1_quick),
    "consistency": Recipe(
        "CCVAE with and without consistency, 6,000 drawn faces, f = 0.2 and 1, 30 epochs, 3 seeds",
        consistency,
    ),
    "consistency-quick": Recipe("the same at f = 1, 5 epochs, one seed", consistency_quick),
    "csvae-figures": Recipe(
        "CSVAE figures 5 to 7 and 9 on CelebA: glasses with facial hair, and heavy makeup, 2300 epochs",
        csvae_figures,
    ),
    "csvae-figures-quick": Recipe("the same on drawn faces, 10 epochs", csvae_figures_quick),
    "csvae-table1": Recipe(
        "CSVAE table 1 on TFD, CelebA-Glasses and CelebA-FacialHair: 4 systems, 2300 epochs, 3 seeds",
        csvae_table1,
    ),
    "csvae-table1-quick": Recipe(
        "the same systems on drawn faces with and without glasses, 10 epochs", csvae_table1_quick
    ),
    "drawn-faces": Recipe(
        "the same as celeba-table1 on 20,000 drawn faces, which need no download", drawn_faces
    ),
    "drawn-faces-quick": Recipe(
        "6,000 drawn faces: 5 systems, 4 rates, 5 epochs: 2 minutes per run on a free core",
        drawn_faces_quick,
    ),
    "drawn-radiographs": Recipe(
        "the same as chexpert-table1 on 20,000 drawn radiographs, which need no download", drawn_radiographs
    ),
    "drawn-radiographs-quick": Recipe(
        "4,000 drawn radiographs: 5 systems, 4 rates, 5 epochs: 1 minute per run",
        drawn_radiographs_quick,
    ),
    "estimators-drawn-faces": Recipe(
        "CCVAE with each estimator on drawn faces, 2 rates, 3 seeds, few epochs", estimators_drawn_faces
    ),
    "estimators-fashion-mnist": Recipe(
        "CCVAE with each estimator on FashionMNIST, 2 rates, 3 seeds, few epochs", estimators_fashion_mnist
    ),
    "fashion-mnist": Recipe(
        "CCVAE table 6 on FashionMNIST: CCVAE and M2, 4 rates, 100 epochs, 3 seeds", fashion_mnist
    ),
    "fashion-mnist-quick": Recipe(
        "CCVAE and M2 on FashionMNIST at f = 0.06 and 1, 3 epochs: minutes", fashion_mnist_quick
    ),
    "few-labels": Recipe(
        "CCVAE with and without pseudo-labels, FashionMNIST, f = 0.004 and 0.06, 100 epochs, 3 seeds",
        few_labels,
    ),
    "few-labels-quick": Recipe("the same at f = 0.06, 8 epochs, one seed", few_labels_quick),
    "hair-multiclass": Recipe(
        "CCVAE on CelebA with hair as one label of 5 values, f = 0.1 and 0.9, 100 epochs, 3 seeds",
        hair_multiclass,
    ),
    "hair-multiclass-quick": Recipe(
        "CCVAE with hair as one label of 5 values on 6,000 drawn faces, f = 0.1 and 0.9, 5 epochs: 2 minutes per run",
        hair_multiclass_quick,
    ),
    "mnist": Recipe("CCVAE table 6 on MNIST: CCVAE and M2, 4 rates, 100 epochs, 3 seeds", mnist),
    "mnist-style": Recipe(
        "CCVAE and M2 on MNIST with 10 latents for style, for figures 22-24 of CCVAE's paper, f = 1, 100 epochs",
        mnist_style,
    ),
    "pictures": Recipe(
        "pictures of your own (--raw FOLDER --options NAME=VALUE ...): 5 systems, 2 rates, 100 epochs",
        pictures,
    ),
    "pictures-quick": Recipe("CCVAE and M2 on the same, 5 epochs", pictures_quick),
    "rb-vae-drawn-faces-quick": Recipe(
        "Rb-VAE, sRb-VAE, Mathieu and a VAE on 6,000 drawn faces, neutral ones as references, 5 epochs: up to 20 minutes"
        " per run on a free core",
        rb_vae_drawn_faces_quick,
    ),
    "rb-vae-strengths": Recipe(
        "Rb-VAE table 1: five strengths of each regularised VAE on transformed MNIST, 30 epochs, of which the report"
        " takes the best in cross-validation on a fold that is not reported",
        rb_vae_strengths,
    ),
    "rb-vae-strengths-affectnet": Recipe("the same on AffectNet, 20 epochs", rb_vae_strengths_affectnet),
    "rb-vae-strengths-quick": Recipe(
        "the same on a tenth of transformed MNIST, 2 epochs", rb_vae_strengths_quick
    ),
    "rb-vae-table1": Recipe(
        "Rb-VAE table 1 on transformed MNIST: 9 systems, 30 epochs, 3 seeds", rb_vae_table1
    ),
    "rb-vae-table1-affectnet": Recipe(
        "Rb-VAE table 1 on AffectNet with neutral references: 9 systems, 20 epochs, 3 seeds",
        rb_vae_table1_affectnet,
    ),
    "rb-vae-table1-quick": Recipe(
        "the same systems on a tenth of transformed MNIST, 2 epochs: 3 to 12 minutes per run on a free core",
        rb_vae_table1_quick,
    ),
    "revae-fashion-mnist": Recipe(
        "ReVAE tables 1 and 2 on FashionMNIST: CCVAE (4 + 10 latents), M2, M3, 3 rates, 100 epochs, 3 seeds",
        revae_fashion_mnist,
    ),
    "revae-fashion-mnist-quick": Recipe(
        "the same at f = 0.06 and 0.2, 3 epochs: 1 minute per run", revae_fashion_mnist_quick
    ),
    "revae-one-per-class": Recipe(
        "ReVAE appendix D.2 on MNIST: one label per class, 100 epochs, 3 seeds", revae_one_per_class
    ),
    "revae-one-per-class-quick": Recipe("the same on FashionMNIST, 3 epochs", revae_one_per_class_quick),
    "revae-without-style": Recipe(
        "ReVAE tables 5 and 6 on MNIST and FashionMNIST: CCVAE (20 and 10 latents), M2, 3 rates, 100 epochs, 3 seeds",
        revae_without_style,
    ),
    "revae-without-style-quick": Recipe(
        "the same on FashionMNIST at f = 0.06 and 0.2, 3 epochs: 1 minute per run", revae_without_style_quick
    ),
    "rotated-mnist": Recipe(
        "DIVA with domains on rotated MNIST, each of 6 rotations held out, 500 epochs, 3 seeds", rotated_mnist
    ),
    "rotated-mnist-quick": Recipe(
        "DIVA with domains on rotated MNIST, 75 degrees held out, 20 epochs", rotated_mnist_quick
    ),
    "study-celeba": Recipe(
        "Pilchen et al. on CelebA: CCVAE with binary labels, f = 0.1 and 0.9, 80 epochs, 3 seeds",
        study_celeba,
    ),
    "study-celeba-quick": Recipe(
        "the same on 6,000 drawn faces, 5 epochs: 2 minutes per run", study_celeba_quick
    ),
    "study-hair": Recipe(
        "Pilchen et al.: hair as a label of 5 values in one latent, and in ten, f = 0.1 and 0.9, 80 epochs, 3 seeds",
        study_hair,
    ),
    "study-hair-quick": Recipe(
        "the same on 6,000 drawn faces, 5 epochs: 2 minutes per run", study_hair_quick
    ),
    "study-hair-schedule": Recipe(
        "Pilchen et al.: hair in one latent, f = 0.9, 0.5 and 0.1 for 40 epochs each, 3 seeds",
        study_hair_schedule,
    ),
    "study-hair-schedule-quick": Recipe(
        "the same on 6,000 drawn faces, 2 epochs each", study_hair_schedule_quick
    ),
    "swiss-roll": Recipe(
        "CSVAE on the swiss roll, figure 2 of its paper: both priors, 2300 epochs, 3 seeds", swiss_roll
    ),
    "swiss-roll-quick": Recipe("CSVAE on the swiss roll, 20 epochs", swiss_roll_quick),
}
QUICK = "fashion-mnist-quick"
