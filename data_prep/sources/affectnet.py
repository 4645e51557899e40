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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.decode import refusing_bombs
from data_prep.errors import RawDataError
from data_prep.hash_order import hash_order
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.affectnet_files import RawFaces, find_raw_faces
from data_prep.sources.affectnet_lists import EXPRESSIONS, ListedFaces
from data_prep.sources.face_alignment import SIDE, aligned, mean_shape
from data_prep.sources.face_index import FACE, FaceIndex
from data_prep.sources.picture_files import why_not_read
from data_prep.sources.raw_files import cache_folder

Reference = Literal["folder", "affectnet"]

_UNLABELLED, _REFERENCES, _PER_EXPRESSION = 150_000, 10_000, 500
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
    name: str = "affectnet"
    title: str = "AffectNet with neutral references (Rb-VAE)"
    home: str = _HOME
    licence: str = _LICENCE
    raw: Path | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {"reference": self.reference, "seed": self.seed}

    @property
    def factors(self) -> tuple[str, ...]:
        return ()

    def image_shape(self) -> tuple[int, int, int]:
        return (3, SIDE, SIDE)

    def labels(self) -> tuple[LabelSpec, ...]:
        return (LabelSpec("expression", len(EXPRESSIONS), EXPRESSIONS),)

    def checksums(self) -> Mapping[str, str]:
        """Of the list entries of the faces used, and of the names and sizes of their pictures, which must exist."""
        faces, sizes = hashlib.sha256(), hashlib.sha256()
        for split, rows in self._chosen.items():
            faces.update(f"{split} {len(rows)}\n".encode() + b"\n".join(rows["name"].tolist()))
            for column in ("expression", "reference", "landmarks"):
                faces.update(np.ascontiguousarray(rows[column]).tobytes())
            sizes.update(self._raw_faces.sizes(rows).tobytes())
        return {"lists": f"sha256:{faces.hexdigest()}", "sizes of pictures": f"sha256:{sizes.hexdigest()}"}

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> AffectNet:
        """Write what the tasks need below ``scratch``; the pictures stay where they are, and each task checks its own."""
        chosen = self._chosen
        progress.say(f"{self.title}: {self._raw_faces.pictures}, {sum(map(len, chosen.values())):,} faces")
        train = chosen["train"]
        sample = np.sort(_shuffled(self.seed, "shape", train["name"].tolist())[:_SHAPES])
        FaceIndex.write(scratch, self._raw_faces, chosen, mean_shape(train["landmarks"][sample]))
        return replace(self, raw=scratch)

    def where_raw(self) -> str:
        return f"found in {self._raw_faces.pictures}"

    def splits(self) -> Mapping[str, int]:
        if self._index is not None:
            return {split: len(rows) for split, rows in self._index.splits.items()}
        return {split: len(rows) for split, rows in self._chosen.items()}

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
        faces = index.splits[split][start:stop]
        image = np.empty((len(faces), *self.image_shape()), dtype=np.uint8)
        with refusing_bombs():
            for i, face in enumerate(faces):
                try:
                    image[i] = aligned(index.raw.content_of(face), face["landmarks"], index.shape)
                except (DamagedPicture, OSError) as error:
                    where = f"{index.raw.path_of(face)} ({index.raw.list_of(face)}, line {face['line']})"
                    raise RawDataError(f"{where} {why_not_read(error)}") from None
        return Rows(
            image=image,
            labels=np.array(faces["expression"]).reshape(-1, 1),
            observed=np.ones((len(faces), 1), dtype=np.bool_),
            reference=np.array(faces["reference"]),
            factors=np.zeros((len(faces), 0), dtype=np.float32),
            ids=[_id(face) for face in faces],
        )

    @cached_property
    def _index(self) -> FaceIndex | None:
        return FaceIndex.open(self.raw) if self.raw is not None and FaceIndex.is_in(self.raw) else None

    def _rows(self, split: str) -> NDArray[Any]:
        return self._chosen[split] if self._index is None else self._index.splits[split]

    @cached_property
    def _raw_faces(self) -> RawFaces:
        folder = self.raw or cache_folder(self.name)
        return find_raw_faces(
            folder, with_references=self.reference == "folder", home=_HOME, licence=_LICENCE
        )

    @cached_property
    def _chosen(self) -> dict[str, NDArray[Any]]:
        """Split → the faces used (n,) of type ``FACE``; ``RawDataError`` if there are too few."""
        raw = self._raw_faces
        listed, own_references = raw.read_lists()
        parts = _divided(listed, self.seed)
        taken = {
            split: _faces(listed, rows, reference=False) for split, rows in parts.items() if split != "rest"
        }
        rest = parts["rest"]
        if own_references is None:
            neutral = rest[listed.expressions[rest] == 0][:_REFERENCES]
            references = _faces(listed, np.sort(neutral), reference=True)
            rest = rest[~np.isin(rest, neutral)]
        else:
            rows = _shuffled(self.seed, "reference", own_references.names.tolist())[:_REFERENCES]
            references = _faces(own_references, np.sort(rows), reference=True)
            references["own_folder"] = True
        unlabelled = _faces(listed, np.sort(rest[:_UNLABELLED]), reference=False)
        if not len(references) or not len(unlabelled) or not all(map(len, taken.values())):
            raise RawDataError(
                f"{listed.path} has too few faces: {len(references)} references, {len(unlabelled)} others, and "
                f"{len(taken['test'])} for testing"
            )
        return {"train": np.concatenate([references, unlabelled]), **taken}


def _divided(listed: ListedFaces, seed: int) -> dict[str, NDArray[np.int64]]:
    """Rows for ``probe`` and ``test`` (in the list's order), and the rest in the order of the hash."""
    order = _shuffled(seed, "split", listed.names.tolist())
    probe, test = [], []
    for expression in range(1, len(EXPRESSIONS)):
        members = order[listed.expressions[order] == expression]
        count = min(_PER_EXPRESSION, len(members) // 4)
        probe.append(members[:count])
        test.append(members[count : 2 * count])
    measured = {"probe": np.sort(np.concatenate(probe)), "test": np.sort(np.concatenate(test))}
    return {**measured, "rest": order[~np.isin(order, np.concatenate(list(measured.values())))]}


def _shuffled(seed: int, purpose: str, names: list[bytes]) -> NDArray[np.int64]:
    """Row numbers in the order of a hash of (seed, name)."""
    prefix = f"{purpose}\0{seed}\0".encode()
    return hash_order(prefix + name for name in names)


def _faces(listed: ListedFaces, rows: NDArray[np.int64], *, reference: bool) -> NDArray[Any]:
    faces = np.zeros(len(rows), dtype=FACE)
    for column, values in (
        ("name", listed.names), ("line", listed.lines), ("expression", listed.expressions), ("landmarks", listed.landmarks),
    ):  # fmt: skip
        faces[column] = values[rows]
    faces["reference"] = reference
    return faces


def _id(face: Any) -> str:
    name = bytes(face["name"]).decode()
    return f"neutral/{name}" if face["own_folder"] else name


def affectnet(raw: Path | None, *, reference: Reference = "folder", seed: int = 0) -> AffectNet:
    """AffectNet's faces, aligned, 96 x 96, with neutral reference faces in the folder ``neutral`` (Ruiz et al. 2019)."""
    return AffectNet(raw=raw, reference=reference, seed=seed)
