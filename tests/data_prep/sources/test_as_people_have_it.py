"""CelebA and CheXpert in the forms that people have them give the data set of the official form, or say what they saw."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.celeba_names import ATTRIBUTES
from data_prep.errors import RawDataError
from data_prep.manifest import Manifest
from data_prep.sources import source_named
from data_prep.sources.celeba_lists import read_attributes, read_partition
from data_prep.sources.picture_checksums import stats_and_checksums
from tests.data_prep.fixtures import prepared
from tests.data_prep.sources.raw_pictures import (
    attributes_csv,
    attributes_text,
    jpeg,
    partition_csv,
    partition_of,
    picture_name,
    shown_attributes,
    write_celeba,
    write_chexpert,
    write_zip,
)

ROWS = 20


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "raw", ROWS)


def digests(name: str, folder: Path) -> dict[str, str]:
    return dict(source_named(name, folder).checksums())


def hidden_folders(raw: Path) -> None:
    for leftover in (".ipynb_checkpoints/000001-checkpoint.jpg", "@eaDir/000001.jpg/SYNOPHOTO_THUMB_M.jpg"):
        (raw / "img_align_celeba" / leftover).parent.mkdir(parents=True)
        (raw / "img_align_celeba" / leftover).write_bytes(jpeg(9, 9, 1))
    (raw / "img_align_celeba" / "000001-Copy1.jpg").write_bytes(jpeg(9, 9, 1))


def packed_lists(raw: Path) -> None:
    path = raw / "list_attr_celeba.txt"
    (raw / "list_attr_celeba.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    path = raw / "list_eval_partition.txt"
    write_zip(raw / "list_eval_partition.txt.zip", {path.name: path.read_bytes()})
    path.unlink()


def parts_of_a_download(raw: Path) -> None:
    pictures = {f"img_align_celeba/{p.name}": p.read_bytes() for p in (raw / "img_align_celeba").iterdir()}
    for part, names in enumerate((sorted(pictures)[:7], sorted(pictures)[7:]), 1):
        archive = raw / f"img_align_celeba-20240601T101010Z-00{part}.zip"
        write_zip(archive, {name: pictures[name] for name in names})
    shutil.rmtree(raw / "img_align_celeba")


def both_kinds_of_pictures(raw: Path) -> None:
    pictures = {f"img_align_celeba/{p.name}": p.read_bytes() for p in (raw / "img_align_celeba").iterdir()}
    in_the_wild = {f"img_celeba/{picture_name(i)}": jpeg(300, 400, i) for i in range(3)}
    lists = {p.name: p.read_bytes() for p in raw.glob("list_*")}
    shutil.rmtree(raw / "img_align_celeba")
    for path in raw.glob("list_*"):
        path.unlink()
    hidden = {"__MACOSX/img_align_celeba/._000001.jpg": b"x"}
    write_zip(raw / "celeba.zip", pictures | in_the_wild | lists | hidden)


def parquet_with_pictures(raw: Path) -> None:
    """As on Hugging Face: boolean columns, files named by their split, the rows of a split in any order."""
    rows = [line.split() for line in (raw / "list_attr_celeba.txt").read_text().splitlines()[2:]]
    split_of = dict(line.split() for line in (raw / "list_eval_partition.txt").read_text().splitlines())
    for number, split in enumerate(("train", "valid", "test")):
        own = [row for row in reversed(rows) if split_of[row[0]] == str(number)]
        pictures = [(raw / "img_align_celeba" / row[0]).read_bytes() for row in own]
        columns: dict[str, list[Any]] = {
            "image": [{"bytes": p, "path": r[0]} for p, r in zip(pictures, own, strict=True)]
        }
        columns |= {name: [row[1 + i] == "1" for row in own] for i, name in enumerate(ATTRIBUTES)}
        (raw / "data").mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), raw / "data" / f"{split}-00000-of-00001.parquet", row_group_size=3)
    shutil.rmtree(raw / "img_align_celeba")
    for path in raw.glob("list_*"):
        path.unlink()


def longer_partition(raw: Path) -> None:
    path = raw / "list_eval_partition.txt"
    path.write_text(path.read_text() + "000998.jpg 0\n000999.jpg 2\n")


@pytest.mark.parametrize(
    "change",
    [
        hidden_folders,
        packed_lists,
        parts_of_a_download,
        both_kinds_of_pictures,
        longer_partition,
        parquet_with_pictures,
    ],
)
def test_celeba_is_the_same_in_every_form(raw: Path, change: Callable[[Path], None]) -> None:
    before = digests("celeba", raw)
    change(raw)
    assert digests("celeba", raw) == before


def test_celeba_from_parquet_has_the_same_rows_and_names_what_is_wrong(raw: Path, tmp_path: Path) -> None:
    parquet_with_pictures(raw)
    found = prepared("celeba", raw, tmp_path / "parquet")
    expected = prepared("celeba", write_celeba(tmp_path / "jpeg", ROWS), tmp_path / "out")
    assert found.name == expected.name
    for shard in found.glob("*.arrow"):
        assert shard.read_bytes() == (expected / shard.name).read_bytes()
    (raw / "data" / "test-00000-of-00001.parquet").rename(raw / "data" / "more.parquet")
    with pytest.raises(RawDataError, match=r"neither a column split nor the name of more\.parquet says"):
        digests("celeba", raw)


def test_celeba_as_png_has_the_same_rows(raw: Path, tmp_path: Path) -> None:
    pictures = raw / "img_align_celeba"
    for path in pictures.iterdir():
        Image.open(path).save(raw / f"{path.stem}.png")
    shutil.rmtree(pictures)
    (raw / "img_align_celeba_png").mkdir()
    for path in raw.glob("*.png"):
        path.rename(raw / "img_align_celeba_png" / path.name)
    found = prepared("celeba", raw, tmp_path / "png")
    expected = prepared("celeba", write_celeba(tmp_path / "jpeg", ROWS), tmp_path / "out")
    for shard in found.glob("*.arrow"):
        assert shard.read_bytes() == (expected / shard.name).read_bytes()


def dialect(values: Callable[[bool], str], *, separator: str = ",", index: bool = False) -> str:
    header, *rows = list(csv.reader(attributes_csv(shown_attributes(ROWS)).splitlines()))
    rows = [[row[0], *(values(value == "1") for value in row[1:]), "0"] for row in rows]
    table = [[*header, "celeb_id"], *rows]
    if index:
        table = [[str(number - 1 if number else ""), *row] for number, row in enumerate(table)]
    return "\n".join(separator.join(row) for row in table)


@pytest.mark.parametrize(
    "text",
    [
        dialect(lambda shown: str(int(shown))),
        dialect(str),
        dialect(lambda shown: "1.0" if shown else "-1.0", index=True),
        dialect(lambda shown: "1" if shown else "-1", separator=";"),
    ],
    ids=["0 and 1", "True and False", "floats after an index", "semicolons"],
)
def test_attributes_are_read_in_every_dialect(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list_attr_celeba.csv"
    path.write_text(text)
    wanted = ["Smiling", "Young"]
    official = tmp_path / "list_attr_celeba.txt"
    official.write_text(attributes_text(shown_attributes(ROWS)))
    expected = read_attributes(official, wanted)
    np.testing.assert_array_equal(read_attributes(path, wanted).values, expected.values)


def test_splits_may_be_words_and_html_and_mixed_attributes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "list_eval_partition.csv"
    words = ["train", "val", "test"]
    rows = [f"{i},{picture_name(i)},{words[split]}" for i, split in enumerate(partition_of(ROWS))]
    path.write_text("\n".join([",image_id,split", *rows]))
    np.testing.assert_array_equal(read_partition(path).values[:, 0], partition_of(ROWS))
    path.write_text("<!DOCTYPE html><html>Quota exceeded</html>")
    with pytest.raises(RawDataError, match="is an HTML page"):
        read_partition(path)
    path.write_text(attributes_csv(shown_attributes(3)).replace(",-1,", ",0,", 1))
    with pytest.raises(RawDataError, match="-1 and of 0, of which one must mean unknown"):
        read_attributes(path, ["Young"])


def batches(root: Path) -> None:
    """As Stanford hands it out: the lists and ``valid`` in batch 1, patients without ``train`` in the others."""
    first = root.parent / "CheXpert-v1.0 batch 1 (validate & csv)"
    root.rename(first)
    for number, patient in enumerate(sorted((first / "train").iterdir())):
        batch = root.parent / f"CheXpert-v1.0 batch {number % 3 + 2} (train {number % 3 + 1})"
        batch.mkdir(exist_ok=True)
        patient.rename(batch / patient.name)
    (first / "train").rmdir()


def zipped_batches(root: Path) -> None:
    batches(root)
    for batch in list(root.parent.iterdir()):
        files = {str(p.relative_to(batch.parent)): p.read_bytes() for p in batch.rglob("*") if p.is_file()}
        shutil.rmtree(batch)
        write_zip(batch.with_name(f"{batch.name}.zip"), files)


def archive_with_a_test_set(root: Path) -> None:
    files = {str(p.relative_to(root.parent)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    test_set = {name.replace("/valid/", "/test/"): b for name, b in files.items() if name.endswith(".jpg")}
    shutil.rmtree(root)
    write_zip(root.parent / "chexpert.zip", files | test_set)


def blanks_as_nan_and_semicolons(root: Path) -> None:
    for path in root.glob("*.csv"):
        rows = list(csv.reader(path.read_text().splitlines()))
        path.write_text("\n".join(";".join(field or "nan" for field in row) for row in rows))


@pytest.mark.parametrize(
    "change", [batches, zipped_batches, archive_with_a_test_set, blanks_as_nan_and_semicolons]
)
def test_chexpert_is_the_same_in_every_form(tmp_path: Path, change: Callable[[Path], None]) -> None:
    raw = write_chexpert(tmp_path / "raw", 12)
    before = digests("chexpert", raw)
    change(raw / "CheXpert-v1.0-small")
    assert digests("chexpert", raw) == before


def test_what_is_on_one_side_only_is_left_out_on_request(raw: Path, tmp_path: Path) -> None:
    """Lists without pictures, pictures without lists, one of which has a name that is not UTF-8; always looked for."""
    pictures = raw / "img_align_celeba"
    prepared("celeba", raw, tmp_path / "out")
    stray = os.path.join(os.fsencode(pictures), b"copie d\xe9j\xe0.jpg")
    Path(os.fsdecode(stray)).write_bytes(jpeg(218, 178, 1))
    with pytest.raises(RawDataError, match=r"copie d\\xe9j\\xe0.jpg is not named by .*pictures=both"):
        prepared("celeba", raw, tmp_path / "out")
    for number in (3, 4):
        (pictures / picture_name(number)).unlink()
    missing = r"000004.jpg is missing.* \(2 of 14 in train are missing\); --option pictures=both takes the 12"
    with pytest.raises(RawDataError, match=missing):
        prepared("celeba", raw, tmp_path / "out")
    partition = raw / "list_eval_partition.txt"
    partition.write_text("".join(partition.read_text().splitlines(keepends=True)[1:]))
    folder = prepared("celeba", raw, tmp_path / "out", options={"pictures": "both"})
    manifest = Manifest.load(folder)
    assert manifest.splits["train"].rows == 11
    assert sorted(manifest.left_out.values()) == [1, 1, 2]


def test_a_subset_is_chosen_from_the_pictures_that_are_there(raw: Path) -> None:
    """Twice as many without glasses as with: of the part, not of the whole."""
    shown = shown_attributes(ROWS)[:, ATTRIBUTES.index("Eyeglasses")]
    removed = np.flatnonzero(shown & (partition_of(ROWS) == 0))[0]
    (raw / "img_align_celeba" / picture_name(int(removed))).unlink()
    write_zip(raw / "img_align_celeba.zip", {})
    with pytest.raises(
        RawDataError, match=r"is missing.*archives that are there: img_align_celeba.zip; were they"
    ):
        digests("celeba_glasses", raw)
    source = source_named("celeba_glasses", raw, {"pictures": "both"})
    labels = source.label_column("train")
    assert labels is not None
    left = int((shown & (partition_of(ROWS) == 0)).sum()) - 1
    assert np.bincount(labels, minlength=2).tolist() == [2 * left, left]
    assert dict(source.left_out) == {"named by a list, but not there": 1}  # type: ignore[attr-defined]


def test_a_list_without_training_rows_is_refused_at_once(raw: Path) -> None:
    (raw / "list_eval_partition.txt").write_text(
        partition_csv([2] * ROWS).replace(",", " ").partition("\n")[2]
    )
    with pytest.raises(RawDataError, match="no picture is in the split train"):
        digests("celeba", raw)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is kept in the cache, unless the file may have changed without a new time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("data_prep.sources.picture_checksums._KEPT_FROM", 1)
    files = [b"a", b"b", None]
    for file in files[:2]:
        (tmp_path / os.fsdecode(file or b"")).write_bytes(b"1" * 100)
    before = stats_and_checksums(tmp_path, files)
    assert not (tmp_path / "cache").exists(), "the files are too new"
    monkeypatch.setattr(time, "time_ns", lambda: 2**62)
    stats_and_checksums(tmp_path, files)
    assert list((tmp_path / "cache").rglob("*.npy"))
    times = os.stat(tmp_path / "b")
    (tmp_path / "b").write_bytes(b"2" * 100)
    os.utime(tmp_path / "b", ns=(times.st_atime_ns, times.st_mtime_ns))
    after = stats_and_checksums(tmp_path, files)
    assert (before[1] == after[1]).tolist() == [True, False, True]
    assert after[0].tolist() == [100, 100, 0]


def test_a_png_named_jpg_is_taken_as_what_it_is(raw: Path, tmp_path: Path) -> None:
    path, content = raw / "img_align_celeba" / picture_name(2), BytesIO()
    Image.open(path).save(content, "PNG")
    path.write_bytes(content.getvalue())
    assert prepared("celeba", raw, tmp_path / "out").is_dir()
