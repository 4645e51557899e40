"""FFCV files: a copy of the rows of a split's Arrow shards in one ``.beton``.

The file is written here and not by FFCV's own writer, which hangs when one of its processes dies, writes different bytes
from run to run with two of them, does not check for write errors, and needs 440 MB for its imports alone and
more with each row. A test compares these files with those of FFCV's writer. The format, version 2, all little-endian:

- header: version, number of fields, size of a page, number of rows, offset of the table of regions;
- a description of each field: kind, name, and of an array its shape and type;
- the metadata, one record per row: numbers themselves, and of an array its offset in the file;
- pages of one size, which begin at a multiple of it: the arrays of a row follow one another within one page;
- the table of regions: row, offset and bytes of each array.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import DataSetError
from data_prep.files import atomic_path, checksum
from data_prep.manifest import Manifest, ShardSpec, verify_file
from data_prep.shards.arrow import Shard, open_shard

INSTALL_FFCV = (
    "FFCV is not installed; with a C++ compiler, pkg-config and the headers of OpenCV and libjpeg-turbo there, "
    "\"pip install 'traitvae[ffcv]' && pip install --no-deps ffcv==1.0.2\" installs it ('make demo' does all that)"
)

_VERSION = 2
_PAGE_SIZE = 1 << 21
_LONGEST_NAME = 16
_MOST_DIMENSIONS = 32
_KINDS = {"float": 0, "int": 1, "array": 4}
_HEADER = np.dtype(
    [("version", "<u2"), ("fields", "<u2"), ("page_size", "<u4"), ("rows", "<u8"), ("regions_at", "<u8")]
)
_FIELD = np.dtype([("kind", "u1"), ("name", "u1", _LONGEST_NAME), ("arguments", "u1", 1024)])
_ARRAY = np.dtype([("shape", "<u8", _MOST_DIMENSIONS), ("type_length", "<u8")])
_REGION = np.dtype([("row", "<u8"), ("place", "<u8"), ("bytes", "<u8")])


def ffcv_is_installed() -> bool:
    """Whether a package of this name is installed; whether it works shows only on import, which takes seconds."""
    return importlib.util.find_spec("ffcv") is not None


def write_beton(folder: Path, split: str) -> tuple[str, ShardSpec]:
    """Write ``<split>.beton`` next to the verified Arrow shards; returns the split and the file's entry.

    Fields: image uint8 (C, H, W), labels and observed uint8 (L,), supervision_rank float, reference int, factors
    float32 (F,) if there are any. Deterministic. One shard is mapped at a time, so memory does
    not grow with their number.
    """
    manifest = Manifest.load(folder)
    specs = manifest.splits[split].shards
    for spec in specs:
        verify_file(folder, spec)
    path, rows = folder / f"{split}.beton", sum(spec.rows for spec in specs)
    if not rows:
        raise DataSetError(f"{split} of {folder} has no rows, and FFCV cannot hold an empty split")
    layout = _Layout(manifest, rows)

    def shards() -> Iterator[tuple[int, Shard]]:
        first = 0
        for spec in specs:
            yield first, open_shard(folder / spec.file, manifest)
            first += spec.rows

    with atomic_path(path) as partial:
        with partial.open("xb") as file:
            file.write(layout.head())
            for first, shard in shards():
                file.write(layout.metadata(first, shard).tobytes())
            file.write(bytes(layout.pages_at - file.tell()))
            _write_pages(file, layout, shards())
            for first, shard in shards():
                file.write(layout.regions(first, len(shard)).tobytes())
        entry = ShardSpec(path.name, rows, partial.stat().st_size, checksum(partial))
    return split, entry


@dataclass(frozen=True)
class _Layout:
    """Offsets of everything in the file."""

    manifest: Manifest
    rows: int

    @cached_property
    def arrays(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """The array fields in the order in which a row's are stored in a page: name → type and shape."""
        labels = (len(self.manifest.labels),)
        named: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            "image": (np.dtype("u1"), self.manifest.image_shape),
            "labels": (np.dtype("u1"), labels),
            "observed": (np.dtype("u1"), labels),
        }
        if self.manifest.factors:
            named["factors"] = (np.dtype("<f4"), (len(self.manifest.factors),))
        return named

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Bytes of a row's arrays (k,)."""
        return np.array([kind.itemsize * int(np.prod(shape)) for kind, shape in self.arrays.values()])

    @cached_property
    def row_bytes(self) -> int:
        return int(self.sizes.sum())

    @cached_property
    def page_size(self) -> int:
        return max(_PAGE_SIZE, 1 << (self.row_bytes - 1).bit_length())

    @cached_property
    def rows_per_page(self) -> int:
        return self.page_size // self.row_bytes

    @cached_property
    def fields(self) -> list[str]:
        """All fields in the order of the file."""
        scalars = ["supervision_rank", "reference"]
        return ["image", "labels", "observed", *scalars, *(["factors"] if "factors" in self.arrays else [])]

    @cached_property
    def record(self) -> np.dtype[Any]:
        """A row's metadata."""
        numbers = {"supervision_rank": "<f8", "reference": "<i8"}
        return np.dtype([(name, numbers.get(name, "<u8")) for name in self.fields])

    @cached_property
    def pages_at(self) -> int:
        head = _HEADER.itemsize + len(self.fields) * _FIELD.itemsize + self.rows * self.record.itemsize
        return -(-head // self.page_size) * self.page_size

    @cached_property
    def regions_at(self) -> int:
        return self.pages_at + -(-self.rows // self.rows_per_page) * self.page_size

    def head(self) -> bytes:
        """The header and the descriptions of the fields."""
        header = np.array(
            [(_VERSION, len(self.fields), self.page_size, self.rows, self.regions_at)], dtype=_HEADER
        )
        described = np.zeros(len(self.fields), dtype=_FIELD)
        for field, name in zip(described, self.fields, strict=True):
            assert len(name) <= _LONGEST_NAME, "FFCV truncates longer ones silently"
            field["name"][: len(name)] = np.frombuffer(name.encode(), dtype=np.uint8)
            field["kind"] = _KINDS[{"supervision_rank": "float", "reference": "int"}.get(name, "array")]
            if name in self.arrays:
                arguments = _array_arguments(*self.arrays[name])
                field["arguments"][: len(arguments)] = arguments
        return header.tobytes() + described.tobytes()

    def places(self, first: int, count: int) -> NDArray[np.int64]:
        """Offsets (count, k) of the arrays of ``count`` rows from ``first``."""
        page, slot = np.divmod(np.arange(first, first + count), self.rows_per_page)
        row = self.pages_at + page * self.page_size + slot * self.row_bytes
        return row[:, None] + (np.cumsum(self.sizes) - self.sizes)

    def metadata(self, first: int, shard: Shard) -> NDArray[Any]:
        """The records of a shard whose first row is number ``first``."""
        records, places = np.zeros(len(shard), dtype=self.record), self.places(first, len(shard))
        for column, name in enumerate(self.arrays):
            records[name] = places[:, column]
        records["supervision_rank"], records["reference"] = shard.supervision_rank, shard.reference
        return records

    def regions(self, first: int, count: int) -> NDArray[Any]:
        """The table's entries of ``count`` rows from ``first``."""
        table = np.zeros((count, len(self.sizes)), dtype=_REGION)
        table["row"] = np.arange(first, first + count)[:, None]
        table["place"], table["bytes"] = self.places(first, count), self.sizes
        return table.reshape(-1)

    def packed(self, shard: Shard, start: int, stop: int) -> NDArray[np.uint8]:
        """The arrays of some rows, concatenated: (rows, bytes of a row)."""
        parts = [
            np.ascontiguousarray(getattr(shard, name)[start:stop]).reshape(stop - start, -1).view(np.uint8)
            for name in self.arrays
        ]
        return np.concatenate(parts, axis=1)


def _write_pages(file: BinaryIO, layout: _Layout, shards: Iterator[tuple[int, Shard]]) -> None:
    per_page, filled = layout.rows_per_page, 0
    page = np.zeros(layout.page_size, dtype=np.uint8)
    slots = page[: per_page * layout.row_bytes].reshape(per_page, layout.row_bytes)
    for _, shard in shards:
        start = 0
        while start < len(shard):
            stop = min(start + per_page - filled, len(shard))
            slots[filled : filled + stop - start] = layout.packed(shard, start, stop)
            filled, start = filled + stop - start, stop
            if filled == per_page:
                file.write(page.data)
                filled = 0
    if filled:
        slots[filled:] = 0
        file.write(page.data)


def _array_arguments(kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    described = json.dumps(kind.descr).encode()
    arguments = np.zeros(1, dtype=_ARRAY)
    arguments["shape"][0, : len(shape)], arguments["type_length"] = shape, len(described)
    return np.concatenate([arguments.view(np.uint8), np.frombuffer(described, dtype=np.uint8)])
