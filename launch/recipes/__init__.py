"""Named sweeps: functions that return the runs of a sweep."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from data_prep.errors import LaunchError
from launch.recipes.attribute_switching import csvae_table1, csvae_table1_quick
from launch.recipes.class_labels import fashion_mnist, fashion_mnist_quick, mnist
from launch.recipes.domains import rotated_mnist, rotated_mnist_quick
from launch.recipes.estimators import estimators_drawn_faces, estimators_fashion_mnist
from launch.recipes.several_labels import (
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
from launch.recipes.swiss_roll import swiss_roll, swiss_roll_quick
from pipeline.config import RunConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named sweep."""

    describes: str
    """One line for ``--help`` and the list of recipes."""
    runs: Callable[[], list[RunConfig]]


RECIPES = {
    "celeba-table1": Recipe(
        "CCVAE table 1 on CelebA, 18 labels: all systems, 4 rates, 100 epochs, 3 seeds", celeba_table1
    ),
    "celeba-table1-quick": Recipe("CCVAE on CelebA at f = 0.06 and 1, 1 epoch", celeba_table1_quick),
    "chexpert-table1": Recipe(
        "CCVAE table 1 on CheXpert, 5 labels: all systems, 4 rates, 100 epochs, 3 seeds", chexpert_table1
    ),
    "chexpert-table1-quick": Recipe("CCVAE on CheXpert at f = 0.06 and 1, 1 epoch", chexpert_table1_quick),
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
    "fashion-mnist-quick": Recipe(
        "CCVAE and M2 on FashionMNIST at f = 0.06 and 1, 3 epochs: minutes", fashion_mnist_quick
    ),
    "fashion-mnist": Recipe(
        "CCVAE table 6 on FashionMNIST: CCVAE and M2, 4 rates, 100 epochs, 3 seeds", fashion_mnist
    ),
    "hair-multiclass": Recipe(
        "CCVAE on CelebA with hair as one label of 5 values, f = 0.1 and 0.9, 100 epochs, 3 seeds",
        hair_multiclass,
    ),
    "hair-multiclass-quick": Recipe(
        "CCVAE with hair as one label of 5 values on 6,000 drawn faces, f = 0.1 and 0.9, 5 epochs: 2 minutes per run",
        hair_multiclass_quick,
    ),
    "mnist": Recipe("CCVAE table 6 on MNIST: CCVAE and M2, 4 rates, 100 epochs, 3 seeds", mnist),
    "rotated-mnist": Recipe(
        "DIVA with domains on rotated MNIST, each of 6 rotations held out, 500 epochs, 3 seeds", rotated_mnist
    ),
    "rotated-mnist-quick": Recipe(
        "DIVA with domains on rotated MNIST, 75 degrees held out, 20 epochs", rotated_mnist_quick
    ),
    "swiss-roll": Recipe(
        "CSVAE on the swiss roll, figure 2 of its paper: both priors, 2300 epochs, 3 seeds", swiss_roll
    ),
    "swiss-roll-quick": Recipe("CSVAE on the swiss roll, 20 epochs", swiss_roll_quick),
}
QUICK = "fashion-mnist-quick"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; LaunchError with the closest name and a list of all."""
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise LaunchError(f"there is no recipe {name!r}{guess} (recipes: {', '.join(RECIPES)})")
