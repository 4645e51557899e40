"""Where the picture files of a source are: in a folder or in a zip archive. Both are read a file at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.sources.picture_checksums import MOST_BYTES, stats_and_checksums
from data_prep.sources.text_tables import Names

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""What the names of picture files end with, in lower case."""

PLACE = np.dtype(
    [
        ("size", "<i8"), ("packed", "<i8"), ("offset", "<i8"), ("crc", "<u4"), ("method", "<u2"), ("ending", "u1"),
        ("part", "u1"),
    ]
)  # fmt: skip
"""Location, size and CRC-32 of a picture's bytes.

``packed``, ``offset`` and ``method`` are for archives; ``ending`` says which other ending than its name's a file of a
folder has, and ``part`` is for pictures that are in several folders or archives.
"""

Places = NDArray[Any]
"""Array of ``PLACE``."""

GONE = "no longer exists, or not on this machine"
"""For a file that existed when the plan was made."""

CHANGED = "has changed since the preparation began"

Read = Callable[[bytes, np.void], bytes]
"""Name and place of a picture → its bytes; ``DamagedPicture`` or ``OSError`` if they cannot be read."""

_OTHER_ENDINGS = (b"", *(e.encode() for ending in ENDINGS for e in (ending, ending.upper())))
_SYSTEM_FOLDERS = frozenset(("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found"))
_COPY = re.compile(r".*-(Copy\d+|checkpoint)\.\w+", re.IGNORECASE | re.DOTALL)


@runtime_checkable
class ReadablePictures(Protocol):
    """Pictures that can be read, one at a time."""

    def opened(self) -> AbstractContextManager[Read]:
        """Inside, pictures can be read."""
        ...

    def name_of(self, name: bytes) -> str:
        """The name to show to a person."""
        ...


@runtime_checkable
class PictureFiles(ReadablePictures, Protocol):
    """Picture files by name."""

    @property
    def path(self) -> Path:
        """The folder or the archive."""
        ...

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        """Places (n,) of the pictures of these names (sorted, each once), and which of them exist (n,)."""
        ...

    def unlisted(self, names: Names) -> list[bytes]:
        """Names of pictures that exist but are not among ``names`` (sorted, each once), sorted."""
        ...

    def record(self) -> Mapping[str, Any]:
        """JSON from which ``opened_files`` makes an equal object."""
        ...


def is_passed_over(parts: Sequence[str]) -> bool:
    """Whether a path is what systems and notebooks leave: hidden, in a folder such as ``@eaDir``, a notebook's copy."""
    return any(part.startswith(".") or part in _SYSTEM_FOLDERS for part in parts) or bool(
        parts and _COPY.fullmatch(parts[-1])
    )


@dataclass(frozen=True)
class PictureFolder:
    """Picture files below a folder, named by their path in it (with slashes).

    A file may have another ending than its name, as in CelebA's PNG pictures.
    """

    path: Path
    parts: tuple[str, ...] = ("",)
    """the folders below ``path`` that belong to the source; others are ignored"""

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        """Reads every file once for its CRC-32; what was read is remembered as long as the files do not change."""
        places = np.zeros(len(names), dtype=PLACE)
        files, there = self._files(names, places)
        places["size"], places["crc"] = stats_and_checksums(self.path, files)
        return places, there

    def unlisted(self, names: Names) -> list[bytes]:
        """Folders are listed one at a time, so the memory needed is that of the largest folder."""
        extra: list[bytes] = []
        for part in self.parts:
            for folder, folders, files in os.walk(self.path / part):
                folders[:] = [name for name in folders if not is_passed_over([name])]
                prefix = os.path.relpath(folder, self.path).replace(os.sep, "/") + "/"
                prefix = "" if prefix == "./" else prefix
                found = [os.fsencode(prefix + f) for f in files if is_picture(f) and not is_passed_over([f])]
                extra += not_among(found, names)
        return sorted(extra)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        root = os.fsencode(self.path) + b"/"

        def read(name: bytes, place: np.void) -> bytes:
            ending = int(place["ending"])
            file_name = stem(name) + _OTHER_ENDINGS[ending] if ending else name
            size = int(place["size"])
            if size > MOST_BYTES:
                raise DamagedPicture(f"has {size} bytes, which no picture does")
            # Reading one byte more than expected shows whether the file has grown; the buffer is allocated at once.
            with open(root + file_name, "rb", buffering=0) as file:
                return file.read(size + 1)

        yield read

    def name_of(self, name: bytes) -> str:
        return f"{self.path}/{name.decode(errors='backslashreplace')}"

    def record(self) -> Mapping[str, Any]:
        return {"folder": str(self.path)}

    def _files(self, names: Names, places: Places) -> tuple[list[bytes | None], NDArray[np.bool_]]:
        """The file of each name below ``path``, None if there is none; the ending it has instead goes into ``places``."""
        root, endings = os.fsencode(self.path) + b"/", places["ending"]
        files: list[bytes | None] = list(names.tolist())

        @cache
        def in_folder(folder: bytes) -> dict[bytes, int]:
            """Stem → ending of the picture files in a folder, listed when the first of its pictures is missing."""
            try:
                entries = os.listdir(root + folder)
            except OSError:
                return {}
            ending_of = {ending: number for number, ending in enumerate(_OTHER_ENDINGS) if ending}
            return {stem(e): ending_of[_ending(e)] for e in entries if _ending(e) in ending_of}

        for i, name in enumerate(files):
            if name is None or os.path.lexists(root + name):
                continue
            folder, _, file_name = name.rpartition(b"/")
            ending = in_folder(folder).get(stem(file_name), 0)
            endings[i] = ending
            files[i] = stem(name) + _OTHER_ENDINGS[ending] if ending else None
        return files, np.array([file is not None for file in files], dtype=np.bool_)


def why_not_read(error: DamagedPicture | OSError) -> str:
    """Completes a sentence that begins with the picture's name; it existed when the plan was made."""
    if isinstance(error, FileNotFoundError):
        return GONE
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def not_among(found: Iterable[bytes], names: Names) -> list[bytes]:
    """Those of ``found`` (any order) that are not among ``names`` (sorted, at least one), whatever their endings."""
    array = np.array(list(found), dtype=np.bytes_)
    if not len(array):
        return []
    position = np.minimum(np.searchsorted(names, array), len(names) - 1)
    extra = array[names[position] != array].tolist()
    if not extra:
        return []
    stems = {stem(name) for name in names.tolist()}
    return sorted(name for name in extra if stem(name) not in stems)


def is_picture(name: str) -> bool:
    """Whether a file name ends like a picture's."""
    return name.lower().endswith(ENDINGS)


def stem(name: bytes) -> bytes:
    """A file's name without its ending."""
    before, dot, ending = name.rpartition(b".")
    return before if dot and b"/" not in ending else name


def _ending(name: bytes) -> bytes:
    return name[len(stem(name)) :]
