"""CelebA's two lists: which of 40 attributes a picture shows, and which split it is in.

Both exist as blank-separated ``.txt`` (the official form; the attributes with their count in line 1 and the names in
line 2) and as ``.csv`` with a header, as people pass it around: with an index column or further columns, separated by
semicolons, attributes as -1 and 1, 0 and 1 or True and False, splits as numbers or words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_prep.celeba_names import ATTRIBUTES
from data_prep.errors import RawDataError
from data_prep.faults import OnError, raising
from data_prep.sources.picture_files import is_picture
from data_prep.sources.text_tables import NamedRows, RowCollector, TextFile, quoted, read_table

SPLITS = ("train", "valid", "test")

_KNOWN = {name.lower(): name for name in ATTRIBUTES}
_NAMES_OF_THE_NAME_COLUMN = ("image_id", "image", "filename", "file_name", "file", "name", "id")
SPLIT_COLUMNS = ("partition", "split", "set", "subset", "fold")
"""Names, in lower case, of a column of splits."""
SHOWN = {"1": 1, "-1": 0, "0": 0, "1.0": 1, "-1.0": 0, "0.0": 0} | {
    spelled: shown
    for word, shown in (("true", 1), ("false", 0), ("yes", 1), ("no", 0))
    for spelled in (word, word.capitalize(), word.upper())
}
"""How an attribute is spelled → 1 if the face has it."""
_MINUS, _ZERO = {"-1", "-1.0"}, {"0", "0.0"}
PARTITIONS = {
    **{f"{number}{point}": number for number in range(len(SPLITS)) for point in ("", ".0")},
    "train": 0,
    "training": 0,
    "valid": 1,
    "val": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
}
"""How a split is spelled, in lower case → its number."""


def read_attributes(path: TextFile, wanted: Sequence[str], on_error: OnError = raising) -> NamedRows:
    """The ``wanted`` attributes of each picture, 0 or 1; each error names the file and the line that is wrong."""
    table = read_table(path)
    first, fields = _next(path, table)
    promised: int | None = None
    if len(fields) == 1:
        promised = _count(path, first, fields[0])
        first, fields = _next(path, table)
    name_column, columns, width = _columns(path, first, fields)
    taken = [_column(path, first, columns, attribute) for attribute in wanted]
    names, positions = list(columns), list(columns.values())
    rows, seen, plain = RowCollector(path, len(taken)), set[str](), positions == list(range(1, width))
    for line, row in table:
        if len(row) != width:
            on_error(RawDataError(f"{path}, line {line} has {len(row)} fields where {width} are expected"))
            continue
        values = set(row[1:]) if plain else {row[i] for i in positions}
        if not SHOWN.keys() >= values:
            column = next(i for i in positions if row[i] not in SHOWN)
            on_error(
                RawDataError(
                    f"{path}, line {line}: {names[positions.index(column)]} is {quoted(row[column])}, but only "
                    "-1 and 1, 0 and 1, or True and False are allowed"
                )
            )
            continue
        seen |= values
        try:
            rows.add(line, file_name(path, line, row[name_column]), [SHOWN[row[i]] for i in taken])
        except RawDataError as error:
            on_error(error)
    if seen & _MINUS and seen & _ZERO:
        on_error(RawDataError(f"{path} has attributes of -1 and of 0, of which one must mean unknown"))
    found = rows.rows(on_error)
    if promised is not None and promised != len(rows):
        on_error(
            RawDataError(
                f"{path} has {len(rows)} rows, but its line 1 says {promised}: it is truncated or was changed"
            )
        )
    return found


def read_partition(path: TextFile, on_error: OnError = raising) -> NamedRows:
    """The split of each picture: 0 train, 1 valid, 2 test; each error names the file and the line that is wrong."""
    rows, name_column, split_column, width = RowCollector(path, 1), 0, 1, 2
    for number, (line, fields) in enumerate(read_table(path)):
        lowered = [field.lower() for field in fields]
        header = next((lowered.index(n) for n in _NAMES_OF_THE_NAME_COLUMN if n in lowered), None)
        if number == 0 and header is not None:
            name_column, width = header, len(fields)
            known = [lowered.index(name) for name in SPLIT_COLUMNS if name in lowered]
            if not known and width != 2:
                raise RawDataError(f"{path}, line {line} has no column partition or split")
            split_column = known[0] if known else 1 - name_column
            continue
        if len(fields) != width:
            on_error(
                RawDataError(
                    f"{path}, line {line} has {len(fields)} fields where a name and a number are expected"
                )
            )
            continue
        split = PARTITIONS.get(lowered[split_column])
        if split is None:
            on_error(
                RawDataError(
                    f"{path}, line {line}: the split is {quoted(fields[split_column])}, but only 0, 1 and 2, or "
                    "train, valid and test, are allowed"
                )
            )
            continue
        try:
            rows.add(line, file_name(path, line, fields[name_column]), (split,))
        except RawDataError as error:
            on_error(error)
    return rows.rows(on_error)


def file_name(path: TextFile, line: int, text: str) -> str:
    """``img_align_celeba/000001.jpg``, in any folder and with either slash → ``000001.jpg``."""
    name = text.replace("\\", "/").rpartition("/")[2] if "/" in text or "\\" in text else text
    if not name.isprintable() or not is_picture(name) or name.startswith("."):
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


def _columns(path: TextFile, line: int, fields: list[str]) -> tuple[int, dict[str, int], int]:
    """The column of the names, attribute → its column, and the number of fields of a row."""
    lowered = [field.lower() for field in fields]
    name_column = next((lowered.index(n) for n in _NAMES_OF_THE_NAME_COLUMN if n in lowered), None)
    with_header = name_column is not None or lowered[0] == ""
    # The official list names the attributes alone, so that a row has a field more.
    start = 0 if with_header else 1
    columns: dict[str, int] = {}
    for position, field in enumerate(fields, start):
        attribute = _KNOWN.get(field.lower())
        if attribute is None:
            if with_header:
                continue
            raise RawDataError(f"{path}, line {line}: {quoted(field)} is not one of CelebA's 40 attributes")
        if attribute in columns:
            raise RawDataError(f"{path}, line {line}: the attribute {attribute} occurs twice")
        columns[attribute] = position
    return name_column or 0, columns, len(fields) + start


def _column(path: TextFile, line: int, columns: dict[str, int], attribute: str) -> int:
    if attribute not in columns:
        raise RawDataError(f"{path}, line {line} has no attribute {attribute}")
    return columns[attribute]
