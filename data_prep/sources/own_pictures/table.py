"""Tables of any usual form, as columns of text."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.dialect import dialect_of
from data_prep.sources.text_tables import ArchivedText, TextFile

_START = 1 << 20
_MOST_BYTES = 1 << 31
"""Of a table in an archive, which is read whole."""


@dataclass(frozen=True)
class Column:
    """A column of text, each text stored once."""

    texts: pa.StringArray
    """the different texts, without blanks around them"""
    codes: NDArray[np.int32]
    """(n,): which text each row has"""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: NDArray[np.bool_]) -> Column:
        return Column(self.texts, self.codes[rows])

    def is_blank(self) -> NDArray[np.bool_]:
        """(n,): whether the text is blank."""
        blank = pc.equal(self.texts, "").to_numpy(zero_copy_only=False)
        return np.asarray(blank, dtype=np.bool_)[self.codes]

    def text(self, row: int) -> str:
        return str(self.texts[int(self.codes[row])].as_py())

    def all_texts(self) -> pa.StringArray:
        """The text of each row, (n,)."""
        return self.texts.take(pa.array(self.codes))

    @staticmethod
    def of(values: Any) -> Column:
        """From an Arrow array of any simple type; null becomes blank."""
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        if not pa.types.is_dictionary(values.type):
            values = pc.dictionary_encode(values)
        texts = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(values.dictionary, pa.string()), ""))
        codes = values.indices
        if codes.null_count:
            codes = pc.fill_null(codes, len(texts))
            texts = pa.concat_arrays([texts, pa.array([""])])
        return Column(texts, codes.to_numpy(zero_copy_only=False).astype(np.int32))

    def replaced(self, by: Mapping[str, str]) -> Column:
        """With other texts; blank where there is none."""
        return Column.of(
            pa.DictionaryArray.from_arrays(
                pa.array(self.codes),
                pa.array([by.get(text, "") for text in self.texts.to_pylist()], pa.string()),
            )
        )

    @staticmethod
    def constant(text: str, rows: int) -> Column:
        return Column(pa.array([text]), np.zeros(rows, dtype=np.int32))

    @staticmethod
    def joined(parts: Sequence[Column]) -> Column:
        """The rows of all parts, in order."""
        arrays = [pa.DictionaryArray.from_arrays(pa.array(part.codes), part.texts) for part in parts]
        return Column.of(pa.chunked_array(arrays).unify_dictionaries())


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of the same length."""

    where: str
    """the name to show to a person"""
    form: str
    """for a person: how it was read"""
    columns: Mapping[str, Column]
    value_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """column → what its numbers 0, 1, ... mean, where the file says so"""
    parts: tuple[tuple[str, int], ...] = ()
    """where its rows are from, and how many, if from several files"""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, rows: NDArray[np.bool_]) -> Table:
        return replace(self, columns={name: column[rows] for name, column in self.columns.items()})

    def without_blank_rows(self) -> Table:
        """Without rows in which all is blank, as spreadsheets leave them at the end."""
        blank = np.logical_and.reduce([column.is_blank() for column in self.columns.values()])
        return self[~blank] if blank.any() else self

    def row(self, number: int) -> str:
        """A row for a person, counted from 1 after the column names of its file."""
        if not self.parts:
            return f"{self.where}, row {number + 1}"
        where, rows = self.places_of(np.array([number]))
        return f"{where}, row {rows[0] + 1}"

    def places_of(self, rows: NDArray[np.int64]) -> tuple[str, NDArray[np.int64]]:
        """The file of some rows (k,), and their numbers in it from 0; all files, and the numbers over all, if in several."""
        ends = np.cumsum([count for _, count in self.parts])
        part = np.unique(np.searchsorted(ends, rows, side="right"))
        if not self.parts or len(part) != 1:
            return self.where, rows
        where, count = self.parts[int(part[0])]
        return where, rows - (int(ends[part[0]]) - count)


def concatenated(tables: Sequence[Table]) -> Table:
    """The rows of all tables, with the columns that all have."""
    first = tables[0]
    names = [name for name in first.columns if all(name in table.columns for table in tables)]
    if not names:
        raise RawDataError(f"{' and '.join(t.where for t in tables)} have no column in common")
    columns = {name: Column.joined([table.columns[name] for table in tables]) for name in names}
    return Table(
        where=f"{first.where} and {len(tables) - 1} more",
        form=first.form,
        columns=columns,
        value_names={n: v for n, v in first.value_names.items() if n in columns},
        parts=tuple((table.where, len(table)) for table in tables),
    )


def read_text_table(file: TextFile, endings: tuple[str, ...]) -> Table:
    """A file of separated values; ``RawDataError`` naming it, and the row that has other columns than the first."""
    where = str(file)
    try:
        with _opened(file) as content:
            dialect = dialect_of(where, content.read(_START), endings)
        with _opened(file) as content:
            found = _columns(where, content, dialect)
    except (OSError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error or "it is truncated"
        raise RawDataError(f"{where} cannot be read: {reason}") from None
    if not found.num_rows:
        raise RawDataError(f"{where} has no rows")
    columns = {name: Column.of(found.column(name)) for name in found.column_names}
    return Table(where=where, form=str(dialect), columns=columns).without_blank_rows()


def _opened(file: TextFile) -> Any:
    if isinstance(file, ArchivedText):
        with ZipFile(file.archive) as archive:
            if archive.getinfo(file.entry).file_size > _MOST_BYTES:
                raise OSError(f"it has more than {_MOST_BYTES} bytes")
            content = archive.read(file.entry)
        content = gzip.decompress(content) if file.entry.endswith(".gz") else content
        return pa.BufferReader(content)
    assert isinstance(file, Path)
    return pa.input_stream(str(file), compression="detect")


def _columns(where: str, content: Any, dialect: Any) -> pa.Table:
    wrong: list[Any] = []

    def refused(row: Any) -> str:
        wrong.append(row)
        return "error"

    text = pa.dictionary(pa.int32(), pa.string())
    try:
        return pyarrow.csv.read_csv(
            content,
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,  # otherwise a wrong row has no number
                encoding="utf8" if dialect.encoding.startswith("utf-8") else dialect.encoding,
                column_names=list(dialect.columns),
                skip_rows=int(dialect.has_header),
                block_size=8 << 20,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=refused
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(dialect.columns, text), strings_can_be_null=False
            ),
        ).unify_dictionaries()
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError) as error:
        if wrong:
            number = "" if wrong[0].number is None else f", line {wrong[0].number}"
            raise RawDataError(
                f"{where}{number} has {wrong[0].actual_columns} fields for {wrong[0].expected_columns} columns"
            ) from None
        raise RawDataError(f"{where} cannot be read as a table: {' '.join(str(error).split())}") from None
