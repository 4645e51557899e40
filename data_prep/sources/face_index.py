"""A plan's index of the faces it uses, so that a task reads only its own rows and not the lists.

One mapped file per split; ``faces.json`` is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.files import atomic_write
from data_prep.sources.affectnet_files import RawFaces
from data_prep.sources.affectnet_lists import LONGEST_NAME
from data_prep.sources.face_alignment import POINTS
from data_prep.sources.picture_files import PLACE, PictureFiles
from data_prep.sources.picture_parts import opened_files

FACE = np.dtype(
    [
        ("name", f"S{LONGEST_NAME}"),
        ("line", "<i8"),
        ("expression", "u1"),
        ("reference", "?"),
        ("own_folder", "?"),
        ("landmarks", "<f4", (POINTS, 2)),
        ("place", PLACE),
    ]
)

_FILE = "faces.json"


@dataclass(frozen=True)
class FaceIndex:
    """An index on the disk, opened."""

    folder: Path
    record: Mapping[str, Any]
    """the picture files and lists of both kinds of faces, and what was left out"""
    splits: Mapping[str, NDArray[Any]]
    """split → (n,) of type ``FACE``, mapped"""
    shape: NDArray[np.float64]
    """the mean shape (68, 2)"""

    @staticmethod
    def write(
        folder: Path,
        raw: RawFaces,
        splits: Mapping[str, NDArray[Any]],
        shape: NDArray[np.float64],
        left_out: Mapping[str, int],
    ) -> None:
        """Write it below ``folder``."""
        own = raw.references
        record = {
            "list": str(raw.faces_list),
            "pictures": dict(raw.pictures.record()),
            "own_list": str(raw.references_list),
            "own_pictures": None if own is None else dict(own.record()),
            "left_out": dict(left_out),
            "shape": shape.tolist(),
        }
        FaceIndex.rewrite(folder, record, splits)

    @staticmethod
    def rewrite(folder: Path, record: Mapping[str, Any], splits: Mapping[str, NDArray[Any]]) -> None:
        """Write the same record with other faces."""
        for split, faces in splits.items():
            with atomic_write(folder / f"{split}.npy") as file:
                np.save(file, faces)
        with atomic_write(folder / _FILE) as file:
            file.write(json.dumps({**record, "splits": list(splits)}).encode())

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether an index was written here."""
        return (folder / _FILE).is_file()

    @staticmethod
    def open(folder: Path) -> FaceIndex:
        """Map the index that ``write`` wrote; ``RawDataError`` naming its file if it is damaged."""
        try:
            record = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            splits = {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in record["splits"]}
            return FaceIndex(folder, record, splits, np.array(record["shape"], dtype=np.float64))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RawDataError(f"{folder / _FILE} is damaged ({error}); prepare the data set again") from None

    def of_kind(self, own: bool) -> tuple[PictureFiles, str]:
        """The picture files and the list of the user's own reference faces, or of all others."""
        record = self.record["own_pictures" if own else "pictures"]
        return opened_files(record), self.record["own_list" if own else "list"]
