"""What a folder holds: pictures, a table of theirs, and which row is of which picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.arrays import ArrayPictures, array_file
from data_prep.sources.own_pictures.files import Files
from data_prep.sources.own_pictures.folders import table_of_folders
from data_prep.sources.own_pictures.listing import ARRAYS, PARQUET, Listing, listing_of
from data_prep.sources.own_pictures.matching import Rule, as_paths, as_strings, best_rule, matched
from data_prep.sources.own_pictures.parquet import ParquetPictures, image_column, names_of, read_parquet_table
from data_prep.sources.own_pictures.roles import AUTO, NONE, column_named
from data_prep.sources.own_pictures.table import Column, Table, concatenated, read_text_table
from data_prep.sources.own_pictures.words import plain, split_in_name
from data_prep.sources.picture_checksums import MOST_BYTES
from data_prep.sources.picture_files import ENDINGS, PictureFolder, Places
from data_prep.sources.text_tables import Names, TextFile

_SAMPLE = 200
_NAMES_OF_NAMES = ("file", "name", "image", "picture", "path", "id")
_SPLIT = "split"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Pictures, rows, and which belong together."""

    files: Files
    names: Names
    """(n,): of the pictures, UTF-8"""
    table: Table
    picture: NDArray[np.int64]
    """(rows,): the picture of each row; -1: none"""
    names_column: str | None = None
    rule: Rule | None = None
    """how rows and files were matched; None if they are one by nature"""
    notes: tuple[str, ...] = field(default=())
    """what else was passed over, for a person"""

    def places_of(self, pictures: NDArray[np.int64]) -> Places:
        """Places (k,) of some pictures, in ascending order, with a checksum of their content."""
        if isinstance(self.files, ParquetPictures | ArrayPictures):
            return self.files.places_at(pictures)
        return self.files.places(self.names[pictures])[0]

    def contents(self, pictures: NDArray[np.int64]) -> list[tuple[str, bytes | Exception]]:
        """Name for a person and bytes of some pictures, in ascending order, or why they cannot be read."""
        if isinstance(self.files, PictureFolder):  # without a checksum of all that is read
            return [_content(self.files.path, bytes(self.names[i])) for i in pictures]
        found = list[tuple[str, bytes | Exception]]()
        with self.files.opened() as read:
            for number, place in zip(pictures, self.places_of(pictures), strict=True):
                name = bytes(self.names[number])
                try:
                    found.append((self.files.name_of(name), read(name, place)))
                except (OSError, DamagedPicture) as error:
                    found.append((self.files.name_of(name), error))
        return found

    @property
    def without_row(self) -> NDArray[np.int64]:
        """The pictures that no row names, in order."""
        return np.setdiff1d(np.arange(len(self.names)), self.picture)

    @property
    def without_picture(self) -> NDArray[np.int64]:
        """The rows that name no picture, in order."""
        return np.flatnonzero(self.picture < 0)


def _content(folder: Path, name: bytes) -> tuple[str, bytes | Exception]:
    path = folder / name.decode()
    try:
        with path.open("rb", buffering=0) as file:
            return str(path), file.read(MOST_BYTES)
    except OSError as error:
        return str(path), error


def find(raw: Path | None, *, table: str, file: str) -> Found:
    """Look into a folder, a zip archive, or a single ``.parquet`` or ``.npz`` file.

    ``table``: ``auto``, ``none`` (the folders are the classes), or names of tables in the folder. ``file``: the column
    of file names, or ``auto``. ``RawDataError`` says what is missing.
    """
    if raw is None:
        raise RawDataError("pictures of your own: name their folder (or a .zip of it) with --raw FOLDER")
    if raw.suffix.lower() == ARRAYS:
        return _in_arrays(raw)
    if raw.suffix.lower() == PARQUET:
        return _in_parquet(raw.parent, [raw])
    listing = listing_of(raw)
    chosen = _chosen_tables(listing, table)
    if not len(listing.names):
        return _without_picture_files(listing, chosen, table)
    notes = []
    if listing.odd_names:
        notes.append(f"{listing.odd_names:,} pictures whose names are no UTF-8 are passed over")
    if listing.leftovers:
        notes.append(f"{listing.leftovers:,} hidden files and notebooks' copies are passed over")
    if table == NONE or not chosen:
        hint = f"; {listing.unread[0]} is not read: save it as CSV" if listing.unread else ""
        folders, pictures = table_of_folders(str(listing.files.path), as_strings(listing.names), hint)
        return _found(listing, folders, pictures, notes=tuple(notes))
    return _matched(listing, _read_tables(listing, chosen), file, notes)


def _chosen_tables(listing: Listing, wanted: str) -> list[TextFile]:
    """The tables that an option names, or all that could be meant."""
    if wanted == NONE:
        return []
    if wanted == AUTO:
        tables = list(listing.tables)
        if len(listing.names):  # what holds pictures itself is no table of these
            tables = [t for t in tables if not _holds_pictures(t)]
        return tables
    by_name = {listing.table_name(t): t for t in listing.tables}
    chosen = []
    for name in (part.strip() for part in wanted.split(",")):
        if name in by_name:
            chosen.append(by_name[name])
        elif _named_file(listing, name).is_file():
            chosen.append(_named_file(listing, name))
        else:
            there = ", ".join(by_name) or "no tables"
            raise RawDataError(f"{listing.files.path} has no table {name!r}: it has {there}")
    return chosen


def _named_file(listing: Listing, name: str) -> Path:
    """A file that is named by its path in the folder, or by an absolute one."""
    return listing.files.path / Path(name).expanduser()


def _without_picture_files(listing: Listing, tables: Sequence[TextFile], wanted: str) -> Found:
    inside = [t for t in tables if isinstance(t, Path) and _holds_pictures(t)]
    arrays = [t for t in inside if t.suffix.lower() == ARRAYS]
    if len(arrays) == 1:
        return _in_arrays(arrays[0])
    if arrays:
        names = ", ".join(listing.table_name(t) for t in arrays)
        raise RawDataError(
            f"{listing.files.path} holds several files of arrays: table=NAME chooses one of {names}"
        )
    if inside:
        return _in_parquet(listing.files.path, inside)
    kinds = ", ".join(ENDINGS)
    raise RawDataError(
        f"{listing.files.path} holds no pictures ({kinds}), no Parquet file with pictures in it, and no .npz file"
    )


def _holds_pictures(table: TextFile) -> bool:
    if not isinstance(table, Path):
        return False
    name = table.name.lower()
    return name.endswith(ARRAYS) or (name.endswith(PARQUET) and image_column(table) is not None)


def _in_arrays(path: Path) -> Found:
    file = array_file(path)
    files = ArrayPictures(path, tuple(file.images.values()), tuple(file.counts))
    table = file.table()
    return Found(
        files=files,
        names=file.names(),
        table=table,
        picture=np.arange(len(table)),
    )


def _in_parquet(folder: Path, paths: Sequence[Path]) -> Found:
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
        table=_joined(tables, [path.stem for path in paths]),
        picture=np.arange(sum(counts)),
        names_column=f"{column}.path",
    )


def _joined(tables: Sequence[Table], stems: Sequence[str]) -> Table:
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


def _read_tables(listing: Listing, chosen: Sequence[TextFile]) -> list[tuple[str, Table]]:
    read = []
    for table in chosen:
        name = listing.table_name(table) if table in listing.tables else str(table)
        if isinstance(table, Path) and table.suffix.lower() == PARQUET:
            read.append((name, read_parquet_table(table)))
        elif name.lower().endswith((PARQUET, ARRAYS)):
            raise RawDataError(
                f"{table}: a .parquet or .npz file is not read from inside an archive; unpack it first"
            )
        else:
            read.append((name, read_text_table(table, ENDINGS)))
    return read


def _matched(listing: Listing, tables: Sequence[tuple[str, Table]], file: str, notes: list[str]) -> Found:
    files = as_strings(listing.names)
    name, table = tables[0]
    if len(tables) > 1:
        stems = [n.removesuffix(".gz").rpartition(".")[0] for n, _ in tables]
        splits = [split_in_name(stem) for stem in stems]
        if all(splits) and len(set(splits)) == len(splits):
            table = _joined([t for _, t in tables], stems)
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
    return _found(listing, table, pictures, names_column=column, rule=rule, notes=tuple(notes))


def _below_their_tables(texts: pa.StringArray, tables: Sequence[tuple[str, Table]]) -> pa.StringArray:
    """Names of files as paths that begin in the folder of the table that names them."""
    folders = [name.rpartition("/")[0] for name, _ in tables]
    prefixes = pa.array([f"{folder}/" if folder else "" for folder in folders])
    part = np.repeat(np.arange(len(tables)), [len(table) for _, table in tables])
    return pc.binary_join_element_wise(prefixes.take(pa.array(part)), as_paths(texts), "")


def _found(
    listing: Listing,
    table: Table,
    pictures: NDArray[np.int64],
    *,
    names_column: str | None = None,
    rule: Rule | None = None,
    notes: tuple[str, ...] = (),
) -> Found:
    return Found(
        files=listing.files,
        names=listing.names,
        table=table,
        picture=pictures,
        names_column=names_column,
        rule=rule,
        notes=notes,
    )


def _names_column(table: Table, files: object) -> str | None:
    """The column of which most rows name pictures, by their file names without endings; None if none does."""
    loose = Rule(1, with_ending=False, with_case=False, with_zeros=False)
    keys, best, most = loose.keys(files), None, (0.0, 0)
    for name, column in table.columns.items():
        rows = np.unique(np.linspace(0, len(column) - 1, min(_SAMPLE, len(column))).astype(np.int64))
        texts = loose.keys(as_paths(column.texts.take(column.codes[rows])))
        share = float(np.mean(pc.is_in(texts, value_set=keys).to_numpy(zero_copy_only=False)))
        # Numbers may name files by chance: a column of the right name goes first.
        rank = share, sum(word in plain(name) for word in _NAMES_OF_NAMES)
        if share > 0 and rank > most and len(column.texts) > 1:
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
            f"({len(twice)} pictures have more than one row)"
        )
