"""Pictures that are inside Parquet files or arrays, next to their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.arrays import ArrayPictures, array_file
from data_prep.sources.own_pictures.found import Found
from data_prep.sources.own_pictures.listing import ARRAYS, PARQUET
from data_prep.sources.own_pictures.parquet import ParquetPictures, image_column, names_of, read_parquet_table
from data_prep.sources.own_pictures.table import Column, Table, concatenated
from data_prep.sources.own_pictures.words import split_in_name
from data_prep.sources.text_tables import TextFile

_SPLIT = "split"


def holds_pictures(table: TextFile) -> bool:
    """Whether a file has pictures in it."""
    if not isinstance(table, Path):
        return False
    name = table.name.lower()
    return name.endswith(ARRAYS) or (name.endswith(PARQUET) and image_column(table) is not None)


def in_arrays(path: Path) -> Found:
    """The pictures and labels of an ``.npz`` file."""
    file = array_file(path)
    files = ArrayPictures(path, tuple(file.images.values()), tuple(file.counts))
    table = file.table()
    return Found(
        files=files,
        names=file.names(),
        table=table,
        picture=np.arange(len(table)),
    )


def in_parquet(folder: Path, paths: Sequence[Path]) -> Found:
    """The pictures and the other columns of Parquet files below a folder."""
    columns = {image_column(path) for path in paths}
    (column,) = columns if len(columns) == 1 else (None,)
    if column is None:
        raise RawDataError(f"{folder}: the Parquet files have no column of pictures, or not the same one")
    tables = [read_parquet_table(path, column) for path in paths]
    names = [path.relative_to(folder).as_posix() for path in paths]
    counts = [len(table) for table in tables]
    files = ParquetPictures(folder, tuple(names), tuple(counts), column)
    stems = [name.removesuffix(PARQUET) for name in names]
    return Found(
        files=files,
        names=names_of(tables, stems, column),
        table=joined(tables, [path.stem for path in paths]),
        picture=np.arange(sum(counts)),
        names_column=f"{column}.path",
    )


def joined(tables: Sequence[Table], stems: Sequence[str]) -> Table:
    """One table of all rows, with the split that the files' names say, if all do and no column does."""
    splits = [split_in_name(stem) for stem in stems]
    named = len(tables) > 1 and all(splits) and len(set(splits)) > 1
    if not named or any(_SPLIT in table.columns for table in tables):
        return concatenated(tables) if len(tables) > 1 else tables[0]
    with_split = [
        Table(
            where=table.where,
            form=table.form,
            columns={**table.columns, _SPLIT: Column.constant(str(split), len(table))},
            value_names=table.value_names,
        )
        for table, split in zip(tables, splits, strict=True)
    ]
    return concatenated(with_split)
