"""Which picture each row of a table is of: the column of names, and how they fit the files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.counted import counted
from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.found import Found
from data_prep.sources.own_pictures.listing import Listing
from data_prep.sources.own_pictures.matching import Rule, as_paths, as_strings, best_rule, matched
from data_prep.sources.own_pictures.packed import joined
from data_prep.sources.own_pictures.roles import AUTO, column_named
from data_prep.sources.own_pictures.table import Table
from data_prep.sources.own_pictures.words import plain, split_in_name

_SAMPLE, _FEWEST_DIFFERENT = 200, 0.5
_NAMES_OF_NAMES = ("file", "name", "image", "picture", "path", "id")


def rows_of_pictures(
    listing: Listing, tables: Sequence[tuple[str, Table]], file: str, notes: list[str]
) -> Found:
    """The rows of one table, or of several whose names say their splits, each with the picture that it names.

    ``file``: the column of names, or ``auto``. ``RawDataError`` if no column names pictures, or two rows the same one.
    """
    files = as_strings(listing.names)
    name, table = tables[0]
    if len(tables) > 1:
        stems = [n.removesuffix(".gz").rpartition(".")[0] for n, _ in tables]
        splits = [split_in_name(stem) for stem in stems]
        if all(splits) and len(set(splits)) == len(splits):
            table = joined([t for _, t in tables], stems)
        else:
            fitting = [(n, t) for n, t in tables if _names_column(t, files) is not None]
            if len(fitting) != 1:
                names = ", ".join(n for n, _ in (fitting or tables))
                raise RawDataError(
                    f"{listing.files.path} holds several tables: table=NAME chooses one of {names}"
                )
            ((name, table),) = fitting
            notes.append(f"tables passed over: {', '.join(n for n, _ in tables if n != name)}")
    column = column_named(table, "file", file) if file != AUTO else _names_column(table, files)
    if column is None:
        first = "; ".join(f"{c}: {values.text(0)!r}" for c, values in table.columns.items())
        raise RawDataError(
            f"no column of {table.where} names pictures in {listing.files.path} (its first row is {first}; the first "
            f"picture is {listing.names[0].decode()}): file=COLUMN says which one does"
        )
    texts = table.columns[column].all_texts()
    rule, share = best_rule(texts, files)
    if share < 1 and any("/" in n for n, _ in tables):
        below = _below_their_tables(texts, tables if table.parts else [(name, table)])
        other, other_share = best_rule(below, files)
        if other_share > share:
            texts, rule = below, other
    pictures = matched(texts, files, rule)
    _refuse_twice(table, column, pictures)
    return Found(
        files=listing.files,
        names=listing.names,
        table=table,
        picture=pictures,
        names_column=column,
        rule=rule,
        notes=tuple(notes),
    )


def _below_their_tables(texts: pa.StringArray, tables: Sequence[tuple[str, Table]]) -> pa.StringArray:
    """Names of files as paths that begin in the folder of the table that names them."""
    folders = [name.rpartition("/")[0] for name, _ in tables]
    prefixes = pa.array([f"{folder}/" if folder else "" for folder in folders])
    part = np.repeat(np.arange(len(tables)), [len(table) for _, table in tables])
    return pc.binary_join_element_wise(prefixes.take(pa.array(part)), as_paths(texts), "")


def _names_column(table: Table, files: object) -> str | None:
    """The column of which most rows name pictures, by their file names without endings; None if none does."""
    loose = Rule(1, with_ending=False, with_case=False, with_zeros=False)
    keys, best, most = loose.keys(files), None, (0.0, 0)
    for name, column in table.columns.items():
        rows = np.unique(np.linspace(0, len(column) - 1, min(_SAMPLE, len(column))).astype(np.int64))
        texts = loose.keys(as_paths(column.texts.take(column.codes[rows])))
        share = float(np.mean(pc.is_in(texts, value_set=keys).to_numpy(zero_copy_only=False)))
        # Numbers may name files by chance: names are different in every row, and a column of the right name goes first.
        different = min(1.0, len(column.texts) / len(column))
        named = sum(word in plain(name) for word in _NAMES_OF_NAMES)
        rank = share * different, named
        if share > 0 and rank > most and (named or different > _FEWEST_DIFFERENT):
            best, most = name, rank
    return best


def _refuse_twice(table: Table, column: str, pictures: NDArray[np.int64]) -> None:
    rows = np.flatnonzero(pictures >= 0)
    order = rows[np.argsort(pictures[rows], kind="stable")]
    twice = np.flatnonzero(pictures[order][1:] == pictures[order][:-1])
    if len(twice):
        row = int(order[twice + 1].min())
        first = int(np.flatnonzero(pictures == pictures[row])[0])
        raise RawDataError(
            f"{table.row(row)} names {table.columns[column].text(row)}, and so does row {first + 1} "
            f"({counted(len(twice), 'picture has', 'pictures have')} more than one row)"
        )
