"""Digits in several rotations, each a domain, one of them held out for testing: the data of Ilse et al. 2019, section 4.1.

From the 60,000 training images of MNIST 100 of each digit are chosen. Rotated counter-clockwise by 0, 15, 30, 45, 60 and 75
degrees, these 1,000 images are six domains. ``train`` has all but one of them; ``test`` is the one held out, with the same
digits as all others: it tests whether digits are recognised in an unseen rotation.

As its authors do: MNIST's test images are not used; rotation uses the nearest neighbour, and what comes
in from outside is black. Our choices: which images are chosen follows from a hash of (seed, id), and in ``train`` the
rotations of an image are adjacent. The values of the label ``domain`` are the rotations of ``train``; a row of
``test`` comes from none of them, so there it is not observed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.errors import ConfigError
from data_prep.manifest import LabelSpec
from data_prep.rows import Rows
from data_prep.sources.derived_images import DerivedImages
from data_prep.sources.mnist import mnist

_RAW_SPLIT = "train"


@dataclass(frozen=True, kw_only=True)
class RotatedImages(DerivedImages):
    """Images of the MNIST family in several rotations."""

    per_class: int = 100
    """number of images chosen per class"""
    angles: tuple[float, ...] = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0)
    """degrees counter-clockwise, of every domain"""
    held_out: float = 75.0
    """the one of ``angles`` that is the test split"""
    seed: int = 0
    """decides which images are chosen"""

    def __post_init__(self) -> None:
        angles = ",".join(f"{angle:g}" for angle in self.angles)
        if self.per_class < 1:
            raise ConfigError(f"rotated_mnist: per_class is {self.per_class}; it must be at least 1")
        if len({angle % 360 for angle in self.angles}) < len(self.angles):
            raise ConfigError(f"rotated_mnist: angles is {angles}; each rotation may occur only once")
        if self.held_out not in self.angles:
            raise ConfigError(f"rotated_mnist: held_out is {self.held_out:g}, which is none of {angles}")
        if len(self.angles) < 3:
            raise ConfigError(
                f"rotated_mnist: angles is {angles}; at least two domains to train on and one to hold out are needed"
            )

    @property
    def name(self) -> str:
        return "rotated_mnist"

    @property
    def title(self) -> str:
        return f"{self.plain.title} in rotations (DIVA)"

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            "per_class": self.per_class,
            "angles": ",".join(f"{angle:g}" for angle in self.angles),
            "held_out": self.held_out,
            "seed": self.seed,
        }

    @property
    def factors(self) -> tuple[str, ...]:
        return ()

    def image_shape(self) -> tuple[int, int, int]:
        return self.plain.image_shape()

    def labels(self) -> tuple[LabelSpec, ...]:
        domains = tuple(f"{angle:g} degrees" for angle in self._angles_of("train"))
        return (*self.plain.labels(), LabelSpec("domain", len(domains), domains))

    def splits(self) -> Mapping[str, int]:
        return {split: len(self._chosen) * len(self._angles_of(split)) for split in ("train", "test")}

    def ids(self, split: str) -> list[str]:
        angles = self._angles_of(split)
        return [f"{_raw_id(image)}-rotated-{angle:g}" for image in self._chosen for angle in angles]

    def label_column(self, split: str) -> NDArray[np.uint8]:
        return np.repeat(self._classes[list(self._chosen)], len(self._angles_of(split)))

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a split whose files were unpacked by ``verified``."""
        angles = self._angles_of(split)
        stop = min(stop, self.splits()[split])
        places = [divmod(row, len(angles)) for row in range(start, stop)]
        first = self._chosen[places[0][0]]
        raw = self.plain.rows(_RAW_SPLIT, first, self._chosen[places[-1][0]] + 1)
        image = [rotated(raw.image[self._chosen[which] - first, 0], angles[turn]) for which, turn in places]
        labels = np.stack([self.label_column(split)[start:stop], [turn for _, turn in places]], axis=1)
        observed = np.ones(labels.shape, dtype=np.bool_)
        observed[:, 1] = split == "train"
        return Rows(
            image=np.stack(image)[:, None],
            labels=labels.astype(np.uint8),
            observed=observed,
            reference=np.zeros(len(places), dtype=np.bool_),
            factors=np.zeros((len(places), 0), dtype=np.float32),
            ids=self.ids(split)[start:stop],
        )

    def _angles_of(self, split: str) -> tuple[float, ...]:
        if split == "test":
            return (self.held_out,)
        return tuple(angle for angle in self.angles if angle != self.held_out)

    @cached_property
    def _classes(self) -> NDArray[np.uint8]:
        """The classes of all raw images."""
        return self.plain.label_column(_RAW_SPLIT)

    @cached_property
    def _chosen(self) -> tuple[int, ...]:
        """The images, in the order of the raw file: of each class those whose hashes of (seed, id) are the smallest."""
        chosen: list[int] = []
        for value, name in enumerate(self.plain.labels()[0].values):
            members = np.flatnonzero(self._classes == value).tolist()
            if len(members) < self.per_class:
                raise ConfigError(
                    f"rotated_mnist: per_class is {self.per_class}, but there are only {len(members)} images of class {name}"
                )
            chosen += sorted(members, key=self._hash)[: self.per_class]
        return tuple(sorted(chosen))

    def _hash(self, image: int) -> bytes:
        return hashlib.blake2b(f"chosen\0{self.seed}\0{_raw_id(image)}".encode(), digest_size=16).digest()


def rotated(image: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """A grey image (height, width) rotated counter-clockwise around its centre, within the same frame."""
    turned = Image.fromarray(image).rotate(degrees, resample=Image.Resampling.NEAREST)
    return np.asarray(turned, dtype=np.uint8)


def _raw_id(image: int) -> str:
    return f"{_RAW_SPLIT}-{image:06d}"


def rotated_mnist(
    raw: Path | None,
    *,
    per_class: int = 100,
    angles: str = "0,15,30,45,60,75",
    held_out: float = 75.0,
    seed: int = 0,
) -> RotatedImages:
    """DIVA's digits: 1,000 images of MNIST in five rotations to train on and a sixth to test, 1 x 28 x 28."""
    try:
        degrees = tuple(float(angle) for angle in angles.split(","))
    except ValueError:
        raise ConfigError(
            f"rotated_mnist: angles is {angles!r}, but comma-separated degrees are expected: 0,15,30"
        ) from None
    return RotatedImages(plain=mnist(raw), per_class=per_class, angles=degrees, held_out=held_out, seed=seed)
