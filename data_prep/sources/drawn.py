"""Faces and chest radiographs drawn from known factors, read in the same way as CelebA and CheXpert."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.drawing.drawing import Box
from data_prep.drawing.faces.expression import is_neutral
from data_prep.drawing.kinds import drawing_named
from data_prep.drawing.raw_folder import check_numbers, draw_raw_folder
from data_prep.errors import RawDataError
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.celeba import (
    celeba,
    celeba_facial_hair,
    celeba_glasses,
    celeba_glasses_facial_hair,
    celeba_hair,
    celeba_heavy_makeup,
)
from data_prep.sources.chexpert import Blank, Uncertain, Views, chexpert
from data_prep.sources.labelled_pictures import LabelledPictures
from data_prep.sources.picture_index import PictureIndex
from data_prep.sources.raw_files import cache_folder

FacesAs = Literal[
    "celeba",
    "celeba_hair",
    "celeba_glasses",
    "celeba_facial_hair",
    "celeba_glasses_facial_hair",
    "celeba_heavy_makeup",
]
FacesReference = Literal["none", "neutral"]
FacesView = Literal["portrait", "face"]
_FACE: Box = (45, 84, 133, 172)
"""From the brows to the chin: little but what an expression changes."""
_AS: dict[FacesAs, Callable[[Path | None], LabelledPictures]] = {
    "celeba": celeba,
    "celeba_hair": celeba_hair,
    "celeba_glasses": celeba_glasses,
    "celeba_facial_hair": celeba_facial_hair,
    "celeba_glasses_facial_hair": celeba_glasses_facial_hair,
    "celeba_heavy_makeup": celeba_heavy_makeup,
}


_REGION_OF = {"Hair": "Black_Hair", "Facial_Hair": "No_Beard"}
"""Label of a data set that the drawing has under another name → the label with its region (all hair colours have one)."""


def _face_alone(read: Callable[[Path | None], LabelledPictures], raw: Path | None) -> LabelledPictures:
    return replace(read(raw), crop=_FACE)


def scaled(box: Box, crop: Box, size: tuple[int, int]) -> Box:
    """A box of a picture file as pixels of the part ``crop`` of it, resized to ``size`` (width, height).

    Every pixel that the box touches is in it; right and lower are exclusive. Outside of the crop a box is empty.
    """
    (left, upper, right, lower), (width, height) = crop, size
    across, down = width / (right - left), height / (lower - upper)
    found = (
        math.floor((box[0] - left) * across),
        math.floor((box[1] - upper) * down),
        math.ceil((box[2] - left) * across),
        math.ceil((box[3] - upper) * down),
    )
    x0, x1 = (min(max(x, 0), width) for x in found[::2])
    y0, y1 = (min(max(y, 0), height) for y in found[1::2])
    return x0, y0, x1, y1


@dataclass(frozen=True, kw_only=True)
class DrawnPictures:
    """Pictures that are drawn once, into the cache, and then read by the source whose layout they have.

    The digest covers the options and the drawing's version, not files: nothing need be drawn to find a data
    set that is already prepared. ``factors`` are those that a picture was drawn from.
    """

    name: str
    title: str
    kind: str
    """the drawing's name"""
    options: Mapping[str, Any]
    count: int
    seed: int
    raw: Path | None
    """a folder drawn earlier that the user names, or the one written by ``verified``"""
    read_as: Callable[[Path | None], LabelledPictures]
    is_reference: Callable[[Mapping[str, float]], bool] | None = None
    """factors of a picture → whether it is a member of the reference set; None if there is no such set"""

    def __post_init__(self) -> None:
        check_numbers(self.count, self.seed)

    @property
    def home(self) -> str:
        return "drawn by this program: python -m data_prep.drawing --help"

    @property
    def licence(self) -> str:
        return "that of this program; no real person is shown"

    @property
    def factors(self) -> tuple[str, ...]:
        return drawing_named(self.kind).factors

    def image_shape(self) -> tuple[int, int, int]:
        return self.read_as(None).image_shape()

    def labels(self) -> tuple[LabelSpec, ...]:
        return self.read_as(None).labels()

    def checksums(self) -> Mapping[str, str]:
        return {"drawing": f"{self.kind} version {drawing_named(self.kind).version}"}

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> DrawnPictures:
        """Draw what is missing, and read its lists; the pictures stay in the cache for the next data set."""
        draw_raw_folder(
            self.kind,
            self._folder,
            count=self.count,
            seed=self.seed,
            workers=workers,
            progress=progress,
        )
        ready = self.read_as(self._folder).verified(scratch, progress, workers)
        return replace(self, raw=ready.raw)

    def where_raw(self) -> str:
        return f"drawn into {self._folder}"

    def splits(self) -> Mapping[str, int]:
        return self._source.splits()

    def ids(self, split: str) -> list[str]:
        return self._source.ids(split)

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        return self._source.label_column(split)

    def rows(self, split: str, start: int, stop: int) -> Rows:
        rows, drawing = self._source.rows(split, start, stop), drawing_named(self.kind)
        indices = [drawing.index_of(name, self.count) for name in rows.ids]
        factors = [drawing.factors_of(self.seed, index) for index in indices]
        regions = [self._regions(*drawing.regions_of(self.seed, index)) for index in indices]
        reference = rows.reference
        if self.is_reference is not None:
            named = [dict(zip(drawing.factors, values, strict=True)) for values in factors]
            reference = np.array([self.is_reference(each) for each in named], dtype=np.bool_)
        return replace(
            rows,
            factors=np.array(factors, dtype=np.float32),
            regions=np.array(regions, dtype=np.int16),
            reference=reference,
        )

    def _regions(self, size: tuple[int, int], boxes: Mapping[str, Box]) -> list[Box]:
        """The box of each label of the data set, in pixels of its images."""
        read = self.read_as(None)
        crop, (height, width) = read.crop or (0, 0, *size), read.size
        return [
            scaled(boxes[_REGION_OF.get(label.name, label.name)], crop, (width, height))
            for label in read.labels()
        ]

    @property
    def _folder(self) -> Path:
        if self.raw is not None:
            return self.raw
        version = drawing_named(self.kind).version
        return cache_folder(self.name) / f"{self.count}-seed-{self.seed}-version-{version}"

    @cached_property
    def _source(self) -> LabelledPictures:
        """The pictures as a plan's tasks see them."""
        if self.raw is None or not PictureIndex.is_in(self.raw):
            raise RawDataError(f"{self.title} is not drawn yet; preparing the data set draws it")
        return self.read_as(self.raw)


def drawn_radiographs(
    raw: Path | None, *, count: int = 20_000, seed: int = 0, uncertain: Uncertain = "unobserved", blank: Blank = "zeros",
    views: Views = "frontal",
) -> DrawnPictures:  # fmt: skip
    """Drawn chest radiographs with CheXpert's five labels, in the form of ``chexpert`` with these options."""
    return DrawnPictures(
        name="drawn_radiographs",
        title="drawn radiographs",
        kind="radiographs",
        options={"count": count, "seed": seed, "uncertain": uncertain, "blank": blank, "views": views},
        count=count,
        seed=seed,
        raw=raw,
        read_as=partial(chexpert, uncertain=uncertain, blank=blank, views=views),
    )


def drawn_faces(
    raw: Path | None, *, count: int = 20_000, seed: int = 0, read_as: FacesAs = "celeba",
    reference: FacesReference = "none", view: FacesView = "portrait",
) -> DrawnPictures:  # fmt: skip
    """Drawn portraits with CelebA's attributes, in the form of ``celeba`` or one of its subsets (``read_as``).

    ``reference=neutral``: those with a neutral expression are the reference set; ``view=face``: no more than the face.
    """
    options: dict[str, Any] = {"count": count, "seed": seed, "read_as": read_as}
    read = _AS[read_as]
    # Options at their default are left out, as in data sets from before there were these.
    if reference != "none":
        options["reference"] = reference
    if view == "face":
        options["view"], read = view, partial(_face_alone, read)
    return DrawnPictures(
        name="drawn_faces",
        title="drawn faces",
        kind="faces",
        options=options,
        count=count,
        seed=seed,
        raw=raw,
        read_as=read,
        is_reference=is_neutral if reference == "neutral" else None,
    )
