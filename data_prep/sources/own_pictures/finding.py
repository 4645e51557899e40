"""Look for pictures and tables in a folder, an archive or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.folders import table_of_folders
from data_prep.sources.own_pictures.found import Found
from data_prep.sources.own_pictures.listing import ARRAYS, PARQUET, Listing, listing_of
from data_prep.sources.own_pictures.matching import as_strings
from data_prep.sources.own_pictures.packed import holds_pictures, in_arrays, in_parquet
from data_prep.sources.own_pictures.parquet import read_parquet_table
from data_prep.sources.own_pictures.roles import AUTO, NONE
from data_prep.sources.own_pictures.rows_of_table import rows_of_pictures
from data_prep.sources.own_pictures.table import Table, read_text_table
from data_prep.sources.picture_files import ENDINGS
from data_prep.sources.text_tables import TextFile


def find(raw: Path | None, *, table: str, file: str) -> Found:
    """Look into a folder, a zip archive, or a single ``.parquet`` or ``.npz`` file.

    ``table``: ``auto``, ``none`` (the folders are the classes), or names of tables in the folder. ``file``: the column
    of file names, or ``auto``. ``RawDataError`` says what is missing.
    """
    if raw is None:
        raise RawDataError("pictures of your own: name their folder (or a .zip of it) with --raw FOLDER")
    if raw.suffix.lower() == ARRAYS:
        return in_arrays(raw)
    if raw.suffix.lower() == PARQUET:
        return in_parquet(raw.parent, [raw])
    listing = listing_of(raw)
    chosen = _chosen_tables(listing, table)
    if not len(listing.names):
        return _without_picture_files(listing, chosen)
    notes = list[str]()
    if listing.odd_names:
        notes.append(f"passed over: {counted(listing.odd_names, 'picture')} whose name is no UTF-8")
    if listing.leftovers:
        notes.append(f"passed over, hidden or a notebook's copy: {counted(listing.leftovers, 'file')}")
    if table == NONE or not chosen:
        hint = f"; {listing.unread[0]} is not read: save it as CSV" if listing.unread else ""
        folders, pictures = table_of_folders(str(listing.files.path), as_strings(listing.names), hint)
        return Found(
            files=listing.files, names=listing.names, table=folders, picture=pictures, notes=tuple(notes)
        )
    return rows_of_pictures(listing, _read_tables(listing, chosen, notes, named=table != AUTO), file, notes)


def _chosen_tables(listing: Listing, wanted: str) -> list[TextFile]:
    """The tables that an option names, or all that could be meant."""
    if wanted == NONE:
        return []
    if wanted == AUTO:
        tables = list(listing.tables)
        if len(listing.names):  # what holds pictures itself is no table of these
            tables = [t for t in tables if not holds_pictures(t)]
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


def _without_picture_files(listing: Listing, tables: Sequence[TextFile]) -> Found:
    inside = [t for t in tables if isinstance(t, Path) and holds_pictures(t)]
    arrays = [t for t in inside if t.suffix.lower() == ARRAYS]
    if len(arrays) == 1:
        return in_arrays(arrays[0])
    if arrays:
        names = ", ".join(listing.table_name(t) for t in arrays)
        raise RawDataError(
            f"{listing.files.path} holds several files of arrays: table=NAME chooses one of {names}"
        )
    if inside:
        return in_parquet(listing.files.path, inside)
    kinds = ", ".join(ENDINGS)
    raise RawDataError(
        f"{listing.files.path} holds no pictures ({kinds}), no Parquet file with pictures in it, and no .npz file"
    )


def _read_tables(
    listing: Listing, chosen: Sequence[TextFile], notes: list[str], *, named: bool
) -> list[tuple[str, Table]]:
    """The tables that can be read; ``RawDataError`` if a ``named`` one cannot, or none can."""
    read, errors = list[tuple[str, Table]](), list[RawDataError]()
    for table in chosen:
        name = listing.table_name(table) if table in listing.tables else str(table)
        try:
            read.append((name, _read_table(table, name)))
        except RawDataError as error:
            errors.append(error)
    if errors and (named or not read):
        raise errors[0]
    notes += [f"passed over: {error}" for error in errors]
    return read


def _read_table(table: TextFile, name: str) -> Table:
    if isinstance(table, Path) and name.lower().endswith(PARQUET):
        return read_parquet_table(table)
    if name.lower().endswith((PARQUET, ARRAYS)):
        raise RawDataError(
            f"{table}: a .parquet or .npz file is not read from inside an archive; unpack it first"
        )
    return read_text_table(table, ENDINGS)
