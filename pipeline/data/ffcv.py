"""Images from a split's FFCV file, in any order and any batch sizes, working around FFCV's problems.

FFCV silently reads garbage from damaged files, yields views of buffers that it overwrites, leaks its thread when a loop is
left early, waits forever when that thread fails, and hangs or crashes in a process that was forked after its first use.
So here the file is checked
first, the order is ours, every batch is a copy, and the thread is monitored and ended.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8, UInt64
from torch import Tensor

from data_prep.errors import DataSetError, RunError
from data_prep.manifest import Manifest, verify_file
from pipeline.data.ffcv_package import import_ffcv

log = logging.getLogger(__name__)

_LONGEST_WAIT = 600.0
"""Seconds without a batch after which a live thread counts as stuck (the first batch waits for a compiler)."""
_LOOK_EVERY = 0.2
"""Seconds between two checks whether the thread is still alive."""


class FFCVLoader:
    """The images of one split, by row number; reuse it, because each compiles for seconds.

    ``DataSetError`` when the split has no FFCV file, or one whose size or SHA-256 is not the manifest's;
    ``MissingDependencyError`` when FFCV is not installed; ``RunError`` in a process that was forked from one using it.
    """

    def __init__(self, folder: Path, manifest: Manifest, split: str, threads: int) -> None:
        spec = manifest.splits[split].beton
        if spec is None:
            raise DataSetError(f"{folder} has no FFCV file of {split}; prepare it again with --format ffcv")
        import_ffcv()
        _refuse_forked()
        verify_file(folder, spec)
        self._path, self._rows = folder / spec.file, spec.rows
        self._loader = _open(self._path, _clamped(threads))
        self._running: list[Any] = []

    def batches(self, orders: Sequence[Integer[np.ndarray, " _"]]) -> Iterator[UInt8[Tensor, "_ c h w"]]:
        """For each array of row numbers a new tensor with those images in that order, contiguous, on the CPU.

        Closing the iterator early ends FFCV's thread. ``RunError`` with its cause when that thread fails;
        ``IndexError`` for a row that the split does not have (FFCV would read outside its memory).
        """
        if not orders:
            return
        _refuse_forked()
        order, batch_size = self._padded(orders)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._loader.batch_size = batch_size
            epoch = _watched_epoch()(self._loader, order)
        self._running.append(epoch)
        try:
            for rows in orders:
                images = self._next(epoch)
                yield images[: len(rows)].clone()
        finally:
            self._end(epoch)

    def close(self) -> None:
        """End the threads of iterators that were not closed."""
        for epoch in list(self._running):
            self._end(epoch)

    def _padded(self, orders: Sequence[Integer[np.ndarray, " _"]]) -> tuple[UInt64[np.ndarray, " slot"], int]:
        """All rows in one array, each batch padded to the largest: FFCV supports a single batch size only."""
        batch_size = max(1, max(len(rows) for rows in orders))
        slots = np.zeros((len(orders), batch_size), dtype=np.uint64)
        for slot, rows in zip(slots, orders, strict=True):
            if len(rows) and (rows.min() < 0 or rows.max() >= self._rows):
                raise IndexError(f"rows {rows.min()} to {rows.max()} where {self._path} has {self._rows}")
            slot[: len(rows)] = rows
        return slots.reshape(-1), batch_size

    def _next(self, epoch: Any) -> Tensor:
        deadline = time.monotonic() + _LONGEST_WAIT
        while True:
            alive = (
                epoch.is_alive()
            )  # before checking the queue: it may put its last batch and end in between
            try:
                _, (images,) = epoch.output_queue.get(timeout=_LOOK_EVERY)
                return images
            except queue.Empty:
                if not alive:
                    raise RunError(f"FFCV failed to read {self._path}: {epoch.failure!r}") from epoch.failure
                if time.monotonic() > deadline:
                    raise RunError(f"FFCV gave no images of {self._path} for {_LONGEST_WAIT:.0f} s") from None

    def _end(self, epoch: Any) -> None:
        if epoch not in self._running:
            return
        self._running.remove(epoch)
        epoch.close()
        epoch.iter_ixes = iter(())  # its own flag is checked only while the queue is full
        deadline = time.monotonic() + _LONGEST_WAIT
        while epoch.is_alive() and time.monotonic() < deadline:
            try:  # it may be waiting to put something into a full queue
                epoch.output_queue.get_nowait()
            except queue.Empty:
                epoch.join(_LOOK_EVERY)


_used_before_fork = False


def _refuse_forked() -> None:
    """``RunError`` in a child that was forked after FFCV was first used: it lacks the threads, and would hang."""
    _notice_forks()
    if _used_before_fork:
        raise RunError(
            "FFCV cannot be used in a process that was forked from one that uses it; start processes with spawn"
        )


@cache
def _notice_forks() -> None:
    def mark() -> None:
        global _used_before_fork
        _used_before_fork = True

    os.register_at_fork(after_in_child=mark)


def _clamped(threads: int) -> int:
    most = int(importlib.import_module("numba").config.NUMBA_NUM_THREADS)
    if threads > most:
        log.warning("FFCV uses %d threads: %d were requested, but there are %d cores", most, threads, most)
    return max(1, min(threads, most))


def _open(path: Path, threads: int) -> Any:
    from ffcv.fields.ndarray import NDArrayDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.reader import Reader
    from ffcv.transforms import ToTensor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipelines: dict[str, list[Any] | None] = dict.fromkeys(Reader(str(path)).field_names)
        pipelines["image"] = [NDArrayDecoder(), ToTensor()]
        return Loader(
            str(path),
            batch_size=1,
            num_workers=threads,
            os_cache=True,
            order=OrderOption.SEQUENTIAL,
            drop_last=False,
            pipelines=pipelines,
        )


@cache
def _watched_epoch() -> type[Any]:
    """FFCV's iterator over one epoch, a thread, extended to keep the exception that ends it."""
    from ffcv.loader.epoch_iterator import EpochIterator

    class WatchedEpoch(EpochIterator):
        failure: BaseException | None = None

        def run(self) -> None:
            try:
                super().run()
            except BaseException as failure:
                self.failure = failure

    return WatchedEpoch
