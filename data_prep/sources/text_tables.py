"""Tables in text files as found in practice: blanks, commas, semicolons or tabs, any line ending, packed or not."""

from __future__ import annotations

import csv
import gzip
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import OnError, raising


@dataclass(frozen=True)
class ArchivedText:
    """A text file in a zip archive, opened only while it is read."""

    archive: Path
    entry: str

    def __str__(self) -> str:
        return f"{self.archive}/{self.entry}"


TextFile = Path | ArchivedText
"""A file, or one in a zip archive; ``str()`` gives the name to show to a person."""

Names = NDArray[Any]
"""Bytes of UTF-8 text of any width (to run-time type checkers, ``NDArray[np.bytes_]`` means one fixed width)."""

_SEPARATORS = (",", ";", "\t")
_PAGES = ("<!doctype", "<html", "<?xml")
_LONGEST_LINE = 1 << 16
_BLOCK = 1 << 16
_LONGEST_QUOTED = 80


def quoted(text: str) -> str:
    """The content of a field for a message: in quotes, and truncated if long."""
    return repr(text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}…")


def read_table(path: TextFile, *, commas: bool | None = None) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and fields of each line of a table that is not blank.

    Fields are separated by commas or semicolons (with quotes as in CSV) if the first line has one, else by blanks.
    ``commas``: it must be a CSV, so also by tabs but not by blanks (True), or by blanks alone (False). ``RawDataError``
    naming the file and line where it is not a table. Reads a line at a time.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise RawDataError(f"{path} is empty")
    if first[1].lstrip().lower().startswith(_PAGES):
        raise RawDataError(f"{path} is an HTML page, as a failed download leaves it, and not a list")
    marks = _SEPARATORS if commas else _SEPARATORS[:2]  # tabs are blanks unless it must be a CSV
    separator = next((mark for mark in marks if mark in first[1]), "," if commas else None)
    lines = chain([first], lines)
    if separator is None or commas is False:
        for number, line in lines:
            yield number, line.split()
        return
    for number, line in lines:
        # These lists have no fields with line breaks, so each line is parsed on its own.
        try:
            fields = next(csv.reader([line], delimiter=separator, strict=True, skipinitialspace=True))
        except csv.Error as error:
            raise RawDataError(f"{path}, line {number}: {error}") from None
        yield number, [field.strip() for field in fields]


def text_file_at(path: Path) -> TextFile:
    """A text file, or the one in a zip archive; one that ends with ``.gz`` is unpacked as it is read."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [
                name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name
            ]
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise RawDataError(f"{path} cannot be read: {error}; is it complete?") from None
    if len(entries) != 1:
        raise RawDataError(f"{path} holds {len(entries)} files where one list is expected")
    return ArchivedText(path, entries[0])


@contextmanager
def _opened(path: TextFile) -> Iterator[TextIO]:
    if isinstance(path, Path) and path.suffix.lower() == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=None) as unpacked:
            yield unpacked
        return
    if isinstance(path, Path):
        with path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline=None) as file:
            yield file
        return
    with zipfile.ZipFile(path.archive) as archive, archive.open(path.entry) as packed:
        yield TextIOWrapper(packed, encoding="utf-8-sig", errors="surrogateescape", newline=None)


def _lines(path: TextFile) -> Iterator[tuple[int, str]]:
    try:
        with _opened(path) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise RawDataError(f"{path}, line {number} is longer than {_LONGEST_LINE} characters")
                if not line.isascii():
                    _check_encoding(path, number, line)
                if "\0" in line:
                    raise RawDataError(f"{path}, line {number} has a zero byte in it, so it is not text")
                if not line.isspace():
                    yield number, line.rstrip("\n")
    # RuntimeError: an archive's file that is encrypted.
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error or "it is truncated"
        raise RawDataError(f"{path} cannot be read: {reason}") from None


def _check_encoding(path: TextFile, number: int, line: str) -> None:
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        raise RawDataError(f"{path}, line {number} is not text in UTF-8") from None


@dataclass(frozen=True)
class NamedRows:
    """A list whose rows each name a picture, by column, in the order of the names."""

    path: Any
    """what messages call the list"""
    names: Names
    """(n,), UTF-8, each once"""
    lines: NDArray[np.int64]
    """(n,): the line number of the row"""
    values: NDArray[np.int8]
    """(n, k)"""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: NDArray[Any]) -> NamedRows:
        return NamedRows(self.path, self.names[rows], self.lines[rows], self.values[rows])


class RowCollector:
    """Collects the rows of a list with little memory: the names' bytes, and a byte per value.

    ``path`` is what messages call the list.
    """

    def __init__(self, path: Any, columns: int) -> None:
        self._path, self._columns = path, columns
        self._names: list[bytes] = []
        self._blocks: list[Names] = []
        self._lines, self._values = array("q"), array("b")

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: int, name: str, values: Sequence[int]) -> None:
        self._names.append(name.encode())
        self._lines.append(line)
        self._values.extend(values)
        if len(self._names) == _BLOCK:
            self._pack()

    def rows(self, on_error: OnError = raising) -> NamedRows:
        """All rows; an error naming the line if a name occurs twice, of which the first then counts.

        ``RawDataError`` if there is no row.
        """
        self._pack()
        if not len(self):
            raise RawDataError(f"{self._path} has no rows")
        names = np.concatenate(self._blocks)
        lines = np.frombuffer(self._lines, dtype=np.int64)
        values = np.frombuffer(self._values, dtype=np.int8).reshape(len(names), self._columns)
        if not (names[1:] > names[:-1]).all():
            order = np.argsort(names, kind="stable")
            names, lines, values = names[order], lines[order], values[order]
            twice = np.flatnonzero(names[1:] == names[:-1])
            for row in twice[np.argsort(lines[twice + 1], kind="stable")]:
                on_error(
                    RawDataError(
                        f"{self._path}, line {lines[row + 1]}: {names[row].decode()} occurs twice "
                        f"(first in line {lines[row]})"
                    )
                )
            names, lines, values = (np.delete(column, twice + 1, axis=0) for column in (names, lines, values))
        return NamedRows(self._path, names, lines, values)

    def _pack(self) -> None:
        if self._names:
            self._blocks.append(np.array(self._names, dtype=np.bytes_))
            self._names = []


def not_named_by(one: NamedRows, other: NamedRows) -> NDArray[np.int64]:
    """The rows of one list whose pictures the other does not name, in the order of their lines."""
    if np.array_equal(one.names, other.names):
        return np.zeros(0, dtype=np.int64)
    extra = np.flatnonzero(~np.isin(one.names, other.names, assume_unique=True))
    return extra[np.argsort(one.lines[extra], kind="stable")]
