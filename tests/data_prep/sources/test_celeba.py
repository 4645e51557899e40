"""CelebA and its subsets: what is read from the lists and pictures, in all their usual forms."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.celeba_names import ATTRIBUTES, CCVAE_LABELS
from data_prep.decode import decode_picture
from data_prep.files import checksum
from data_prep.manifest import Manifest
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources import source_named
from data_prep.sources.celeba import HAIR, MD5
from data_prep.stages import prepare
from tests.data_prep.fixtures import content, prepared
from tests.data_prep.sources.raw_pictures import (
    jpeg,
    partition_of,
    picture_name,
    shown_attributes,
    write_celeba,
    write_kaggle_archive,
    write_zip,
)

QUIET = Progress(shown=False)
ROWS = 40


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celeba(tmp_path_factory.mktemp("celeba"), ROWS)


def all_rows(name: str, raw: Path, scratch: Path) -> dict[str, Rows]:
    source = source_named(name, raw).verified(scratch, QUIET)
    return {split: source.rows(split, 0, count) for split, count in source.splits().items()}


def column(attribute: str) -> NDArray[np.bool_]:
    return shown_attributes(ROWS)[:, ATTRIBUTES.index(attribute)]


def numbers(rows: Rows) -> list[int]:
    return [int(name.removesuffix(".jpg")) - 1 for name in rows.ids]


def test_rows_are_the_pictures_and_the_18_labels_of_ccvae(raw: Path, tmp_path: Path) -> None:
    source, partition = source_named("celeba", raw), partition_of(ROWS)
    assert [label.name for label in source.labels()] == list(CCVAE_LABELS)
    assert len(CCVAE_LABELS) == 18
    for number, (split, rows) in enumerate(all_rows("celeba", raw, tmp_path).items()):
        members = np.flatnonzero(partition == number)
        assert split == ("train", "valid", "test")[number]
        assert list(rows.ids) == [picture_name(int(i)) for i in members]
        for position, label in enumerate(CCVAE_LABELS):
            np.testing.assert_array_equal(rows.labels[:, position], column(label)[members])
        for image, i in zip(rows.image, members, strict=True):
            np.testing.assert_array_equal(
                image, decode_picture(jpeg(218, 178, int(i)), mode="RGB", size=(64, 64))
            )
        assert rows.observed.all()
        rows.check((3, 64, 64), [2] * 18, 0)


def test_every_form_of_the_raw_files_gives_the_same_data_set(raw: Path, tmp_path: Path) -> None:
    """Folder or archive, nested or in the official site's folders, text or CSV lists, or all in one archive of any name."""
    expected = prepared("celeba", raw, tmp_path / "data", rows_per_shard=9)
    official = write_celeba(tmp_path / "official", ROWS, archive=True)
    (tmp_path / "parent").mkdir()
    for folder, files in (("Anno", "list_attr*"), ("Eval", "list_eval*"), ("Img", "img_align*")):
        (official / folder).mkdir()
        for file in official.glob(files):
            file.rename(official / folder / file.name)
    official.rename(tmp_path / "parent" / "CelebA")
    forms = (
        write_celeba(tmp_path / "csv", ROWS, csv=True, nested=True),
        write_celeba(tmp_path / "zip", ROWS, archive=True, csv=True),
        tmp_path / "parent" / "CelebA",
        tmp_path / "parent",
        write_kaggle_archive(tmp_path / "kaggle" / "archive.zip", ROWS).parent,
        write_kaggle_archive(tmp_path / "elsewhere" / "renamed.zip", ROWS),
    )
    for number, form in enumerate(forms):
        found = prepared("celeba", form, tmp_path / f"data{number}", rows_per_shard=9)
        assert found.name == expected.name
        assert content(found) == content(expected)


def test_official_files_with_another_md5_give_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_celeba(tmp_path / "raw", ROWS, archive=True)
    pictures, attributes, partition = (raw / name for name in sorted(MD5))
    module = importlib.import_module("data_prep.sources.celeba")  # its package has a function of this name
    monkeypatch.setattr(module, "MD5", {path.name: checksum(path, "md5") for path in raw.iterdir()})

    def warnings(root: Path) -> list[str]:
        prepare("celeba", raw=raw, root=root, workers=1, formats="arrow", progress=True)
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]

    attributes.write_text(attributes.read_text().replace(" \n", "\n"))
    assert warnings(tmp_path / "part") == [], "forty rows are not all of CelebA"
    monkeypatch.setattr(module, "ROWS", ROWS)
    (warning,) = warnings(tmp_path / "edited")
    assert f"{attributes} has the name and the length of CelebA's official file but not its MD5" in warning
    write_zip(pictures, {f"faces/{picture_name(i)}": jpeg(218, 178, seed=i) for i in range(ROWS)})
    assert [
        str(path) in line
        for path, line in zip((attributes, pictures), warnings(tmp_path / "packed"), strict=True)
    ]
    assert partition.name not in "".join(warnings(tmp_path / "again"))


def test_lists_are_read_whatever_their_line_endings_spacing_mark_and_folders(
    raw: Path, tmp_path: Path
) -> None:
    expected = prepared("celeba", raw, tmp_path / "expected", rows_per_shard=9)
    odd = write_celeba(tmp_path / "odd", ROWS)
    attributes, partition = odd / "list_attr_celeba.txt", odd / "list_eval_partition.txt"
    text = attributes.read_text().replace(" ", "\t ").replace("\n", " \r\n")
    attributes.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    lines = partition.read_text().splitlines()
    folders = ("", "img_align_celeba/", "./", "/data/faces of CelebA/".replace(" ", "_"), "C:\\celeba\\")
    lines = [folders[i % len(folders)] + line for i, line in enumerate(lines)]
    partition.write_bytes("\r".join(reversed(lines)).encode())
    assert content(prepared("celeba", odd, tmp_path / "data", rows_per_shard=9)) == content(expected)


def test_workers_and_interleaved_tasks_change_nothing(raw: Path, tmp_path: Path) -> None:
    one = prepared("celeba", raw, tmp_path / "one", rows_per_shard=9)
    two = prepared("celeba", raw, tmp_path / "two", workers=2, rows_per_shard=9)
    assert content(one) == content(two)
    manifest = Manifest.load(one)
    assert manifest.image_shape == (3, 64, 64)
    assert [shard.rows for shard in manifest.splits["train"].shards] == [9, 9, 9, 1]
    assert manifest.splits["train"].labels_used["1.0"] == (28,) * 18


def with_and_without(shown: NDArray[np.bool_], times: int) -> dict[int, tuple[int, int]]:
    """Split → rows with the attribute, and rows without it that are used."""
    counts = {}
    for number in range(3):
        members = partition_of(ROWS) == number
        ones = int((shown & members).sum())
        counts[number] = (ones, min(times * ones, int((~shown & members).sum())))
    return counts


@pytest.mark.parametrize(
    ("name", "label", "times"),
    [
        ("celeba_glasses", "Eyeglasses", 2),
        ("celeba_facial_hair", "Facial_Hair", 1),
        ("celeba_heavy_makeup", "Heavy_Makeup", 1),
    ],
)
def test_csvae_subsets_have_all_with_the_attribute_and_a_multiple_without(
    raw: Path, tmp_path: Path, name: str, label: str, times: int
) -> None:
    shown = column("Eyeglasses" if name == "celeba_facial_hair" else label)
    if name == "celeba_facial_hair":
        shown = ~column("No_Beard") | column("Mustache") | column("Goatee")
        assert 0.3 < shown.mean() < 1
    assert [spec.name for spec in source_named(name, raw).labels()] == [label]
    for number, rows in enumerate(all_rows(name, raw, tmp_path).values()):
        np.testing.assert_array_equal(rows.labels[:, 0], shown[numbers(rows)])
        assert (rows.labels.sum(), (rows.labels == 0).sum()) == with_and_without(shown, times)[number]
        rows.check((3, 64, 64), [2], 0)


def test_csvae_pictures_are_cropped_before_they_are_resized(raw: Path, tmp_path: Path) -> None:
    rows = all_rows("celeba_glasses", raw, tmp_path)["train"]
    for image, number in zip(rows.image, numbers(rows), strict=True):
        expected = decode_picture(jpeg(218, 178, number), mode="RGB", size=(64, 64), crop=(15, 40, 163, 188))
        np.testing.assert_array_equal(image, expected)


def test_glasses_and_facial_hair_together_are_the_union_with_both_labels(raw: Path, tmp_path: Path) -> None:
    both, glasses, hair = (
        all_rows(f"celeba_{name}", raw, tmp_path / name)
        for name in ("glasses_facial_hair", "glasses", "facial_hair")
    )
    for split, rows in both.items():
        parts = [part[split] for part in (glasses, hair) if split in part]
        assert set(rows.ids) == {name for part in parts for name in part.ids}
        np.testing.assert_array_equal(rows.labels[:, 0], column("Eyeglasses")[numbers(rows)])
        hairy = ~column("No_Beard") | column("Mustache") | column("Goatee")
        np.testing.assert_array_equal(rows.labels[:, 1], hairy[numbers(rows)])


def test_hair_is_one_label_of_five_values_where_exactly_one_is_set(raw: Path, tmp_path: Path) -> None:
    source = source_named("celeba_hair", raw)
    assert [label.cardinality for label in source.labels()] == [5] + [2] * 15
    assert source.labels()[0].values == HAIR
    smiling = [label.name for label in source.labels()].index("Smiling")
    seen = set()
    for rows in all_rows("celeba_hair", raw, tmp_path).values():
        for labels, observed, number in zip(rows.labels, rows.observed, numbers(rows), strict=True):
            shown = [name for name in HAIR if column(name)[number]]
            assert observed[0] == (len(shown) == 1)
            assert observed[1:].all()
            seen.add(len(shown))
            if len(shown) == 1:
                assert HAIR[labels[0]] == shown[0]
            assert labels[smiling] == column("Smiling")[number]
        rows.check((3, 64, 64), [5] + [2] * 15, 0)
    assert {0, 1, 2} <= seen


def test_another_picture_or_label_gives_another_digest(raw: Path, tmp_path: Path) -> None:
    before = source_named("celeba", raw).checksums()
    other = write_celeba(tmp_path / "raw", ROWS)
    assert source_named("celeba", other).checksums() == before
    (other / "img_align_celeba" / picture_name(3)).write_bytes(jpeg(218, 178, seed=77))
    assert source_named("celeba", other).checksums() != before
    attributes = write_celeba(tmp_path / "raw2", ROWS) / "list_attr_celeba.txt"
    lines = attributes.read_text().splitlines()
    lines[2] = lines[2].replace(" -1", "  1") if " -1" in lines[2] else lines[2].replace("  1", " -1")
    attributes.write_text("\n".join(lines))
    assert source_named("celeba", tmp_path / "raw2").checksums() != before


def test_a_task_needs_nothing_but_its_own_pictures_and_the_plan(tmp_path: Path) -> None:
    raw = write_celeba(tmp_path / "raw", ROWS)
    source = source_named("celeba", raw).verified(tmp_path / "work", QUIET)
    for path in (*raw.glob("list_*"), *sorted((raw / "img_align_celeba").iterdir())[9:]):
        path.unlink()
    assert len(source_named("celeba", source.raw).rows("train", 0, 9)) == 9
