"""Classes and splits from the folders that pictures are in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.counted import counted
from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.table import Column, Table
from data_prep.sources.own_pictures.words import split_named

CLASS, SPLIT = "class", "split"


def table_of_folders(where: str, files: pa.StringArray, hint: str) -> tuple[Table, NDArray[np.int64]]:
    """A table of the class of each picture that is in a folder, and of its split, and the pictures (rows,) it is of.

    ``train/cat/1.png``, ``cat/1.png`` or ``images/cat/more/1.png``: folders that all are in are passed over, then one
    named like a split says the split, and the next is the class. ``RawDataError``, with a ``hint``, if that gives no
    two classes.
    """
    folders = Column.of(pc.replace_substring_regex(files, r"/?[^/]*$", ""))
    paths = {text: text.split("/") for text in folders.texts.to_pylist() if text}
    _drop_common(paths)
    splits = dict[str, str]()
    if paths and all(parts and split_named(parts[0]) for parts in paths.values()):
        splits = {text: parts.pop(0) for text, parts in paths.items()}
        _drop_common(paths)
    classes = {text: parts[0] for text, parts in paths.items() if parts}
    if len(set(classes.values())) < 2:
        raise RawDataError(
            f"{where} holds {counted(len(files), 'picture')}, but no table and no folders that could be their classes: put a"
            f" table there (.csv, .tsv or .parquet) with a column of file names and one per label, or a folder per class"
            f"{hint}"
        )
    kept = folders.replaced(classes)
    rows = ~kept.is_blank()
    columns = {CLASS: kept[rows]}
    if splits:
        columns[SPLIT] = folders.replaced(splits)[rows]
    return Table(where=where, form="the name of its folder", columns=columns), np.flatnonzero(rows)


def _drop_common(paths: dict[str, list[str]]) -> None:
    """Take away the first folders that all are in."""
    while paths and all(paths.values()) and len({parts[0] for parts in paths.values()}) == 1:
        for parts in paths.values():
            del parts[0]
