"""How a text file holds a table: its encoding, what separates the fields, and the names of the columns."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import islice

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.words import plain

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Separator → its name for a person."""

_LINES = 50
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_PAGE = ("<!doctype", "<html", "<?xml")


@dataclass(frozen=True)
class Dialect:
    """What is needed to read a text file as a table."""

    encoding: str
    separator: str
    columns: tuple[str, ...]
    has_header: bool
    """False: the first line is a row already, and the columns have numbers as names"""

    def __str__(self) -> str:
        first = "" if self.has_header else ", without a line of column names"
        return f"separated by {SEPARATORS[self.separator]}{first}"


def dialect_of(where: str, start: bytes, endings: tuple[str, ...]) -> Dialect:
    """The dialect of a text file from its first bytes, a megabyte or all of it.

    A first line with a field that ends like a picture (``endings``) is a row. ``RawDataError`` beginning with ``where``
    if the file is no table.
    """
    encoding, text = _decoded(start)
    if not text.strip():
        raise RawDataError(f"{where} is empty")
    if text.lstrip()[:9].lower().startswith(_PAGE):
        raise RawDataError(f"{where} is a web page, not a table: download the file itself")
    if "\0" in text:
        raise RawDataError(f"{where} is not text: it has a zero byte")
    separator = max(SEPARATORS, key=lambda s: _agreement(text, s))
    rows = list(islice(_rows(text, separator), 3))
    header = [field.strip() for field in rows[0]]
    if len(header) < 2:
        names = ", ".join(SEPARATORS.values())
        raise RawDataError(f"{where} has a single column: none of {names} separates its first line")
    if any(field.casefold().endswith(endings) for field in header):
        return Dialect(encoding, separator, tuple(f"column {i + 1}" for i in range(len(header))), False)
    if all(len(row) == len(header) + 1 for row in rows[1:]) and rows[1:]:
        header.insert(0, "")  # as R writes the names of rows
    columns = tuple(name or f"column {i + 1}" for i, name in enumerate(header))
    plains = [plain(name) for name in columns]
    twice = next((name for i, name in enumerate(columns) if plains[i] in plains[:i]), None)
    if twice is not None:
        raise RawDataError(f"{where}: the column {twice!r} occurs twice")
    return Dialect(encoding, separator, columns, True)


def _decoded(start: bytes) -> tuple[str, str]:
    """Encoding, and the text without a half line at its end."""
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    if encoding == "utf-16":
        return encoding, start[: len(start) // 2 * 2].decode(encoding, errors="ignore")
    try:
        return encoding or "utf-8", codecs.getincrementaldecoder(encoding or "utf-8")().decode(start)
    except UnicodeDecodeError:
        return "cp1252", start.decode("cp1252", errors="replace")


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    rows = csv.reader(StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        yield from (row for row in rows if row)
    except csv.Error:  # a quote that is open at the end of what was read
        return


def _agreement(text: str, separator: str) -> tuple[int, int]:
    """How many lines have as many fields as the second line does, if it has several; and how many fields."""
    counts = [len(row) for row in islice(_rows(text, separator), _LINES)]
    fields = counts[min(1, len(counts) - 1)] if counts else 1
    return (counts.count(fields), fields) if fields > 1 else (0, 1)
