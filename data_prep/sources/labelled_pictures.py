"""A source of labelled picture files: lists give each picture's labels, a folder or archive holds the pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.decode import Box, Mode, decode_picture, refusing_bombs
from data_prep.errors import RawDataError
from data_prep.files import checksum
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources.picture_archive import PictureArchive
from data_prep.sources.picture_files import GONE, PLACE, PictureFiles, PictureFolder, why_not_read
from data_prep.sources.picture_index import PictureIndex, Pictures
from data_prep.sources.text_tables import Names, TextFile


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What the lists of a source say, and where its pictures are."""

    files: PictureFiles
    splits: Mapping[str, Pictures]
    """in the order of the manifest; ``places`` are not known yet"""
    lists: Mapping[str, TextFile]
    """split → the list that the line numbers refer to"""
    all_names: Names
    """sorted: of every picture that the lists name, used or not"""
    official: Mapping[Path, str] = field(default_factory=dict)
    """file that should be the official one → its MD5; a mismatch is only a warning"""


def listed(
    names: Names,
    lines: NDArray[np.int64],
    labels: NDArray[np.uint8],
    observed: NDArray[np.bool_],
) -> Pictures:
    """Rows whose places are not known yet."""
    return Pictures(
        names=names, lines=lines, labels=labels, observed=observed, places=np.zeros(len(names), dtype=PLACE)
    )


@dataclass(frozen=True, kw_only=True)
class LabelledPictures:
    """Picture files with labels from lists.

    The digest of such a source covers the content of its lists (names, splits, labels, in whichever file format) and
    each file's name and size: reading 10^7 pictures to check whether they are already prepared would take hours. A
    picture that is damaged without a change of size is caught by the decoder or the archive's checksum.
    """

    name: str
    title: str
    home: str
    licence: str
    label_specs: tuple[LabelSpec, ...]
    mode: Mode
    size: tuple[int, int]
    """(H, W)"""
    crop: Box | None = None
    """(left, upper, right, lower): cut out before the resize"""
    options: Mapping[str, Any] = field(default_factory=dict)
    raw: Path | None
    find: Callable[[Path | None], Listing]
    """reads the lists in the folder that the user names, or in the usual place; ``RawDataError`` if they are missing"""

    @property
    def factors(self) -> tuple[str, ...]:
        return ()

    def labels(self) -> tuple[LabelSpec, ...]:
        return self.label_specs

    def image_shape(self) -> tuple[int, int, int]:
        return (1 if self.mode == "L" else 3, *self.size)

    @cached_property
    def _listing(self) -> Listing:
        """The lists, and the places of the pictures they name; ``RawDataError`` if one is missing."""
        found = self.find(self.raw)
        if not any(len(rows) for rows in found.splits.values()):
            raise RawDataError(f"{self.title} in {found.files.path} has no picture for {self.name}")
        splits = {}
        for split, rows in found.splits.items():
            if not len(rows):
                continue
            places, there = found.files.places(rows.names)
            if not there.all():
                missing = np.flatnonzero(~there)
                row = missing[np.argmin(rows.lines[missing])]
                raise RawDataError(
                    f"{found.files.name_of(bytes(rows.names[row]))} is missing, but is named in {found.lists[split]}, "
                    f"line {rows.lines[row]} ({len(missing)} of {len(rows)} in {split} are missing)"
                )
            splits[split] = replace(rows, places=places)
        return replace(found, splits=splits)

    def checksums(self) -> Mapping[str, str]:
        lists, sizes = hashlib.sha256(), hashlib.sha256()
        for split, rows in self._listing.splits.items():
            for digest in (lists, sizes):
                digest.update(f"{split} {len(rows)}\n".encode())
                # The width of a numpy string array is that of its longest string, which differs between splits.
                digest.update(b"\n".join(rows.names.tolist()))
            lists.update(np.ascontiguousarray(rows.labels).tobytes())
            lists.update(np.ascontiguousarray(rows.observed).tobytes())
            sizes.update(np.ascontiguousarray(rows.places["size"], dtype="<i8").tobytes())
        return {
            "lists": f"sha256:{lists.hexdigest()}",
            "names and sizes of pictures": f"sha256:{sizes.hexdigest()}",
        }

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> LabelledPictures:
        """Write what the tasks need below ``scratch``; the pictures stay where they are, and each task checks its own."""
        found = self._listing
        progress.say(f"{self.title}: {found.files.path}, {sum(map(len, found.splits.values())):,} pictures")
        extra = found.files.unlisted(found.all_names)
        if extra is not None:
            lists = " and ".join(dict.fromkeys(str(path) for path in found.lists.values()))
            raise RawDataError(
                f"{found.files.name_of(extra.encode())} is not named by {lists}: the list is shorter than the pictures"
            )
        for path, md5 in found.official.items():
            if checksum(path, "md5") != md5:
                progress.say(
                    f"warning: {path} has the name and the length of {self.title}'s official file but not its MD5 ({md5});  "
                    "unless you changed or repacked it yourself, download it again"
                )
        PictureIndex.write(scratch, found.files.path, found.splits, found.lists)
        return replace(self, raw=scratch)

    def splits(self) -> Mapping[str, int]:
        if self._index is not None:
            return dict(self._index.splits)
        return {split: len(rows) for split, rows in self._listing.splits.items()}

    def ids(self, split: str) -> list[str]:
        return [name.decode() for name in self._pictures(split).names.tolist()]

    def label_column(self, split: str) -> NDArray[np.uint8] | None:
        """The classes if there is a single, fully observed label; rows with several labels are ranked by id alone."""
        rows = self._pictures(split)
        if len(self.label_specs) > 1 or not rows.observed.all():
            return None
        return np.array(rows.labels[:, 0])

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a plan written by ``verified``; nothing else of the lists or the archive is read."""
        index = self._index
        if index is None:
            raise RawDataError(
                f"{self.raw} holds no plan of {self.name}; only the tasks of a plan read its pictures"
            )
        pictures = index.split(split)[start:stop]
        files = opened_files(index.pictures)
        images = np.empty((len(pictures), *self.image_shape()), dtype=np.uint8)
        # Element by element, a mapped array is several times slower than a plain one over the same bytes.
        names, places = pictures.names.tolist(), np.asarray(pictures.places)
        with refusing_bombs(), files.opened() as read:
            for i, (name, place) in enumerate(zip(names, places, strict=True)):
                try:
                    content = read(name, place)
                    if len(content) != place["size"]:
                        raise DamagedPicture("has a different size than when the preparation began")
                    images[i] = decode_picture(content, mode=self.mode, size=self.size, crop=self.crop)
                except (DamagedPicture, OSError) as error:
                    where = f"{files.name_of(name)} ({index.lists[split]}, line {pictures.lines[i]})"
                    raise RawDataError(f"{where} {why_not_read(error)}") from None
        n = len(pictures)
        return Rows(
            image=images,
            labels=np.array(pictures.labels),
            observed=np.array(pictures.observed),
            reference=np.zeros(n, dtype=np.bool_),
            factors=np.zeros((n, 0), dtype=np.float32),
            ids=[name.decode() for name in names],
        )

    def where_raw(self) -> str:
        return f"found in {self._listing.files.path}"

    @cached_property
    def _index(self) -> PictureIndex | None:
        """The index of a plan, if ``raw`` is what ``verified`` wrote."""
        return PictureIndex.open(self.raw) if self.raw is not None and PictureIndex.is_in(self.raw) else None

    def _pictures(self, split: str) -> Pictures:
        return self._listing.splits[split] if self._index is None else self._index.split(split)


def opened_files(path: Path) -> PictureFiles:
    """The folder or archive at ``path``; ``RawDataError`` if it has disappeared since the plan."""
    if not path.exists():
        raise RawDataError(f"{path} {GONE}")
    return PictureFolder(path) if path.is_dir() else PictureArchive(path)
