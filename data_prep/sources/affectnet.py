"""AffectNet with neutral reference faces, as Ruiz et al. 2019 prepare it (sections 5.1 and 5.3, A.3.2).

``train`` has 150,000 faces of AffectNet and 10,000 reference faces, aligned and 96 x 96; ``probe`` and ``test`` have 500
faces of each of the seven expressions, on which a classifier of expressions is fitted and evaluated.

The paper's reference faces were collected by its authors: found with search engines, and kept if two people called them
neutral, because AffectNet's neutral ones often are not. They are not public, so put your own into the folder
``neutral``: pictures, and ``landmarks.csv`` in AffectNet's form. ``reference=affectnet`` takes 10,000 of the faces that
AffectNet calls neutral instead, which is not the paper's protocol.

Not specified in the paper; our choices: which of AffectNet's faces are used (those with one of the eight expressions
in ``training.csv``; which split they go into follows from a hash of (seed, name)); of a smaller collection ``probe`` and
``test`` take at most a quarter of an expression's faces each; all expressions are stored as labels; which of them a model
sees is set by its supervision rate (the paper's models see none).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.counted import counted
from data_prep.errors import RawDataError
from data_prep.faults import DamagedPictures, Fault, OnError, raising
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.affectnet_choice import Choice, chosen_faces, shuffled
from data_prep.sources.affectnet_files import RawFaces, find_raw_faces
from data_prep.sources.affectnet_lists import EXPRESSIONS
from data_prep.sources.face_alignment import SIDE, aligned, mean_shape
from data_prep.sources.face_index import FaceIndex
from data_prep.sources.picture_listing import DAMAGED, Damaged, WhichPictures
from data_prep.sources.picture_reading import use_each
from data_prep.sources.raw_files import cache_folder

Reference = Literal["folder", "affectnet"]

_SHAPES = 10_000
"""number of faces that the mean shape is computed from"""
_HOME = "http://mohammadmahoor.com/affectnet/"
_LICENCE = "for research, from its authors on request"


@dataclass(frozen=True, kw_only=True)
class AffectNet:
    """Reads AffectNet's own list and pictures, or the index that ``verified`` wrote."""

    reference: Reference = "folder"
    seed: int = 0
    """decides which faces are used, and in which split"""
    pictures: WhichPictures = "all"
    damaged: Damaged = "refuse"
    name: str = "affectnet"
    title: str = "AffectNet with neutral references (Rb-VAE)"
    home: str = _HOME
    licence: str = _LICENCE
    raw: Path | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            "reference": self.reference,
            "seed": self.seed,
            "pictures": self.pictures,
            "damaged": self.damaged,
        }

    @property
    def factors(self) -> tuple[str, ...]:
        return ()

    def image_shape(self) -> tuple[int, int, int]:
        return (3, SIDE, SIDE)

    def labels(self) -> tuple[LabelSpec, ...]:
        return (LabelSpec("expression", len(EXPRESSIONS), EXPRESSIONS),)

    def checksums(self) -> Mapping[str, str]:
        """Of the list entries of the faces used, and of the names and content of their pictures, which must exist."""
        faces, content = hashlib.sha256(), hashlib.sha256()
        for split, rows in self._choice.splits.items():
            faces.update(f"{split} {len(rows)}\n".encode() + b"\n".join(rows["name"].tolist()))
            for column in ("expression", "reference", "landmarks"):
                faces.update(np.ascontiguousarray(rows[column]).tobytes())
            content.update(_content(rows))
        return {
            "lists": f"sha256:{faces.hexdigest()}",
            "content of pictures": f"sha256:{content.hexdigest()}",
        }

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> AffectNet:
        """Write what the tasks need below ``scratch``; the pictures stay where they are, and each task checks its own."""
        count = sum(map(len, self._choice.splits.values()))
        progress.say(f"{self.title}: {self._raw_faces.pictures.path}, {counted(count, 'face')}")
        return self._indexed(self._choice, scratch)

    def surveyed(self, scratch: Path, on_error: OnError) -> AffectNet:
        """As ``verified``, with every error in the lists passed on, and with what can be used in spite of them."""
        return self._indexed(self._choose(on_error), scratch)

    def _indexed(self, choice: Choice, scratch: Path) -> AffectNet:
        train = choice.splits["train"]
        sample = np.sort(shuffled(self.seed, "shape", train["name"].tolist())[:_SHAPES])
        shape = mean_shape(train["landmarks"][sample])
        FaceIndex.write(scratch, self._raw_faces, choice.splits, shape, choice.left_out)
        return replace(self, raw=scratch)

    def without(self, faults: Sequence[Fault]) -> AffectNet:
        """The same without some faces, counted as damaged; for what ``verified`` returned."""
        index, kept = self._index, {}
        assert index is not None
        for split, rows in index.splits.items():
            damaged = [fault.row for fault in faults if fault.split == split]
            kept[split] = np.delete(np.array(rows), damaged)
        record = {**index.record, "left_out": {**self.left_out, DAMAGED: len(faults)}}
        if not all(map(len, kept.values())):
            raise DamagedPictures(faults, "; without them a split is empty")
        FaceIndex.rewrite(index.folder, record, kept)
        return replace(self)

    @property
    def left_out(self) -> Mapping[str, int]:
        """Reason → number of pictures that are in no split for it."""
        return self._choice.left_out if self._index is None else dict(self._index.record["left_out"])

    def where_raw(self) -> str:
        return f"found in {self._raw_faces.pictures.path}"

    def splits(self) -> Mapping[str, int]:
        if self._index is not None:
            return {split: len(rows) for split, rows in self._index.splits.items()}
        return {split: len(rows) for split, rows in self._choice.splits.items()}

    def ids(self, split: str) -> list[str]:
        return [_id(row) for row in self._rows(split)]

    def label_column(self, split: str) -> NDArray[np.uint8]:
        return np.array(self._rows(split)["expression"])

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a plan written by ``verified``."""
        index = self._index
        if index is None:
            raise RawDataError(
                f"{self.raw} holds no plan of {self.name}; only the tasks of a plan read its faces"
            )
        faces = np.array(index.splits[split][start:stop])
        image = np.zeros((len(faces), *self.image_shape()), dtype=np.uint8)
        faults = []
        for own in (True, False):
            rows = np.flatnonzero(faces["own_folder"] == own)
            if not len(rows):
                continue
            files, listed = index.of_kind(own)

            def align(row: int, content: bytes, rows: NDArray[np.int64] = rows) -> None:
                landmarks, lenient = faces["landmarks"][rows[row]], self.damaged == "use"
                image[rows[row]] = aligned(content, landmarks, index.shape, lenient=lenient)

            names, places = faces["name"][rows].tolist(), faces["place"][rows]
            for row, picture, why in use_each(names, places, files, align):
                number = int(rows[row])
                listed_at = f"{listed}, line {faces['line'][number]}"
                faults.append(Fault(split, start + number, picture, listed_at, why))
        if faults:
            raise DamagedPictures(sorted(faults, key=lambda fault: fault.row))
        return Rows(
            image=image,
            labels=np.array(faces["expression"]).reshape(-1, 1),
            observed=np.ones((len(faces), 1), dtype=np.bool_),
            reference=np.array(faces["reference"]),
            factors=np.zeros((len(faces), 0), dtype=np.float32),
            ids=[_id(face) for face in faces],
        )

    def made_from(self, split: str, start: int, stop: int) -> bytes:
        """All of the raw files that decides rows ``start`` to ``stop`` of a split."""
        index = self._index
        assert index is not None
        rows = index.splits[split][start:stop]
        faces = b"".join(
            rows[column].tobytes() for column in ("name", "expression", "reference", "landmarks")
        )
        return faces + _content(rows) + index.shape.tobytes()

    @cached_property
    def _index(self) -> FaceIndex | None:
        return FaceIndex.open(self.raw) if self.raw is not None and FaceIndex.is_in(self.raw) else None

    def _rows(self, split: str) -> NDArray[Any]:
        return self._choice.splits[split] if self._index is None else self._index.splits[split]

    @cached_property
    def _raw_faces(self) -> RawFaces:
        folder = self.raw or cache_folder(self.name)
        return find_raw_faces(
            folder, with_references=self.reference == "folder", home=_HOME, licence=_LICENCE
        )

    @cached_property
    def _choice(self) -> Choice:
        return self._choose(raising)

    def _choose(self, on_error: OnError) -> Choice:
        return chosen_faces(self._raw_faces, seed=self.seed, which=self.pictures, on_error=on_error)


def _content(faces: NDArray[Any]) -> bytes:
    """Size and CRC-32 of each picture."""
    sizes, crcs = (np.ascontiguousarray(faces["place"][column]) for column in ("size", "crc"))
    return sizes.astype("<i8").tobytes() + crcs.astype("<u4").tobytes()


def _id(face: Any) -> str:
    name = bytes(face["name"]).decode()
    return f"neutral/{name}" if face["own_folder"] else name


def affectnet(
    raw: Path | None,
    *,
    reference: Reference = "folder",
    seed: int = 0,
    pictures: WhichPictures = "all",
    damaged: Damaged = "refuse",
) -> AffectNet:
    """AffectNet's faces, aligned, 96 x 96, with neutral reference faces in the folder ``neutral`` (Ruiz et al. 2019)."""
    return AffectNet(raw=raw, reference=reference, seed=seed, pictures=pictures, damaged=damaged)
