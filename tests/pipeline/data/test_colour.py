"""The three loaders on colour pictures with several labels, in odd numbers, over one to three ranks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.shards.arrow import open_split
from pipeline.data.dataset import DataSet
from pipeline.data.loaders import Loader, LoaderName, make_loader
from pipeline.data.order import shares
from tests.pipeline.data.colour_rows import ROWS, prepare_colour_rows

CPU = torch.device("cpu")
LOADERS: list[LoaderName] = ["resident", "arrow", "ffcv"]

pytestmark = pytest.mark.ffcv


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    pytest.importorskip("ffcv", reason="FFCV is not installed", exc_type=ImportError)
    return DataSet(prepare_colour_rows(tmp_path_factory.mktemp("colour"), "both"))


@pytest.fixture(scope="module")
def loaders(data: DataSet) -> Iterator[dict[tuple[LoaderName, str], Loader]]:
    made = {(name, split): make_loader(name, data, split, CPU) for name in LOADERS for split in ROWS}
    yield made
    for loader in made.values():
        loader.close()


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize(("split", "batch_size"), [("train", 32), ("train", 7), ("test", 10), ("test", 1000)])
def test_all_loaders_give_every_row_once_over_all_ranks(
    data: DataSet, loaders: dict[tuple[LoaderName, str], Loader], split: str, batch_size: int, world_size: int
) -> None:
    """157 and 41 rows divide by neither world size, and 1000 is more than a split has."""
    truth = torch.from_numpy(data.images(split).all())
    columns = data.columns(split)
    labelled = np.asarray(columns.used_labels(0.5).any(axis=1))
    seen = []
    for rank in range(world_size):
        dealt = shares(labelled, batch_size=batch_size, seed=5, epoch=1, rank=rank, world_size=world_size)
        orders = [share.rows for share in dealt]
        given = [loaders[name, split].images(orders) for name in LOADERS]
        for rows, batches in zip(orders, zip(*given, strict=True), strict=True):
            for images in batches:
                assert images.dtype == torch.uint8
                assert images.is_contiguous()
                assert torch.equal(images, truth[rows])
        seen += orders
    assert sorted(np.concatenate(seen)) == list(range(ROWS[split]))


def test_the_ffcv_file_holds_every_column_of_several_labels(data: DataSet) -> None:
    from ffcv.reader import Reader

    path = data.folder / "train.beton"
    reader, file = Reader(str(path)), np.fromfile(path, dtype=np.uint8)
    shards = open_split(data.folder, data.manifest, "train")
    bytes_of = {"image": 3 * 64 * 64, "labels": 4, "observed": 4, "factors": 8}
    assert reader.field_names == ["image", "labels", "observed", "supervision_rank", "reference", "factors"]
    for field, name in enumerate(reader.field_names):
        expected = np.concatenate([getattr(shard, name) for shard in shards])
        found = reader.metadata[f"f{field}"]
        if name in bytes_of:
            found = file[found[:, None].astype(np.int64) + np.arange(bytes_of[name])].view(expected.dtype)
        np.testing.assert_array_equal(found.reshape(expected.shape), expected, err_msg=name)


def test_labels_that_are_not_known_are_not_used_at_any_rate(data: DataSet) -> None:
    columns = data.columns("train")
    assert not columns.observed.all()
    for rate in (0.2, 0.5, 1.0):
        used = columns.used_labels(rate)
        assert not (used & ~columns.observed).any()
        np.testing.assert_array_equal(used, columns.observed & (columns.supervision_rank < rate)[:, None])


def test_missing_rows_are_refused(loaders: dict[tuple[LoaderName, str], Loader], data: DataSet) -> None:
    for name in LOADERS:
        with pytest.raises(IndexError):
            list(loaders[name, "test"].images([np.array([0, 41])]))


def test_an_empty_batch_is_empty(loaders: dict[tuple[LoaderName, str], Loader]) -> None:
    for name in LOADERS:
        first, second = loaders[name, "test"].images([np.zeros(0, dtype=np.int64), np.array([3])])
        assert tuple(first.shape) == (0, 3, 64, 64)
        assert tuple(second.shape) == (1, 3, 64, 64)


def test_opening_a_split_reads_no_images(data: DataSet, tmp_path: Path) -> None:
    """A map costs nothing before it is read: the data may be larger than the memory."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    images = data.images("train")
    assert len(images) == ROWS["train"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 400
