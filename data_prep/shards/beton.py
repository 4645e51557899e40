"""FFCV files: the rows of a split's Arrow shards once more, in one ``.beton``.

FFCV's writer hangs when one of its processes dies, and two of them give different bytes from run to run, so its own
classes are run here in one process, in which an exception is an exception.
"""

from __future__ import annotations

import importlib
import importlib.util
import queue
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from data_prep.errors import DataSetError, MissingDependencyError
from data_prep.files import atomic_path, checksum
from data_prep.manifest import Manifest, ShardSpec, verify_file
from data_prep.shards.arrow import Shard, open_split

INSTALL_FFCV = (
    "FFCV is not installed; with a C++ compiler, pkg-config and the headers of OpenCV and libjpeg-turbo there, "
    "\"pip install 'traitvae[ffcv]' && pip install --no-deps ffcv==1.0.2\" installs it ('make demo' does all that)"
)
_PAGE_SIZE = 1 << 21
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
    shards = open_split(folder, manifest, split)
    path = folder / f"{split}.beton"
    with atomic_path(path) as partial:
        _write(partial, shards, manifest)
        spec = ShardSpec(path.name, sum(map(len, shards)), partial.stat().st_size, checksum(partial))
    return split, spec


class _Counter:
    """Multiprocessing's ``Value`` for one process."""

    def __init__(self) -> None:
        self.value = 0
        self.get_lock = nullcontext


class _RowSequence:
    """The rows of some shards one by one, as FFCV's writer wants them."""

    def __init__(self, shards: Sequence[Shard], with_factors: bool) -> None:
        self._shards = shards
        self._starts = np.cumsum([0] + [len(s) for s in shards])
        self._with_factors = with_factors

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int) -> tuple[Any, ...]:
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        shard, i = self._shards[which], row - int(self._starts[which])
        values = (
            shard.image[i], shard.labels[i], shard.observed[i].view(np.uint8), float(shard.supervision_rank[i]),
            int(shard.reference[i]),
        )  # fmt: skip
        return (*values, shard.factors[i]) if self._with_factors else values


def _write(path: Path, shards: Sequence[Shard], manifest: Manifest) -> None:
    ffcv = import_ffcv()
    from ffcv.memory_allocator import MemoryAllocator
    from ffcv.writer import DatasetWriter, worker_job_indexed_dataset

    fields = _fields(ffcv, manifest)
    rows = _RowSequence(shards, with_factors="factors" in fields)
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

    todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
    todo.put([(row, row) for row in range(len(rows))])
    todo.put(None)
    allocated: queue.SimpleQueue[Any] = queue.SimpleQueue()
    allocator = MemoryAllocator(str(path), writer.data_region_start, page_size)
    # Its counters are semaphores, which outlive a process that is interrupted.
    allocator.next_page_allocated, allocator.next_page_written = _Counter(), _Counter()
    worker_job_indexed_dataset(
        todo, writer.metadata_sm, writer.metadata_type, fields, allocator, _Counter(), allocated, rows
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
