"""FFCV files: written with little memory, and identical to those of FFCV's own writer."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.errors import DataSetError
from data_prep.manifest import LabelSpec, Manifest, SplitSpec, verify_checksums
from data_prep.rows import Rows
from data_prep.shards.arrow import open_split, write_shard
from data_prep.shards.beton import write_beton

SHAPE = (3, 4, 5)
ROWS = (20_000, 20_000, 1)
"""Rows of each shard, such that the first page ends within the second shard."""

BY_FFCV = """
import sys
from pathlib import Path
import numpy as np
from ffcv.fields import FloatField, IntField, NDArrayField
from ffcv.writer import DatasetWriter
from data_prep.manifest import Manifest
from data_prep.shards.arrow import open_split

folder = Path(sys.argv[1])
manifest = Manifest.load(folder)
columns = ["image", "labels", "observed", "supervision_rank", "reference", "factors"]
shards = open_split(folder, manifest, "train")
values = [np.concatenate([getattr(shard, name) for shard in shards]) for name in columns]
values[2] = values[2].astype(np.uint8)
fields = [NDArrayField(np.dtype("u1"), v.shape[1:]) for v in values[:3]] + [FloatField(), IntField()]
fields.append(NDArrayField(np.dtype("<f4"), values[5].shape[1:]))
writer = DatasetWriter(sys.argv[2], dict(zip(columns, fields)), page_size=1 << 21, num_workers=1)
writer.from_indexed_dataset([tuple(v[i] for v in values) for i in range(len(values[0]))])
"""


def made_up(folder: Path, rows_of_shards: tuple[int, ...] = ROWS) -> Manifest:
    """A data set of random rows with factors, in several shards."""
    generator, shards = np.random.default_rng(0), []
    for number, n in enumerate(rows_of_shards):
        rows = Rows(
            image=generator.integers(0, 256, (n, *SHAPE), dtype=np.uint8),
            labels=generator.integers(0, 2, (n, 2), dtype=np.uint8),
            observed=generator.random((n, 2)) < 0.5,
            reference=generator.random(n) < 0.5,
            factors=generator.random((n, 2), dtype=np.float32),
            ids=[f"{number}-{i}" for i in range(n)],
        )
        rank = generator.random(n, dtype=np.float32)
        shards.append(write_shard(folder / f"train-{number:05d}.arrow", rows, rank))
    split = SplitSpec("train", sum(rows_of_shards), tuple(shards), None, ((0.5, 0.5),) * 2, {})
    manifest = Manifest(
        name="made_up", digest="0" * 16, image_shape=SHAPE, factors=("width", "red"), splits={"train": split},
        labels=(LabelSpec("smile", 2, ("no", "yes")), LabelSpec("hat", 2, ("no", "yes"))), options={}, sources={},
        seed=0, rows_per_shard=20_000,
    )  # fmt: skip
    manifest.save(folder)
    return manifest


@pytest.mark.ffcv
@pytest.mark.timeout(300)
def test_the_file_is_the_one_that_ffcvs_own_writer_makes(tmp_path: Path) -> None:
    pytest.importorskip("ffcv", reason="FFCV is not installed", exc_type=ImportError)
    made_up(tmp_path)
    write_beton(tmp_path, "train")
    command = [sys.executable, "-c", BY_FFCV, str(tmp_path), str(tmp_path / "theirs.beton")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], capture_output=True, timeout=280)
    ours, theirs = (np.fromfile(tmp_path / f"{name}.beton", dtype=np.uint8) for name in ("train", "theirs"))
    row_bytes, page = 60 + 2 + 2 + 8, 1 << 21
    used = page // row_bytes * row_bytes
    # After the last complete row of a full page FFCV leaves the beginning of the next row, which nobody reads.
    first_page = next(
        start for start in range(page, len(ours), page) if start > 24 + 6 * 1041 + 48 * sum(ROWS)
    )
    theirs[first_page + used : first_page + page] = 0
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.ffcv
def test_ffcvs_reader_finds_every_column(tiny_ffcv_data_set: Path) -> None:
    from ffcv.reader import Reader

    manifest = Manifest.load(tiny_ffcv_data_set)
    reader = Reader(str(tiny_ffcv_data_set / "test.beton"))
    file = np.fromfile(tiny_ffcv_data_set / "test.beton", dtype=np.uint8)
    shards = open_split(tiny_ffcv_data_set, manifest, "test")
    assert reader.field_names == ["image", "labels", "observed", "supervision_rank", "reference"]
    size = {"image": 784, "labels": 1, "observed": 1}
    for field, name in enumerate(reader.field_names):
        expected = np.concatenate([getattr(s, name) for s in shards])
        expected = expected.reshape(len(expected), -1)
        found = reader.metadata[f"f{field}"]
        if name in size:
            found = file[found[:, None].astype(np.int64) + np.arange(size[name])]
        np.testing.assert_array_equal(found.reshape(expected.shape), expected, err_msg=name)


def test_the_same_shards_give_the_same_bytes(tmp_path: Path) -> None:
    manifest = made_up(tmp_path)
    _, first = write_beton(tmp_path, "train")
    assert write_beton(tmp_path, "train") == ("train", first)
    split = dataclasses.replace(manifest.splits["train"], beton=first)
    verify_checksums(tmp_path, dataclasses.replace(manifest, splits={"train": split}))


def test_an_empty_split_and_a_damaged_shard_are_refused(tmp_path: Path) -> None:
    made_up(tmp_path, (0,))
    with pytest.raises(DataSetError, match="has no rows, and FFCV cannot hold"):
        write_beton(tmp_path, "train")
    made_up(tmp_path)
    shard = tmp_path / "train-00001.arrow"
    damaged = bytearray(shard.read_bytes())
    damaged[-5000] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(DataSetError, match=r"train-00001.arrow is damaged"):
        write_beton(tmp_path, "train")
    assert not list(tmp_path.glob("*beton*"))
