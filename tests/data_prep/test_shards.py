"""Arrow shards and FFCV files: the rows that were written, mapped without a copy, and damage reported."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.errors import DataSetError, RawDataError
from data_prep.files import checksum
from data_prep.manifest import FORMAT_VERSION, LabelSpec, Manifest, verify_checksums, verify_sizes
from data_prep.rows import Rows
from data_prep.shards.arrow import open_shard, open_split, write_shard
from data_prep.shards.beton import write_beton
from tests.data_prep.fixtures import TINY_ROWS, blobs, content

SHAPE = (3, 4, 5)
MANIFEST = Manifest(
    name="made_up",
    digest="0" * 16,
    image_shape=SHAPE,
    labels=(LabelSpec("smile", 2, ("no", "yes")), LabelSpec("hair", 5, tuple("abcde"))),
    factors=("width", "red"),
    splits={},
    options={},
    sources={},
    seed=0,
    rows_per_shard=64,
)


def made_up_rows(n: int = 7) -> Rows:
    generator = np.random.default_rng(n)
    return Rows(
        image=generator.integers(0, 256, (n, *SHAPE), dtype=np.uint8),
        labels=generator.integers(0, 2, (n, 2), dtype=np.uint8),
        observed=generator.random((n, 2)) < 0.5,
        reference=generator.random(n) < 0.5,
        factors=generator.random((n, 2), dtype=np.float32),
        ids=[f"número {i}.jpg" for i in range(n)],
    )


def test_a_shard_holds_the_rows_that_were_written(tmp_path: Path) -> None:
    rows, rank = made_up_rows(), np.linspace(0, 0.9, 7, dtype=np.float32)
    spec = write_shard(tmp_path / "train-00000.arrow", rows, rank)
    shard = open_shard(tmp_path / "train-00000.arrow", MANIFEST)
    for column in ("image", "labels", "observed", "reference", "factors"):
        written, read = getattr(rows, column), getattr(shard, column)
        assert read.dtype == written.dtype
        np.testing.assert_array_equal(read, written)
    np.testing.assert_array_equal(shard.supervision_rank, rank)
    assert shard.ids.to_pylist() == list(rows.ids)
    assert spec.rows == len(shard) == 7
    assert spec.bytes == (tmp_path / spec.file).stat().st_size
    assert spec.sha256 == checksum(tmp_path / spec.file)


def test_columns_are_maps_of_the_file_not_copies(tmp_path: Path) -> None:
    path = tmp_path / "shard.arrow"
    rows = made_up_rows(64)
    write_shard(path, rows, np.zeros(64, dtype=np.float32))
    shard = open_shard(path, MANIFEST)
    for column in (
        shard.image,
        shard.labels,
        shard.observed,
        shard.supervision_rank,
        shard.reference,
        shard.factors,
    ):
        assert not column.flags.owndata
        assert not column.flags.writeable
    pixels = rows.image[10].tobytes()
    place = path.read_bytes().index(pixels)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(len(pixels)))
    assert not shard.image[10].any(), "the mapped column shows what is in the file now"


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rank = np.zeros(7, dtype=np.float32)
    assert (
        write_shard(tmp_path / "a", made_up_rows(), rank).sha256
        == write_shard(tmp_path / "b", made_up_rows(), rank).sha256
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ids": ["a"] * 7}, "row a: its id occurs twice"),
        ({"ids": ["a"]}, "7 rows have 1 ids"),
        (
            {"labels": np.full((7, 2), 2, dtype=np.uint8), "observed": np.ones((7, 2), dtype=bool)},
            "label 0 has the value 2",
        ),
        ({"image": np.zeros((7, 3, 4, 4), dtype=np.uint8)}, "column image is uint8"),
        ({"factors": np.full((7, 2), np.nan, dtype=np.float32)}, "factor is not a finite number"),
    ],
)
def test_rows_that_cannot_be_written_are_refused(changes: dict[str, Any], sentence: str) -> None:
    made_up_rows().check(SHAPE, [2, 5], 2)
    with pytest.raises(RawDataError, match=sentence):
        dataclasses.replace(made_up_rows(), **changes).check(SHAPE, [2, 5], 2)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_shard_is_read_or_refused_but_nothing_else(
    tmp_path: Path, position: int, byte: int, cut: bool
) -> None:
    path = tmp_path / "shard.arrow"
    write_shard(path, made_up_rows(), np.zeros(7, dtype=np.float32))
    damaged = bytearray(path.read_bytes())
    position %= len(damaged)
    if cut:
        del damaged[position:]
    else:
        damaged[position] = byte
    path.unlink()
    path.write_bytes(damaged)
    try:
        shard = open_shard(path, MANIFEST)
    except DataSetError:
        return
    assert shard.image.shape == (len(shard), *SHAPE)
    shard.image.sum()


def test_a_tiny_split_over_its_shards_is_the_raw_files(tiny_data_set: Path) -> None:
    manifest = Manifest.load(tiny_data_set)
    shards = open_split(tiny_data_set, manifest, "train")
    images, classes = blobs(TINY_ROWS["train"], seed=0)
    np.testing.assert_array_equal(np.concatenate([s.image for s in shards])[:, 0], images)
    np.testing.assert_array_equal(np.concatenate([s.labels for s in shards])[:, 0], classes)
    with pytest.raises(DataSetError, match="no split 'valid'; it has train, test"):
        open_split(tiny_data_set, manifest, "valid")


def test_a_manifest_is_loaded_as_it_was_saved(tiny_data_set: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(tiny_data_set)
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert content(tmp_path)["manifest.json"] == content(tiny_data_set)["manifest.json"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is missing: not a prepared data set"),
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"format_version": 1}', "is damaged"),
        (f'{{"format_version": {FORMAT_VERSION + 1}}}', "format version"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataSetError, match=sentence) as caught:
        Manifest.load(tmp_path)
    assert str(tmp_path / "manifest.json") in str(caught.value)


def test_a_manifest_cannot_point_out_of_its_folder(tiny_data_set: Path, tmp_path: Path) -> None:
    record = json.loads((tiny_data_set / "manifest.json").read_text())
    record["splits"]["train"]["shards"][0]["file"] = "../secret"
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(DataSetError, match="not a plain file name"):
        Manifest.load(tmp_path)


def test_sizes_and_checksums_find_damage(tiny_data_set: Path, tmp_path: Path) -> None:
    for name, data in content(tiny_data_set).items():
        (tmp_path / name).write_bytes(data)
    manifest = Manifest.load(tmp_path)
    verify_checksums(tmp_path, manifest)
    shard = tmp_path / "test-00000.arrow"
    flipped = bytearray(shard.read_bytes())
    flipped[5000] ^= 1
    shard.write_bytes(flipped)
    verify_sizes(tmp_path, manifest)
    with pytest.raises(DataSetError, match=r"test-00000.arrow is damaged"):
        verify_checksums(tmp_path, manifest)
    shard.write_bytes(flipped[:-1])
    with pytest.raises(DataSetError, match=r"test-00000.arrow has \d+ bytes"):
        verify_sizes(tmp_path, manifest)
    shard.unlink()
    with pytest.raises(DataSetError, match=r"test-00000.arrow is missing"):
        verify_sizes(tmp_path, manifest)


@pytest.mark.ffcv
def test_ffcv_files_have_the_same_bytes_each_time(tiny_ffcv_data_set: Path) -> None:
    manifest = Manifest.load(tiny_ffcv_data_set)
    before = manifest.splits["train"].beton
    assert before is not None
    assert write_beton(tiny_ffcv_data_set, "train") == ("train", before)
    verify_checksums(tiny_ffcv_data_set, manifest)
