"""The Toronto Face Database with an expression for every face, as Klys et al. 2018 prepare it (section 5.2.1).

People labelled about 4,000 of the 100,000 faces; a classifier labels those of the others that it is sure of, and the
rest is dropped (``tfd_labelling``). 80, 10 and 10 % become train, valid and test, "preserving the proportions of
originally labelled data in each split": faces labelled by people and faces labelled by the classifier are each
divided in this way, in the order of a hash of (seed, image number). As in the paper, a person may be in several splits.

Two properties of a face are among its factors: ``identity``, the person's number or -1 (there are more persons than a
label's byte can hold, and CSVAE's second measure needs them), and ``labelled_by_people``, 1 or 0. The images keep
the size that they have in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.files import atomic_path, atomic_write, checksum
from data_prep.hash_order import hash_order
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.raw_files import cache_folder
from data_prep.sources.tfd_file import EXPRESSIONS, TFDFile, find_file, open_file
from data_prep.sources.tfd_labelling import FEWEST_EXAMPLES, LEAST_PROBABILITY, label_faces

_HOME = "http://aclab.ca/users/josh/TFD.html (Susskind, Anderson and Hinton 2010)"
_SPLITS = {"train": 0.8, "valid": 0.9, "test": 1.0}
"""split → where it ends"""
_IMAGES, _FACES = "images.npy", "faces.npy"
_BLOCK = 1024
_FACE = np.dtype([("number", "<i8"), ("expression", "u1"), ("identity", "<i8"), ("by_people", "?")])


@dataclass(frozen=True, kw_only=True)
class TorontoFaces:
    """Reads the database's file, or what ``verified`` wrote: the faces that are used, each with its expression."""

    seed: int = 0
    """decides which face is in which split"""
    name: str = "tfd"
    title: str = "Toronto Face Database"
    home: str = _HOME
    licence: str = "for research, from its authors on request"
    raw: Path | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {"seed": self.seed}

    @property
    def factors(self) -> tuple[str, ...]:
        return ("identity", "labelled_by_people")

    def image_shape(self) -> tuple[int, int, int]:
        height, width = self._images.shape[1:] if self._is_verified else self._file.image_shape
        return (1, height, width)

    def labels(self) -> tuple[LabelSpec, ...]:
        return (LabelSpec("expression", len(EXPRESSIONS), EXPRESSIONS),)

    def checksums(self) -> Mapping[str, str]:
        return {"TFD.mat": f"sha256:{checksum(self._path)}"}

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> TorontoFaces:
        """Label the faces, and write those that are used below ``scratch``. Needs memory for all of the file's images."""
        if not (scratch / _FACES).is_file():
            _take_faces(self._file, scratch, progress)
        return replace(self, raw=scratch)

    def where_raw(self) -> str:
        return f"found: {self._path}"

    def splits(self) -> Mapping[str, int]:
        return {split: len(faces) for split, faces in self._members.items()}

    def ids(self, split: str) -> list[str]:
        return [_id(number) for number in self._faces["number"][self._members[split]].tolist()]

    def label_column(self, split: str) -> NDArray[np.uint8]:
        return np.asarray(self._faces["expression"][self._members[split]])

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a split, from what ``verified`` wrote."""
        members = self._members[split][start:stop]
        faces, n = self._faces[members], len(members)
        return Rows(
            image=self._images[members].reshape(n, *self.image_shape()),
            labels=faces["expression"].reshape(n, 1),
            observed=np.ones((n, 1), dtype=np.bool_),
            reference=np.zeros(n, dtype=np.bool_),
            factors=np.stack([faces["identity"], faces["by_people"]], axis=1).astype(np.float32),
            ids=[_id(number) for number in faces["number"].tolist()],
        )

    @property
    def _is_verified(self) -> bool:
        return self.raw is not None and (self.raw / _FACES).is_file()

    @cached_property
    def _path(self) -> Path:
        folder = self.raw or cache_folder(self.name)
        if folder.is_file():
            raise RawDataError(
                f"{folder} is an archive: unpack it, because the database's .mat file is read from a folder"
            )
        path = find_file(folder)
        if path is None:
            raise RawDataError(
                f"{folder} does not hold the Toronto Face Database: ask for it as {_HOME} says, and put TFD_48x48.mat "
                f"(or the one of 96 x 96) there, or name the folder that holds it with --raw"
            )
        return path

    @cached_property
    def _file(self) -> TFDFile:
        return open_file(self._path)

    @cached_property
    def _images(self) -> NDArray[np.uint8]:
        return np.load(self._verified_folder / _IMAGES, mmap_mode="r", allow_pickle=False)

    @cached_property
    def _faces(self) -> NDArray[Any]:  # a structured array, which the shape checks do not support
        return np.load(self._verified_folder / _FACES, allow_pickle=False)

    @property
    def _verified_folder(self) -> Path:
        if self.raw is None or not self._is_verified:
            raise RawDataError(
                f"{self.raw} holds no plan of {self.name}; only the tasks of a plan read its faces"
            )
        return self.raw

    @cached_property
    def _members(self) -> dict[str, NDArray[np.int64]]:
        """Split → positions among the faces used, in order."""
        split_of = np.empty(len(self._faces), dtype=np.int64)
        for by_people in (True, False):
            group = np.flatnonzero(self._faces["by_people"] == by_people)
            numbers = self._faces["number"][group].tolist()
            shuffled = group[hash_order(f"split\0{self.seed}\0{number}".encode() for number in numbers)]
            ends = [round(len(group) * end) for end in _SPLITS.values()]
            for split, part in enumerate(np.split(shuffled, ends[:-1])):
                split_of[part] = split
        return {split: np.flatnonzero(split_of == number) for number, split in enumerate(_SPLITS)}


def _take_faces(file: TFDFile, scratch: Path, progress: Progress) -> None:
    progress.say(
        f"{file.path}: {len(file.expressions)} faces, {(file.expressions >= 0).sum()} with an expression"
    )
    given = np.flatnonzero(file.expressions >= 0)
    counts = np.bincount(file.expressions[given], minlength=len(EXPRESSIONS))
    if counts.min() < FEWEST_EXAMPLES:
        raise RawDataError(
            f"{file.path} has {counts.min()} faces labelled {EXPRESSIONS[counts.argmin()]}, but at least "
            f"{FEWEST_EXAMPLES} of each expression are needed to label the others"
        )
    images = file.images()
    found = label_faces(images, file.expressions, file.identities)
    progress.say(
        f"the classifier is right on {found.accuracy:.1%} of the labelled faces of unseen persons, and on "
        f"{found.sure_accuracy:.1%} of those that it is {LEAST_PROBABILITY:.0%} sure of; it labels "
        f"{(found.expressions >= 0).sum()} of {len(images) - len(given)} others, and the rest is dropped"
    )
    expressions = np.where(file.expressions >= 0, file.expressions, found.expressions)
    taken = np.flatnonzero(expressions >= 0)
    faces = np.empty(len(taken), dtype=_FACE)
    faces["number"], faces["expression"] = taken, expressions[taken]
    faces["identity"], faces["by_people"] = file.identities[taken], file.expressions[taken] >= 0
    with atomic_path(scratch / _IMAGES) as partial:
        out = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(taken), *file.image_shape))
        for start in range(0, len(taken), _BLOCK):
            out[start : start + _BLOCK] = images[taken[start : start + _BLOCK]]
        out.flush()
    with atomic_write(scratch / _FACES) as file_of_faces:  # written last: it marks completion
        np.save(file_of_faces, faces)


def _id(number: int) -> str:
    return f"face-{number:06d}"


def tfd(raw: Path | None, *, seed: int = 0) -> TorontoFaces:
    """The Toronto Face Database, from TFD_48x48.mat or TFD_96x96.mat (Klys et al. 2018, 5.2.1)."""
    return TorontoFaces(raw=raw, seed=seed)
