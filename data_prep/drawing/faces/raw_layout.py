"""Drawn faces as CelebA's raw files: ``img_align_celeba/``, ``list_attr_celeba.txt``, ``list_eval_partition.txt``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from data_prep.celeba_names import ATTRIBUTES, CCVAE_LABELS
from data_prep.drawing.drawing import Box, Drawn, Known
from data_prep.drawing.faces.factors import FACTORS
from data_prep.drawing.faces.labels import switched
from data_prep.drawing.faces.picture import draw, person, portrait
from data_prep.drawing.faces.pose import HEIGHT, WIDTH
from data_prep.drawing.faces.regions import regions

_TRAIN, _VALID = 162_770 / 202_599, 19_867 / 202_599
"""CelebA's shares; the rest is the test split."""


class Faces:
    """Portraits of 178 x 218 pixels with CelebA's forty attributes."""

    name = "faces"
    version = 1
    labels = CCVAE_LABELS
    factors = FACTORS
    notes = (
        "Drawn portraits in CelebA's layout. Nobody on them exists. All attributes but Attractive can be seen; the 18 of "
        "Joy et al. 2021, C.1, have a box each in regions.csv, which holds what switching the label changes."
    )

    def file(self, index: int, count: int) -> str:
        return f"img_align_celeba/{_name(index)}"

    def index_of(self, file: str, count: int) -> int:
        return int(file.rpartition("/")[2].removesuffix(".jpg")) - 1

    def factors_of(self, seed: int, index: int) -> list[float]:
        return list(asdict(person(seed, index)[1]).values())

    def regions_of(self, seed: int, index: int) -> tuple[tuple[int, int], Mapping[str, Box]]:
        return (WIDTH, HEIGHT), regions(person(seed, index)[1])

    def draw(self, seed: int, index: int) -> Drawn:
        shot = portrait(seed, index)
        quality = int(shot.face.jpeg_quality)
        shown = tuple(label for label in CCVAE_LABELS if shot.labels[label])
        known = Known({**shot.labels}, asdict(shot.face), regions(shot.face))
        return Drawn(draw(shot), quality, shown, known)

    def switched(self, seed: int, index: int, label: str, value: bool) -> NDArray[np.uint8]:
        labels, _ = person(seed, index)
        return draw(portrait(seed, index, switched(labels, label, value)))

    def lists(
        self, seed: int, count: int, known: Callable[[], Iterator[Known]]
    ) -> Mapping[str, Iterable[str]]:
        valid, test = round(_TRAIN * count), round((_TRAIN + _VALID) * count)
        attributes = (
            f"{_name(index)} " + " ".join(" 1" if each.labels[name] else "-1" for name in ATTRIBUTES)
            for index, each in enumerate(known())
        )
        return {
            "list_attr_celeba.txt": chain((str(count), " ".join(ATTRIBUTES)), attributes),
            "list_eval_partition.txt": (f"{_name(i)} {(i >= valid) + (i >= test)}" for i in range(count)),
        }


def _name(index: int) -> str:
    return f"{index + 1:06d}.jpg"
