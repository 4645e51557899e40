"""Parquet files: as a table, and with the pictures in it (Hugging Face's form)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.places import places_in_files
from data_prep.sources.own_pictures.table import Column, Table
from data_prep.sources.picture_files import Places, Read
from data_prep.sources.text_tables import Names

_BATCH = 64
"""Pictures read at a time."""


def image_column(file: Path) -> str | None:
    """The column of encoded pictures: bytes, or Hugging Face's ``{bytes, path}``; None if there is none."""
    for field in _opened(file).schema_arrow:
        if _holds_bytes(field.type):
            return str(field.name)
        if pa.types.is_struct(field.type) and any(
            part.name == "bytes" and _holds_bytes(part.type) for part in field.type
        ):
            return str(field.name)
    return None


def read_parquet_table(file: Path, image: str | None = None) -> Table:
    """All columns but the pictures' and nested ones, as text, with the class names that Hugging Face's form has."""
    opened = _opened(file)
    names = [f.name for f in opened.schema_arrow if f.name != image and not pa.types.is_nested(f.type)]
    try:
        found = opened.read(columns=names)
        columns = {
            name: Column.of(found.column(name)) for name in names if not _holds_bytes(found.column(name).type)
        }
        if image is not None and pa.types.is_struct(opened.schema_arrow.field(image).type):
            paths = opened.read(columns=[f"{image}.path"]).column(image)
            columns |= {f"{image}.path": Column.of(pa.compute.struct_field(paths, "path"))}
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None
    if not columns or not opened.metadata.num_rows:
        raise RawDataError(f"{file} has no rows, or no column of labels")
    return Table(where=str(file), form="Parquet", columns=columns, value_names=_class_names(opened))


@dataclass(frozen=True)
class ParquetPictures:
    """The pictures of Parquet files, each at a row of one of them.

    Rows are read in batches of 64, so the memory needed is that of as many pictures, as long as rows are read in order.
    """

    path: Path
    """the folder of the files"""
    files: tuple[str, ...]
    rows: tuple[int, ...]
    """of each file"""
    column: str

    def places_at(self, numbers: NDArray[np.int64]) -> Places:
        """Places (k,) of pictures by their number, counted over all files; the checksum is the file's."""
        return places_in_files([self.path / name for name in self.files], self.rows, numbers)

    def record(self) -> Mapping[str, Any]:
        return {"folder": str(self.path), "parquet": self.files, "rows": self.rows, "column": self.column}

    @contextmanager
    def opened(self) -> Iterator[Read]:
        reader: _RowReader | None = None
        number = -1

        def read(name: bytes, place: np.void) -> bytes:
            nonlocal reader, number
            if int(place["packed"]) != number or reader is None:
                number = int(place["packed"])
                reader = _RowReader(self.path / self.files[number], self.column)
            return reader.at(int(place["offset"]))

        yield read

    def name_of(self, name: bytes) -> str:
        return f"{name.decode()} in {self.path}"


class _RowReader:
    """Reads single rows of one column, fast if they are asked for in ascending order."""

    def __init__(self, file: Path, column: str) -> None:
        self._file, self._opened, self._column = file, _opened(file), column
        self._group, self._first, self._next_row = -1, 0, 0
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = pa.array([])

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """The row after each row group."""
        about = self._opened.metadata
        return np.cumsum([about.row_group(i).num_rows for i in range(about.num_row_groups)])

    def at(self, row: int) -> bytes:
        try:
            self._go_to(row)
        except (pa.ArrowException, OSError) as error:
            raise DamagedPicture(f"cannot be read: {' '.join(str(error).split())}") from None
        value = self._batch[row - self._first].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise DamagedPicture("is blank in its table")
        return bytes(content)

    def _go_to(self, row: int) -> None:
        group = int(np.searchsorted(self._ends, row, side="right"))
        if group != self._group or row < self._first:
            self._batches = self._opened.iter_batches(_BATCH, row_groups=[group], columns=[self._column])
            self._group, self._next_row = group, int(self._ends[group - 1]) if group else 0
            self._first = self._next_row
        while row >= self._next_row:
            self._batch = next(self._batches).column(0)
            self._first, self._next_row = self._next_row, self._next_row + len(self._batch)


def _opened(file: Path) -> Any:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> RawDataError:
    return RawDataError(f"{file} cannot be read as a Parquet file: {' '.join(str(error).split())}")


def _holds_bytes(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(opened: Any) -> dict[str, tuple[str, ...]]:
    """The names of class labels from Hugging Face's metadata, if the file has them."""
    metadata = opened.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        return {str(c): tuple(map(str, f["names"])) for c, f in features.items() if "names" in f}
    except (ValueError, TypeError, AttributeError):
        return {}


def names_of(tables: Sequence[Table], stems: Sequence[str], image: str) -> Names:
    """A name for each picture, (n,): its own path if each has another, else that of the file and its row."""
    column = f"{image}.path"
    if all(column in table.columns for table in tables):
        own = [text for table in tables for text in table.columns[column].all_texts().to_pylist()]
        if all(own) and len(set(own)) == len(own):
            return np.array([text.encode() for text in own], dtype=np.bytes_)
    named = [
        f"{stem}-{row:07d}".encode()
        for table, stem in zip(tables, stems, strict=True)
        for row in range(len(table))
    ]
    return np.array(named, dtype=np.bytes_)
