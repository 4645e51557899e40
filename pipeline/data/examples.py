"""The training examples of a run as batches: a loader's images joined with the labels that may be used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.dataset import DataSet
from pipeline.data.loaders import make_loader
from pipeline.data.order import Share, shares
from pipeline.world import World


class TrainingExamples:
    """One rank's view of the training split at the run's supervision rate."""

    def __init__(self, config: RunConfig, data: DataSet, world: World) -> None:
        self.config, self.world = config, world
        columns = data.columns("train")
        used = columns.used_labels(config.data.supervision_rate)
        self.rows = len(used)
        self._labelled = np.asarray(used.any(axis=1))
        self._labels = torch.from_numpy(columns.labels).to(world.device)
        self._used = torch.from_numpy(used).to(world.device)
        self._loader = make_loader(config.data.loader, data, "train", world.device)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Batch, int]]:
        """Batches of this rank from ``first_step`` of the epoch on, each with the size of the whole batch."""
        own = shares(
            self._labelled,
            batch_size=self.config.training.batch_size,
            seed=self.config.seed,
            epoch=epoch,
            rank=self.world.rank,
            world_size=self.world.size,
        )[first_step:]
        images = self._loader.images([share.rows for share in own])
        for share, image in zip(own, images, strict=True):
            yield self._batch(share, image), share.batch_size

    def first(self) -> Batch:
        """The first batch of the first epoch."""
        batches = self.epoch(0)
        try:
            return next(batches)[0]
        finally:
            batches.close()  # type: ignore[attr-defined]

    def _batch(self, share: Share, image: Tensor) -> Batch:
        rows = torch.from_numpy(share.rows).to(self._labels.device)
        return Batch(
            image=image, labels=self._labels[rows], observed=self._used[rows], labelled=share.labelled
        )

    def close(self) -> None:
        """Let go of files and threads."""
        self._loader.close()
