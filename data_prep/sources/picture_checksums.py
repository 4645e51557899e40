"""CRC-32 of picture files, each read once and again only when the file has changed.

A data set's digest covers the content of its pictures, so that a repaired one is noticed, and so that the same
pictures give the same data set wherever they are; a zip archive has the same numbers in its directory. Reading 200,000
faces takes seconds, but 10^7 pictures take hours, so what was read is kept in the cache, with the size and the time of
the last change (which, unlike that of the last modification, no copying tool sets back).
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.files import atomic_write
from data_prep.progress import Progress
from data_prep.sources.raw_files import cache_folder

MOST_BYTES = 64 << 20
"""A picture file that claims to be larger is damaged, or an attack."""

_KNOWN = np.dtype([("size", "<i8"), ("changed", "<i8"), ("crc", "<u4")])
_THREADS, _BLOCK = 8, 2048
_SURE_AFTER = 2 * 10**9
"""nanoseconds: a file that changed less before it was read may change again without a new time"""
_KEPT_FROM, _SHOWN_FROM = 2_000, 20_000
"""number of files from which what was read is kept, and reading is shown"""


def stats_and_checksums(
    folder: Path, files: Sequence[bytes | None]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Sizes (n,) and CRC-32 (n,) of files below ``folder``; 0 where there is none, or where it cannot be read."""
    root, cache_file = os.fsencode(folder.absolute()) + b"/", _cache_file(folder, files)
    known = _read_cache(cache_file, len(files))
    found, began = np.zeros(len(files), dtype=_KNOWN), time.time_ns()
    for i, file in enumerate(files):
        if file is not None:
            with suppress(OSError):
                status = os.stat(root + file)
                found[i] = (status.st_size, status.st_ctime_ns, 0)
    same = (known["size"] == found["size"]) & (known["changed"] == found["changed"]) & (known["changed"] > 0)
    found["crc"][same] = known["crc"][same]
    todo = np.flatnonzero(~same & (found["changed"] > 0))
    if not len(todo):
        return found["size"], found["crc"]

    def checksums(block: NDArray[np.int64]) -> list[int]:
        sizes = found["size"][block].tolist()
        return [
            _checksum(root + file, size)
            for i, size in zip(block.tolist(), sizes, strict=True)
            if (file := files[i]) is not None
        ]

    with (
        Progress(shown=len(todo) >= _SHOWN_FROM, lines=True) as progress,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        progress.begin(f"reading pictures in {folder} that are new or have changed", total=len(todo))
        blocks = [todo[start : start + _BLOCK] for start in range(0, len(todo), _BLOCK)]
        for block, crcs in zip(blocks, pool.map(checksums, blocks), strict=True):
            found["crc"][block] = crcs
            progress.advance(len(block))
    _write_cache(cache_file, found, began)
    return found["size"], found["crc"]


def _checksum(path: bytes, size: int) -> int:
    try:
        file = os.open(path, os.O_RDONLY)  # an object for it takes longer than to read a small picture
        try:
            return zlib.crc32(os.read(file, min(size, MOST_BYTES)))
        finally:
            os.close(file)
    except OSError:
        return 0  # whoever decodes it says what is wrong


def _cache_file(folder: Path, files: Sequence[bytes | None]) -> Path:
    key = hashlib.sha256(os.fsencode(folder.absolute()))
    for file in files:
        key.update(b"\0" if file is None else b"\1" + file)
    return cache_folder("checksums") / f"{key.hexdigest()[:32]}.npy"


def _read_cache(file: Path, count: int) -> NDArray[Any]:
    with suppress(OSError, ValueError, EOFError):
        known = np.load(file, allow_pickle=False)
        if known.dtype == _KNOWN and known.shape == (count,):
            return np.asarray(known)
    return np.zeros(count, dtype=_KNOWN)


def _write_cache(file: Path, found: NDArray[Any], began: int) -> None:
    kept = found.copy()
    kept["changed"][found["changed"] > began - _SURE_AFTER] = 0
    if len(kept) < _KEPT_FROM or not kept["changed"].any():
        return
    with suppress(OSError), atomic_write(file) as out:  # without a cache, files are read again
        np.save(out, kept)
