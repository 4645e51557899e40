"""Arrow shards: one uncompressed record batch per file, so that every column is a memory map.

``observed`` and ``reference`` are stored as bytes 0 and 1, because Arrow packs booleans into bits, which no numpy
array can map; they are returned as bool.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.errors import DataSetError
from data_prep.files import atomic_write
from data_prep.manifest import Manifest, ShardSpec
from data_prep.rows import Rows

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The columns of one shard, read-only; nothing is read from the disk before it is touched."""

    image: NDArray[np.uint8]
    """(n, C, H, W)"""
    labels: NDArray[np.uint8]
    """(n, L)"""
    observed: NDArray[np.bool_]
    """(n, L)"""
    supervision_rank: NDArray[np.float32]
    """(n,)"""
    reference: NDArray[np.bool_]
    """(n,)"""
    factors: NDArray[np.float32]
    """(n, F)"""
    regions: NDArray[np.int16] | None
    """(n, L, 4), in a data set that has them"""
    ids: pa.StringArray
    """n strings, left in Arrow's form"""
    path: Path
    image_offset: int
    """offset in the file of the images, which follow one another"""

    def __len__(self) -> int:
        return len(self.image)


def write_shard(path: Path, rows: Rows, supervision_rank: NDArray[np.float32]) -> ShardSpec:
    """Write rows, which must have passed ``Rows.check``, as one shard, atomically; deterministic."""
    columns = {
        "image": _fixed_size(rows.image),
        "labels": _fixed_size(rows.labels),
        "observed": _fixed_size(rows.observed.view(np.uint8)),
        "supervision_rank": _numbers(supervision_rank),
        "reference": _numbers(rows.reference.view(np.uint8)),
        "id": _strings(rows.ids),
    }
    if rows.factors.shape[1]:
        columns["factors"] = _fixed_size(rows.factors)
    if rows.regions is not None:
        columns["regions"] = _fixed_size(rows.regions)
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content = sink.getvalue()
    with atomic_write(path) as file:
        file.write(content)
    return ShardSpec(path.name, len(rows), content.size, hashlib.sha256(content).hexdigest())


def open_shard(path: Path, manifest: Manifest) -> Shard:
    """Map one shard of a data set; ``DataSetError`` if it is missing, damaged or of another data set."""
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            if reader.num_record_batches != 1:
                raise ValueError(f"{reader.num_record_batches} record batches where one is expected")
            batch = reader.get_batch(0)
            batch.validate()
            file.seek(0)
            start = file.read_buffer(1).address
        n, label_count = batch.num_rows, len(manifest.labels)
        factors = np.zeros((n, 0), dtype=np.float32)
        if manifest.factors:
            factors = _mapped(batch, "factors", np.float32, (n, len(manifest.factors)))
        regions = None
        if manifest.regions:
            regions = _mapped(batch, "regions", np.int16, (n, label_count, 4))
        image = _mapped(batch, "image", np.uint8, (n, *manifest.image_shape))
        return Shard(
            image=image,
            labels=_mapped(batch, "labels", np.uint8, (n, label_count)),
            observed=_mapped(batch, "observed", np.uint8, (n, label_count)).view(np.bool_),
            supervision_rank=_mapped(batch, "supervision_rank", np.float32, (n,)),
            reference=_mapped(batch, "reference", np.uint8, (n,)).view(np.bool_),
            factors=factors,
            regions=regions,
            ids=batch.column("id"),
            path=path,
            image_offset=image.ctypes.data - start,
        )
    except FileNotFoundError:
        raise DataSetError(f"{path} is missing; prepare the data set again") from None
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise DataSetError(f"{path} is damaged ({error}); remove its folder and prepare it again") from None


def open_split(folder: Path, manifest: Manifest, split: str) -> tuple[Shard, ...]:
    """The shards of one split in row order; ``DataSetError`` if the split or a shard is missing or damaged."""
    if split not in manifest.splits:
        raise DataSetError(f"{folder} has no split {split!r}; it has {', '.join(manifest.splits)}")
    shards = []
    for spec in manifest.splits[split].shards:
        shard = open_shard(Path(folder) / spec.file, manifest)
        if len(shard) != spec.rows:
            raise DataSetError(
                f"{Path(folder) / spec.file} has {len(shard)} rows where {spec.rows} are expected"
            )
        shards.append(shard)
    return tuple(shards)


def count_references(folder: Path, manifest: Manifest, split: str) -> int:
    """Number of rows of a split that are members of the reference set; ``DataSetError`` as ``open_split``."""
    return sum(int(shard.reference.sum()) for shard in open_split(folder, manifest, split))


def _fixed_size(array: NDArray[np.generic]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(_numbers(array.reshape(-1)), int(np.prod(array.shape[1:])))


def _numbers(array: NDArray[np.generic]) -> pa.Array:
    """``pa.array`` of a flat array, without its import of pandas, which costs each worker 0.2 s."""
    values = np.ascontiguousarray(array)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _strings(texts: Sequence[str]) -> pa.Array:
    """``pa.array`` of strings, likewise."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def _mapped(batch: pa.RecordBatch, name: str, dtype: type[Number], shape: tuple[int, ...]) -> NDArray[Number]:
    """A column as a numpy array over the mapped bytes, without a copy; ``ValueError`` if it is not of this form."""
    column = batch.column(name)
    if column.null_count:
        raise ValueError(f"column {name} holds nulls")
    values = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
    if values.type != pa.from_numpy_dtype(dtype):
        raise ValueError(f"column {name} holds {values.type} where {np.dtype(dtype)} is expected")
    # As ``to_numpy``, without its import of pandas, which costs each process 0.3 s.
    array = np.frombuffer(values.buffers()[-1], dtype, len(values), values.offset * np.dtype(dtype).itemsize)
    return cast("NDArray[Number]", array.reshape(shape))
