"""The FFCV loader: the rows of the Arrow shards in our order, without FFCV's problems."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.errors import DataSetError, RunError
from data_prep.manifest import Manifest
from data_prep.shards.arrow import open_split
from pipeline.data.ffcv import FFCVLoader

pytestmark = pytest.mark.ffcv


@pytest.fixture(scope="module")
def images(tiny_ffcv_data_set: Path) -> np.ndarray:
    shards = open_split(tiny_ffcv_data_set, Manifest.load(tiny_ffcv_data_set), "train")
    return np.concatenate([shard.image for shard in shards])


@pytest.fixture(scope="module")
def loader(tiny_ffcv_data_set: Path) -> Iterator[FFCVLoader]:
    loader = FFCVLoader(tiny_ffcv_data_set, Manifest.load(tiny_ffcv_data_set), "train", threads=1)
    yield loader
    loader.close()


def ffcv_threads() -> int:
    return sum(type(thread).__name__ == "WatchedEpoch" for thread in threading.enumerate())


@pytest.mark.parametrize("sizes", [[600], [128, 128, 128, 128, 88], [7, 6, 7, 6], [1], [3, 0, 40], [0]])
def test_batches_are_the_rows_of_the_arrow_shards_in_the_given_order(
    loader: FFCVLoader, images: np.ndarray, sizes: list[int]
) -> None:
    order = np.random.default_rng(len(sizes)).permutation(600)[: sum(sizes)]
    orders = np.split(order, np.cumsum(sizes)[:-1])
    batches = list(loader.batches(orders))  # all are kept: none may be a view of a reused buffer
    assert len(batches) == len(sizes)
    for rows, batch in zip(orders, batches, strict=True):
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous()
        np.testing.assert_array_equal(batch.numpy(), images[rows])
    assert ffcv_threads() == 0


def test_rows_may_be_repeated_and_epochs_may_differ(loader: FFCVLoader, images: np.ndarray) -> None:
    for rows in ([5, 5, 5, 599], [0], [3, 1, 2]):
        (batch,) = loader.batches([np.array(rows)])
        np.testing.assert_array_equal(batch.numpy(), images[rows])
    assert list(loader.batches([])) == []


def test_a_loop_that_is_left_early_ends_its_thread(loader: FFCVLoader) -> None:
    orders = [np.arange(10)] * 50
    for _ in range(3):
        for number, _batch in enumerate(loader.batches(orders)):
            if number == 1:
                break
        gc.collect()
        assert ffcv_threads() == 0
    running = loader.batches(orders)
    next(running)
    assert ffcv_threads() == 1
    loader.close()
    assert ffcv_threads() == 0


def test_an_exception_in_the_loop_leaves_no_thread(loader: FFCVLoader) -> None:
    batches = loader.batches([np.arange(10)] * 50)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        try:
            for _ in batches:
                _ = 1 / 0
        finally:
            batches.close()  # type: ignore[attr-defined]
    assert ffcv_threads() == 0


def test_an_exception_in_the_thread_is_raised_with_its_cause(
    loader: FFCVLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ffcv.loader.epoch_iterator import EpochIterator

    def fail_at_the_third(self: object, batch: int, *rest: object) -> object:
        if batch == 2:
            raise ValueError("the disk is on fire")
        return original(self, batch, *rest)

    original = EpochIterator.run_pipeline
    monkeypatch.setattr(EpochIterator, "run_pipeline", fail_at_the_third)
    batches = loader.batches([np.arange(10)] * 5)
    assert len(list(itertools.islice(batches, 2))) == 2
    with pytest.raises(RunError, match="the disk is on fire") as caught:
        next(batches)
    assert isinstance(caught.value.__cause__, ValueError)
    assert ffcv_threads() == 0


@pytest.mark.parametrize("rows", [[600], [-1], [3, 10**9]])
def test_missing_rows_are_refused(loader: FFCVLoader, rows: list[int]) -> None:
    with pytest.raises(IndexError, match="has 600"):
        list(loader.batches([np.array(rows)]))


def test_the_thread_count_of_torch_is_unchanged(
    tiny_ffcv_data_set: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        loader = FFCVLoader(tiny_ffcv_data_set, Manifest.load(tiny_ffcv_data_set), "test", threads=10_000)
        assert torch.get_num_threads() == 2
        assert "10000 were requested" in caplog.text
        for _ in loader.batches([np.arange(20)] * 3):
            assert torch.get_num_threads() == 2
        loader.close()
    finally:
        torch.set_num_threads(before)


def test_a_forked_child_is_refused_and_the_parent_continues(
    loader: FFCVLoader, tiny_ffcv_data_set: Path, images: np.ndarray
) -> None:
    """Without the check the child hangs or crashes, so there is a timeout of a minute."""
    list(loader.batches([np.arange(5)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: this process has threads
        child = os.fork()
    if not child:
        status = 1
        try:
            told = 0
            for attempt in (
                lambda: list(loader.batches([np.arange(5)])),
                lambda: FFCVLoader(tiny_ffcv_data_set, Manifest.load(tiny_ffcv_data_set), "test", threads=1),
            ):
                try:
                    attempt()
                except RunError as error:
                    told += "spawn" in str(error)
            status = 0 if told == 2 else 2
        finally:
            os._exit(status)
    deadline = time.monotonic() + 60
    found, status = 0, 0
    while not found and time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.05)
    if not found:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert found, "the child hangs"
    assert os.waitstatus_to_exitcode(status) == 0
    (batch,) = loader.batches([np.arange(5)])
    np.testing.assert_array_equal(batch.numpy(), images[:5])


def test_two_loaders_run_side_by_side(
    tiny_ffcv_data_set: Path, loader: FFCVLoader, images: np.ndarray
) -> None:
    manifest = Manifest.load(tiny_ffcv_data_set)
    other = FFCVLoader(tiny_ffcv_data_set, manifest, "test", threads=1)
    test_images = np.concatenate([s.image for s in open_split(tiny_ffcv_data_set, manifest, "test")])
    orders = [np.arange(start, start + 20) for start in range(0, 200, 20)]
    for rows, batch, test_batch in zip(orders, loader.batches(orders), other.batches(orders), strict=True):
        np.testing.assert_array_equal(batch.numpy(), images[rows])
        np.testing.assert_array_equal(test_batch.numpy(), test_images[rows])
    other.close()


@pytest.fixture
def copied(tiny_ffcv_data_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_ffcv_data_set, tmp_path / "copy"))


def test_a_damaged_file_is_refused(copied: Path) -> None:
    manifest, path = Manifest.load(copied), copied / "train.beton"
    with path.open("r+b") as file:
        file.seek(-5000, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(DataSetError, match=r"train\.beton is damaged"):
        FFCVLoader(copied, manifest, "train", threads=1)
    os.truncate(path, 4096)
    with pytest.raises(DataSetError, match=r"train\.beton has 4096 bytes"):
        FFCVLoader(copied, manifest, "train", threads=1)
    path.unlink()
    with pytest.raises(DataSetError, match=r"train\.beton is missing"):
        FFCVLoader(copied, manifest, "train", threads=1)


def test_a_data_set_without_an_ffcv_file_says_how_to_get_one(tiny_data_set: Path) -> None:
    with pytest.raises(DataSetError, match="--format ffcv"):
        FFCVLoader(tiny_data_set, Manifest.load(tiny_data_set), "train", threads=1)
