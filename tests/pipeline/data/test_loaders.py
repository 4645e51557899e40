from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.errors import DataSetError
from data_prep.stages import prepare
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.loaders import make_loader
from pipeline.data.order import shares
from pipeline.world import World
from tests.pipeline.runs import small_run, with_loader

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def both_formats(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("both")
    return prepare(
        "idx_folder", raw=tiny_raw, root=root, workers=1, formats="both", rows_per_shard=128, progress=False
    )


def orders(data: DataSet, rank: int = 0, world_size: int = 1, epoch: int = 0) -> list[np.ndarray]:
    mask = np.asarray(data.columns("train").used_labels(0.1).any(axis=1))
    dealt = shares(mask, batch_size=64, seed=3, epoch=epoch, rank=rank, world_size=world_size)
    return [share.rows for share in dealt]


def test_arrow_and_resident_yield_the_rows_asked_for(tiny_data_set: Path):
    data = DataSet(tiny_data_set)
    truth = torch.from_numpy(data.images("train").all())
    asked = orders(data)
    for name in ("resident", "arrow"):
        loader = make_loader(name, data, "train", CPU)
        for rows, images in zip(asked, loader.images(asked), strict=True):
            assert images.dtype == torch.uint8
            assert torch.equal(images, truth[rows])
        loader.close()


@pytest.mark.ffcv
@pytest.mark.parametrize(("rank", "world_size"), [(0, 1), (0, 2), (1, 2), (2, 3)])
def test_ffcv_yields_what_resident_yields(both_formats: Path, rank: int, world_size: int):
    data = DataSet(both_formats)
    resident, ffcv = (make_loader(name, data, "train", CPU) for name in ("resident", "ffcv"))
    for epoch in range(2):
        asked = orders(data, rank, world_size, epoch)
        pairs = zip(resident.images(asked), ffcv.images(asked), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    ffcv.close()


@pytest.mark.ffcv
def test_three_loaders_give_the_same_batches(both_formats: Path):
    world = World(rank=1, size=2, device=CPU)
    seen = []
    for name in ("resident", "arrow", "ffcv"):
        data = DataSet(both_formats)
        examples = TrainingExamples(with_loader(small_run(both_formats, rate=0.1), name), data, world)
        seen.append(
            [
                (batch.image.clone(), batch.labels, batch.observed, batch.labelled)
                for batch, _ in examples.epoch(1)
            ]
        )
        examples.close()
    for other in seen[1:]:
        for one_batch, other_batch in zip(seen[0], other, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one_batch[:3], other_batch[:3], strict=True))
            assert one_batch[3] == other_batch[3]


def test_labels_are_observed_up_to_the_supervision_rate_only(tiny_data_set: Path):
    data = DataSet(tiny_data_set)
    examples = TrainingExamples(small_run(tiny_data_set, rate=0.1), data, World(rank=0, size=1, device=CPU))
    batches = [batch for batch, _ in examples.epoch(0)]
    assert sum(int(batch.observed.sum()) for batch in batches) == 60  # of 600, each class its share
    counts = torch.cat([batch.labels[: batch.labelled, 0] for batch in batches]).bincount(minlength=10)
    assert counts.tolist() == [6] * 10
    assert all(
        batch.observed[: batch.labelled].all() and not batch.observed[batch.labelled :].any()
        for batch in batches
    )


def test_an_epoch_can_be_entered_in_the_middle(tiny_data_set: Path):
    examples = TrainingExamples(
        small_run(tiny_data_set), DataSet(tiny_data_set), World(rank=0, size=1, device=CPU)
    )
    whole, rest = list(examples.epoch(2)), list(examples.epoch(2, first_step=7))
    assert len(rest) == len(whole) - 7
    assert all(torch.equal(a[0].image, b[0].image) for a, b in zip(whole[7:], rest, strict=True))


def test_a_shard_of_another_size_is_found_when_the_data_set_is_opened(tiny_raw: Path, tmp_path: Path):
    folder = prepare("idx_folder", raw=tiny_raw, root=tmp_path, workers=1, formats="arrow", progress=False)
    shard = next(folder.glob("train-*.arrow"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DataSetError, match=shard.name):
        DataSet(folder)
