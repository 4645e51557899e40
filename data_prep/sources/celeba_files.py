"""Where CelebA's lists and pictures are: as its home page, Google Drive, Kaggle and others hand them out."""

from __future__ import annotations

from pathlib import Path

from data_prep.errors import RawDataError
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import PictureFiles, PictureFolder
from data_prep.sources.picture_parts import PictureParts
from data_prep.sources.raw_files import archives_in, find_in
from data_prep.sources.text_tables import TextFile, text_file_at

_LISTS = {"list_attr_celeba": "the attributes", "list_eval_partition": "the splits"}
_FOLDERS = tuple(
    f"{inside}{part}" for inside in ("", "celeba/", "CelebA/") for part in ("", "Anno/", "Eval/", "Img/")
)
"""Where pictures and lists are found: side by side, or in the folders of the home page."""
_PICTURES = ("img_align_celeba", "img_align_celeba_png")
_ARCHIVES = ("archive", "celeba-dataset", "celeba", "CelebA")
"""Usual names of archives that hold pictures and lists, such as Kaggle's."""


def find_celeba(raw: Path, licence: str, home: str) -> tuple[dict[str, TextFile], PictureFiles]:
    """The lists, and the folder or else the archive of the pictures; ``RawDataError`` says what is missing.

    Lists that are not in the folder are looked for in the archive.
    """
    paths: dict[str, TextFile] = {}
    if not raw.is_file():
        spellings = {
            name: [
                f"{folder}{name}{form}{packed}"
                for folder in _FOLDERS
                for form in (".txt", ".csv")
                for packed in ("", ".gz", ".zip")
            ]
            for name in _LISTS
        }
        paths |= {name: text_file_at(path) for name, path in find_in(raw, spellings).items()}
    files = _pictures(raw)
    if isinstance(files, PictureArchive):
        for name in _LISTS:
            inside = None if name in paths else files.text_file(f"{name}.txt", f"{name}.csv")
            if inside is not None:
                paths[name] = inside
    missing = [f"{name}.txt or .csv ({what})" for name, what in _LISTS.items() if name not in paths]
    if files is None:
        missing.insert(
            0,
            f"{_PICTURES[0]}.zip, or the folder {_PICTURES[0]} (the pictures), or one archive.zip with everything",
        )
    if missing or files is None:
        raise RawDataError(
            f"{raw} lacks {', '.join(missing)} of CelebA, which is for {licence}: get it from {home} and put it "
            f"there, or name the folder that holds it with --raw{archives_in(raw)}"
        )
    return paths, files


def _pictures(raw: Path) -> PictureFiles | None:
    """The folder or else the archive of the pictures; several archives of one name are the parts of a download."""
    if raw.is_file():
        return PictureArchive(raw, folders=_PICTURES)
    places = [raw / folder for folder in _FOLDERS]
    for pictures in (place / name for place in places for name in _PICTURES):
        if pictures.is_dir():
            nested = pictures / pictures.name  # as in one popular copy
            return PictureFolder(nested if nested.is_dir() else pictures)
    packed = [place / f"{name}.zip" for place in places for name in _PICTURES]
    packed += [raw / f"{name}.zip" for name in _ARCHIVES]
    archive = next((path for path in packed if path.is_file()), None)
    if archive is not None:
        return PictureArchive(archive, folders=_PICTURES)
    # Google Drive adds the time and the number of the part.
    parts = next((found for place in places if (found := sorted(place.glob(f"{_PICTURES[0]}*.zip")))), [])
    if len(parts) > 1:
        return PictureParts(raw, [(b"", PictureArchive(part, folders=_PICTURES)) for part in parts])
    return PictureArchive(parts[0], folders=_PICTURES) if parts else None
