"""Picture files in a zip archive, read in place: nothing is unpacked to the disk.

Each worker reads only the bytes of its own pictures, at offsets noted in the plan: the archive's directory, as large
as the source, is read once.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.errors import RawDataError
from data_prep.sources.picture_checksums import MOST_BYTES
from data_prep.sources.picture_files import ENDINGS, PLACE, Places, Read, is_passed_over, not_among, stem
from data_prep.sources.text_tables import ArchivedText, Names

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_ENCRYPTED = 1
_MOST_RATIO = 200
"""Uniform pixels compress a hundredfold in a JPEG, which hardly compresses further in a zip."""
_RATIO_FROM = 1 << 20


@dataclass(frozen=True)
class PictureArchive:
    """The picture files of a zip archive, in any of its folders.

    They are named by the last ``depth`` parts of their path (the file name, or with the folders above it), or, if it is
    None, by all of it, from below one of ``folders`` on.
    """

    path: Path
    depth: int | None = 1
    endings: tuple[str, ...] = ENDINGS
    """what their names end with, in lower case"""
    folders: tuple[str, ...] = ()
    """only pictures in one of these folders, wherever it is in the archive; where none is in one, all"""

    def listed(self) -> tuple[Names, Places]:
        """All pictures: names (n,), sorted, and places (n,)."""
        return self._directory

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        found, places = self._directory
        position = np.minimum(np.searchsorted(found, names), len(found) - 1)
        there = found[position] == names
        if not there.all():  # perhaps with another ending, as in CelebA's PNG pictures
            by_stem = {stem(name): i for i, name in enumerate(found.tolist())}
            missing = np.flatnonzero(~there)
            others = [by_stem.get(stem(name), -1) for name in names[missing].tolist()]
            position[missing], there[missing] = others, np.array(others) >= 0
        return places[position], there

    def unlisted(self, names: Names) -> list[bytes]:
        return not_among(self._directory[0].tolist(), names)

    @cached_property
    def _directory(self) -> tuple[Names, Places]:
        """Names, sorted, and places; ``RawDataError`` naming the archive and the invalid entry."""
        with self._opened() as archive:
            entries = [entry for entry in archive.infolist() if self._is_picture(entry)]
        inside = [e for e in entries if set(_parts(e.filename)[:-1]) & set(self.folders)]
        entries = inside or entries
        if not entries:
            raise RawDataError(f"{self.path} holds no picture files")
        names = np.array([self._own_name(entry).encode() for entry in entries], dtype=np.bytes_)
        places = np.array(
            [(e.file_size, e.compress_size, e.header_offset, e.CRC, e.compress_type, 0, 0) for e in entries],
            dtype=PLACE,
        )
        order = np.argsort(names, kind="stable")
        names, places = names[order], places[order]
        twice = np.flatnonzero(names[1:] == names[:-1])
        if len(twice):
            raise RawDataError(f"{self.path} holds {names[twice[0]].decode()} twice")
        return names, places

    def has_folders(self) -> bool:
        """Whether any picture is in one of ``folders``."""
        with self._opened() as archive:
            return any(set(_parts(name)[:-1]) & set(self.folders) for name in archive.namelist())

    def text_file(self, *names: str) -> ArchivedText | None:
        """The file of one of these names closest to the archive's root, to be read as text; earlier names first."""
        with self._opened() as archive:
            entries = [n for n in archive.namelist() if not is_passed_over(_parts(n))]
        for name in names:
            found = [n for n in entries if _parts(n)[-1].lower() == name.lower()]
            if found:
                return ArchivedText(self.path, min(found, key=lambda n: (n.count("/"), n)))
        return None

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            raise RawDataError(f"{self.path} cannot be read: {reason}; is it complete?") from None

    def _own_name(self, entry: zipfile.ZipInfo) -> str:
        parts = _parts(entry.filename)
        if self.depth is not None:
            return "/".join(parts[-self.depth :])
        below = next((i for i, part in enumerate(parts[:-1], 1) if part in self.folders), 0)
        return "/".join(parts[below:])

    def _is_picture(self, entry: zipfile.ZipInfo) -> bool:
        """Whether an entry is one of the pictures; ``RawDataError`` if the entry looks malicious or unreadable."""
        parts = _parts(entry.filename)
        if parts[0] == "" or ".." in parts or parts[0].endswith(":"):
            raise RawDataError(f"{self.path} holds {entry.filename!r}, a path outside its folder")
        if entry.is_dir() or not entry.filename.lower().endswith(self.endings) or is_passed_over(parts):
            return False
        if entry.flag_bits & _ENCRYPTED:
            raise RawDataError(
                f"{self.path} is encrypted ({entry.filename}); unpack it with its password first"
            )
        if entry.compress_type not in (_STORED, _DEFLATED):
            raise RawDataError(
                f"{self.path}: {entry.filename} is packed with method {entry.compress_type}, but only stored "
                "and deflated entries can be read; unpack the archive first"
            )
        packed = max(entry.compress_size, 1)
        if entry.file_size > MOST_BYTES or (
            entry.file_size > _RATIO_FROM and entry.file_size > _MOST_RATIO * packed
        ):
            raise RawDataError(
                f"{self.path}: {entry.filename} would unpack to {entry.file_size} bytes from {packed}, "
                "which no picture does"
            )
        return True

    @contextmanager
    def opened(self) -> Iterator[Read]:
        with self.path.open("rb", buffering=0) as file:
            descriptor = file.fileno()

            def read(name: bytes, place: np.void) -> bytes:
                return _unpacked(descriptor, place)

            yield read

    def name_of(self, name: bytes) -> str:
        return f"{name.decode(errors='backslashreplace')} in {self.path}"

    def record(self) -> Mapping[str, Any]:
        return {"archive": str(self.path)}


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")


def _unpacked(descriptor: int, place: np.void) -> bytes:
    """The bytes of one entry, never more than its directory entry states; ``DamagedPicture`` if they do not match."""
    size, packed, offset = int(place["size"]), int(place["packed"]), int(place["offset"])
    # The entry's local header repeats name and extra field, with lengths of its own. One read usually suffices.
    start = os.pread(descriptor, _LOCAL_HEADER.size + 256 + packed, offset)
    if len(start) < _LOCAL_HEADER.size or not start.startswith(b"PK\x03\x04"):
        raise DamagedPicture("is not where the archive's directory says: the archive is damaged")
    _, name_length, extra_length = _LOCAL_HEADER.unpack_from(start)
    begin = _LOCAL_HEADER.size + name_length + extra_length
    content = start[begin : begin + packed]
    if len(content) < packed:
        content = os.pread(descriptor, packed, offset + begin)
    if place["method"] == _DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
        except zlib.error as error:
            raise DamagedPicture(f"cannot be unpacked: {error}") from None
    if len(content) != size or zlib.crc32(content) != int(place["crc"]):
        raise DamagedPicture("is damaged in the archive: its length or checksum is not the one noted there")
    return content
