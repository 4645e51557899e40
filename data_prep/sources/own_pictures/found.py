"""What a folder holds: pictures, a table of theirs, and which row is of which picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.sources.own_pictures.arrays import ArrayPictures
from data_prep.sources.own_pictures.files import Files
from data_prep.sources.own_pictures.matching import Rule
from data_prep.sources.own_pictures.parquet import ParquetPictures
from data_prep.sources.own_pictures.table import Table
from data_prep.sources.picture_checksums import MOST_BYTES
from data_prep.sources.picture_files import PictureFolder, Places
from data_prep.sources.text_tables import Names


@dataclass(frozen=True, kw_only=True)
class Found:
    """Pictures, rows, and which belong together."""

    files: Files
    names: Names
    """(n,): of the pictures, UTF-8"""
    table: Table
    picture: NDArray[np.int64]
    """(rows,): the picture of each row; -1: none"""
    names_column: str | None = None
    rule: Rule | None = None
    """how rows and files were matched; None if they are one by nature"""
    notes: tuple[str, ...] = ()
    """what else was passed over, for a person"""

    def places_of(self, pictures: NDArray[np.int64]) -> Places:
        """Places (k,) of some pictures, in ascending order, with a checksum of their content."""
        if isinstance(self.files, ParquetPictures | ArrayPictures):
            return self.files.places_at(pictures)
        return self.files.places(self.names[pictures])[0]

    def contents(self, pictures: NDArray[np.int64]) -> list[tuple[str, bytes | Exception]]:
        """Name for a person and bytes of some pictures, in ascending order, or why they cannot be read."""
        if isinstance(self.files, PictureFolder):  # without a checksum of all that is read
            return [_content(self.files.path, bytes(self.names[i])) for i in pictures]
        found = list[tuple[str, bytes | Exception]]()
        with self.files.opened() as read:
            for number, place in zip(pictures, self.places_of(pictures), strict=True):
                name = bytes(self.names[number])
                try:
                    found.append((self.files.name_of(name), read(name, place)))
                except (OSError, DamagedPicture) as error:
                    found.append((self.files.name_of(name), error))
        return found

    @property
    def without_row(self) -> NDArray[np.int64]:
        """The pictures that no row names, in order."""
        return np.setdiff1d(np.arange(len(self.names)), self.picture)

    @property
    def without_picture(self) -> NDArray[np.int64]:
        """The rows that name no picture, in order."""
        return np.flatnonzero(self.picture < 0)


def _content(folder: Path, name: bytes) -> tuple[str, bytes | Exception]:
    path = folder / name.decode()
    try:
        with path.open("rb", buffering=0) as file:
            return str(path), file.read(MOST_BYTES)
    except OSError as error:
        return str(path), error
