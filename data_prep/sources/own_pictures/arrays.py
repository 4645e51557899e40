"""Pictures and labels as numpy arrays in one ``.npz`` file, as MedMNIST and Keras pass them around."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.files import atomic_write
from data_prep.sources.own_pictures.places import places_in_files
from data_prep.sources.own_pictures.table import Column, Table
from data_prep.sources.own_pictures.words import SPLIT_WORDS
from data_prep.sources.picture_files import Places, Read
from data_prep.sources.text_tables import Names

_IMAGES, _LABELS = ("images", "x"), ("labels", "y", "targets")
_BLOCK = 1 << 20
_GREY, _COLOUR = 3, 4
"""Dimensions of arrays of pictures."""


@dataclass(frozen=True, kw_only=True)
class ArrayFile:
    """An ``.npz`` file: split → its two arrays."""

    path: Path
    images: Mapping[str, str]
    """split ("" if the file has one pair of arrays only) → name of the array of pictures"""
    labels: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    """split → (n, H, W) or (n, H, W, 3)"""

    @property
    def counts(self) -> list[int]:
        return [shape[0] for shape in self.shapes.values()]

    def table(self) -> Table:
        """The labels of all splits, and the split; ``RawDataError`` if they do not fit the pictures."""
        parts, splits = [], []
        for split, key in self.labels.items():
            values = _loaded(self.path, key)
            rows = self.shapes[split][0]
            if values.ndim not in (1, 2) or len(values) != rows:
                raise RawDataError(
                    f"{self.path}: {key} has the shape {values.shape} for the {rows} pictures of {self.images[split]}"
                )
            parts.append(values.reshape(rows, -1))
            splits.append(Column.constant(split, rows))
        if len({part.shape[1] for part in parts}) > 1:
            raise RawDataError(
                f"{self.path}: {' and '.join(self.labels.values())} differ in their numbers of labels"
            )
        values = np.concatenate(parts)
        names = ["class"] if values.shape[1] == 1 else [f"label_{i}" for i in range(values.shape[1])]
        columns = {name: Column.of(pa.array(values[:, i])) for i, name in enumerate(names)}
        if "" not in self.labels:
            columns["split"] = Column.joined(splits)
        return Table(where=str(self.path), form="numpy arrays", columns=columns)

    def names(self) -> Names:
        """A name for each picture, (n,)."""
        stem = self.path.stem
        named = [
            f"{split or stem}-{row:07d}".encode()
            for split, shape in self.shapes.items()
            for row in range(shape[0])
        ]
        return np.array(named, dtype=np.bytes_)


def array_file(path: Path) -> ArrayFile:
    """Find the arrays of pictures and labels; ``RawDataError`` says what is there instead."""
    shapes = _shapes(path)
    images, labels = {}, {}
    for key in shapes:
        first, _, last = key.rpartition("_")
        split = SPLIT_WORDS.get(first.casefold(), None if first else "")
        if split is None:
            last, _, first = key.partition("_")  # as in x_train
            split = SPLIT_WORDS.get(first.casefold())
        if split is not None and last.casefold() in _IMAGES:
            images[split] = key
        if split is not None and last.casefold() in _LABELS:
            labels[split] = key
    if not images or images.keys() != labels.keys():
        raise RawDataError(
            f"{path} has no pairs of arrays like train_images and train_labels, but {', '.join(shapes) or 'nothing'}"
        )
    for key in images.values():
        shape, kind = shapes[key]
        grey, colour = len(shape) == _GREY, len(shape) == _COLOUR and shape[-1] in (1, 3)
        if kind != np.uint8 or not (grey or colour):
            raise RawDataError(
                f"{path}: {key} has the shape {shape} of {kind}, "
                "but uint8 in the shape (n, H, W) or (n, H, W, 3) is expected"
            )
    return ArrayFile(
        path=path,
        images=images,
        labels={split: labels[split] for split in images},
        shapes={split: shapes[key][0] for split, key in images.items()},
    )


@dataclass(frozen=True)
class ArrayPictures:
    """The pictures of an ``.npz`` file, each given as the bytes of a PGM or PPM file."""

    path: Path
    arrays: tuple[str, ...]
    rows: tuple[int, ...]
    """of each array"""
    unpacked: Path | None = None
    """folder of the unpacked arrays; without it, an array is loaded when its first picture is read"""

    def places_at(self, numbers: NDArray[np.int64]) -> Places:
        """Places (k,) of pictures by their number, counted over all arrays; the checksum is the file's."""
        return places_in_files([self.path] * len(self.arrays), self.rows, numbers)

    def record(self) -> Mapping[str, Any]:
        unpacked = None if self.unpacked is None else str(self.unpacked)
        return {"file": str(self.path), "arrays": self.arrays, "rows": self.rows, "unpacked": unpacked}

    def unpack(self, folder: Path) -> ArrayPictures:
        """Unpack the arrays, so that a task maps its own rows; what is there is taken as it is."""
        for key in self.arrays:
            if (folder / f"{key}.npy").exists():
                continue
            try:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(f"{key}.npy") as packed,
                    atomic_write(folder / f"{key}.npy") as file,
                ):
                    while block := packed.read(_BLOCK):
                        file.write(block)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise _unreadable(self.path, error) from None
        return replace(self, unpacked=folder)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        loaded: dict[int, NDArray[np.uint8]] = {}

        def read(name: bytes, place: np.void) -> bytes:
            number = int(place["packed"])
            if number not in loaded:
                loaded.clear()
                loaded[number] = self._array(self.arrays[number])
            picture = loaded[number][int(place["offset"])]
            height, width = picture.shape[:2]
            kind = b"P6" if picture.ndim == 3 and picture.shape[2] == 3 else b"P5"
            return kind + f" {width} {height} 255\n".encode() + picture.tobytes()

        yield read

    def _array(self, key: str) -> NDArray[np.uint8]:
        if self.unpacked is None:
            return _loaded(self.path, key)
        found: NDArray[np.uint8] = np.load(self.unpacked / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        return found

    def name_of(self, name: bytes) -> str:
        return f"{name.decode()} in {self.path}"


def _shapes(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of each array; only their headers are read."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                if not entry.endswith(".npy") or "/" in entry:
                    continue
                with archive.open(entry) as file:
                    version = np.lib.format.read_magic(file)
                    reader = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, kind = reader(file)
                    found[entry.removesuffix(".npy")] = (shape, kind)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None
    return found


def _loaded(path: Path, key: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found: NDArray[Any] = arrays[key]
            return found
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> RawDataError:
    return RawDataError(f"{path} cannot be read: {' '.join(str(error).split()) or type(error).__name__}")
