"""Where the picture files of a source are: in a folder or in a zip archive. Both are read a file at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.errors import RawDataError
from data_prep.sources.text_tables import Names

PLACE = np.dtype([("size", "<i8"), ("packed", "<i8"), ("offset", "<i8"), ("crc", "<u4"), ("method", "<u2")])
"""Location and size of a picture's bytes: all but ``size`` is for archives."""

Places = NDArray[Any]
"""Array of ``PLACE``."""

MOST_BYTES = 64 << 20
"""A picture file that claims to be larger is damaged, or an attack."""

GONE = "no longer exists, or not on this machine"
"""For a file that existed when the plan was made."""

Read = Callable[[bytes, np.void], bytes]
"""Name and place of a picture → its bytes; ``DamagedPicture`` or ``OSError`` if they cannot be read."""


@runtime_checkable
class PictureFiles(Protocol):
    """Picture files by name."""

    @property
    def path(self) -> Path:
        """The folder or the archive."""
        ...

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        """Places (n,) of the pictures of these names (sorted, each once), and which of them exist (n,)."""
        ...

    def unlisted(self, names: Names) -> str | None:
        """Name of a picture that exists but is not among ``names`` (sorted, each once), if there is one."""
        ...

    def opened(self) -> AbstractContextManager[Read]:
        """Inside, pictures can be read."""
        ...

    def name_of(self, name: bytes) -> str:
        """The name to show to a person."""
        ...


@dataclass(frozen=True)
class PictureFolder:
    """Picture files below a folder, named by their path in it (with slashes)."""

    path: Path
    parts: tuple[str, ...] = ("",)
    """the folders below ``path`` that belong to the source; others are ignored"""

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        places, there = np.zeros(len(names), dtype=PLACE), np.zeros(len(names), dtype=np.bool_)
        sizes, root = places["size"], os.fsencode(self.path) + b"/"
        for i, name in enumerate(names.tolist()):
            try:
                sizes[i] = os.stat(root + name).st_size
                there[i] = True
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise RawDataError(f"{self.name_of(name)} cannot be read: {error.strerror}") from None
        return places, there

    def unlisted(self, names: Names) -> str | None:
        """Folders are listed one at a time, so the memory needed is that of the largest folder."""
        for part in self.parts:
            for folder, _, files in os.walk(self.path / part):
                prefix = os.path.relpath(folder, self.path).replace(os.sep, "/") + "/"
                prefix = "" if prefix == "./" else prefix
                found = np.array([os.fsencode(prefix + f) for f in files if _is_picture(f)], dtype=np.bytes_)
                if len(found) and (extra := first_not_among(found, names)) is not None:
                    return os.fsdecode(extra)
        return None

    @contextmanager
    def opened(self) -> Iterator[Read]:
        root = os.fsencode(self.path) + b"/"

        def read(name: bytes, place: np.void) -> bytes:
            # Reading one byte more than expected shows whether the file has grown; the buffer is allocated at once.
            with open(root + name, "rb", buffering=0) as file:
                return file.read(min(int(place["size"]) + 1, MOST_BYTES))

        yield read

    def name_of(self, name: bytes) -> str:
        return str(self.path / os.fsdecode(name))


def why_not_read(error: DamagedPicture | OSError) -> str:
    """Completes a sentence that begins with the picture's name; it existed when the plan was made."""
    if isinstance(error, FileNotFoundError):
        return GONE
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def first_not_among(found: Names, names: Names) -> bytes | None:
    """The first of ``found`` (any order) that is not among ``names`` (sorted, at least one)."""
    position = np.minimum(np.searchsorted(names, found), len(names) - 1)
    extra = found[names[position] != found]
    return bytes(np.sort(extra)[0]) if len(extra) else None


def _is_picture(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg")) and not name.startswith(".")
