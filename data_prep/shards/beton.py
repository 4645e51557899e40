"""FFCV files: the rows of a split's Arrow shards once more, in one ``.beton``.

FFCV's writer hangs when one of its processes dies, and two of them give different bytes from run to run, so its own
classes are run here in one process, in which an exception is an exception.
"""

from __future__ import annotations

import importlib
import importlib.util
import queue
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from data_prep.errors import DataSetError, MissingDependencyError
from data_prep.files import atomic_path, checksum
from data_prep.manifest import Manifest, ShardSpec, verify_file
from data_prep.shards.arrow import Shard, open_shard

INSTALL_FFCV = (
    "FFCV is not installed; with a C++ compiler, pkg-config and the headers of OpenCV and libjpeg-turbo there, "
    "\"pip install 'traitvae[ffcv]' && pip install --no-deps ffcv==1.0.2\" installs it ('make demo' does all that)"
)
_PAGE_SIZE = 1 << 21
_CHUNK = 4096
_LONGEST_FIELD_NAME = 16  # FFCV cuts longer ones without a word


def ffcv_is_installed() -> bool:
    """Whether a package of this name is there; whether it works shows only when it is imported, which takes seconds."""
    return importlib.util.find_spec("ffcv") is not None


def import_ffcv() -> ModuleType:
    """The ``ffcv`` package, made harmless; ``MissingDependencyError`` if it cannot be had.

    On import and again with each loader FFCV sets the thread count of torch for the whole process: that is undone and
    prevented. Of numba's threading layers, ``workqueue`` aborts the process when two loaders run: it is refused.
    """
    if not ffcv_is_installed():
        raise MissingDependencyError(INSTALL_FFCV)
    import torch

    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses modules that Python is about to drop
            numba: Any = importlib.import_module("numba")
            if numba.config.THREADING_LAYER == "default":
                numba.config.THREADING_LAYER = "threadsafe"
            import ffcv
            import ffcv.fields
            from ffcv.pipeline.compiler import Compiler

            layer = numba.threading_layer()
    except (ImportError, OSError, ValueError) as error:
        raise MissingDependencyError(f"FFCV is there but cannot be used ({error}); {INSTALL_FFCV}") from None
    finally:
        torch.set_num_threads(threads)
    if layer == "workqueue":
        raise MissingDependencyError(
            "FFCV needs numba's omp or tbb threads and numba runs on workqueue; install libgomp or tbb"
        )

    def set_num_threads(compiler: Any, count: int) -> None:
        compiler.num_threads = count
        numba.set_num_threads(count)

    Compiler.set_num_threads = classmethod(set_num_threads)
    return ffcv


def write_beton(folder: Path, split: str) -> tuple[str, ShardSpec]:
    """Write ``<split>.beton`` beside the verified Arrow shards; returns the split and the file's entry.

    Fields: image uint8 (C, H, W), labels and observed uint8 (L,), supervision_rank float, reference int, factors
    float32 (F,) if there are any. The same shards give the same bytes.
    """
    manifest = Manifest.load(folder)
    for spec in manifest.splits[split].shards:
        verify_file(folder, spec)
    path = folder / f"{split}.beton"
    with atomic_path(path) as partial:
        rows = _RowSequence(folder, manifest, split)
        _write(partial, rows, manifest)
        spec = ShardSpec(path.name, len(rows), partial.stat().st_size, checksum(partial))
    return split, spec


class _Counter:
    """Multiprocessing's ``Value`` for one process."""

    def __init__(self) -> None:
        self.value = 0
        self.get_lock = nullcontext


class _RowSequence:
    """The rows of a split one by one, as FFCV's writer wants them; the shard of the last one asked for is mapped."""

    def __init__(self, folder: Path, manifest: Manifest, split: str) -> None:
        self._folder, self._manifest = folder, manifest
        self._specs = manifest.splits[split].shards
        self._starts = np.cumsum([0] + [spec.rows for spec in self._specs])
        self._shard: tuple[int, Shard] | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int) -> tuple[Any, ...]:
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        shard, i = self._opened(which), row - int(self._starts[which])
        # Copies: the writer keeps hold of the last row, and with it would keep a shard mapped.
        values = (
            shard.image[i].copy(), shard.labels[i].copy(), shard.observed[i].astype(np.uint8),
            float(shard.supervision_rank[i]), int(shard.reference[i]),
        )  # fmt: skip
        return (*values, shard.factors[i].copy()) if self._manifest.factors else values

    def _opened(self, which: int) -> Shard:
        """What is mapped counts as memory of this process, so one shard is let go before the next is opened."""
        if self._shard is None or self._shard[0] != which:
            self._shard = None
            self._shard = which, open_shard(self._folder / self._specs[which].file, self._manifest)
        return self._shard[1]


class _Chunks:
    """Multiprocessing's queue of work for one process: some rows at a time, then None."""

    def __init__(self, rows: int) -> None:
        self._starts, self._rows = iter(range(0, rows, _CHUNK)), rows

    def get(self) -> list[tuple[int, int]] | None:
        start = next(self._starts, None)
        if start is None:
            return None
        return [(row, row) for row in range(start, min(start + _CHUNK, self._rows))]


def _write(path: Path, rows: _RowSequence, manifest: Manifest) -> None:
    ffcv = import_ffcv()
    from ffcv.memory_allocator import MemoryAllocator
    from ffcv.writer import DatasetWriter, worker_job_indexed_dataset

    fields = _fields(ffcv, manifest)
    if not len(rows):
        raise DataSetError(f"{path.parent} has a split without rows, which FFCV cannot hold")
    page_size = max(_PAGE_SIZE, 1 << (2 * int(np.prod(manifest.image_shape))).bit_length())
    writer = DatasetWriter(str(path), fields, page_size=page_size, num_workers=1)
    writer.num_samples = len(rows)
    writer.prepare()
    # Its shared memory is for other processes, and would crash this one where /dev/shm is small.
    size = writer.metadata_sm.size
    writer.metadata_sm.close()
    writer.metadata_sm.unlink()
    writer.metadata_sm = SimpleNamespace(buf=bytearray(size))

    allocated: queue.SimpleQueue[Any] = queue.SimpleQueue()
    allocator = MemoryAllocator(str(path), writer.data_region_start, page_size)
    # Its counters are semaphores, which outlive a process that is interrupted.
    allocator.next_page_allocated, allocator.next_page_written = _Counter(), _Counter()
    worker_job_indexed_dataset(
        _Chunks(len(rows)),
        writer.metadata_sm,
        writer.metadata_type,
        fields,
        allocator,
        _Counter(),
        allocated,
        rows,
    )
    writer.finalize(allocated.get())
    _check_length(path, writer, allocator)


def _fields(ffcv: ModuleType, manifest: Manifest) -> dict[str, Any]:
    fields = ffcv.fields
    labels = (len(manifest.labels),)
    named = {
        "image": fields.NDArrayField(np.dtype(np.uint8), manifest.image_shape),
        "labels": fields.NDArrayField(np.dtype(np.uint8), labels),
        "observed": fields.NDArrayField(np.dtype(np.uint8), labels),
        "supervision_rank": fields.FloatField(),
        "reference": fields.IntField(),
    }
    if manifest.factors:
        named["factors"] = fields.NDArrayField(np.dtype(np.float32), (len(manifest.factors),))
    assert all(len(name) <= _LONGEST_FIELD_NAME for name in named)
    return named


def _check_length(path: Path, writer: Any, allocator: Any) -> None:
    """FFCV writes unbuffered and does not look how much was taken: on a full disk pages can be short."""
    pages_end = allocator.offset + int(allocator.next_page_written.value) * writer.page_size
    if int(writer.header["alloc_table_ptr"]) != pages_end:
        raise DataSetError(f"{path} was not written in full; is the disk full? Run the same command again")
