"""The kinds of picture files that a source of the user's own pictures reads, and their records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.errors import RawDataError
from data_prep.sources.own_pictures.arrays import ArrayPictures
from data_prep.sources.own_pictures.parquet import ParquetPictures
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import GONE, PictureFolder, ReadablePictures
from data_prep.sources.picture_parts import opened_files

Files = PictureFolder | PictureArchive | ParquetPictures | ArrayPictures


def opened_pictures(record: Mapping[str, Any]) -> ReadablePictures:
    """What ``record()`` described; ``RawDataError`` if it has disappeared."""
    if "parquet" in record:
        folder = _there(record["folder"])
        return ParquetPictures(folder, tuple(record["parquet"]), tuple(record["rows"]), record["column"])
    if "arrays" in record:
        unpacked = None if record["unpacked"] is None else _there(record["unpacked"])
        return ArrayPictures(Path(record["file"]), tuple(record["arrays"]), tuple(record["rows"]), unpacked)
    return opened_files(record)


def _there(path: str) -> Path:
    if not Path(path).exists():
        raise RawDataError(f"{path} {GONE}")
    return Path(path)
