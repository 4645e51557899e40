"""Classes and splits from the folders that pictures are in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.table import Column, Table
from data_prep.sources.own_pictures.words import split_named
from data_prep.sources.text_tables import Names

CLASS, SPLIT = "class", "split"


def table_of_folders(where: str, names: Names) -> tuple[Table, NDArray[np.int64]]:
    """A table of the class of each picture that is in a folder, and of its split, and the pictures (rows,) it is of.

    ``train/cat/1.png``, ``cat/1.png`` or ``images/cat/more/1.png``: folders that all are in are passed over, then one
    named like a split says the split, and the next is the class. ``RawDataError`` if that gives no two classes.
    """
    paths = [name.decode().split("/")[:-1] for name in names.tolist()]
    inside = np.array([row for row, folders in enumerate(paths) if folders], dtype=np.int64)
    folders = _without_common([paths[row] for row in inside])
    splits: list[str] | None = None
    if folders and all(parts and split_named(parts[0]) for parts in folders):
        splits = [parts[0] for parts in folders]
        folders = _without_common([parts[1:] for parts in folders])
    classes = [parts[0] if parts else "" for parts in folders]
    if len(set(classes) - {""}) < 2:
        raise RawDataError(
            f"{where} holds {len(names):,} pictures, but no table and no folders that could be their classes: put a table "
            "there (.csv, .tsv or .parquet) with a column of file names and one per label, or a folder per class"
        )
    kept = np.array([bool(c) for c in classes])
    columns = {CLASS: Column.of_texts(classes)[kept]}
    if splits is not None:
        columns[SPLIT] = Column.of_texts(splits)[kept]
    table = Table(where=where, form="the name of its folder", columns=columns)
    return table, inside[kept]


def _without_common(folders: list[list[str]]) -> list[list[str]]:
    """Without the first folders that all are in."""
    depth = 0
    while folders and all(len(parts) > depth for parts in folders):
        if len({parts[depth] for parts in folders}) > 1:
            break
        depth += 1
    return [parts[depth:] for parts in folders]
