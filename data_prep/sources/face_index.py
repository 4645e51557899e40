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

FACE = np.dtype(
    [
        ("name", f"S{LONGEST_NAME}"),
        ("line", "<i8"),
        ("expression", "u1"),
        ("reference", "?"),
        ("own_folder", "?"),
        ("landmarks", "<f4", (POINTS, 2)),
    ]
)

_FILE = "faces.json"


@dataclass(frozen=True)
class FaceIndex:
    """An index on the disk, opened."""

    raw: RawFaces
    splits: Mapping[str, NDArray[Any]]
    """split → (n,) of type ``FACE``, mapped"""
    shape: NDArray[np.float64]
    """the mean shape (68, 2)"""

    @staticmethod
    def write(
        folder: Path, raw: RawFaces, splits: Mapping[str, NDArray[Any]], shape: NDArray[np.float64]
    ) -> None:
        """Write it below ``folder``."""
        for split, faces in splits.items():
            with atomic_write(folder / f"{split}.npy") as file:
                np.save(file, faces)
        references = None if raw.references_list is None else str(raw.references_list.absolute())
        record = {
            "faces_list": str(raw.faces_list.absolute()),
            "pictures": str(raw.pictures.absolute()),
            "references_list": references,
            "splits": list(splits),
            "shape": shape.tolist(),
        }
        with atomic_write(folder / _FILE) as file:
            file.write(json.dumps(record).encode())

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether an index was written here."""
        return (folder / _FILE).is_file()

    @staticmethod
    def open(folder: Path) -> FaceIndex:
        """Map the index that ``write`` wrote; ``RawDataError`` naming its file if it is damaged."""
        try:
            record = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            references = record["references_list"]
            return FaceIndex(
                RawFaces(
                    Path(record["faces_list"]),
                    Path(record["pictures"]),
                    None if references is None else Path(references),
                ),
                {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in record["splits"]},
                np.array(record["shape"], dtype=np.float64),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RawDataError(f"{folder / _FILE} is damaged ({error}); prepare the data set again") from None
