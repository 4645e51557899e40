"""DIVA's rotated digits: which images are chosen, how they are rotated, and which rotation is held out for testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep import sources
from data_prep.errors import ConfigError
from data_prep.manifest import LabelSpec, Manifest, content_digest, verify_checksums
from data_prep.progress import Progress
from data_prep.sources import settable_options, source_named
from data_prep.sources.mnist import idx_folder
from data_prep.sources.rotated_mnist import RotatedImages, rotated, rotated_mnist
from data_prep.stages import prepare
from tests.data_prep.fixtures import blobs, content

ANGLES = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0)
PER_CLASS = 20


@pytest.fixture(scope="module")
def plain_raw(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    idx_folder(tiny_raw).verified(folder, Progress(shown=False))
    return folder


def source(plain_raw: Path, **options: Any) -> RotatedImages:
    return RotatedImages(plain=idx_folder(plain_raw), **{"per_class": PER_CLASS, **options})


def raw_images(ids: list[str]) -> list[int]:
    return [int(row_id.split("-")[1]) for row_id in ids]


def test_a_quarter_turn_is_counter_clockwise_and_loses_nothing() -> None:
    image = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    np.testing.assert_array_equal(rotated(image, 90.0), np.rot90(image))
    np.testing.assert_array_equal(rotated(image, 0.0), image)


@pytest.mark.parametrize("degrees", [15.0, 45.0, 75.0])
def test_a_rotated_line_has_the_right_direction_and_no_new_grey_values(degrees: float) -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[13:15, 14:26] = 200  # from the centre to the right
    turned = rotated(image, degrees)
    assert set(np.unique(turned)) == {0, 200}
    y, x = np.nonzero(turned)
    angle = np.degrees(np.arctan2(13.5 - y.mean(), x.mean() - 13.5))
    assert angle == pytest.approx(degrees, abs=2)
    assert (turned > 0).sum() == pytest.approx((image > 0).sum(), rel=0.15)


def test_each_chosen_image_occurs_in_every_rotation_but_the_one_held_out(plain_raw: Path) -> None:
    found = source(plain_raw)
    assert dict(found.splits()) == {"train": 10 * PER_CLASS * 5, "test": 10 * PER_CLASS}
    train, test = found.rows("train", 0, 1000), found.rows("test", 0, 200)
    train.check((1, 28, 28), [10, 5], 0)
    test.check((1, 28, 28), [10, 5], 0)
    assert (np.bincount(test.labels[:, 0]) == PER_CLASS).all()
    images, classes = blobs(600, seed=0)
    for rows, angles in ((train, ANGLES[:5]), (test, ANGLES[5:])):
        for row, image in enumerate(raw_images(list(rows.ids))):
            turn = int(rows.labels[row, 1])
            np.testing.assert_array_equal(rows.image[row, 0], rotated(images[image], angles[turn]))
            assert rows.labels[row, 0] == classes[image]
            assert rows.ids[row].endswith(f"-rotated-{angles[turn]:g}")
    assert set(raw_images(list(train.ids))) == set(raw_images(list(test.ids)))
    assert len(set(train.ids) | set(test.ids)) == 1200
    for split, rows in (("train", train), ("test", test)):
        assert list(rows.ids) == found.ids(split)
        np.testing.assert_array_equal(rows.labels[:, 0], found.label_column(split))


def test_the_domain_is_observed_in_the_training_rows_only(plain_raw: Path) -> None:
    found = source(plain_raw, held_out=30.0)
    assert found.labels()[1] == LabelSpec(
        "domain", 5, ("0 degrees", "15 degrees", "45 degrees", "60 degrees", "75 degrees")
    )
    train, test = found.rows("train", 0, 1000), found.rows("test", 0, 200)
    assert train.observed.all()
    assert (np.bincount(train.labels[:, 1]) == 10 * PER_CLASS).all()
    assert test.observed[:, 0].all()
    assert not test.observed[:, 1].any()
    assert (test.labels[:, 1] == 0).all()
    assert all(row_id.endswith("-rotated-30") for row_id in test.ids)


def test_only_the_seed_chooses_the_images(plain_raw: Path) -> None:
    chosen = {
        (seed, held_out): frozenset(raw_images(source(plain_raw, seed=seed, held_out=held_out).ids("test")))
        for seed in (0, 1)
        for held_out in (0.0, 75.0)
    }
    assert chosen[0, 0.0] == chosen[0, 75.0]
    assert chosen[1, 0.0] == chosen[1, 75.0]
    assert len(chosen[0, 0.0] & chosen[1, 0.0]) < 0.7 * 10 * PER_CLASS
    fewer = frozenset(raw_images(source(plain_raw, per_class=5).ids("test")))
    assert len(fewer) == 50
    assert fewer < chosen[0, 75.0]


def test_the_result_does_not_depend_on_how_rows_are_cut_into_shards(plain_raw: Path) -> None:
    found = source(plain_raw)
    whole = found.rows("train", 0, 1000)
    parts = [found.rows("train", start, min(start + 64, 1000)) for start in range(0, 1000, 64)]
    np.testing.assert_array_equal(np.concatenate([part.image for part in parts]), whole.image)
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), whole.labels)
    assert [row_id for part in parts for row_id in part.ids] == whole.ids


def test_every_option_makes_another_data_set() -> None:
    def digest(**options: Any) -> str:
        made = source_named("rotated_mnist", options=options)
        assert dict(source_named("rotated_mnist", options=settable_options(made)).options) == dict(
            made.options
        )
        return content_digest(
            name=made.name, options=made.options, sources=made.checksums(), seed=0, rows_per_shard=1000
        )

    others = [
        {"per_class": "50"},
        {"angles": "0,15,30,45,60,75,90"},
        {"held_out": "0"},
        {"seed": "3"},
        {"angles": "15,0,30,45,60,75"},
    ]
    assert len({digest(), *(digest(**options) for options in others)}) == 6
    assert digest(angles=" 0, 15.0,30,45,60,75", held_out="75.0", per_class="100") == digest()
    assert rotated_mnist(None).image_shape() == (1, 28, 28)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"angles": "0,15,x"},
            "angles is '0,15,x', but comma-separated degrees are expected: 0,15,30",
        ),
        ({"angles": "0,15,15,75"}, "angles is 0,15,15,75; each rotation may occur only once"),
        ({"angles": "0,360,75"}, "angles is 0,360,75; each rotation may occur only once"),
        (
            {"angles": "0,75"},
            "angles is 0,75; at least two domains to train on and one to hold out are needed",
        ),
        ({"held_out": 20.0}, "held_out is 20, which is none of 0,15,30,45,60,75"),
        ({"per_class": 0}, "per_class is 0; it must be at least 1"),
    ],
)
def test_meaningless_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^rotated_mnist: {sentence}$"):
        rotated_mnist(None, **options)


def test_more_images_than_a_class_has_are_refused_with_its_name(plain_raw: Path) -> None:
    with pytest.raises(ConfigError, match=r"per_class is 61, but there are only 60 images of class 0$"):
        source(plain_raw, per_class=61).splits()


def test_prepared_data_hold_both_labels_and_are_the_same_each_time(
    tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(raw: Path | None) -> RotatedImages:
        return RotatedImages(plain=idx_folder(raw), per_class=PER_CLASS)

    monkeypatch.setitem(sources.SOURCES, "rotated_mnist", tiny)

    def prepared(root: Path) -> Path:
        return prepare("rotated_mnist", raw=tiny_raw, root=root, workers=1, formats="arrow", progress=False)

    folder = prepared(tmp_path / "one")
    manifest = Manifest.load(folder)
    verify_checksums(folder, manifest)
    assert [label.name for label in manifest.labels] == ["class", "domain"]
    assert manifest.splits["train"].label_frequencies[1] == pytest.approx([0.2] * 5)
    assert manifest.splits["test"].label_frequencies[1] == (0.0,) * 5
    assert content(folder) == content(prepared(tmp_path / "two"))
