"""CelebA's two lists: which of 40 attributes a picture shows, and which split it is in.

Both exist as blank-separated ``.txt`` (the official form; the attributes with their count in line 1 and the names in
line 2) and as the widespread ``.csv``, with a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_prep.celeba_names import ATTRIBUTES
from data_prep.errors import RawDataError
from data_prep.sources.text_tables import NamedRows, RowCollector, TextFile, quoted, read_table

SPLITS = ("train", "valid", "test")

_KNOWN = {name.lower(): name for name in ATTRIBUTES}
_NAMES_OF_THE_NAME_COLUMN = ("image_id", "image", "filename", "file_name", "file", "name", "id")
_SHOWN = {"1": 1, "-1": 0}
_PARTITIONS = {str(number): number for number in range(len(SPLITS))}


def read_attributes(path: TextFile, wanted: Sequence[str]) -> NamedRows:
    """The ``wanted`` attributes of each picture, 0 or 1; ``RawDataError`` naming the file and line that is wrong."""
    table = read_table(path)
    first, fields = _next(path, table)
    promised: int | None = None
    if len(fields) == 1:
        promised = _count(path, first, fields[0])
        first, fields = _next(path, table)
    names = _attribute_names(path, first, fields)
    columns = [_column(path, first, names, attribute) for attribute in wanted]
    rows = RowCollector(path, len(columns))
    for line, (name, *values) in table:
        if len(values) != len(names):
            raise RawDataError(f"{path}, line {line} has {len(values)} values for {len(names)} attributes")
        if not _SHOWN.keys() >= set(values):
            column = next(i for i, value in enumerate(values) if value not in _SHOWN)
            raise RawDataError(
                f"{path}, line {line}: {names[column]} is {quoted(values[column])}, but only -1 and 1 are allowed"
            )
        rows.add(line, file_name(path, line, name), [_SHOWN[values[column]] for column in columns])
    found = rows.rows()
    if promised is not None and promised != len(rows):
        raise RawDataError(
            f"{path} has {len(rows)} rows, but its line 1 says {promised}: it is truncated or was changed"
        )
    return found


def read_partition(path: TextFile) -> NamedRows:
    """The split of each picture: 0 train, 1 valid, 2 test; ``RawDataError`` naming the file and line that is wrong."""
    rows = RowCollector(path, 1)
    for number, (line, fields) in enumerate(read_table(path)):
        if len(fields) != 2:
            raise RawDataError(
                f"{path}, line {line} has {len(fields)} fields where a name and a number are expected"
            )
        if number == 0 and fields[0].lower() in _NAMES_OF_THE_NAME_COLUMN:
            continue
        if fields[1] not in _PARTITIONS:
            raise RawDataError(
                f"{path}, line {line}: the split is {quoted(fields[1])}, but only 0, 1 and 2 are allowed"
            )
        rows.add(line, file_name(path, line, fields[0]), (_PARTITIONS[fields[1]],))
    return rows.rows()


def file_name(path: TextFile, line: int, text: str) -> str:
    """``img_align_celeba/000001.jpg``, in any folder and with either slash → ``000001.jpg``."""
    name = text.replace("\\", "/").rpartition("/")[2] if "/" in text or "\\" in text else text
    if not name.isprintable() or not name.lower().endswith((".jpg", ".jpeg")) or name.startswith("."):
        raise RawDataError(f"{path}, line {line}: {quoted(text)} is not the name of a .jpg file")
    return name


def _next(path: TextFile, table: Iterator[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    found = next(table, None)
    if found is None:
        raise RawDataError(f"{path} ends after line 1, before the names of the attributes")
    return found


def _count(path: TextFile, line: int, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise RawDataError(f"{path}, line {line} is {quoted(text)}, where the number of rows is expected")
    return int(text[:18])


def _attribute_names(path: TextFile, line: int, fields: list[str]) -> list[str]:
    if fields[0].lower() in (*_NAMES_OF_THE_NAME_COLUMN, ""):
        fields = fields[1:]
    names = []
    for field in fields:
        if field.lower() not in _KNOWN:
            raise RawDataError(f"{path}, line {line}: {quoted(field)} is not one of CelebA's 40 attributes")
        names.append(_KNOWN[field.lower()])
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise RawDataError(f"{path}, line {line}: the attribute {twice} occurs twice")
    return names


def _column(path: TextFile, line: int, names: list[str], attribute: str) -> int:
    if attribute not in names:
        raise RawDataError(f"{path}, line {line} has no attribute {attribute}")
    return names.index(attribute)
