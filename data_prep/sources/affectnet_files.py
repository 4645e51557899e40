"""Locations of AffectNet's list and pictures, and of the user's own reference faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import RawDataError
from data_prep.sources.affectnet_npy import Annotations
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import PictureFiles, PictureFolder
from data_prep.sources.raw_files import archives_in, find_in
from data_prep.sources.text_tables import TextFile, text_file_at

_LIST = "training.csv"
_FOLDERS = ("", "Manually_Annotated_file_lists/")
_PICTURES = (
    "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated", "images",
)  # fmt: skip
_ARCHIVED = ("Manually_Annotated_Images", "Manually_Annotated", "images")
_NPY = "train_set"
_REFERENCES, _REFERENCE_LIST = "neutral", "landmarks.csv"


@dataclass(frozen=True)
class RawFaces:
    """The raw files of one preparation."""

    faces_list: TextFile | Annotations
    pictures: PictureFiles
    references_list: Path | None
    """None: AffectNet's own neutral faces are the references"""

    @property
    def references(self) -> PictureFiles | None:
        """The user's own reference faces."""
        return None if self.references_list is None else PictureFolder(self.references_list.parent)


def find_raw_faces(folder: Path, *, with_references: bool, home: str, licence: str) -> RawFaces:
    """Look into a folder or a zip archive; ``RawDataError`` says what is missing there, and where to ask for it."""
    faces_list, pictures = _in_archive(folder) if folder.is_file() else _in_folder(folder)
    references = (folder.parent if folder.is_file() else folder) / _REFERENCES / _REFERENCE_LIST
    missing = []
    if faces_list is None:
        missing.append(f"{_LIST} (the list with landmarks)")
    if pictures is None:
        missing.append(f"the folder {_PICTURES[0]} (the pictures)")
    if faces_list is None or pictures is None:
        raise RawDataError(
            f"{folder} lacks {' and '.join(missing)}, or {_NPY} with images and annotations, of AffectNet, which is "
            f"{licence}: ask for it at {home} and put it there, or name the folder that holds it with --raw"
            f"{archives_in(folder)}"
        )
    if with_references and not references.is_file():
        raise RawDataError(
            f"{references} is missing: put neutral faces of your own there, with a list of the columns "
            f"subDirectory_filePath and facial_landmarks, or take AffectNet's neutral ones with reference=affectnet"
        )
    return RawFaces(faces_list, pictures, references if with_references else None)


def _in_folder(folder: Path) -> tuple[TextFile | Annotations | None, PictureFiles | None]:
    spellings = [f"{place}{_LIST}{packed}" for place in _FOLDERS for packed in ("", ".gz", ".zip")]
    found = find_in(folder, {_LIST: spellings})
    npy = next((folder / name for name in (_NPY, ".") if (folder / name / "annotations").is_dir()), None)
    if not found and npy is not None and (npy / "images").is_dir():
        return Annotations(npy), PictureFolder(npy / "images")
    pictures = next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)
    archive = next((path for name in _ARCHIVED if (path := folder / f"{name}.zip").is_file()), None)
    files: PictureFiles | None = None
    if pictures is not None:
        files = PictureFolder(pictures)
    elif archive is not None:
        files = PictureArchive(archive, depth=None, folders=_ARCHIVED)
    return text_file_at(found[_LIST]) if found else None, files


def _in_archive(path: Path) -> tuple[TextFile | None, PictureFiles]:
    archive = PictureArchive(path, depth=None, folders=_ARCHIVED)
    return archive.text_file(_LIST), archive
