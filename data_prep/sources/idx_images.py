"""Grey images of one class each, in the four idx files of the MNIST family."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.files import atomic_write
from data_prep.manifest import LabelSpec
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources import idx
from data_prep.sources.idx import IdxFile
from data_prep.sources.idx_files import FILES, find_idx_files, missing_idx_files
from data_prep.sources.raw_files import cache_folder, download

_SPLITS = {"train": "train", "test": "t10k"}
_IMAGE_DIMENSIONS, _LABEL_DIMENSIONS = 3, 1


@dataclass(frozen=True, kw_only=True)
class IdxImages:
    """Grey images of one class each, in the four files of the MNIST family.

    Without ``md5`` the files are taken as they are, and the class values are what the labels hold.
    """

    name: str
    title: str
    home: str
    licence: str
    label: LabelSpec | None = None
    md5: Mapping[str, str] | None = None
    """unpacked file → MD5, if the files are known in advance"""
    size: tuple[int, int] | None = None
    """(height, width), if known in advance"""
    mirrors: tuple[str, ...] = ()
    system_folder: Path | None = None
    files: str = ""
    """what the names of the files begin with, where a folder holds several data sets"""
    held_out: int = 0
    """number of the last training rows that form a split of their own, ``valid``, for model selection"""
    raw: Path | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        held_out = {"held_out": self.held_out} if self.held_out else {}
        return held_out | ({"files": self.files} if self.files else {})

    @property
    def factors(self) -> tuple[str, ...]:
        return ()

    def labels(self) -> tuple[LabelSpec, ...]:
        return (self.label,) if self.label is not None else self._labels_found

    @cached_property
    def _labels_found(self) -> tuple[LabelSpec, ...]:
        classes = max(2, 1 + max(int(self.label_column(split).max()) for split in _SPLITS))
        return (LabelSpec("class", classes, tuple(str(value) for value in range(classes))),)

    def image_shape(self) -> tuple[int, int, int]:
        if self.size is not None:
            return (1, *self.size)
        shapes = {
            split: idx.read_header(self._path(split, "images"), _IMAGE_DIMENSIONS).shape[1:]
            for split in _SPLITS
        }
        if len(set(shapes.values())) > 1:
            raise RawDataError(
                f"{self._path('test', 'images')}: its images are {shapes['test']}, "
                f"and those of the training split {shapes['train']}"
            )
        height, width = shapes["train"]
        return (1, height, width)

    def checksums(self) -> Mapping[str, str]:
        if self.md5 is not None:
            return {file: f"md5:{self.md5[file]}" for file in FILES}
        return {file: f"md5:{idx.unpacked_md5(self._found[file], d)}" for file, d in FILES.items()}

    def verified(self, scratch: Path, progress: Progress, workers: int | None = None) -> IdxImages:
        """Unpack the four files below ``scratch``, comparing their MD5 with the known ones on the way."""
        if self.raw is None and self._located() is None and self.mirrors:
            download(
                self.name, [f"{file}.gz" for file in FILES], mirrors=self.mirrors, folder=cache_folder(self.name),
                looked_in=self._places, progress=progress,
            )  # fmt: skip
        found = self._found
        progress.begin("checking raw files", total=len(FILES))
        for file, dimensions in FILES.items():
            _copy_unpacked(
                found[file], scratch / file, dimensions, None if self.md5 is None else self.md5[file], self
            )
            progress.advance()
        return replace(self, raw=scratch)

    def splits(self) -> Mapping[str, int]:
        counts = {}
        for split in _SPLITS:
            images = idx.read_header(self._path(split, "images"), _IMAGE_DIMENSIONS).shape[0]
            labels = idx.read_header(self._path(split, "labels"), _LABEL_DIMENSIONS).shape[0]
            if images != labels:
                path = self._path(split, "labels")
                raise RawDataError(
                    f"{path} has {labels} labels for the {images} images of {self._file(split, 'images')}"
                )
            counts[split] = images
        if not self.held_out:
            return counts
        return {
            "train": counts["train"] - self.held_out,
            "valid": self.held_out,
            "test": counts["test"],
        }

    def ids(self, split: str) -> list[str]:
        files, first = self._origin(split)
        return [f"{files}-{row:06d}" for row in range(first, first + self.splits()[split])]

    def label_column(self, split: str) -> NDArray[np.uint8]:
        files, first = self._origin(split)
        return self._classes(files)[first : first + self.splits()[split]]

    def _origin(self, split: str) -> tuple[str, int]:
        """The split whose files hold a split, and its first row there."""
        return ("train", self.splits()["train"]) if split == "valid" else (split, 0)

    def _classes(self, split: str) -> NDArray[np.uint8]:
        """All labels of a file."""
        path = self._path(split, "labels")
        classes = idx.classes(path)
        if self.label is not None and (bad := np.flatnonzero(classes >= self.label.cardinality)).size:
            raise RawDataError(
                f"{path}: row {bad[0]} (byte {8 + bad[0]}) has the label {classes[bad[0]]}, "
                f"but only 0 to {self.label.cardinality - 1} are allowed"
            )
        return np.asarray(classes)

    def rows(self, split: str, start: int, stop: int) -> Rows:
        """Rows of a split whose files were unpacked by ``verified``."""
        files, first = self._origin(split)
        start, stop = first + start, first + stop
        path = self._path(files, "images")
        assert isinstance(path, Path)
        images = idx.map_idx(path, _IMAGE_DIMENSIONS)[start:stop]
        classes = self._classes(files)[start:stop]
        n = len(images)
        return Rows(
            image=np.asarray(images).reshape(n, 1, *images.shape[1:]),
            labels=np.array(classes).reshape(n, 1),
            observed=np.ones((n, 1), dtype=np.bool_),
            reference=np.zeros(n, dtype=np.bool_),
            factors=np.zeros((n, 0), dtype=np.float32),
            ids=[f"{files}-{row:06d}" for row in range(start, stop)],
        )

    def where_raw(self) -> str:
        found = self._located()
        if found is not None:
            file = next(iter(found.values()))
            return f"found in {file.parent if isinstance(file, Path) else file.archive}"
        looked = ", ".join(str(p) for p in self._places)
        return (
            f"not in {looked}; to be downloaded from {self.mirrors[0]}"
            if self.mirrors
            else f"not in {looked}"
        )

    @property
    def _places(self) -> Sequence[Path]:
        system = () if self.system_folder is None else (self.system_folder,)
        return (*system, cache_folder(self.name))

    def _located(self) -> dict[str, IdxFile] | None:
        """The four files; None if none of the usual places has them. ``RawDataError`` if the user's does not."""
        for place in (self.raw,) if self.raw is not None else self._places:
            found = find_idx_files(place, self.name, chosen=self.files)
            if len(found) == len(FILES):
                return found
            if self.raw is not None:
                raise missing_idx_files(place, found, self.title)
        return None

    @cached_property
    def _found(self) -> dict[str, IdxFile]:
        found = self._located()
        if found is None:
            raise RawDataError(
                f"the raw files of {self.title} are in none of {', '.join(str(p) for p in self._places)}; "
                f"name the folder that holds {', '.join(FILES)} with --raw"
            )
        return found

    @staticmethod
    def _file(split: str, kind: str) -> str:
        return (
            f"{_SPLITS[split]}-{kind}-idx{_IMAGE_DIMENSIONS if kind == 'images' else _LABEL_DIMENSIONS}-ubyte"
        )

    def _path(self, split: str, kind: str) -> IdxFile:
        return self._found[self._file(split, kind)]


def _copy_unpacked(
    path: IdxFile, target: Path, dimensions: int, expected: str | None, source: IdxImages
) -> None:
    if target.is_file() and expected is not None and idx.unpacked_md5(target, dimensions) == expected:
        return  # left by an earlier run that was killed later
    md5 = hashlib.md5(usedforsecurity=False)
    if dimensions == _LABEL_DIMENSIONS and idx.read_header(path, dimensions).item_bytes > 1:
        with atomic_write(target) as copy:
            copy.write(idx.as_bytes(idx.classes(path)))
        return
    with atomic_write(target) as copy:
        for block in idx.unpacked_blocks(path, dimensions):
            md5.update(block)
            copy.write(block)
        if expected is not None and md5.hexdigest() != expected:
            downloaded = isinstance(path, Path) and path.is_relative_to(cache_folder(source.name))
            remedy = "remove it to download it again" if downloaded else "fetch it again"
            raise RawDataError(
                f"{path} is not the file of {source.title}: the MD5 of its unpacked content is {md5.hexdigest()} "
                f"and {expected} is expected; {remedy}, or prepare files of your own as idx-folder"
            )
