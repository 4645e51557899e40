"""Locations of AffectNet's list and pictures, and of the user's own reference faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.sources.affectnet_lists import ListedFaces, read_faces
from data_prep.sources.picture_checksums import MOST_BYTES

_LISTS = ("training.csv", "Manually_Annotated_file_lists/training.csv")
_PICTURES = (
    "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated", "images",
)  # fmt: skip
_REFERENCES, _REFERENCE_LIST = "neutral", "landmarks.csv"


@dataclass(frozen=True)
class RawFaces:
    """The raw files of one preparation."""

    faces_list: Path
    pictures: Path
    references_list: Path | None
    """None: AffectNet's own neutral faces are the references"""

    def read_lists(self) -> tuple[ListedFaces, ListedFaces | None]:
        """The faces of AffectNet, and the user's own reference faces."""
        references = None
        if self.references_list is not None:
            references = read_faces(self.references_list, with_expressions=False)
        return read_faces(self.faces_list, with_expressions=True), references

    def list_of(self, face: Any) -> Path:
        """The list that names a face."""
        return (
            self.references_list
            if self.references_list is not None and face["own_folder"]
            else self.faces_list
        )

    def path_of(self, face: Any) -> Path:
        """The picture of a face."""
        folder = self.list_of(face).parent if face["own_folder"] else self.pictures
        return folder / bytes(face["name"]).decode()

    def content_of(self, face: Any) -> bytes:
        """The bytes of its file."""
        with self.path_of(face).open("rb", buffering=0) as file:
            return file.read(MOST_BYTES)

    def sizes(self, faces: NDArray[Any]) -> NDArray[np.int64]:
        """Bytes (n,) of the pictures; ``RawDataError`` naming the first that is missing, and its line in the list."""
        sizes = np.empty(len(faces), dtype="<i8")
        for i, face in enumerate(faces):
            path = self.path_of(face)
            try:
                sizes[i] = path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                raise RawDataError(
                    f"{path} is missing, but is named in {self.list_of(face)}, line {face['line']}"
                ) from None
            except OSError as error:
                raise RawDataError(f"{path} cannot be read: {error.strerror}") from None
        return sizes


def find_raw_faces(folder: Path, *, with_references: bool, home: str, licence: str) -> RawFaces:
    """Look into ``folder``; ``RawDataError`` says what is missing there, and where to ask for it."""
    faces_list = next((folder / name for name in _LISTS if (folder / name).is_file()), None)
    pictures = next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)
    references = folder / _REFERENCES / _REFERENCE_LIST
    missing = []
    if faces_list is None:
        missing.append(f"{_LISTS[0]} (the list with landmarks)")
    if pictures is None:
        missing.append(f"the folder {_PICTURES[0]} (the pictures)")
    if faces_list is None or pictures is None:
        raise RawDataError(
            f"{folder} lacks {' and '.join(missing)} of AffectNet, which is {licence}: ask for it at {home} and put it "
            f"there, or name the folder that holds it with --raw"
        )
    if with_references and not references.is_file():
        raise RawDataError(
            f"{references} is missing: put neutral faces of your own there, with a list of the columns "
            f"subDirectory_filePath and facial_landmarks, or take AffectNet's neutral ones with reference=affectnet"
        )
    return RawFaces(faces_list, pictures, references if with_references else None)
