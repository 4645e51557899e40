"""Where CheXpert's lists and radiographs are: as Stanford hands them out in four batches, Kaggle's copy, or unpacked."""

from __future__ import annotations

import re
from pathlib import Path

from data_prep.errors import RawDataError
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import PictureFiles, PictureFolder
from data_prep.sources.picture_parts import PictureParts
from data_prep.sources.raw_files import archives_in, find_in
from data_prep.sources.text_tables import TextFile, text_file_at

_PARTS = ("train", "valid")
_FOLDERS = ("", "CheXpert-v1.0-small/", "CheXpert-v1.0/")
_ARCHIVES = ("CheXpert-v1.0-small.zip", "CheXpert-v1.0.zip", "archive.zip")
_BATCH = re.compile(r"chexpert.* batch (\d+) .*", re.IGNORECASE)
_DEPTH = 4
"""part, patient, study and file"""

Found = tuple[dict[str, TextFile], PictureFiles]


def find_chexpert(folder: Path, licence: str, home: str) -> Found:
    """The lists by part, and the folder or else the archive of the pictures; ``RawDataError`` says what is missing."""
    if folder.is_file():
        return _in_archive(folder)
    batches = _batches(folder) or _batches(
        folder.parent if _BATCH.fullmatch(folder.name) else folder / "CheXpert-v1.0"
    )
    if batches:
        return _in_batches(batches)
    spellings = {
        part: [f"{f}{part}.csv{packed}" for f in _FOLDERS for packed in ("", ".gz", ".zip")]
        for part in _PARTS
    }
    found = find_in(folder, spellings)
    if "train" in found:
        root = found["train"].parent
        lists = {part: text_file_at(path) for part, path in found.items() if path.parent == root}
        return lists, PictureFolder(root, tuple(lists))
    packed = list(find_in(folder, {"archive": _ARCHIVES}).values())
    packed += sorted(path for path in folder.glob("*.zip") if "chexpert" in path.name.lower())
    if not packed:
        raise RawDataError(
            f"{folder} lacks train.csv of CheXpert, which is under the {licence}: register at {home} and put "
            "CheXpert-v1.0-small or CheXpert-v1.0 (train.csv, valid.csv, train, valid), its four batches, or its .zip, "
            f"there, or name the folder that holds it with --raw{archives_in(folder)}"
        )
    return _in_archive(packed[0])


def _in_archive(path: Path) -> Found:
    archive = PictureArchive(path, depth=_DEPTH, folders=_PARTS)
    inside = {part: archive.text_file(f"{part}.csv") for part in _PARTS}
    if inside["train"] is None:
        raise RawDataError(f"{archive.path} lacks train.csv of CheXpert")
    return {part: path for part, path in inside.items() if path is not None}, archive


def _batches(folder: Path) -> list[Path]:
    """Stanford's batches in a folder, as folders or, where they are not unpacked, as archives, in their order."""
    numbered: dict[int, Path] = {}
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        match = _BATCH.fullmatch(path.name)
        if match and (path.is_dir() or path.suffix.lower() == ".zip"):
            number = int(match[1])
            if number not in numbered or path.is_dir():
                numbered[number] = path
    return [numbered[number] for number in sorted(numbered)]


def _in_batches(batches: list[Path]) -> Found:
    """The lists are in the first batch; patients are below ``train`` or ``valid``, or directly in a batch of ``train``."""
    lists: dict[str, TextFile] = {}
    parts: list[tuple[bytes, PictureFiles]] = []
    for batch in batches:
        if batch.is_dir():
            for part in _PARTS:
                if (path := batch / f"{part}.csv").is_file():
                    lists.setdefault(part, path)
            below = tuple(part for part in _PARTS if (batch / part).is_dir())
            parts.append((b"", PictureFolder(batch, below)) if below else (b"train/", PictureFolder(batch)))
            continue
        archive = PictureArchive(batch, depth=_DEPTH, folders=_PARTS)
        for part in _PARTS:
            if (inside := archive.text_file(f"{part}.csv")) is not None:
                lists.setdefault(part, inside)
        if archive.has_folders():
            parts.append((b"", archive))
        else:
            parts.append((b"train/", PictureArchive(batch, depth=_DEPTH - 1)))
    if "train" not in lists:
        raise RawDataError(
            f"{batches[0].parent} has {len(batches)} batches of CheXpert but no train.csv, which is in batch 1"
        )
    return lists, PictureParts(batches[0].parent, parts)
