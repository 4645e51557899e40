"""A plan's index of a source's pictures, so that a task reads only its own rows and not the lists.

One file per split and column, memory-mapped; ``index.json`` is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import DamagedPictures, Fault
from data_prep.files import atomic_write
from data_prep.sources.picture_files import Places
from data_prep.sources.text_tables import Names, TextFile

_FILE = "index.json"
_COLUMNS = ("names", "lines", "labels", "observed", "reference", "factors", "places")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Rows of one split, by column, in the order of their names."""

    names: Names
    """(n,), UTF-8"""
    lines: NDArray[np.int64]
    """(n,): line in the list"""
    labels: NDArray[np.uint8]
    """(n, L)"""
    observed: NDArray[np.bool_]
    """(n, L)"""
    reference: NDArray[np.bool_]
    """(n,)"""
    factors: NDArray[np.float32]
    """(n, F)"""
    places: Places
    """(n,), as returned by the picture files"""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: slice | NDArray[np.bool_]) -> Pictures:
        return Pictures(**{column: getattr(self, column)[rows] for column in _COLUMNS})


@dataclass(frozen=True)
class PictureIndex:
    """An index on the disk, opened."""

    folder: Path
    pictures: Mapping[str, Any]
    """record of the picture files"""
    splits: Mapping[str, int]
    """split → rows"""
    lists: Mapping[str, str]
    """split → the list that the line numbers refer to"""
    left_out: Mapping[str, int]
    """reason → number of pictures that are not in any split for it"""

    @staticmethod
    def write(
        folder: Path,
        pictures: Mapping[str, Any],
        splits: Mapping[str, Pictures],
        lists: Mapping[str, TextFile | str],
        left_out: Mapping[str, int],
    ) -> PictureIndex:
        """Write it below ``folder``; one that is there already is replaced."""
        for split, rows in splits.items():
            for column in _COLUMNS:
                with atomic_write(folder / f"{split}-{column}.npy") as file:
                    np.save(file, getattr(rows, column))
        counts = {split: len(rows) for split, rows in splits.items()}
        record = {
            "pictures": dict(pictures),
            "splits": counts,
            "lists": {split: str(path) for split, path in lists.items()},
            "left_out": dict(left_out),
        }
        with atomic_write(folder / _FILE) as file:
            file.write(json.dumps(record, indent=1).encode())
        return PictureIndex.open(folder)

    def leave_out(self, faults: Sequence[Fault], reason: str) -> PictureIndex:
        """Without some pictures, counted for a reason; the index on the disk is replaced.

        ``DamagedPictures`` if no picture for training would be left.
        """
        splits = {}
        for split in self.splits:
            rows = self.split(split)
            kept = np.ones(len(rows), dtype=np.bool_)
            kept[[fault.row for fault in faults if fault.split == split]] = False
            if kept.any():
                splits[split] = rows[kept]
        if "train" not in splits:
            raise DamagedPictures(faults, "; without them there is no picture for training")
        left_out = {**self.left_out, reason: len(faults)}
        return PictureIndex.write(self.folder, self.pictures, splits, self.lists, left_out)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a plan wrote an index there."""
        return (folder / _FILE).is_file()

    @staticmethod
    def open(folder: Path) -> PictureIndex:
        """``RawDataError`` naming the file if it is missing or damaged."""
        try:
            record = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            return PictureIndex(
                folder,
                dict(record["pictures"]),
                dict(record["splits"]),
                dict(record["lists"]),
                dict(record["left_out"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RawDataError(
                f"{folder / _FILE} cannot be read ({error}); prepare the data set again"
            ) from None

    def split(self, name: str) -> Pictures:
        """The columns of a split, mapped."""
        columns = {
            column: np.load(self.folder / f"{name}-{column}.npy", mmap_mode="r", allow_pickle=False)
            for column in _COLUMNS
        }
        return Pictures(**columns)
