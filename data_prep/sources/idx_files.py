"""Where the four idx files of a data set of the MNIST family are, under the names that its members give them.

MNIST's own names, with a dot before ``idx``, EMNIST's (``emnist-letters-train-images-idx3-ubyte``), KMNIST's, QMNIST's
(whose labels are ``idx2-int``), torchvision's ``KMNIST/raw``, Kaggle's folders that are named as the file in them; each
packed (``.gz``, ``.zip``) or not, or all in one ``.zip``.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.errors import ConfigError, RawDataError
from data_prep.sources.idx import IdxFile
from data_prep.sources.picture_files import is_passed_over
from data_prep.sources.raw_files import archives_in
from data_prep.sources.text_tables import ArchivedText

FILES = {
    f"{split}-{kind}-idx{dimensions}-ubyte": dimensions
    for split in ("train", "t10k")
    for kind, dimensions in (("images", 3), ("labels", 1))
}
"""MNIST's names, by which a file is known whatever it is called → its dimensions."""

_NAME = re.compile(
    r"(?:(?P<set>.+)[-_.])?(?P<split>train|t10k|test)[-_.](?:images[-_.]idx3[-_.]ubyte|labels[-_.]idx(?:1[-_.]ubyte|2[-_.]int))"
    r"(?P<packed>\.gz|\.zip)?",
    re.IGNORECASE,
)
_DEPTH = 4


@dataclass(frozen=True)
class _Group:
    """Files that belong together: of one folder, and of one beginning of their names."""

    folder: PurePosixPath
    set: str


def find_idx_files(place: Path, name: str, *, chosen: str = "") -> dict[str, IdxFile]:
    """MNIST's name of a file → the file, for all four of one data set, or for as many as there are.

    Args:
        place: a folder or a zip archive.
        name: the source's; folders of that name come first where several hold a data set, as torchvision's do.
        chosen: what the names of the files begin with, where several data sets are in one folder, as EMNIST's are.

    Raises:
        ConfigError: there are several data sets, and ``chosen`` is none of them.
    """
    groups: dict[_Group, dict[str, IdxFile]] = {}
    for path, file in _files(place):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        folder = path.parent
        if folder.name and _NAME.fullmatch(folder.name):
            folder = folder.parent
        split = "train" if match["split"].lower() == "train" else "t10k"
        kind = "images-idx3" if "images" in path.name.lower()[len(match["set"] or "") :] else "labels-idx1"
        group = groups.setdefault(_Group(folder, (match["set"] or "").lower()), {})
        if f"{split}-{kind}-ubyte" not in group or not match["packed"]:
            group[f"{split}-{kind}-ubyte"] = file
    if chosen:  # what was unpacked has MNIST's names
        wanted = {group: found for group, found in groups.items() if group.set == chosen.lower()}
        groups = wanted or {group: found for group, found in groups.items() if not group.set}
    whole = {group: found for group, found in groups.items() if len(found) == len(FILES)}
    if not whole:
        return max(groups.values(), key=len, default={})
    order = sorted(whole, key=lambda group: (not _is_named(group, name), len(group.folder.parts)))
    best = [
        group
        for group in order
        if (_is_named(group, name), len(group.folder.parts))
        == (_is_named(order[0], name), len(order[0].folder.parts))
    ]
    if len(best) > 1:
        names = sorted(group.set or str(group.folder) for group in best)
        raise ConfigError(
            f"{place} holds {len(best)} data sets: {', '.join(names)}; name the folder of one with --raw, or, for "
            "idx-folder, what the names of its files begin with: --option files=NAME"
        )
    return whole[best[0]]


def missing_idx_files(place: Path, found: dict[str, IdxFile], title: str) -> RawDataError:
    """What a place lacks, in one sentence."""
    missing = ", ".join(file for file in FILES if file not in found)
    return RawDataError(
        f"{place} lacks {missing} of {title} (packed as .gz or .zip, or not){archives_in(place)}"
    )


def _is_named(group: _Group, name: str) -> bool:
    wanted = name.replace("_", "")
    return any(part.lower().replace("_", "").replace("-", "") == wanted for part in group.folder.parts)


def _files(place: Path) -> Iterator[tuple[PurePosixPath, IdxFile]]:
    """All files of a folder, some folders deep, or of a zip archive: path in it, and the file."""
    if place.is_file():
        for entry in _entries(place):
            inside = PurePosixPath(entry.replace("\\", "/"))
            if not is_passed_over(inside.parts):
                yield inside, ArchivedText(place, entry)
        return
    for folder, folders, files in os.walk(place):
        inside = PurePosixPath(Path(folder).relative_to(place).as_posix())
        folders[:] = sorted(f for f in folders if not is_passed_over([f]) and len(inside.parts) < _DEPTH)
        for file in sorted(files):
            path = Path(folder) / file
            if _NAME.fullmatch(file) is None:
                continue
            if path.suffix.lower() == ".zip":
                entries = _entries(path)
                if len(entries) == 1:
                    yield inside / file, ArchivedText(path, entries[0])
                continue
            yield inside / file, path


def _entries(archive: Path) -> Sequence[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return [name for name in opened.namelist() if not name.endswith("/")]
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise RawDataError(f"{archive} cannot be read: {error}; is it complete?") from None
