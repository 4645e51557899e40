"""A part of a source: its share of each split and class, the smaller inside the larger, and only on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from data_prep.manifest import Manifest
from data_prep.shards.arrow import open_split
from data_prep.sources import SOURCES, settable_options, source_named
from data_prep.sources.options import option_names
from data_prep.sources.part import shares
from tests.data_prep.fixtures import prepared


def test_a_part_keeps_the_shares_of_splits_and_classes(tiny_raw: Path, tmp_path: Path) -> None:
    whole = prepared("idx_folder", tiny_raw, tmp_path / "out")
    images: dict[str, Any] = {}
    for split in ("train", "test"):
        for shard in open_split(whole, Manifest.load(whole), split):
            images |= dict(zip(shard.ids, shard.image, strict=True))
    folders = [prepared("idx_folder", tiny_raw, tmp_path / "out", options={"count": n}) for n in (80, 400)]
    found = []
    for folder, count in zip(folders, (80, 400), strict=True):
        manifest = Manifest.load(folder)
        assert manifest.options == {"count": count, "count_seed": 0}
        assert {split: s.rows for split, s in manifest.splits.items()} == {
            "train": count * 3 // 4,
            "test": count // 4,
        }
        (shard,) = open_split(folder, manifest, "train")
        assert np.bincount(shard.labels[:, 0]).tolist() == [count * 3 // 40] * 10
        for row_id, image in zip(shard.ids, shard.image, strict=True):
            np.testing.assert_array_equal(image, images[row_id])
        found.append(set(shard.ids))
    assert found[0] < found[1]
    other = source_named("idx_folder", tiny_raw, {"count": 80, "count_seed": 1})
    assert set(other.ids("train")) != found[0]


def test_every_source_takes_a_part_and_is_unchanged_without_one() -> None:
    for name, make in SOURCES.items():
        assert "count" in option_names(make)
        source = source_named(name, None, {"count": 50})
        assert source.options["count"] == 50
        assert settable_options(source)["count"] == 50
        if not name.startswith("drawn"):
            assert "count" not in source_named(name).options


def test_a_part_larger_than_the_source_and_a_seed_without_a_part_are_refused(tiny_raw: Path) -> None:
    with pytest.raises(ConfigError, match="count is 900, but there are 800 rows in 2 splits"):
        source_named("idx_folder", tiny_raw, {"count": 900}).splits()
    with pytest.raises(ConfigError, match="at least 1"):
        source_named("mnist", None, {"count": 0})
    with pytest.raises(ConfigError, match="give count"):
        source_named("mnist", None, {"count_seed": 1})


@given(sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=6), data=st.data())
def test_shares_are_proportional_and_add_up(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(len(sizes), sum(sizes)))
    found = shares(sizes, count)
    assert sum(found) == count
    assert min(found) >= 1
    assert all(share <= size for share, size in zip(found, sizes, strict=True))
