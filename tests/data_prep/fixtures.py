"""A small data set of ten classes for the tests of all floors: raw idx files, and the prepared data set."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.sources.options import Option
from data_prep.stages import prepare

TINY_ROWS = {"train": 600, "test": 200}
TINY_ROWS_PER_SHARD = 128
SIZE = 28
_PREFIX = {"train": "train", "test": "t10k"}


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """An unsigned-byte array in the idx format."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def blobs(rows: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (rows, 28, 28) of a spot whose position on a circle is its class, and the classes (rows,).

    Width, brightness and the exact position vary within a class.
    """
    generator = np.random.default_rng(seed)
    classes = (np.arange(rows) % 10).astype(np.uint8)
    generator.shuffle(classes)
    angle = classes * (2 * np.pi / 10)
    centre = (
        13.5 + 8.0 * np.stack([np.sin(angle), np.cos(angle)], axis=1) + generator.normal(0, 0.5, (rows, 2))
    )
    width = generator.uniform(1.5, 3.0, (rows, 1, 1))
    y, x = np.mgrid[:SIZE, :SIZE]
    distance = (y - centre[:, :1, None]) ** 2 + (x - centre[:, 1:, None]) ** 2
    brightness = generator.uniform(160, 255, (rows, 1, 1))
    return (brightness * np.exp(-distance / (2 * width**2))).astype(np.uint8), classes


def write_raw(folder: Path, rows: dict[str, int] | None = None, *, packed: bool = False) -> Path:
    """The four idx files of a small data set; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate((rows or TINY_ROWS).items()):
        images, classes = blobs(count, seed)
        for kind, array in (("images-idx3", images), ("labels-idx1", classes)):
            name, content = f"{_PREFIX[split]}-{kind}-ubyte", idx_bytes(array)
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / name).write_bytes(content)
    return folder


def prepared(
    name: str, raw: Path | None, root: Path, *, workers: int = 1, rows_per_shard: int | None = None,
    options: Mapping[str, Option] | None = None,
) -> Path:  # fmt: skip
    """The folder of a data set of Arrow shards, prepared silently."""
    return prepare(
        name, raw=raw, root=root, workers=workers, formats="arrow", rows_per_shard=rows_per_shard, options=options,
        progress=False,
    )  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    """All files in a folder, at any depth: name → bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="session")
def tiny_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of four idx files: 600 training and 200 test images, 28 x 28, of ten classes."""
    return write_raw(tmp_path_factory.mktemp("tiny-raw"))


@pytest.fixture(scope="session")
def tiny_data_set(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared folder of ``tiny_raw`` (source ``idx_folder``), Arrow only, in several shards."""
    root = tmp_path_factory.mktemp("tiny-data")
    return prepare(
        "idx_folder", raw=tiny_raw, root=root, workers=1, formats="arrow", rows_per_shard=TINY_ROWS_PER_SHARD,
        progress=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_ffcv_data_set(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an FFCV file per split; only for tests marked ``ffcv``."""
    pytest.importorskip("ffcv", reason="FFCV is not installed", exc_type=ImportError)
    root = tmp_path_factory.mktemp("tiny-ffcv")
    return prepare(
        "idx_folder", raw=tiny_raw, root=root, workers=1, formats="both", rows_per_shard=TINY_ROWS_PER_SHARD,
        progress=False,
    )  # fmt: skip
