"""The examples that measures are computed on: a whole split in order, once, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.data.dataset import DataSet
from pipeline.models.capabilities import KnownLabels
from pipeline.training.watchdog import unwatched


@dataclass(frozen=True)
class MeasuredSplit:
    """A split of a data set on a device."""

    data: DataSet
    split: str
    device: torch.device
    batch_size: int
    heartbeat: Callable[[], None] = unwatched
    """Called at each batch."""

    def images(self) -> Iterator[Tensor]:
        """Images (row, channel, height, width), uint8, a batch at a time; the last batch may be shorter."""
        mapped = self.data.images(self.split)
        for start in range(0, len(mapped), self.batch_size):
            self.heartbeat()
            rows = np.arange(start, min(start + self.batch_size, len(mapped)))
            yield torch.from_numpy(mapped.gather(rows)).to(self.device)

    def images_and_labels(self) -> Iterator[tuple[Tensor, KnownLabels]]:
        """The same images, each batch with what is known of its labels, on the device."""
        columns, start = self.data.columns(self.split), 0
        for image in self.images():
            rows = slice(start, start + len(image))
            labels, observed = (
                torch.from_numpy(of[rows]).to(self.device) for of in (columns.labels, columns.observed)
            )
            yield image, KnownLabels(labels, observed)
            start += len(image)

    @property
    def labels(self) -> np.ndarray:
        """(row, label), uint8."""
        return self.data.columns(self.split).labels

    @property
    def observed(self) -> np.ndarray:
        """(row, label): only these labels are known; supervision rates do not matter here."""
        return self.data.columns(self.split).observed
