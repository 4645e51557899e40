"""Which labels a run uses in which epoch: rates that change, and one label per class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.dataset import Columns, DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.world import World
from tests.pipeline.runs import small_run, with_loader

CPU = torch.device("cpu")
ALONE = World(rank=0, size=1, device=CPU)
FALLING = {"supervision_rate": 0.9, "supervision_schedule": ((1, 0.5), (3, 0.1))}
LABELLED = [540, 300, 300, 60]
"""Of the 600 training images, per epoch."""
ONE_PER_CLASS = {"supervision_rate": 0.0, "one_per_class": True}


def supervised(data_set: Path, **data: Any) -> RunConfig:
    config = small_run(data_set)
    return replace(config, data=replace(config.data, **data))


def batches(config: RunConfig, epoch: int, world: World = ALONE, first_step: int = 0) -> list[Batch]:
    examples = TrainingExamples(config, DataSet(Path(config.data.folder)), world)
    found = [batch for batch, _ in examples.epoch(epoch, first_step)]
    examples.close()
    return found


def labelled_images(some: list[Batch]) -> set[bytes]:
    return {image.numpy().tobytes() for batch in some for image in batch.image[: batch.labelled]}


def test_each_epoch_uses_the_labels_of_its_own_rate_and_smaller_sets_lie_in_larger(tiny_data_set: Path):
    config = supervised(tiny_data_set, **FALLING)
    epochs = [batches(config, epoch) for epoch in range(4)]
    for some, count in zip(epochs, LABELLED, strict=True):
        assert sum(int(batch.observed.sum()) for batch in some) == count
        assert all(batch.observed.any(1).sum() == batch.labelled for batch in some)
    assert labelled_images(epochs[1]) == labelled_images(epochs[2])
    assert labelled_images(epochs[3]) < labelled_images(epochs[2]) < labelled_images(epochs[0])


def test_each_batch_holds_the_share_of_its_epoch(tiny_data_set: Path):
    config = supervised(tiny_data_set, **FALLING)
    for epoch, rate in enumerate((0.9, 0.5, 0.5, 0.1)):
        assert all(abs(batch.labelled - rate * len(batch)) < 1 for batch in batches(config, epoch))


def test_an_epoch_is_the_same_whichever_epoch_was_read_before_it(tiny_data_set: Path):
    """A resumed run reopens its data in the middle of an epoch of any rate."""
    config = supervised(tiny_data_set, **FALLING)
    examples = TrainingExamples(config, DataSet(tiny_data_set), ALONE)
    for epoch in (0, 1, 2, 3):
        in_passing = [batch for batch, _ in examples.epoch(epoch)]
        entered = batches(config, epoch, first_step=5)
        for one, other in zip(in_passing[5:], entered, strict=True):
            assert torch.equal(one.image, other.image)
            assert torch.equal(one.observed, other.observed)


@pytest.mark.parametrize("data", [FALLING, ONE_PER_CLASS])
def test_ranks_share_out_the_labels_of_one_process(tiny_data_set: Path, data: dict[str, Any]):
    config = supervised(tiny_data_set, **data)
    for epoch in (0, 3):
        alone = batches(config, epoch)
        ranks = [batches(config, epoch, World(rank=rank, size=2, device=CPU)) for rank in (0, 1)]
        for whole, *parts in zip(alone, *ranks, strict=True):
            assert labelled_images([whole]) == labelled_images(parts)
            assert whole.labelled == sum(part.labelled for part in parts)


@pytest.mark.parametrize("loader", ["arrow", pytest.param("ffcv", marks=pytest.mark.ffcv)])
def test_loaders_give_the_same_labels(request: pytest.FixtureRequest, loader: str):
    folder = request.getfixturevalue("tiny_ffcv_data_set" if loader == "ffcv" else "tiny_data_set")
    config = supervised(folder, one_per_class=True, **FALLING)
    both = [
        TrainingExamples(with_loader(config, name), DataSet(folder), ALONE) for name in ("resident", loader)
    ]
    for epoch in (0, 1, 3):
        for (one, _), (other, _) in zip(*(examples.epoch(epoch) for examples in both), strict=True):
            assert torch.equal(one.image, other.image)
            assert torch.equal(one.labels, other.labels)
            assert torch.equal(one.observed, other.observed)
            assert one.labelled == other.labelled
    for examples in both:
        examples.close()


# one label per class


def test_one_example_of_each_class_is_labelled_the_same_in_each_epoch(tiny_data_set: Path):
    config = supervised(tiny_data_set, **ONE_PER_CLASS)
    epochs = [batches(config, epoch) for epoch in (0, 1)]
    for some in epochs:
        classes = torch.cat([batch.labels[: batch.labelled, 0] for batch in some])
        assert sorted(classes.tolist()) == list(range(10))
        assert sum(int(batch.observed.sum()) for batch in some) == 10
        assert all(batch.labelled <= 1 for batch in some)  # of 12 batches
    assert labelled_images(epochs[0]) == labelled_images(epochs[1])


def test_in_addition_to_a_rate_one_per_class_adds_only_what_is_missing(tiny_data_set: Path):
    """Ranks are stratified: at 0.1 each class of 60 has six labelled examples, at 0.005 none."""
    counts = {
        rate: sum(
            batch.labelled
            for batch in batches(supervised(tiny_data_set, supervision_rate=rate, one_per_class=True), 0)
        )
        for rate in (0.1, 0.005)
    }
    assert counts == {0.1: 60, 0.005: 10}


@pytest.mark.parametrize("data", [ONE_PER_CLASS, FALLING, {"supervision_rate": 0.1}])
def test_the_examples_of_each_class_are_labelled_ones_in_order(tiny_data_set: Path, data: dict[str, Any]):
    config = supervised(tiny_data_set, **data)
    of_ranks = [
        TrainingExamples(config, DataSet(tiny_data_set), World(rank=rank, size=2, device=CPU)).of_each_class()
        for rank in (0, 1)
    ]
    kept = of_ranks[0]
    assert kept.labels[:, 0].tolist() == list(range(10))
    assert kept.observed.all()
    assert kept.labelled == 10
    assert labelled_images([kept]) <= labelled_images(batches(config, 0))
    assert torch.equal(kept.image, of_ranks[1].image)


def test_a_class_without_a_labelled_example_is_named(tiny_data_set: Path):
    examples = TrainingExamples(
        supervised(tiny_data_set, supervision_rate=0.005), DataSet(tiny_data_set), ALONE
    )
    with pytest.raises(ConfigError, match=r"no example of class 0 is labelled at supervision_rate=0\.005"):
        examples.of_each_class()


@pytest.mark.parametrize("labels", [0, 18])
def test_one_per_class_is_refused_where_there_is_not_one_label(labels: int):
    rows = np.zeros((4, labels), dtype=np.uint8)
    columns = Columns(labels=rows, observed=rows == 0, supervision_rank=np.zeros(4, dtype=np.float32))
    with pytest.raises(ConfigError, match=f"needs a data set with one class label; this one has {labels}"):
        columns.used_labels(0.0, one_per_class=True)
