"""The images of a split's shards as rows of one array, for any number of files, so that a batch is one gather.

A shard is a file, and its images are a memory map. Gathering a batch shard by shard costs several numpy calls per shard
and a second copy, halving the speed at 64 x 64. So the files are mapped again, side by side into one range of
addresses, each at a distance from the first that is a whole number of rows; then a row of any shard is a row of one
array that starts at the first shard's first image. The addresses between the files are unmapped, and nothing
points there: row numbers are checked.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Integer, UInt8

_HUGE_PAGE = 1 << 21
"""Linux maps a cached file in pages of this size if address and offset allow it: a third faster here."""
_MAP_FIXED = 0x10  # Linux, on every architecture that torch supports
_FAILED = ctypes.c_void_p(-1).value


@dataclass(frozen=True)
class ImageFile:
    """A file that holds ``rows`` images one after the other, the first at byte ``offset``."""

    path: Path
    offset: int
    rows: int


class MappedRows:
    """Images of ``row_bytes`` bytes each, over all ``files``, in order. ``OSError`` if they cannot be mapped.

    The map stays until the object is dropped; it costs addresses and page tables, no memory.
    """

    def __init__(self, files: Sequence[ImageFile], row_bytes: int) -> None:
        self._first_rows = np.cumsum([0, *(file.rows for file in files)])
        places = _places(files, row_bytes)
        end = places[-1] + files[-1].offset + files[-1].rows * row_bytes
        reserved = end + _HUGE_PAGE
        address = _map(None, reserved, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
        weakref.finalize(self, _unmap, address, reserved)
        start = -(-address // _HUGE_PAGE) * _HUGE_PAGE
        for file, place in zip(files, places, strict=True):
            _map_file(start + place, file, row_bytes)
        origin = files[0].offset
        slots = (end - origin) // row_bytes
        content = (ctypes.c_uint8 * (slots * row_bytes)).from_address(start + origin)
        self._slots = torch.from_numpy(np.ctypeslib.as_array(content)).view(slots, row_bytes)
        first_slots = [(p + f.offset - origin) // row_bytes for f, p in zip(files, places, strict=True)]
        self._shift = np.asarray(first_slots) - self._first_rows[:-1]

    def __len__(self) -> int:
        return int(self._first_rows[-1])

    def located(self, rows: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
        """Positions of rows, for ``copied``; ``IndexError`` if one does not exist. Call overhead dominates for few rows."""
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} where there are {len(self)}")
        return rows + self._shift[np.searchsorted(self._first_rows, rows, side="right") - 1]

    def copied(self, places: Integer[np.ndarray, " n"]) -> UInt8[np.ndarray, "n bytes"]:
        """A copy of the rows at these positions from ``located``, in order.

        torch uses its threads for this, numpy's ``take`` does not.
        """
        return self._slots.index_select(0, torch.from_numpy(places)).numpy()


def _places(files: Sequence[ImageFile], row_bytes: int) -> list[int]:
    """For each file the multiple of a huge page at which its images are an integer number of rows from the first file's."""
    places, free = [], 0
    for file in files:
        whole_pages = range(free, free + math.lcm(_HUGE_PAGE, row_bytes), _HUGE_PAGE)
        fitting = (p for p in whole_pages if (p + file.offset - files[0].offset) % row_bytes == 0)
        place = next(fitting, None)
        if place is None:
            raise OSError(f"{file.path}: its images cannot be aligned with those of {files[0].path}")
        places.append(place)
        length = file.offset + file.rows * row_bytes
        free = place + -(-length // _HUGE_PAGE) * _HUGE_PAGE
    return places


def _map_file(address: int, file: ImageFile, row_bytes: int) -> None:
    length = file.offset + file.rows * row_bytes
    descriptor = os.open(file.path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_size < length:  # accessing missing bytes would kill the process
            raise OSError(f"{file.path} is shorter than its {file.rows} images")
        _map(address, length, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, descriptor)
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    )  # fmt: skip
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc


def _map(address: int | None, length: int, protection: int, flags: int, descriptor: int) -> int:
    found = _libc().mmap(address, length, protection, flags, descriptor, 0)
    if found is None or found == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"{length} bytes cannot be mapped: {os.strerror(number)}")
    return int(found)


def _unmap(address: int, length: int) -> None:
    _libc().munmap(address, length)
