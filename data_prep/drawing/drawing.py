"""What is drawn: a numbered picture, what is known of it, and the lists that go with the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""(left, upper, right, lower) in pixels of the picture file, right and lower exclusive"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a picture after its file is written."""

    labels: Mapping[str, int | None]
    """what the lists state; None is a blank"""
    factors: Mapping[str, float]
    regions: Mapping[str, Box]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One picture and all that is known of it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) or (H, W)"""
    jpeg_quality: int
    shown: tuple[str, ...]
    """what is visible in it, as readable names"""
    known: Known


@runtime_checkable
class Drawing(Protocol):
    """A kind of pictures. Everything depends on (seed, index) alone."""

    @property
    def name(self) -> str:
        """Its name on the command line and in ``drawing.json``."""
        ...

    @property
    def version(self) -> int:
        """Incremented whenever a pixel or a label changes."""
        ...

    @property
    def notes(self) -> str:
        """For ``README.txt``: what is drawn and what is not."""
        ...

    def file(self, index: int, count: int) -> str:
        """Path of picture ``index`` of ``count`` in the raw folder, with slashes."""
        ...

    def draw(self, seed: int, index: int) -> Drawn: ...

    def switched(self, seed: int, index: int, label: str, value: bool) -> NDArray[np.uint8]:
        """The same picture with one label set, all else the same."""
        ...

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the numbers that a picture is drawn from."""
        ...

    def factors_of(self, seed: int, index: int) -> list[float]:
        """Their values, in the order of their names, without drawing."""
        ...

    def index_of(self, file: str, count: int) -> int:
        """The inverse of ``file``, whatever folder the name begins with."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Those that have a region."""
        ...

    def regions_of(self, seed: int, index: int) -> tuple[tuple[int, int], Mapping[str, Box]]:
        """Width and height of the picture and the box of each label, without drawing."""
        ...

    def lists(
        self, seed: int, count: int, known: Callable[[], Iterator[Known]]
    ) -> Mapping[str, Iterable[str]]:
        """The raw layout's own lists: path in the raw folder → lines. ``known`` restarts at the first picture."""
        ...


def written(folder: Path, file: str) -> Path:
    """The path of a picture; its folder is made if it is missing."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
