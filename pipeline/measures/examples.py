"""The examples that measures are computed on: an entire split in order, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pipeline.data.dataset import Columns, DataSet, MappedImages
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
    """Called for each batch."""

    def __len__(self) -> int:
        return len(self._mapped)

    def batches(self) -> Iterator[tuple[Tensor, KnownLabels]]:
        """Images (row, channel, height, width), uint8, and what is known of their labels, a batch at a time.

        The last batch may be shorter.
        """
        for start in range(0, len(self), self.batch_size):
            self.heartbeat()
            end = min(start + self.batch_size, len(self))
            yield self.rows(start, end), self.known_labels(start, end)

    def images(self) -> Iterator[Tensor]:
        """The images of ``batches``."""
        for image, _ in self.batches():
            yield image

    def rows(self, start: int, end: int) -> Tensor:
        """Images of these rows, as far as there are any."""
        return torch.from_numpy(self._mapped.gather(np.arange(start, min(end, len(self))))).to(self.device)

    def at(self, rows: np.ndarray) -> tuple[Tensor, KnownLabels]:
        """Images of any rows, in this order, and what is known of their labels."""
        image = torch.from_numpy(self._mapped.gather(rows))
        known = KnownLabels(torch.from_numpy(self.labels[rows]), torch.from_numpy(self.observed[rows]))
        return image.to(self.device), known.to(self.device)

    def random_rows(self, count: int) -> np.ndarray:
        """As many different rows (all of them if there are fewer), in their order, by torch's random numbers."""
        return torch.randperm(len(self))[:count].sort().values.numpy()

    def known_labels(self, start: int, end: int) -> KnownLabels:
        """What is known of the labels of these rows."""
        labels, observed = self.labels[start:end], self.observed[start:end]
        return KnownLabels(
            torch.from_numpy(labels).to(self.device), torch.from_numpy(observed).to(self.device)
        )

    @property
    def labels(self) -> np.ndarray:
        """(row, label), uint8."""
        return self._columns.labels

    @property
    def observed(self) -> np.ndarray:
        """(row, label): which labels are observed, regardless of the supervision rate."""
        return self._columns.observed

    @cached_property
    def _mapped(self) -> MappedImages:
        return self.data.images(self.split)

    @cached_property
    def _columns(self) -> Columns:
        return self.data.columns(self.split)
