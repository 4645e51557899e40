"""Rb-VAE's styles: what each factor does to a picture, and which rows make up the data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, maximum_filter

from data_prep import sources
from data_prep.manifest import Manifest, verify_checksums
from data_prep.progress import Progress
from data_prep.shards.arrow import open_split
from data_prep.sources.digit_styles import UNCHANGED, Style, edges, style_of, styled
from data_prep.sources.idx_images import IdxImages
from data_prep.sources.mnist import idx_folder
from data_prep.sources.transformed_mnist import StyledImages, transformed_mnist
from data_prep.stages import prepare
from tests.data_prep.fixtures import content

WHITE = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def source(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> StyledImages:
    plain = idx_folder(tiny_raw)
    return StyledImages(images="own", plain=plain).verified(
        tmp_path_factory.mktemp("work"), Progress(shown=False)
    )


def disc() -> NDArray[np.uint8]:
    y, x = np.mgrid[:28, :28] - 13.5
    return np.where(x**2 + y**2 < 81, 255, 0).astype(np.uint8)


def test_edges_are_the_outline_one_pixel_wide() -> None:
    lines = edges(disc())
    assert lines.shape == (64, 64)
    assert set(np.unique(lines)) == {0, 255}
    filled = np.zeros((64, 64), dtype=bool)
    y, x = np.mgrid[:64, :64] - 31.5
    inner, outer = np.hypot(x, y) < 18, np.hypot(x, y) > 23
    assert not lines[inner].any()
    assert not lines[outer].any()
    filled = np.hypot(x, y) <= np.hypot(x, y)[lines > 0].max()
    assert (lines > 0).sum() < 1.3 * (filled & ~binary_erosion(filled)).sum()
    np.testing.assert_array_equal(lines, np.flip(lines, axis=0))


def test_dark_clothes_keep_their_outline_despite_one_bright_button() -> None:
    dress = disc() // 8
    with_button = dress.copy()
    with_button[13:15, 13:15] = 255
    assert edges(dress).sum() <= edges(with_button).sum()
    assert (edges(with_button)[edges(dress) > 0] > 0).all()


def test_an_empty_picture_has_no_edges() -> None:
    assert not edges(np.zeros((28, 28), dtype=np.uint8)).any()


@pytest.mark.parametrize("width", range(1, 11))
def test_width_is_a_dilation_with_a_square_kernel(width: int) -> None:
    lines = edges(disc())
    found = styled(lines, Style(width=width, colour=WHITE, size=1.0))
    np.testing.assert_array_equal(found[0], maximum_filter(lines, size=width, mode="constant"))
    line = np.zeros((64, 64), dtype=np.uint8)
    line[32] = 255
    wide = styled(line, Style(width=width, colour=WHITE, size=1.0))
    assert (wide[0, :, 32] == 255).sum() == width


def test_colour_multiplies_each_channel() -> None:
    lines = edges(disc())
    image = styled(lines, Style(width=3, colour=(0.5, 0.2, 0.3), size=1.0))
    assert [int(image[c].max()) for c in range(3)] == [128, 51, 76]
    assert ((image[0] > 0) == (styled(lines, Style(width=3, colour=WHITE, size=1.0))[0] > 0)).all()


@pytest.mark.parametrize("size", [0.5, 0.61803, 0.75, 0.999, 1.0])
def test_size_shrinks_around_the_centre_by_the_exact_factor(size: float) -> None:
    square = np.zeros((64, 64), dtype=np.uint8)
    square[8:56, 8:56] = 255
    image = styled(square, Style(width=1, colour=WHITE, size=size))[0].astype(float)
    assert image.sum() / 255 == pytest.approx((48 * size) ** 2, rel=0.01)
    np.testing.assert_array_equal(image, np.flip(image, axis=(0, 1)))
    whole = styled(np.full((64, 64), 255, np.uint8), Style(width=1, colour=WHITE, size=size))[0]
    assert (whole[0, 0] == 0) == (size < 0.98), "the border around the shrunk picture is black"


def test_the_plain_style_leaves_the_edges_unchanged() -> None:
    lines = edges(disc())
    np.testing.assert_array_equal(styled(lines, UNCHANGED), np.stack([lines] * 3))


def test_styles_have_the_distributions_of_the_paper() -> None:
    styles = [style_of(0, f"row {i}") for i in range(20_000)]
    counts = np.bincount([s.width for s in styles], minlength=11)
    assert counts[0] == 0
    assert np.abs(counts[1:] / 20_000 - 0.1).max() < 0.01
    sizes = np.array([s.size for s in styles])
    assert 0.5 <= sizes.min() < 0.501
    assert 0.999 < sizes.max() <= 1
    np.testing.assert_allclose(np.histogram(sizes, bins=10, range=(0.5, 1))[0] / 20_000, 0.1, atol=0.01)
    colours = np.array([s.colour for s in styles])
    np.testing.assert_allclose(colours.sum(axis=1), 1, atol=1e-12)
    uniform = np.random.default_rng(0).random((200_000, 3))
    expected = np.quantile(uniform / uniform.sum(axis=1, keepdims=True), [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(np.quantile(colours, [0.1, 0.5, 0.9], axis=0), expected, atol=0.01)


def test_a_style_depends_on_seed_and_id_only() -> None:
    assert style_of(0, "train-000001-style-1") == style_of(0, "train-000001-style-1")
    others = {style_of(1, "train-000001-style-1"), style_of(0, "train-000001-style-2")}
    assert len(others | {style_of(0, "train-000001-style-1")}) == 3


def test_half_of_the_images_are_references_and_the_others_occur_twice(source: StyledImages) -> None:
    assert dict(source.splits()) == {"train": 900, "probe": 100, "test": 100}
    rows = source.rows("train", 0, 900)
    rows.check((3, 64, 64), [10], 5)
    raw_image = np.array([int(row_id.split("-")[1]) for row_id in rows.ids])
    references, styled_images = raw_image[rows.reference], raw_image[~rows.reference]
    assert len(set(references)) == len(references) == 300
    assert sorted(np.bincount(styled_images)[np.unique(styled_images)]) == [2] * 300
    assert not set(references) & set(styled_images)
    assert (rows.factors[rows.reference] == [1, 1, 1, 1, 1]).all()
    assert len(np.unique(rows.factors[~rows.reference], axis=0)) == 600
    assert rows.observed.all()
    assert list(rows.ids) == source.ids("train")
    np.testing.assert_array_equal(rows.labels[:, 0], source.label_column("train"))


def test_probe_sets_are_disjoint_halves_of_the_test_images(source: StyledImages) -> None:
    images = {split: {i.split("-")[1] for i in source.ids(split)} for split in ("probe", "test")}
    assert not images["probe"] & images["test"]
    assert len(images["probe"] | images["test"]) == 200
    assert not source.rows("probe", 0, 100).reference.any()


def test_a_row_is_its_raw_image_in_its_style(source: StyledImages) -> None:
    for split in source.splits():
        rows = source.rows(split, 30, 60)
        raw = source.plain.rows("train" if split == "train" else "test", 0, source.plain.splits()["test"])
        for i, row_id in enumerate(rows.ids):
            image = int(row_id.split("-")[1])
            style = UNCHANGED if rows.reference[i] else style_of(0, row_id)
            np.testing.assert_array_equal(rows.image[i], styled(edges(raw.image[image, 0]), style))
            assert rows.labels[i] == raw.labels[image]
            np.testing.assert_array_equal(rows.factors[i], np.asarray(style.factors, dtype=np.float32))


def test_the_result_does_not_depend_on_how_rows_are_cut_into_shards(source: StyledImages) -> None:
    whole = source.rows("train", 0, 200)
    parts = [source.rows("train", start, start + 50) for start in range(0, 200, 50)]
    np.testing.assert_array_equal(np.concatenate([p.image for p in parts]), whole.image)


def test_smaller_pictures_are_means_of_blocks_of_the_same_ones(source: StyledImages) -> None:
    small = replace(source, side=16).rows("probe", 0, 20)
    small.check((3, 16, 16), [10], 5)
    large = source.rows("probe", 0, 20)
    blocks = large.image.astype(float).reshape(20, 3, 16, 4, 16, 4).mean((3, 5))
    assert np.abs(small.image - blocks).max() <= 0.5
    assert (small.factors == large.factors).all()
    assert transformed_mnist(None, side=16).options == {"images": "mnist", "seed": 0, "side": 16}
    assert transformed_mnist(None, side=16).image_shape() == (3, 16, 16)


def test_clothes_are_an_option() -> None:
    digits, clothes = transformed_mnist(None), transformed_mnist(None, images="fashion_mnist")
    assert digits.options == {"images": "mnist", "seed": 0}
    assert clothes.options == {"images": "fashion_mnist", "seed": 0}
    assert clothes.labels()[0].values[0] == "T-shirt/top"
    assert digits.checksums() != clothes.checksums()


def test_prepared_data_hold_factors_and_reference_flags(
    tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(raw: Path | None) -> StyledImages:
        plain: IdxImages = idx_folder(raw)
        return StyledImages(images="own", plain=plain)

    monkeypatch.setitem(sources.SOURCES, "transformed_mnist", tiny)

    def prepared(root: Path) -> Path:
        return prepare(
            "transformed_mnist", raw=tiny_raw, root=root, workers=1, formats="arrow", progress=False
        )

    folder = prepared(tmp_path / "one")
    manifest = Manifest.load(folder)
    verify_checksums(folder, manifest)
    assert manifest.factors == ("width", "red", "green", "blue", "size")
    assert manifest.options == {"images": "own", "seed": 0}
    assert sum(shard.reference.sum() for shard in open_split(folder, manifest, "train")) == 300
    assert content(folder) == content(prepared(tmp_path / "two"))
