"""The swiss roll of Klys et al. 2018, section 5.1: 10,000 points in space, labelled 1 in one half of the roll.

scikit-learn's ``make_swiss_roll``, the columns of which are x = t cos t, y (0 to 21, along the roll's axis) and
z = t sin t with t from 1.5 pi to 4.5 pi. The paper labels a point "0 if x < 10 and 1 if x > 10, splitting the roll in
half"; of scikit-learn's columns only y is halved at 10, so the label is ``y > 10``.

Points are not images, but the rows of a data set hold images of bytes. So a row has both forms:

* ``factors`` has the exact float32 coordinates x, y, z and the position t along the roll.
* ``image`` (1, 1, 3) has the coordinates as bytes: 0 to 255 stands for an interval 30 wide, from -15 for x and z and
  from -4.5 for y, so that one unit is the same length on every axis and distances keep their ratios. The step is
  30 / 255 = 0.118, so no point is moved by more than 0.06 along an axis, while the sheets of the roll are 6 apart.

So every loader, model and measure handles the roll like pictures; what needs the exact points reads the factors.
The paper has no held-out points: ``test`` has 2,000 more from the next seed, for the measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows

SPAN = 30.0
"""length of the interval that 0 to 255 stands for, on each axis"""
LOWEST = (-15.0, -4.5, -15.0)
"""coordinates (x, y, z) that byte 0 stands for"""
BOUNDARY = 10.0
"""y above this: label 1"""

_POINTS = {"train": 10_000, "test": 2_000}


@dataclass(frozen=True, kw_only=True)
class SwissRoll:
    """The points are drawn, so there are no raw files."""

    seed: int = 0
    """of scikit-learn's generator for ``train``; ``test`` has the next one"""
    name: str = "swiss_roll"
    title: str = "swiss roll"
    home: str = "scikit-learn's make_swiss_roll (Marsland 2009)"
    licence: str = "none needed: the points are computed"
    raw: Path | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {"seed": self.seed}

    @property
    def factors(self) -> tuple[str, ...]:
        return ("x", "y", "z", "t")

    def image_shape(self) -> tuple[int, int, int]:
        return (1, 1, 3)

    def labels(self) -> tuple[LabelSpec, ...]:
        return (LabelSpec("half", 2, ("y up to 10", "y above 10")),)

    def checksums(self) -> Mapping[str, str]:
        return {}

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> SwissRoll:
        return self

    def where_raw(self) -> str:
        return "none needed"

    def splits(self) -> Mapping[str, int]:
        return dict(_POINTS)

    def ids(self, split: str) -> list[str]:
        return [_id(split, row) for row in range(_POINTS[split])]

    def label_column(self, split: str) -> NDArray[np.uint8]:
        return (self._points[split][:, 1] > BOUNDARY).astype(np.uint8)

    def rows(self, split: str, start: int, stop: int) -> Rows:
        points = self._points[split][start:stop]
        n = len(points)
        return Rows(
            image=as_bytes(points[:, :3]).reshape(n, *self.image_shape()),
            labels=self.label_column(split)[start:stop].reshape(n, 1),
            observed=np.ones((n, 1), dtype=np.bool_),
            reference=np.zeros(n, dtype=np.bool_),
            factors=points.astype(np.float32),
            ids=[_id(split, row) for row in range(start, start + n)],
        )

    @cached_property
    def _points(self) -> dict[str, NDArray[np.float64]]:
        """Split → (n, 4): x, y, z, t."""
        from sklearn.datasets import make_swiss_roll  # here, because it takes a second to import

        drawn = {}
        for offset, (split, count) in enumerate(_POINTS.items()):
            points, position = make_swiss_roll(n_samples=count, random_state=self.seed + offset)
            drawn[split] = np.column_stack([points, position])
        return drawn


def as_bytes(points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Coordinates (n, 3) as the bytes of a row's image."""
    return np.rint((points - LOWEST) / SPAN * 255).astype(np.uint8)


def as_coordinates(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The coordinates (n, 3) that the bytes (n, 3) of rows' images stand for."""
    return values / 255 * SPAN + LOWEST


def _id(split: str, row: int) -> str:
    return f"{split}-{row:05d}"


def swiss_roll(raw: Path | None, *, seed: int = 0) -> SwissRoll:
    """The swiss roll, CSVAE's toy data, computed without raw files (Klys et al. 2018, 5.1)."""
    return SwissRoll(seed=seed)
