"""The source ``pictures``: folders, tables, Parquet files and arrays as people have them."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.checking import check
from data_prep.decode import decode_picture
from data_prep.errors import ConfigError, RawDataError
from data_prep.manifest import LabelSpec, Manifest
from data_prep.sources import source_named
from data_prep.sources.options import Option
from data_prep.stages import find_prepared, prepare
from tests.data_prep.sources.own_pictures.drawn_folder import (
    KINDS,
    QUIET,
    all_rows,
    encoded,
    own,
    picture,
    write_pictures,
    write_table,
)

COUNT = 60
NAMES = [f"images/{'more/' if i % 3 else ''}s{i:03d}{list(KINDS)[i % 5]}" for i in range(COUNT)]
HEADER = ["", "filename", "species", "striped", "happy", "age", "patient_id"]


def row(i: int) -> list[Any]:
    return [
        i, f"data\\s{i:03d}", ("cat", "Dog", "bird")[i % 3], ("1", "0", "-1", "")[i % 4], ("yes", "no")[i % 2], i / 8,
        f"p{i // 3}",
    ]  # fmt: skip


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Pictures of five formats in two folders, and a table with an index column, a group and unknown values."""
    folder = tmp_path / "raw"
    write_pictures(folder, NAMES)
    write_table(folder / "labels.csv", [HEADER, *map(row, range(COUNT))], ";", "utf-8-sig")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "s001-checkpoint.jpg").write_bytes(b"")
    (folder / os.fsdecode(b"images/\xff.png")).write_bytes(b"")
    (folder / "images" / "._s001.jpg").write_bytes(b"")
    (folder / "index.json").write_text("{}")  # a plan has a file of this name
    return folder


def test_a_table_says_the_labels_and_all_of_it_is_told(raw: Path, tmp_path: Path) -> None:
    source = own(raw)
    assert source.labels() == (
        LabelSpec("species", 3, ("bird", "cat", "Dog")),
        LabelSpec("striped", 2, ("no", "yes")),
        LabelSpec("happy", 2, ("no", "yes")),
    )
    told = "\n".join(source.told())
    for part in (
        "60 in", "1 picture whose name is no UTF-8", "hidden or a notebook's copy: 1 file", "16 x 20",
        "separated by semicolons",
        "column filename, by file name without ending", "species: 3 values: bird 20, cat 20, Dog 20; unknown 0",
        "striped: binary: no 15, yes 15; unknown 30 ('-1' count as unknown", "age: 60 different numbers (factors=age",
        "rows of one patient_id stay in one split", "by a hash of patient_id",
    ):  # fmt: skip
        assert part in told
    splits = all_rows(source, tmp_path / "work")
    assert {split: len(rows) for split, rows in splits.items()} == source.splits()
    assert sum(source.splits().values()) == COUNT
    split_of = dict[int, str]()
    for split, rows in splits.items():
        assert list(rows) == sorted(rows)
        for name, (labels, observed) in rows.items():
            i = NAMES.index(name)
            assert split_of.setdefault(i // 3, split) == split
            assert observed == [True, i % 4 < 2, True]
            assert labels[0] == (1, 2, 0)[i % 3]
            assert labels[2] == 1 - i % 2
            assert not observed[1] or labels[1] == 1 - i % 4


def test_images_are_those_of_the_files(raw: Path, tmp_path: Path) -> None:
    lying = Image.Exif()
    lying[0x0112] = 6
    for i, kind in ((1, "JPEG"), (2, "WEBP")):
        picture(i).save(raw / NAMES[i], kind, exif=lying, quality=90)
    (raw / NAMES[0]).write_bytes(encoded(0, mode="L"))
    for options in ({}, {"exif": "ignore", "crop": "2,3,10,15", "colour": "grey"}):
        task = own(raw, **options).verified(tmp_path / str(len(options)), QUIET)
        rows = task.rows("train", 0, task.splits()["train"])
        for name, image in zip(rows.ids, rows.image, strict=True):
            expected = decode_picture(
                (raw / name).read_bytes(),
                mode="L" if options else "RGB",
                size=(16, 16),
                crop=(2, 3, 10, 15) if options else "centre",
                upright=not options,
            )
            np.testing.assert_array_equal(image, expected)


def test_a_folder_and_its_zip_give_the_same_data_set_and_a_repaired_picture_another(raw: Path) -> None:
    with zipfile.ZipFile(raw.parent / "raw.zip", "w") as archive:
        for path in sorted(raw.rglob("*")):
            if path.suffix and "checkpoint" not in str(path) and path.name.isascii():
                archive.write(path, path.relative_to(raw))
    before = own(raw).checksums()
    assert own(raw.parent / "raw.zip").checksums() == before
    content = (raw / NAMES[0]).read_bytes()
    (raw / NAMES[0]).write_bytes(content[:-1] + b"\0")
    assert own(raw).checksums()["rows"] == before["rows"]
    assert own(raw).checksums() != before


def test_columns_are_what_the_options_say(raw: Path, tmp_path: Path) -> None:
    source = own(raw, labels="happy,AGE", factors="age", reference="happy", group="none", unknown="no")
    with pytest.raises(RawDataError, match="happy has only one value"):
        source.labels()
    source = own(raw, labels="species", factors="age", reference="happy", group="none")
    task = source.verified(tmp_path, QUIET)
    rows = task.rows("train", 0, task.splits()["train"])
    numbers = [NAMES.index(name) for name in rows.ids]
    np.testing.assert_array_equal(rows.factors[:, 0], np.array(numbers, dtype=np.float32) / 8)
    np.testing.assert_array_equal(rows.reference, np.array(numbers) % 2 == 0)
    assert task.factors == ("age",)
    classes = task.label_column("train")
    assert classes is not None
    np.testing.assert_array_equal(classes, rows.labels[:, 0])
    assert own(raw, file="filename", table="labels.csv").splits() == own(raw).splits()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": "stripes"}, "no column 'stripes', which labels names: did you mean striped?"),
        ({"labels": "age,happy,age"}, "names a column twice"),
        ({"labels": "patient_id", "unknown": "p0"}, None),
        ({"factors": "species"}, "row 1: species is 'cat', but a factor is a number"),
        ({"split": "species"}, "the split 'cat' in column species is none of"),
        ({"reference": "species"}, "reference needs 0 and 1"),
        ({"file": "happy"}, "names 'yes', which is not there"),
        ({"table": "list.csv"}, "has no table 'list.csv': it has labels.csv"),
        ({"table": "none"}, "no table and no folders that could be their classes"),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(
    raw: Path, options: dict[str, str], sentence: str | None
) -> None:
    if sentence is None:
        assert own(raw, **options).labels()[0].cardinality > 1
        return
    with pytest.raises(RawDataError, match=sentence):
        own(raw, **options).checksums()


@pytest.mark.parametrize(
    "options", [{"crop": "middle"}, {"crop": "9,9,3,12"}, {"size": 4}, {"colour": "red"}, {"white": 0}]
)
def test_impossible_options_are_refused_before_anything_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"pictures: {next(iter(options))} is"):
        source_named("pictures", None, options)


def test_rows_without_picture_and_pictures_without_row_have_a_way_on(raw: Path, tmp_path: Path) -> None:
    rows = [HEADER, *map(row, range(COUNT - 10)), [99, "lost.png", "cat", "1", "no", "1", "p99"]]
    write_table(raw / "labels.csv", rows)
    with pytest.raises(
        RawDataError, match=r"labels.csv, row 51 names 'lost.png'.*1 of 51 rows.*pictures=both"
    ):
        own(raw).checksums()
    told = "\n".join(own(raw).told())
    assert "no row:   10 pictures" in told
    assert "no file:  1 row ('lost.png' in" in told
    both = own(raw, pictures="both")
    assert sum(both.splits().values()) == COUNT - 10
    assert sum(both.left_out.values()) == 11
    write_table(raw / "labels.csv", rows[:-1])
    with pytest.raises(RawDataError, match=r"has no row in .*10 of 60 pictures.*pictures=unlabelled"):
        own(raw).checksums()
    splits = all_rows(own(raw, pictures="unlabelled"), tmp_path / "work")
    assert sum(map(len, splits.values())) == COUNT
    extra = [splits["train"][name] for name in NAMES[-10:]]
    assert extra == [([0, 0, 0], [False] * 3)] * 10


def test_bad_tables_are_refused_by_row(raw: Path) -> None:
    write_table(raw / "labels.csv", [HEADER, *map(row, range(COUNT)), row(7)])
    with pytest.raises(RawDataError, match=r"labels.csv, row 61 names data.s007, and so does row 8"):
        own(raw).told()
    write_table(raw / "labels.csv", [["name", "a"], ["here.png", "1"], ["there.png", "0"]])
    with pytest.raises(RawDataError, match=r"no column of .* names pictures .*name: 'here.png'.*file=COLUMN"):
        own(raw).told()
    write_table(raw / "labels.csv", [[*HEADER, "split"], *([*row(i), "train"] for i in range(COUNT))])
    assert own(raw).splits()["test"] > 0
    assert "a tenth of train for test" in "\n".join(own(raw).told())
    write_table(raw / "labels.csv", [[*HEADER, "split"], *([*row(i), "test"] for i in range(COUNT))])
    with pytest.raises(RawDataError, match=r"gives no picture for train .*split=none"):
        own(raw).checksums()
    assert own(raw, split="none").splits().keys() == {"train", "valid", "test"}
    known = [NAMES.index(name) for name in own(raw, split="none", group="none").ids("train")]
    rows = [[*row(i)[:3], str(i % 2) if i in known else ""] for i in range(COUNT)]
    write_table(raw / "labels.csv", [HEADER[:4], *rows])
    with pytest.raises(
        RawDataError, match=r"none of the . pictures for testing has a known label: .*split=COLUMN"
    ):
        own(raw, labels="striped").checksums()
    parts = [["train", "test", "extra"][i % 3] for i in range(COUNT)]
    write_table(raw / "labels.csv", [[*HEADER, "split"], *([*row(i), part] for i, part in enumerate(parts))])
    with pytest.raises(RawDataError, match=r"the split 'extra' in column split is none of .*split=none"):
        own(raw).labels()


def test_several_tables_are_splits_or_one_is_chosen(raw: Path) -> None:
    for part, (first, last) in {"train": (0, 40), "val": (40, 50), "test": (50, COUNT)}.items():
        write_table(raw / f"{part}.csv", [HEADER, *map(row, range(first, last))])
    with pytest.raises(RawDataError, match="holds several tables: table=NAME chooses one of"):
        own(raw).told()
    by_files = own(raw, table="train.csv,val.csv,test.csv")
    assert by_files.splits() == {"train": 40, "valid": 10, "test": 10}
    assert by_files.left_out == {}
    for part in ("train", "val", "test"):
        (raw / f"{part}.csv").unlink()
    write_table(raw / "prices.csv", [["what", "price"], ["milk", 1], ["bread", 2]])
    (raw / "readme.csv").write_text("hello")
    told = "\n".join(own(raw).told())
    assert "tables passed over: prices.csv" in told
    assert "readme.csv has a single column" in told
    with pytest.raises(RawDataError, match=r"readme.csv has a single column"):
        own(raw, table="readme.csv").told()


def test_names_may_begin_in_the_folder_of_their_table(tmp_path: Path) -> None:
    for part, count in {"train": 20, "test": 5}.items():
        names = [f"{i}.png" for i in range(count)]
        write_pictures(tmp_path / part, names)
        write_table(
            tmp_path / part / "metadata.csv", [["file_name", "a"], *([n, i % 2] for i, n in enumerate(names))]
        )
    assert own(tmp_path).splits() == {"train": 20, "test": 5}
    assert "column file_name, by path" in "\n".join(own(tmp_path).told())


@pytest.mark.parametrize("inside", ["", "all/"])
def test_folders_are_classes(tmp_path: Path, inside: str) -> None:
    names = [f"{inside}{kind}/{i}.png" for kind in ("cat", "dog") for i in range(30)]
    write_pictures(tmp_path / "raw", names, mode="L")
    source = own(tmp_path / "raw")
    assert source.labels() == (LabelSpec("class", 2, ("cat", "dog")),)
    assert source.image_shape() == (1, 16, 16)
    assert source.splits().keys() == {"train", "valid", "test"}
    write_pictures(tmp_path / "split", [f"{part}/{name}" for part in ("train", "val") for name in names])
    assert own(tmp_path / "split").splits()["valid"] == 60
    write_pictures(tmp_path / "flat", ["a.png", "b.png"])
    (tmp_path / "flat" / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(
        RawDataError, match=r"no table and no folders .*labels.xlsx is not read: save it as CSV"
    ):
        own(tmp_path / "flat").labels()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RawDataError, match="holds no pictures"):
        own(tmp_path / "empty").labels()


def test_a_coloured_picture_among_grey_ones_is_refused_where_grey_was_guessed(tmp_path: Path) -> None:
    names = [f"{kind}/{i}.png" for kind in "ab" for i in range(100)]
    write_pictures(tmp_path / "raw", names, mode="L")
    hidden = own(tmp_path / "raw")
    looked_at = np.unique(np.linspace(0, 199, 100).astype(int))
    other = sorted(names)[next(i for i in range(200) if i not in looked_at)]
    (tmp_path / "raw" / other).write_bytes(encoded(0))
    assert hidden.image_shape()[0] == 1
    task = hidden.verified(tmp_path / "work", QUIET)
    split = next(s for s in task.splits() if other in task.ids(s))
    with pytest.raises(
        RawDataError, match=rf"{other}.* is in colour, but those looked at are grey: choose colour="
    ):
        task.rows(split, 0, task.splits()[split])


def test_pictures_that_use_12_of_16_bits_are_told_of_and_brought_to_8(tmp_path: Path) -> None:
    write_pictures(tmp_path / "raw", [f"{kind}/{i}.png" for kind in "ab" for i in range(9)], mode="L")
    deep = np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)
    for path in (tmp_path / "raw").rglob("*.png"):
        Image.fromarray(deep).save(path)
    assert "4,095 of 65,535 is the largest value" in "\n".join(own(tmp_path / "raw").told())
    task = own(tmp_path / "raw", white=4095).verified(tmp_path / "work", QUIET)
    np.testing.assert_array_equal(task.rows("train", 0, 1).image[0, 0], np.round(deep / 4095 * 255))
    pages = [picture(i, "L") for i in range(3)]
    pages[0].save(tmp_path / "raw" / "a" / "pages.tif", save_all=True, append_images=pages[1:])
    assert "1 of these hold several pictures" in "\n".join(own(tmp_path / "raw").told())
    task = own(tmp_path / "raw", white=4000).verified(tmp_path / "other", QUIET)
    with pytest.raises(RawDataError, match="has the value 4095, which is above white=4000"):
        task.rows("train", 0, 1)


def test_hugging_faces_parquet_files_are_read_in_order(tmp_path: Path) -> None:
    features = {"info": {"features": {"kind": {"names": ["cat", "dog", "emu"], "_type": "ClassLabel"}}}}
    (tmp_path / "raw" / "data").mkdir(parents=True)
    for split, first, count in (("test", 170, 10), ("train", 0, 150), ("valid", 150, 20)):
        numbers = range(first, first + count)
        columns = {
            "image": [{"bytes": encoded(i, "JPEG"), "path": f"{i:06d}.jpg"} for i in numbers],
            "celeb_id": [i // 4 for i in numbers],
            "Smiling": [i % 3 == 0 for i in numbers],
            "kind": [i % 2 for i in numbers],
        }
        table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(features)})
        pq.write_table(table, tmp_path / f"raw/data/{split}-00000-of-00001.parquet", row_group_size=100)
    source = own(tmp_path / "raw")
    assert source.splits() == {"train": 150, "valid": 20, "test": 10}
    assert source.labels()[1] == LabelSpec("kind", 3, ("cat", "dog", "emu"))
    task = source.verified(tmp_path / "work", QUIET)
    for start, stop in ((40, 130), (90, 150)):  # batches and groups of rows end in between
        rows = task.rows("train", start, stop)
        assert rows.ids == [f"{i:06d}.jpg" for i in range(start, stop)]
        for i, image in enumerate(rows.image, start):
            expected = decode_picture(encoded(i, "JPEG"), mode="RGB", size=(16, 16), crop="centre")
            np.testing.assert_array_equal(image, expected)
        assert rows.labels[:, 0].tolist() == [int(i % 3 == 0) for i in range(start, stop)]
    one = own(tmp_path / "raw/data/train-00000-of-00001.parquet", split="none")
    assert sum(one.splits().values()) == 150


@pytest.mark.parametrize("colour", [False, True])
def test_medmnists_arrays_are_read(tmp_path: Path, colour: bool) -> None:
    arrays, generator = dict[str, np.ndarray[Any, Any]](), np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 5), ("test", 5)):
        shape = (count, 16, 16, 3) if colour else (count, 16, 16)
        arrays[f"{split}_images"] = generator.integers(0, 255, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = generator.integers(0, 2, (count, 14 if colour else 1))
    (tmp_path / "raw").mkdir()
    np.savez_compressed(tmp_path / "raw" / "chestmnist.npz", **cast("Any", arrays))
    source = own(tmp_path / "raw")
    assert source.splits() == {"train": 20, "valid": 5, "test": 5}
    task = source.verified(tmp_path / "work", QUIET)
    rows = task.rows("valid", 0, 5)
    images = arrays["val_images"].transpose(0, 3, 1, 2) if colour else arrays["val_images"][:, None]
    np.testing.assert_array_equal(rows.image, images)
    np.testing.assert_array_equal(rows.labels, arrays["val_labels"])
    assert len(rows.labels[0]) == len(source.labels()) == (14 if colour else 1)
    np.savez(
        tmp_path / "raw" / "chestmnist.npz", images=arrays["train_images"].astype(float), labels=np.zeros(20)
    )
    with pytest.raises(RawDataError, match=r"images has the shape .* float64, but uint8"):
        own(tmp_path / "raw").labels()
    np.savez(tmp_path / "raw" / "chestmnist.npz", pictures=arrays["train_images"])
    with pytest.raises(
        RawDataError, match=r"no pairs of arrays like train_images and train_labels, but pictures"
    ):
        own(tmp_path / "raw").labels()


def test_the_data_set_is_found_again_and_its_manifest_has_what_was_found(raw: Path, tmp_path: Path) -> None:
    options: dict[str, Option] = {"size": 16, "factors": "age", "labels": "happy,species"}
    folder = prepare(
        "pictures", raw=raw, options=options, root=tmp_path, workers=1, formats="arrow", progress=False
    )
    manifest = Manifest.load(folder)
    assert manifest.image_shape == (3, 16, 16)
    assert [label.name for label in manifest.labels] == ["happy", "species"]
    assert manifest.factors == ("age",)
    assert sum(split.rows for split in manifest.splits.values()) == COUNT
    assert find_prepared("pictures", raw, tmp_path, options=options) == folder


def test_all_that_is_wrong_is_listed_and_damaged_pictures_can_be_left_out(raw: Path, tmp_path: Path) -> None:
    for i in (3, 40):
        (raw / NAMES[i]).write_bytes((raw / NAMES[i]).read_bytes()[:-30])
    write_table(
        raw / "labels.csv", [HEADER, *map(row, range(COUNT)), [99, "lost", "cat", "1", "no", "1", "p"]]
    )
    found = check("pictures", raw=raw, options={"size": 16}, workers=1, progress=QUIET)
    first, *others = found.findings
    assert "names 'lost', which is not there" in str(first)
    damaged = {str(raw / NAMES[i]): f"{raw / 'labels.csv'}, row {i + 1}" for i in (3, 40)}
    assert {finding.picture: finding.listed for finding in others} == damaged
    options: dict[str, Option] = {"size": 16, "pictures": "both", "damaged": "leave_out", "count": 50}
    common: dict[str, Any] = {"root": tmp_path, "workers": 1, "formats": "arrow", "progress": False}
    manifest = Manifest.load(prepare("pictures", raw=raw, options=options, **common))
    assert manifest.left_out["named by a row, but not there"] == 1
    assert sum(split.rows for split in manifest.splits.values()) == 50 - manifest.left_out.get("damaged", 0)
