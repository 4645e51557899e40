"""The idx format of the MNIST family: a four-byte magic, the sizes as big-endian uint32, then the data.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Only unsigned bytes occur there;
the labels of QMNIST (Yadav and Bottou 2019) are rows of eight int32, of which the first is the class.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.sources.text_tables import ArchivedText

IdxFile = Path | ArchivedText
"""A file, gzipped or not, or one in a zip archive."""

_UNSIGNED_BYTE, _INT32 = 0x08, 0x0C
_BYTES = {_UNSIGNED_BYTE: 1, _INT32: 4}
_LABEL_DIMENSIONS = 1
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 20
_MOST_BYTES = 1 << 36  # a header that states more than 64 GiB is damaged, or an attack


@dataclass(frozen=True)
class IdxHeader:
    """Sizes of an idx file, rows first, and the number of bytes before the data."""

    shape: tuple[int, ...]
    offset: int
    item_bytes: int = 1

    @property
    def total_bytes(self) -> int:
        return self.offset + math.prod(self.shape) * self.item_bytes


def read_header(path: IdxFile, dimensions: int) -> IdxHeader:
    """Header of an idx file, gzipped or not; ``RawDataError`` naming the file if it is not one."""
    with _open(path) as file:
        return _read_header(path, file, dimensions)[1]


def unpacked_blocks(path: IdxFile, dimensions: int) -> Iterator[bytes]:
    """The unpacked bytes of an idx file, in blocks of bounded size, from a ``.gz`` or a plain file.

    Raises ``RawDataError`` naming the file and the byte where it is truncated, damaged or too long.
    """
    with _open(path) as file:
        start, header = _read_header(path, file, dimensions)
        yield start
        done = len(start)
        while done < header.total_bytes:
            block = _read(path, file, min(_BLOCK, header.total_bytes - done), done)
            if not block:
                raise RawDataError(
                    f"{path} is truncated: it ends at byte {done} where its header states {header.total_bytes}"
                )
            yield block
            done += len(block)
        if _read(path, file, 1, done):
            raise RawDataError(f"{path} continues after byte {done}, where its header says that it ends")


def unpacked_md5(path: IdxFile, dimensions: int) -> str:
    """MD5 (hexadecimal) of the unpacked file: the same for a ``.gz`` and a plain file."""
    md5 = hashlib.md5(usedforsecurity=False)
    for block in unpacked_blocks(path, dimensions):
        md5.update(block)
    return md5.hexdigest()


def classes(path: IdxFile) -> NDArray[np.uint8]:
    """The classes (n,) of a file of labels, of either kind; ``RawDataError`` if one does not fit into a byte."""
    header = read_header(path, _LABEL_DIMENSIONS)
    if header.item_bytes == 1 and isinstance(path, Path) and not is_packed(path):
        return map_idx(path, _LABEL_DIMENSIONS)
    content = b"".join(unpacked_blocks(path, _LABEL_DIMENSIONS))
    if header.item_bytes == 1:
        return np.frombuffer(content, dtype=np.uint8, offset=header.offset)
    values = np.frombuffer(content, dtype=">i4", offset=header.offset).reshape(header.shape)[:, 0]
    bad = np.flatnonzero((values < 0) | (values > 255))
    if len(bad):
        raise RawDataError(
            f"{path}: row {bad[0]} has the label {values[bad[0]]}, but only 0 to 255 are allowed"
        )
    return values.astype(np.uint8)


def as_bytes(classes: NDArray[np.uint8]) -> bytes:
    """Classes (n,) as an idx file of unsigned bytes."""
    return struct.pack(">HBBI", 0, _UNSIGNED_BYTE, 1, len(classes)) + classes.tobytes()


def map_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The data of a plain idx file as a read-only memory map; ``RawDataError`` naming the file if it is not one."""
    header = read_header(path, dimensions)
    size = path.stat().st_size
    if size != header.total_bytes:
        raise RawDataError(f"{path} has {size} bytes where its header states {header.total_bytes}")
    return np.memmap(path, dtype=np.uint8, mode="r", offset=header.offset, shape=header.shape)


def is_packed(path: Path) -> bool:
    """Whether it is gzip: judged by content, because browsers may unpack files and keep the ``.gz`` name."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _open(path: IdxFile) -> BufferedIOBase:
    try:
        if isinstance(path, Path):
            return gzip.GzipFile(path) if is_packed(path) else path.open("rb")
        with zipfile.ZipFile(path.archive) as archive:
            entry = cast(BufferedIOBase, archive.open(path.entry))
            packed = entry.read(2) == _GZIP_MAGIC
            entry.seek(0)
        return gzip.GzipFile(fileobj=entry) if packed else entry
    # RuntimeError: an archive's file that is encrypted.
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise RawDataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _read(path: IdxFile, file: BufferedIOBase, count: int, position: int = 0) -> bytes:
    try:
        return file.read(count)
    except EOFError:
        raise RawDataError(
            f"{path} is truncated: the packed data ends soon after unpacked byte {position}"
        ) from None
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise RawDataError(f"{path} is damaged soon after unpacked byte {position}: {error}") from None
    except OSError as error:
        raise RawDataError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_header(path: IdxFile, file: BufferedIOBase, dimensions: int) -> tuple[bytes, IdxHeader]:
    """The bytes before the data, and what they say; labels may have a second dimension if they are int32."""
    start = _read(path, file, 4)
    if dimensions == _LABEL_DIMENSIONS and start[2:] == bytes((_INT32, 2)):
        dimensions = 2
    start += _read(path, file, 4 * dimensions)
    return start, _header(path, start, dimensions)


def _header(path: IdxFile, start: bytes, dimensions: int) -> IdxHeader:
    if len(start) < 4 + 4 * dimensions:
        raise RawDataError(f"{path} is truncated: it ends at byte {len(start)}, inside its header")
    zero, kind, found = struct.unpack(">HBB", start[:4])
    if zero != 0:
        raise RawDataError(f"{path} is not an idx file: it begins with {start[:4].hex()}, not with 0000")
    if kind != _UNSIGNED_BYTE and not (kind == _INT32 and dimensions == 2):
        raise RawDataError(
            f"{path}: byte 2 says type 0x{kind:02x}, but only 0x08 (unsigned bytes) can be read"
        )
    if found != dimensions:
        raise RawDataError(f"{path}: byte 3 says {found} dimensions where {dimensions} are expected")
    shape = struct.unpack(f">{dimensions}I", start[4:])
    if 0 in shape:
        raise RawDataError(f"{path} is empty: its header says {' x '.join(map(str, shape))}")
    if math.prod(shape) > _MOST_BYTES:
        raise RawDataError(f"{path}: its header states an impossible {math.prod(shape)} bytes")
    return IdxHeader(tuple(shape), len(start), _BYTES[kind])
