from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.mapped_rows import ImageFile, MappedRows


def write(
    folder: Path, counts: list[int], row_bytes: int, offsets: list[int]
) -> tuple[list[ImageFile], np.ndarray]:
    """Files of random images, each beginning at its offset, and the images together."""
    generator = np.random.default_rng(0)
    files, images = [], []
    for number, (rows, offset) in enumerate(zip(counts, offsets, strict=True)):
        content = generator.integers(0, 256, (rows, row_bytes), dtype=np.uint8)
        path = folder / f"{number}.bin"
        path.write_bytes(bytes(offset) + content.tobytes() + b"the end")
        files.append(ImageFile(path, offset, rows))
        images.append(content)
    return files, np.concatenate(images)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    row_bytes=st.sampled_from([1, 3, 784, 1000, 4096, 12_288, 27_648]),
    offset=st.sampled_from([0, 8, 448, 1000]),
)
def test_rows_of_many_files_are_rows_of_one_array(
    tmp_path: Path, counts: list[int], row_bytes: int, offset: int
) -> None:
    files, images = write(tmp_path, counts, row_bytes, [offset] * len(counts))
    rows = MappedRows(files, row_bytes)
    assert len(rows) == len(images)
    asked = np.random.default_rng(1).integers(0, len(images), 100)
    np.testing.assert_array_equal(rows.copied(rows.located(asked)), images[asked])
    everything = np.arange(len(images))
    np.testing.assert_array_equal(rows.copied(rows.located(everything)), images)


def test_images_may_begin_elsewhere_in_each_file(tmp_path: Path) -> None:
    files, images = write(tmp_path, [5, 3, 4], 49, [448, 448 + 8, 0])
    rows = MappedRows(files, 49)
    np.testing.assert_array_equal(rows.copied(rows.located(np.arange(12))), images)
    with pytest.raises(OSError, match="cannot be aligned"):
        MappedRows(write(tmp_path, [5, 3], 4096, [448, 449])[0], 4096)


@pytest.mark.parametrize("row", [-1, 8, 10**12])
def test_a_missing_row_is_refused_and_memory_between_files_is_not_touched(tmp_path: Path, row: int) -> None:
    rows = MappedRows(write(tmp_path, [5, 3], 1000, [8, 8])[0], 1000)
    with pytest.raises(IndexError, match="where there are 8"):
        rows.located(np.array([0, row]))


def test_a_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    files, _ = write(tmp_path, [5, 3], 1000, [8, 8])
    files[1].path.write_bytes(bytes(2000))
    with pytest.raises(OSError, match=r"1\.bin is shorter than its 3 images"):
        MappedRows(files, 1000)


def test_addresses_are_unmapped(tmp_path: Path) -> None:
    files, images = write(tmp_path, [5, 3], 1000, [8, 8])

    def mappings() -> int:
        return Path("/proc/self/maps").read_text().count(str(tmp_path))

    rows = MappedRows(files, 1000)
    kept = rows.copied(rows.located(np.arange(8)))
    assert mappings() == 2
    del rows
    gc.collect()
    assert mappings() == 0
    np.testing.assert_array_equal(kept, images)
