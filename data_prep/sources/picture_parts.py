"""Pictures of one source in several folders or archives, such as CheXpert in Stanford's four batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import GONE, PLACE, PictureFiles, PictureFolder, Places, Read
from data_prep.sources.text_tables import Names


@dataclass(frozen=True)
class PictureParts:
    """Several folders or archives; a picture is in the first that has it."""

    path: Path
    """the folder that holds them, for people"""
    parts: Sequence[tuple[bytes, PictureFiles]]
    """what the names of its pictures begin with in this source, such as ``train/``, and the pictures without it"""

    def places(self, names: Names) -> tuple[Places, NDArray[np.bool_]]:
        places, there = np.zeros(len(names), dtype=PLACE), np.zeros(len(names), dtype=np.bool_)
        for number, (prefix, files) in enumerate(self.parts):
            rows = np.flatnonzero(~there & np.char.startswith(names, prefix))
            if not len(rows):
                continue
            own, found = files.places(_without(names[rows], prefix))
            own["part"] = number
            places[rows[found]], there[rows[found]] = own[found], True
        return places, there

    def unlisted(self, names: Names) -> list[bytes]:
        extra = []
        for prefix, files in self.parts:
            own = _without(names[np.char.startswith(names, prefix)], prefix)
            if len(own):
                extra += [prefix + name for name in files.unlisted(own)]
        return sorted(extra)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        with ExitStack() as stack:
            reads = [(len(prefix), stack.enter_context(files.opened())) for prefix, files in self.parts]

            def read(name: bytes, place: np.void) -> bytes:
                length, read_part = reads[int(place["part"])]
                return read_part(name[length:], place)

            yield read

    def name_of(self, name: bytes) -> str:
        return f"{name.decode(errors='backslashreplace')} in {self.path}"

    def record(self) -> Mapping[str, Any]:
        parts = [{"prefix": prefix.decode()} | dict(files.record()) for prefix, files in self.parts]
        return {"path": str(self.path), "parts": parts}


def opened_files(record: Mapping[str, Any]) -> PictureFiles:
    """The folder, archive or several of them that ``record`` describes; ``RawDataError`` if it has disappeared."""
    if "parts" in record:
        parts = [(part["prefix"].encode(), opened_files(part)) for part in record["parts"]]
        return PictureParts(Path(record["path"]), parts)
    path = Path(record.get("folder") or record["archive"])
    if not path.exists():
        raise RawDataError(f"{path} {GONE}")
    return PictureFolder(path) if "folder" in record else PictureArchive(path)


def _without(names: Names, prefix: bytes) -> Names:
    return np.array([name[len(prefix) :] for name in names.tolist()], dtype=np.bytes_)
