"""Places of pictures that are rows of files of many."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.sources.picture_files import PLACE, Places

_BLOCK = 1 << 20


def places_in_files(files: Sequence[Path], rows: Sequence[int], numbers: NDArray[np.int64]) -> Places:
    """Places (k,) of pictures by their number, counted over the ``rows`` of all files.

    ``packed`` is the number of the file and ``offset`` the row in it. The size of a picture is not known without reading
    it (-1), and the checksum is that of the whole file.
    """
    places = rows_in_files(rows, numbers)
    places["crc"] = np.array([_checksum(path) for path in files], dtype=np.uint32)[places["packed"]]
    return places


def rows_in_files(rows: Sequence[int], numbers: NDArray[np.int64]) -> Places:
    """As ``places_in_files``, without the checksums, so that nothing is read."""
    ends = np.cumsum(rows)
    places = np.zeros(len(numbers), dtype=PLACE)
    file = np.searchsorted(ends, numbers, side="right")
    places["size"], places["packed"] = -1, file
    places["offset"] = numbers - (ends - np.asarray(rows))[file]
    return places


@cache
def _checksum(path: Path) -> int:
    """CRC-32 of a file, which is read once by a process."""
    crc = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                crc = zlib.crc32(block, crc)
    except OSError as error:
        raise RawDataError(f"{path} cannot be read: {error.strerror}") from None
    return crc
