"""Digits (or clothes) in many styles with plain reference ones: the data of Ruiz et al. 2019, section 5.1 and A.3.1.

Half of the 60,000 training images are the reference set, in their plain style; each image of the other half appears
twice, each time in a style of its own, 60,000 rows without the reference flag. From the 10,000 test images come two
disjoint sets of 5,000: ``probe`` fits the regressors that predict the factors, ``test`` evaluates them.

Not specified in the paper; our choices: which images are references, and which test image goes into which set, follows
from a hash of (seed, id); a test image is transformed once ("5k images each"); in ``train`` the rows are in the order
of the raw files, references among the others; all digits are stored as labels; which of them a model sees is set by its
supervision rate (the paper's models see none). How a picture is changed: ``digit_styles``. ``side=32`` and ``side=16``
are the same pictures at that size, for experiments on few processors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.manifest import LabelSpec
from data_prep.rows import Rows
from data_prep.sources import digit_styles
from data_prep.sources.derived_images import DerivedImages
from data_prep.sources.digit_styles import SIZE, UNCHANGED, edges, shrunk, style_of, styled
from data_prep.sources.mnist import fashion_mnist, mnist

_PLAIN = {"mnist": mnist, "fashion_mnist": fashion_mnist}
_COPIES = 2
_PROBE_SETS = ("probe", "test")


@dataclass(frozen=True)
class _Row:
    """One row of a split: the raw image it shows, and its id."""

    image: int
    id: str
    reference: bool


@dataclass(frozen=True, kw_only=True)
class StyledImages(DerivedImages):
    """Rb-VAE's styles over a source of the MNIST family."""

    images: str
    """the option that chose ``plain``"""
    seed: int = 0
    """decides which images are references, which test image is in which probe set, and every style"""
    side: int = SIZE
    """of the pictures, in pixels"""

    @property
    def name(self) -> str:
        return "transformed_mnist"

    @property
    def title(self) -> str:
        return f"{self.plain.title} in styles (Rb-VAE)"

    @property
    def options(self) -> Mapping[str, Any]:
        of_size = (
            {} if self.side == SIZE else {"side": self.side}
        )  # so that the paper's data keep their digest
        return {"images": self.images, "seed": self.seed, **of_size}

    @property
    def factors(self) -> tuple[str, ...]:
        return digit_styles.FACTORS

    def image_shape(self) -> tuple[int, int, int]:
        return (3, self.side, self.side)

    def labels(self) -> tuple[LabelSpec, ...]:
        return self.plain.labels()

    def splits(self) -> Mapping[str, int]:
        return {split: len(rows) for split, rows in self._rows.items()}

    def ids(self, split: str) -> list[str]:
        return [row.id for row in self._rows[split]]

    def label_column(self, split: str) -> NDArray[np.uint8]:
        return self.plain.label_column(_raw_split(split))[[row.image for row in self._rows[split]]]

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a split whose files were unpacked by ``verified``."""
        rows = self._rows[split][start:stop]
        first, last = min(row.image for row in rows), max(row.image for row in rows) + 1
        # The rows of a shard come from neighbouring images, except in the two probe sets, which share one file.
        raw = self.plain.rows(_raw_split(split), first, last)
        image = np.empty((len(rows), *self.image_shape()), dtype=np.uint8)
        factors = np.empty((len(rows), len(self.factors)), dtype=np.float32)
        for i, row in enumerate(rows):
            style = UNCHANGED if row.reference else style_of(self.seed, row.id)
            image[i] = shrunk(styled(edges(raw.image[row.image - first, 0]), style), self.side)
            factors[i] = style.factors
        shown = np.asarray([row.image - first for row in rows])
        return Rows(
            image=image,
            labels=raw.labels[shown],
            observed=raw.observed[shown],
            reference=np.asarray([row.reference for row in rows]),
            factors=factors,
            ids=[row.id for row in rows],
        )

    @cached_property
    def _rows(self) -> dict[str, list[_Row]]:
        counts = self.plain.splits()
        references = self._chosen_half("train", counts["train"])
        first_probe_set = self._chosen_half("test", counts["test"])
        return {
            "train": [
                row for image in range(counts["train"]) for row in _training_rows(image, image in references)
            ],
            _PROBE_SETS[0]: [_probe_row(image) for image in sorted(first_probe_set)],
            _PROBE_SETS[1]: [_probe_row(i) for i in range(counts["test"]) if i not in first_probe_set],
        }

    def _chosen_half(self, raw_split: str, images: int) -> frozenset[int]:
        """Half of the images of a raw file: those whose hashes of (seed, id) are the smaller ones."""

        def key(image: int) -> bytes:
            return hashlib.blake2b(
                f"half\0{self.seed}\0{_raw_id(raw_split, image)}".encode(), digest_size=16
            ).digest()

        return frozenset(sorted(range(images), key=key)[: images // 2])


def _raw_split(split: str) -> str:
    return "test" if split in _PROBE_SETS else split


def _raw_id(raw_split: str, image: int) -> str:
    return f"{raw_split}-{image:06d}"


def _training_rows(image: int, reference: bool) -> list[_Row]:
    plain = _raw_id("train", image)
    if reference:
        return [_Row(image, plain, reference=True)]
    return [_Row(image, f"{plain}-style-{copy}", reference=False) for copy in range(1, _COPIES + 1)]


def _probe_row(image: int) -> _Row:
    return _Row(image, f"{_raw_id('test', image)}-style-1", reference=False)


def transformed_mnist(
    raw: Path | None,
    *,
    images: Literal["mnist", "fashion_mnist"] = "mnist",
    seed: int = 0,
    side: Literal[64, 32, 16] = 64,
) -> StyledImages:
    """Rb-VAE's digits: 30,000 references and 60,000 in styles, 3 x 64 x 64, from the raw files of MNIST.

    ``images`` can select FashionMNIST's instead, which the paper does not; ``side`` a smaller size.
    """
    return StyledImages(images=images, plain=_PLAIN[images](raw), seed=seed, side=side)
