"""Sweeps with a name: functions that return the runs of a sweep."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from data_prep.errors import LaunchError
from launch.recipes.class_labels import fashion_mnist, fashion_mnist_quick, mnist
from launch.recipes.estimators import estimators_drawn_faces, estimators_fashion_mnist
from pipeline.config import RunConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named sweep."""

    describes: str
    """One line for ``--help`` and the list of recipes."""
    runs: Callable[[], list[RunConfig]]


RECIPES = {
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
    "mnist": Recipe("CCVAE table 6 on MNIST: CCVAE and M2, 4 rates, 100 epochs, 3 seeds", mnist),
}
QUICK = "fashion-mnist-quick"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; LaunchError that names the likely one and lists them all."""
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise LaunchError(f"there is no recipe {name!r}{guess} (recipes: {', '.join(RECIPES)})")
