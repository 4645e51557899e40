"""Which picture files are in a folder or a zip archive, and which tables."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.errors import RawDataError
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import PictureFolder, is_passed_over, is_picture
from data_prep.sources.text_tables import ArchivedText, Names, TextFile

PARQUET, ARRAYS = ".parquet", ".npz"
TABLES = (".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz", PARQUET, ARRAYS)
_OTHER_TABLES = (".xlsx", ".xls", ".ods", ".json", ".jsonl", ".xml", ".txt")
_BLOCK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Picture files, sorted by name, and the tables next to them or above them."""

    files: PictureFolder | PictureArchive
    names: Names
    """(n,): paths below the folder or in the archive, with slashes"""
    tables: tuple[TextFile, ...]
    """sorted; also Parquet files and arrays, by their endings"""
    unread: tuple[str, ...] = ()
    """tables of a kind that is not read"""
    odd_names: int = 0
    """pictures whose names are no UTF-8, and which are passed over"""
    leftovers: int = 0
    """pictures that systems and notebooks leave, and which are passed over"""

    def table_name(self, table: TextFile) -> str:
        """The name of a table in the folder or archive."""
        return (
            table.entry if isinstance(table, ArchivedText) else table.relative_to(self.files.path).as_posix()
        )


def listing_of(path: Path) -> Listing:
    """List a folder, or a zip archive without unpacking it; ``RawDataError`` if it cannot be read."""
    return _archive(path) if path.is_file() else _folder(path)


def _folder(path: Path) -> Listing:
    blocks, block, tables, unread = list[Names](), list[bytes](), list[TextFile](), list[str]()
    odd = leftovers = 0
    for name in _files(path):
        if is_passed_over(name.split("/")[-1:]):
            leftovers += is_picture(name)
        elif name.lower().endswith(TABLES):
            tables.append(path / name)
        elif name.lower().endswith(_OTHER_TABLES):
            unread.append(name)
        elif is_picture(name) and _is_utf8(name):
            block.append(name.encode())
            if len(block) == _BLOCK:
                blocks.append(np.array(block, dtype=np.bytes_))
                block = []
        else:
            odd += is_picture(name)
    names = np.concatenate([*blocks, np.array(block, dtype=np.bytes_)])
    names.sort(kind="stable")
    return Listing(
        files=PictureFolder(path),
        names=names,
        tables=tuple(sorted(tables, key=str)),
        unread=tuple(sorted(unread)),
        odd_names=odd,
        leftovers=leftovers,
    )


def _files(root: Path) -> Iterator[str]:
    """Paths of the files below a folder, but not of a system's folders; links are followed, no folder is entered twice."""
    seen, waiting = set[tuple[int, int]](), [""]
    while waiting:
        folder = waiting.pop()
        try:
            about = os.stat(root / folder)
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = f"{folder}{entry.name}"
                    if entry.is_dir():
                        if not is_passed_over([entry.name]):
                            waiting.append(name + "/")
                    elif entry.is_file():
                        yield name
        except OSError as error:
            raise RawDataError(
                f"{error.filename or root / folder} cannot be read: {error.strerror}"
            ) from None


def _archive(path: Path) -> Listing:
    archive = PictureArchive(path, depth=None)
    names, _ = archive.listed()
    with zipfile.ZipFile(path) as opened:
        entries = [
            e for e in opened.namelist() if e.lower().endswith(TABLES) and not is_passed_over(e.split("/"))
        ]
    tables = [ArchivedText(path, entry) for entry in sorted(entries)]
    return Listing(files=archive, names=names, tables=tuple(tables))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
