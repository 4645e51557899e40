"""The training examples of a run as batches: a loader's images joined with the usable labels of each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.dataset import DataSet
from pipeline.data.further_columns import FurtherColumns, FurtherColumnsOfRows
from pipeline.data.loaders import make_loader, rows_on_device
from pipeline.data.order import Share, shares, shares_with_references
from pipeline.world import World


class TrainingExamples:
    """One rank's view of the training split, each epoch at its own supervision rate."""

    def __init__(self, config: RunConfig, data: DataSet, world: World) -> None:
        self.config, self.world = config, world
        self._data, self._columns = data, data.columns("train", config.label_seed)
        self.rows = len(self._columns.labels)
        self._reference = self._reference_set() if config.draws_references else None
        self._labels = torch.from_numpy(self._columns.labels).to(world.device)
        self._use_labels_at(config.data.supervision_rate_in(0))
        self._further = FurtherColumns(data, "train", world.device)
        self._loader = make_loader(config.data.loader, data, "train", world.device)

    @property
    def references(self) -> int | None:
        """Rows of the reference set, if the system draws them."""
        return None if self._reference is None else int(self._reference.sum())

    def _reference_set(self) -> Bool[np.ndarray, " row"]:
        """Which rows are members of the reference set; ConfigError if there are none, or no others."""
        reference = self._data.column("train", "reference")
        system, name = self.config.model.system, self._data.manifest.name
        if not reference.any():
            raise ConfigError(
                f"{system} learns from a reference set, and {name} has none; transformed_mnist and affectnet have one, and"
                " drawn_faces with --options reference=neutral"
            )
        if reference.all():
            raise ConfigError(f"{system} needs images outside of the reference set, and {name} has none")
        return reference

    def _use_labels_at(self, rate: float) -> None:
        used = self._columns.used_labels(rate, one_per_class=self.config.data.one_per_class)
        if self._reference is not None:
            used = np.zeros_like(used)  # it sees no labels
        self._rate, self._labelled = rate, np.asarray(used.any(axis=1))
        self._used = torch.from_numpy(used).to(self.world.device)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Batch, int]]:
        """Batches of this rank from ``first_step`` of the epoch on, each with the size of the full batch."""
        rate = self.config.data.supervision_rate_in(epoch)
        if rate != self._rate:
            self._use_labels_at(rate)
        own = self._shares(epoch)[first_step:]
        used = self._used
        orders = [share.rows for share in own]
        rows = rows_on_device(orders, self.world.device)
        for share, on_device, image in zip(own, rows, self._loader.images(orders), strict=True):
            yield self._batch(share, on_device, image, used), share.batch_size

    def _shares(self, epoch: int) -> list[Share]:
        """This rank's part of each batch of an epoch."""
        config, world = self.config, self.world
        draw = (
            partial(shares, self._labelled)
            if self._reference is None
            else partial(shares_with_references, self._reference)
        )
        return draw(
            batch_size=config.training.batch_size,
            seed=config.seed,
            epoch=epoch,
            rank=world.rank,
            world_size=world.size,
        )

    def of_each_class(self) -> Batch:
        """A labelled example of each class, in the order of the classes: the one with the smallest supervision rank.

        Raises:
            ConfigError: a class has no example that is labelled in the first epoch, or there is not one class label.
        """
        rate, columns = self.config.data.supervision_rate_in(0), self._columns
        used = columns.used_labels(rate, one_per_class=self.config.data.one_per_class)
        rows = columns.first_of_each_class()
        rows = rows[used[rows, 0]]
        labels = torch.from_numpy(columns.labels[rows])
        label = self._data.manifest.labels[0]
        missing = set(range(label.cardinality)) - set(labels[:, 0].tolist())
        if missing:
            name = label.values[min(missing)]
            raise ConfigError(
                f"no example of class {name} is labelled at supervision_rate={rate:g}, but one of each class is needed"
            )
        images = torch.from_numpy(self._data.images("train").gather(rows))
        device = self.world.device
        return Batch(
            image=images.to(device),
            labels=labels.to(device),
            observed=torch.ones_like(labels, dtype=torch.bool, device=device),
            labelled=len(rows),
            further=FurtherColumnsOfRows(self._further, rows, torch.from_numpy(rows).to(device)),
        )

    def first(self) -> Batch:
        """The first batch of the first epoch."""
        batches = self.epoch(0)
        try:
            return next(batches)[0]
        finally:
            batches.close()  # type: ignore[attr-defined]

    def _batch(self, share: Share, rows: Tensor, image: Tensor, used: Tensor) -> Batch:
        return Batch(
            image=image,
            labels=self._labels.index_select(0, rows),
            observed=used.index_select(0, rows),
            labelled=share.labelled,
            rows_of_ranks=share.rows_of_ranks,
            references=share.references or 0,
            further=FurtherColumnsOfRows(self._further, share.rows, rows),
        )

    def close(self) -> None:
        """Release files and threads."""
        self._loader.close()
