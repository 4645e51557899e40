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
_BLOCK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Picture files, sorted by name, and the tables next to them or above them."""

    files: PictureFolder | PictureArchive
    names: Names
    """(n,): paths below the folder or in the archive, with slashes"""
    tables: tuple[TextFile, ...]
    """sorted; also Parquet files and arrays, by their endings"""
    odd_names: int
    """files whose names are no UTF-8, and which are passed over"""

    def table_name(self, table: TextFile) -> str:
        """The name of a table in the folder or archive."""
        return (
            table.entry if isinstance(table, ArchivedText) else table.relative_to(self.files.path).as_posix()
        )


def listing_of(path: Path) -> Listing:
    """List a folder, or a zip archive without unpacking it; ``RawDataError`` if it cannot be read."""
    return _archive(path) if path.is_file() else _folder(path)


def _folder(path: Path) -> Listing:
    blocks, block, tables, odd = list[Names](), list[bytes](), list[TextFile](), 0
    for name in _files(path):
        if name.lower().endswith(TABLES):
            tables.append(path / name)
        if not is_picture(name):
            continue
        if not _is_utf8(name):
            odd += 1
            continue
        block.append(name.encode())
        if len(block) == _BLOCK:
            blocks.append(np.array(block, dtype=np.bytes_))
            block = []
    names = np.concatenate([*blocks, np.array(block, dtype=np.bytes_)])
    names.sort(kind="stable")
    return Listing(
        files=PictureFolder(path), names=names, tables=tuple(sorted(tables, key=str)), odd_names=odd
    )


def _files(root: Path) -> Iterator[str]:
    """Paths of the files below a folder; links are followed, but no folder is entered twice."""
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
                    if is_passed_over([entry.name]):
                        continue
                    if entry.is_dir():
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
    return Listing(files=archive, names=names, tables=tuple(tables), odd_names=0)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
