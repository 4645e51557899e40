"""The swiss roll: scikit-learn's points, halved as CSVAE's section 5.1 says, in both forms that a row has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import make_swiss_roll

from data_prep.manifest import Manifest, verify_checksums
from data_prep.shards.arrow import open_split
from data_prep.sources.swiss_roll import SPAN, as_coordinates, swiss_roll
from data_prep.stages import prepare
from tests.data_prep.fixtures import content


def test_points_are_those_of_scikit_learn_and_the_label_halves_the_roll() -> None:
    source = swiss_roll(None, seed=3)
    rows = source.rows("train", 0, 10_000)
    rows.check((1, 1, 3), [2], 4)
    points, position = make_swiss_roll(n_samples=10_000, random_state=3)
    np.testing.assert_array_equal(rows.factors, np.column_stack([points, position]).astype(np.float32))
    np.testing.assert_array_equal(rows.labels[:, 0], points[:, 1] > 10)
    assert 0.45 < rows.labels.mean() < 0.6
    np.testing.assert_array_equal(source.label_column("train"), rows.labels[:, 0])


def test_bytes_represent_the_points_within_half_a_step() -> None:
    for seed in range(5):
        rows = swiss_roll(None, seed=seed).rows("train", 0, 10_000)
        error = as_coordinates(rows.image.reshape(-1, 3)) - rows.factors[:, :3]
        assert np.abs(error).max() <= SPAN / 255 / 2 + 1e-5, "no point is outside the interval"
        assert rows.image.max() < 255
        assert rows.image.min() > 0


def test_test_points_differ_from_training_points(tmp_path: Path) -> None:
    source = swiss_roll(None)
    train, test = source.rows("train", 0, 10_000), source.rows("test", 0, 2_000)
    assert not set(map(bytes, train.factors)) & set(map(bytes, test.factors))
    part = source.rows("test", 500, 700)
    np.testing.assert_array_equal(part.factors, test.factors[500:700])
    assert list(part.ids) == source.ids("test")[500:700]


def test_it_is_prepared_without_raw_files_deterministically(tmp_path: Path) -> None:
    folders = [
        prepare("swiss-roll", root=tmp_path / name, workers=1, formats="arrow", progress=False)
        for name in ("one", "two")
    ]
    manifest = Manifest.load(folders[0])
    verify_checksums(folders[0], manifest)
    assert content(folders[0]) == content(folders[1])
    assert manifest.factors == ("x", "y", "z", "t")
    assert manifest.splits["train"].rows == 10_000
    (shard, *_) = open_split(folders[0], manifest, "train")
    assert shard.image.shape[1:] == (1, 1, 3)
