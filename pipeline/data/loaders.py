"""Three ways for images to reach the device, with one interface; all yield the same images in the same order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import psutil
import torch
from torch import Tensor

from pipeline.data.dataset import DataSet

log = logging.getLogger(__name__)

LoaderName = Literal["resident", "arrow", "ffcv"]
LARGEST_RESIDENT_SHARE = 0.4
"""A split is kept on the device if it takes at most this share of the free memory there."""


@runtime_checkable
class Loader(Protocol):
    """Yields images by row number, any number of times."""

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        """For each array of row numbers the images (row, channel, height, width), uint8, on the device."""
        ...

    def close(self) -> None:
        """Release files and threads."""
        ...


class ResidentLoader:
    """The entire split as one tensor on the device."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        self._images = torch.from_numpy(data.images(split).all()).to(device)

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for rows in orders:
            yield self._images.index_select(0, torch.from_numpy(rows).to(self._images.device))

    def close(self) -> None:
        del self._images


class ArrowLoader:
    """Rows gathered from the mapped shards on demand."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        self._images, self._device = data.images(split), device

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for batch in self._images.batches(orders):
            images = torch.from_numpy(batch)
            if self._device.type == "cuda":
                images = images.pin_memory()
            yield images.to(self._device, non_blocking=True)

    def close(self) -> None:
        del self._images


class FFCVImages:
    """Images from the split's FFCV file."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        from pipeline.data.ffcv import FFCVLoader

        self._loader, self._device = FFCVLoader(data.folder, data.manifest, split, threads=1), device

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for images in self._loader.batches(orders):
            yield images.to(self._device)

    def close(self) -> None:
        self._loader.close()


LOADERS: dict[LoaderName, type[Loader]] = {
    "resident": ResidentLoader,
    "arrow": ArrowLoader,
    "ffcv": FFCVImages,
}


def make_loader(
    name: Literal["auto"] | LoaderName, data: DataSet, split: str, device: torch.device
) -> Loader:
    """The loader of that name; `auto` is resident if the split fits on the device, else arrow, and is logged."""
    if name == "auto":
        name = "resident" if _fits(data, split, device) else "arrow"
        log.info("loader: %s", name)
    return LOADERS[name](data, split, device)  # type: ignore[call-arg]


def _fits(data: DataSet, split: str, device: torch.device) -> bool:
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    size = data.manifest.splits[split].rows * int(np.prod(data.manifest.image_shape))
    return size <= LARGEST_RESIDENT_SHARE * free
