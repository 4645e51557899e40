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


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy of a tensor in memory on a device, for which the host does not wait: it goes through pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def rows_on_device(orders: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, ...]:
    """Each array of row numbers as a tensor on the device, by one copy for all of them."""
    if not orders:
        return ()
    together = on_device(torch.from_numpy(np.concatenate(orders)), device)
    return together.split([len(rows) for rows in orders])


class ResidentLoader:
    """The entire split as one tensor on the device."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        self._images = torch.from_numpy(data.images(split).all()).to(device)

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for rows in rows_on_device(orders, self._images.device):
            yield self._images.index_select(0, rows)

    def close(self) -> None:
        del self._images


class ArrowLoader:
    """Rows gathered from the mapped shards on demand."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        self._images, self._device = data.images(split), device

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for batch in self._images.batches(orders):
            yield on_device(torch.from_numpy(batch), self._device)

    def close(self) -> None:
        del self._images


class FFCVImages:
    """Images from the split's FFCV file."""

    def __init__(self, data: DataSet, split: str, device: torch.device) -> None:
        from pipeline.data.ffcv import FFCVLoader

        self._loader, self._device = FFCVLoader(data.folder, data.manifest, split, threads=1), device

    def images(self, orders: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for images in self._loader.batches(orders):
            yield on_device(images, self._device)

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
