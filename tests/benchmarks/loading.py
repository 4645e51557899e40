"""Images/s of each loader at 64 x 64 in colour, compared with a tensor in memory and JPEG files.

``python -m tests.benchmarks.loading``
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_prep.counted import counted
from data_prep.manifest import LabelSpec, Manifest, SplitSpec
from data_prep.rows import Rows
from data_prep.shards.arrow import write_shard
from data_prep.shards.beton import ffcv_is_installed, write_beton
from pipeline.data.dataset import DataSet
from pipeline.data.loaders import LOADERS, make_loader
from tests.benchmarks.clock import rates, show

SIDE, BATCH, ROWS_PER_SHARD = 64, 128, 4096
CPU = torch.device("cpu")


@dataclass(frozen=True)
class JPEGFiles(Dataset[Tensor]):
    """One file per picture, decoded by Pillow on demand: the ordinary way."""

    folder: Path
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Tensor:
        with Image.open(self.folder / f"{row}.jpg") as picture:
            return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def measure_loading(rows: int = 20_000, jpeg_rows: int = 1_000, rounds: int = 7) -> None:
    """Print a table per type of image that the step gets, for one and two threads.

    Args:
        rows: pictures, made for this and removed at the end
        jpeg_rows: as many of them are also JPEG files, which are read hundreds of times more slowly
        rounds: measurements of each contender, in turn
    """
    with TemporaryDirectory(prefix="traitvae-bench-") as folder:
        _measure(Path(folder), rows, jpeg_rows, rounds)


def _measure(folder: Path, rows: int, jpeg_rows: int, rounds: int) -> None:
    images = _pictures(rows)
    data = _data_set(folder, images)
    files = _jpeg_files(folder / "jpeg", images[:jpeg_rows])
    orders = np.array_split(np.random.default_rng(1).permutation(rows), rows // BATCH)
    names = [name for name in LOADERS if name != "ffcv" or ffcv_is_installed()]
    loaders = {name: make_loader(name, data, "train", CPU) for name in names}
    tensor = torch.from_numpy(images).clone()  # as torch lays tensors in memory
    for threads in (1, 2):
        torch.set_num_threads(threads)
        from_files = _file_loader(files, threads)
        for kind in ("uint8", "float32"):
            contenders: dict[str, Callable[[], int]] = {
                "tensor in memory, index_select": partial(_consume, kind, partial(_selected, tensor, orders))
            }
            contenders |= {
                name: partial(_consume, kind, partial(loader.images, orders))
                for name, loader in loaders.items()
            }
            contenders["DataLoader over JPEG files, Pillow"] = partial(_consume, kind, from_files.__iter__)
            title = f"Loading {rows} images 64 x 64 RGB, {kind}, batch {BATCH}, {counted(threads, 'thread')}"
            show(title, rates(contenders, rounds), "images")
    for loader in loaders.values():
        loader.close()


def _consume(kind: Literal["uint8", "float32"], batches: Callable[[], Iterator[Tensor]]) -> int:
    images = 0
    for batch in batches():
        images += len(batch if kind == "uint8" else batch.to(torch.float32).div_(255))
    return images


def _selected(tensor: Tensor, orders: Sequence[NDArray[np.int64]]) -> Iterator[Tensor]:
    for rows in orders:
        yield tensor.index_select(0, torch.from_numpy(rows))


def _file_loader(files: JPEGFiles, threads: int) -> DataLoader[Tensor]:
    """One thread: in this process; more: as many worker processes, which persist between epochs."""
    if threads == 1:
        return DataLoader(files, batch_size=BATCH, shuffle=True)
    return DataLoader(
        files, batch_size=BATCH, shuffle=True, num_workers=threads, persistent_workers=True,
        multiprocessing_context="spawn",
    )  # fmt: skip


def _pictures(rows: int) -> NDArray[np.uint8]:
    """Smooth pictures (rows, 3, 64, 64), so that JPEG files have the size that photographs have."""
    generator, images = np.random.default_rng(0), np.empty((rows, 3, SIDE, SIDE), dtype=np.uint8)
    for row in range(rows):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        images[row] = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    return images


def _data_set(folder: Path, images: NDArray[np.uint8]) -> DataSet:
    """The images as a prepared data set of several shards, with an FFCV file if FFCV is installed."""
    shards = []
    for number, start in enumerate(range(0, len(images), ROWS_PER_SHARD)):
        part = images[start : start + ROWS_PER_SHARD]
        n = len(part)
        rows = Rows(
            image=part,
            labels=np.zeros((n, 1), dtype=np.uint8),
            observed=np.ones((n, 1), dtype=np.bool_),
            reference=np.zeros(n, dtype=np.bool_),
            factors=np.zeros((n, 0), dtype=np.float32),
            ids=[str(row) for row in range(start, start + n)],
        )
        shards.append(write_shard(folder / f"train-{number:05d}.arrow", rows, np.zeros(n, dtype=np.float32)))
    split = SplitSpec("train", len(images), tuple(shards), None, ((1.0, 0.0),), {})
    Manifest(
        name="loading", digest="0" * 16, image_shape=(3, SIDE, SIDE), labels=(LabelSpec("none", 2, ("0", "1")),),
        factors=(), splits={"train": split}, options={}, sources={}, seed=0, rows_per_shard=ROWS_PER_SHARD,
    ).save(folder)  # fmt: skip
    if ffcv_is_installed():
        _, beton = write_beton(folder, "train")
        manifest = Manifest.load(folder)
        replace(manifest, splits={"train": replace(split, beton=beton)}).save(folder)
    return DataSet(folder)


def _jpeg_files(folder: Path, images: NDArray[np.uint8]) -> JPEGFiles:
    folder.mkdir()
    for row, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{row}.jpg", quality=90)
    return JPEGFiles(folder, len(images))


if __name__ == "__main__":
    tyro.cli(measure_loading, prog="python -m tests.benchmarks.loading")
