"""Hugging Face's copies of CelebA: Parquet files whose rows hold a picture and a column for each attribute."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.errors import RawDataError
from data_prep.sources.celeba_lists import PARTITIONS, SHOWN, SPLIT_COLUMNS
from data_prep.sources.own_pictures.packed import in_parquet
from data_prep.sources.own_pictures.parquet import ParquetPictures
from data_prep.sources.own_pictures.places import rows_in_files
from data_prep.sources.own_pictures.table import Column, Table
from data_prep.sources.own_pictures.words import split_in_name
from data_prep.sources.picture_files import Places, Read, is_passed_over, not_among
from data_prep.sources.text_tables import NamedRows, Names, quoted

_ENDING = ".parquet"


def parquet_files(raw: Path) -> list[Path]:
    """The Parquet files of a folder and of the folders in it, or the file itself, sorted."""
    if raw.is_file():
        return [raw] if raw.suffix.lower() == _ENDING else []
    found = (path for pattern in ("*", "*/*") for path in raw.glob(pattern + _ENDING))
    return sorted(path for path in found if not is_passed_over(path.relative_to(raw).parts))


def read_parquet(
    raw: Path, files: Sequence[Path], attributes: Sequence[str]
) -> tuple[NamedRows, NamedRows, NamedPictures]:
    """Attributes (0 or 1) and split (0 train, 1 valid, 2 test) of each picture, as lists have them, and the pictures.

    The split is that of a column, or else of the files' names (``train-00000-of-00020.parquet``).

    Raises:
        RawDataError: a column is missing or has another value; it names the row, counted from 1 over all files.
    """
    found = in_parquet(raw if raw.is_dir() else raw.parent, files)
    pictures = found.files
    assert isinstance(pictures, ParquetPictures)
    table, names = found.table, _file_names(found.names)
    columns = {name.lower(): column for name, column in table.columns.items()}
    shown = np.stack([_values(table, attribute, columns, SHOWN) for attribute in attributes], axis=1)
    split = next((name for name in SPLIT_COLUMNS if name in columns), None)
    parts = (
        _of_the_files(raw, files, pictures.rows)
        if split is None
        else _values(table, split, columns, PARTITIONS)
    )
    order = np.argsort(names, kind="stable")
    lists = (NamedRows(raw, names[order], order + 1, values[order]) for values in (shown, parts[:, None]))
    return next(lists), next(lists), NamedPictures(pictures, names[order], order)


@dataclass(frozen=True)
class NamedPictures:
    """The pictures of Parquet files, by name."""

    pictures: ParquetPictures
    names: Names
    """sorted"""
    numbers: NDArray[np.int64]
    """of each name: the row of its picture, counted over all files"""

    @property
    def path(self) -> Path:
        return self.pictures.path

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        """Reads every picture once for its size and its CRC-32."""
        position = np.minimum(np.searchsorted(self.names, names), len(self.names) - 1)
        places = rows_in_files(self.pictures.rows, self.numbers[position])
        places["size"] = 0
        with self.pictures.opened() as read:
            for i in np.argsort(self.numbers[position]).tolist():
                try:
                    content = read(b"", places[i])
                except DamagedPicture:
                    continue  # whoever decodes it says what is wrong
                places["size"][i], places["crc"][i] = len(content), zlib.crc32(content)
        return places, np.asarray(self.names[position] == names)

    def unlisted(self, names: Names) -> list[bytes]:
        return not_among(self.names.tolist(), names)

    def opened(self) -> AbstractContextManager[Read]:
        return self.pictures.opened()

    def name_of(self, name: bytes) -> str:
        return self.pictures.name_of(name)

    def record(self) -> Mapping[str, Any]:
        return self.pictures.record()


def _file_names(names: Names) -> Names:
    """``img_align_celeba/000001.jpg`` → ``000001.jpg``, unless two pictures have the same."""
    plain = [name.replace(b"\\", b"/").rpartition(b"/")[2] for name in names.tolist()]
    return np.array(plain, dtype=np.bytes_) if len(set(plain)) == len(plain) else names


def _values(
    table: Table, name: str, columns: Mapping[str, Column], known: Mapping[str, int]
) -> NDArray[np.int8]:
    """The values (n,) of a column, of which each must be known."""
    column = columns.get(name.lower())
    if column is None:
        raise RawDataError(f"{table.where} has no column {name}")
    names = table.value_names.get(name, ())
    meant = [_meant(text, names, known) for text in column.texts.to_pylist()]
    values = np.array(meant, dtype=np.int8)[column.codes]
    if (values < 0).any():
        row = int(np.argmax(values < 0))
        raise RawDataError(
            f"{table.row(row)}: {name} is {quoted(column.text(row))}, but only {', '.join(known)} are allowed"
        )
    return values


def _meant(text: str, names: Sequence[str], known: Mapping[str, int]) -> int:
    """What a text means, perhaps as the number of a name; -1 if it is not known."""
    if text in known:
        return known[text]
    return known.get(names[int(text)].lower(), -1) if text.isdecimal() and int(text) < len(names) else -1


def _of_the_files(raw: Path, files: Sequence[Path], rows: Sequence[int]) -> NDArray[np.int8]:
    splits = [PARTITIONS.get(split_in_name(file.stem) or "", -1) for file in files]
    if min(splits) < 0:
        raise RawDataError(
            f"{raw}: neither a column split nor the name of {files[splits.index(-1)].name} says which split its pictures"
            " are in"
        )
    return np.repeat(np.array(splits, dtype=np.int8), rows)
