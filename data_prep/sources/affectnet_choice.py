"""Which of AffectNet's faces are used, and in which split: see ``affectnet``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import OnError, SeveralFaults
from data_prep.hash_order import hash_order
from data_prep.sources.affectnet_files import RawFaces
from data_prep.sources.affectnet_lists import EXPRESSIONS, ListedFaces, read_faces
from data_prep.sources.face_index import FACE
from data_prep.sources.picture_files import PictureFiles
from data_prep.sources.picture_listing import BOTH, NOT_THERE, WhichPictures

_UNLABELLED, _REFERENCES, _PER_EXPRESSION = 150_000, 10_000, 500


@dataclass(frozen=True)
class Choice:
    """The faces used."""

    splits: Mapping[str, NDArray[Any]]
    """split → (n,) of type ``FACE``"""
    left_out: Mapping[str, int]
    """reason → number of listed faces that cannot be used for it"""


def chosen_faces(raw: RawFaces, *, seed: int, which: WhichPictures, on_error: OnError) -> Choice:
    """The faces of each split, with the places of their pictures; ``RawDataError`` if there are too few."""
    left_out: dict[str, int] = {}
    listed = read_faces(raw.faces_list, with_expressions=True, on_error=on_error)
    own_references = None
    if raw.references_list is not None:
        own_references = read_faces(raw.references_list, with_expressions=False, on_error=on_error)
    if which == "both":
        listed, gone = _those_there(listed, raw.pictures)
        if own_references is not None and raw.references is not None:
            own_references, own_gone = _those_there(own_references, raw.references)
            gone += own_gone
        left_out = {NOT_THERE: gone} if gone else {}
    parts = _divided(listed, seed)
    taken = {split: _faces(listed, rows, reference=False) for split, rows in parts.items() if split != "rest"}
    rest = parts["rest"]
    if own_references is None:
        neutral = rest[listed.expressions[rest] == 0][:_REFERENCES]
        references = _faces(listed, np.sort(neutral), reference=True)
        rest = rest[~np.isin(rest, neutral)]
    else:
        rows = shuffled(seed, "reference", own_references.names.tolist())[:_REFERENCES]
        references = _faces(own_references, np.sort(rows), reference=True)
        references["own_folder"] = True
    unlabelled = _faces(listed, np.sort(rest[:_UNLABELLED]), reference=False)
    if not len(references) or not len(unlabelled) or not all(map(len, taken.values())):
        raise RawDataError(
            f"{listed.path} has too few faces: {len(references)} references, {len(unlabelled)} others, and "
            f"{len(taken['test'])} for testing"
        )
    chosen = {"train": np.concatenate([references, unlabelled]), **taken}
    placed = {split: _placed(raw, split, rows, on_error) for split, rows in chosen.items()}
    return Choice(placed, left_out)


def _those_there(listed: ListedFaces, files: PictureFiles) -> tuple[ListedFaces, int]:
    """The faces that have a picture, and how many have none."""
    _, there = files.places(listed.names)
    columns = ("names", "lines", "expressions", "landmarks")
    kept = replace(listed, **{column: getattr(listed, column)[there] for column in columns})
    return kept, int(np.sum(~there))


def _placed(raw: RawFaces, split: str, faces: NDArray[Any], on_error: OnError) -> NDArray[Any]:
    """The faces with the places of their pictures; those without one are passed on as errors."""
    exists = np.ones(len(faces), dtype=np.bool_)
    for files, listed, own in (
        (raw.pictures, raw.faces_list, False), (raw.references, raw.references_list, True),
    ):  # fmt: skip
        rows = np.flatnonzero(faces["own_folder"] == own)
        if files is None or not len(rows):
            continue
        faces["place"][rows], exists[rows] = files.places(np.array(faces["name"][rows]))
        missing = rows[~exists[rows]]
        if len(missing):
            sentences = [
                f"{files.name_of(bytes(faces['name'][row]))} is missing, but is named in {listed}, "
                f"line {faces['line'][row]}"
                for row in missing
            ]
            on_error(
                SeveralFaults(
                    f"{sentences[0]} ({len(missing):,} of {len(faces):,} in {split} are missing); {BOTH} takes "
                    "those that are there",
                    sentences,
                )
            )
    return faces[exists]


def _divided(listed: ListedFaces, seed: int) -> dict[str, NDArray[np.int64]]:
    """Rows for ``probe`` and ``test`` (in the list's order), and the rest in the order of the hash."""
    order = shuffled(seed, "split", listed.names.tolist())
    probe, test = [], []
    for expression in range(1, len(EXPRESSIONS)):
        members = order[listed.expressions[order] == expression]
        count = min(_PER_EXPRESSION, len(members) // 4)
        probe.append(members[:count])
        test.append(members[count : 2 * count])
    measured = {"probe": np.sort(np.concatenate(probe)), "test": np.sort(np.concatenate(test))}
    return {**measured, "rest": order[~np.isin(order, np.concatenate(list(measured.values())))]}


def shuffled(seed: int, purpose: str, names: list[bytes]) -> NDArray[np.int64]:
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
