"""CheXpert: what uncertain and blank findings count as, who is in which split, and which pictures are used."""

from __future__ import annotations

import zipfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from data_prep.decode import decode_picture
from data_prep.errors import ConfigError, RawDataError
from data_prep.faults import raising
from data_prep.manifest import Manifest
from data_prep.progress import Progress
from data_prep.rows import Rows
from data_prep.sources import source_named
from data_prep.sources.chexpert import LABELS, OFFICIAL_VALID
from data_prep.sources.options import Option
from data_prep.stages import find_prepared, prepare
from tests.data_prep.fixtures import content
from tests.data_prep.sources.raw_pictures import (
    CHEXPERT_HEADER,
    chexpert_row,
    jpeg,
    write_chexpert,
    write_zip,
)

QUIET = Progress(shown=False)
PATIENTS = 60


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chexpert(tmp_path_factory.mktemp("chexpert"), PATIENTS)


def all_rows(raw: Path, scratch: Path, **options: Option) -> dict[str, Rows]:
    source = source_named("chexpert", raw, options).verified(scratch, QUIET)
    return {split: source.rows(split, 0, count) for split, count in source.splits().items()}


def found_in_lists(raw: Path) -> dict[str, list[str]]:
    """Picture → the five values in the lists."""
    values = {}
    header = CHEXPERT_HEADER.split(",")
    for part in ("train", "valid"):
        for line in (raw / "CheXpert-v1.0-small" / f"{part}.csv").read_text().splitlines()[1:]:
            fields = line.split(",")
            name = fields[0].removeprefix("CheXpert-v1.0-small/")
            values[name] = [fields[header.index(label)] for label in LABELS]
    return values


@pytest.mark.parametrize(
    ("uncertain", "blank"), list(product(("unobserved", "ones", "zeros"), ("zeros", "unobserved")))
)
def test_policies_decide_what_uncertain_and_blank_findings_count_as(
    raw: Path, tmp_path: Path, uncertain: str, blank: str
) -> None:
    known = {"1.0": 1, "0.0": 0} | {
        "-1.0": {"ones": 1, "zeros": 0}.get(uncertain),
        "": {"zeros": 0}.get(blank),
    }
    expected, seen = found_in_lists(raw), set()
    for rows in all_rows(raw, tmp_path, uncertain=uncertain, blank=blank, views="all").values():
        for name, labels, observed in zip(rows.ids, rows.labels, rows.observed, strict=True):
            values = [known[value] for value in expected[name]]
            assert observed.tolist() == [value is not None for value in values]
            assert labels.tolist() == [value or 0 for value in values]
            seen.update(expected[name])
        rows.check((1, 64, 64), [2] * 5, 0)
    assert seen == {"1.0", "0.0", "-1.0", ""}


def test_uncertain_is_unobserved_and_blank_is_no_by_default(raw: Path) -> None:
    assert source_named("chexpert", raw).options == {
        "uncertain": "unobserved",
        "blank": "zeros",
        "views": "frontal",
        "pictures": "all",
        "damaged": "refuse",
    }


def test_pictures_are_grey_and_resized_in_full(raw: Path, tmp_path: Path) -> None:
    rows = all_rows(raw, tmp_path)["train"]
    for image, name in zip(rows.image, rows.ids, strict=True):
        file = (raw / "CheXpert-v1.0-small" / name).read_bytes()
        np.testing.assert_array_equal(image, decode_picture(file, mode="L", size=(64, 64)))


def test_views(raw: Path, tmp_path: Path) -> None:
    frontal = [n for rows in all_rows(raw, tmp_path / "frontal").values() for n in rows.ids]
    everything = [n for rows in all_rows(raw, tmp_path / "all", views="all").values() for n in rows.ids]
    assert sorted(everything) == sorted(found_in_lists(raw))
    assert sorted(frontal) == sorted(name for name in everything if "frontal" in name)
    assert len(frontal) == PATIENTS + 5 < len(everything)


def patients(rows: Rows) -> set[str]:
    return {name.split("/")[1] for name in rows.ids}


def test_no_patient_is_in_two_splits_and_the_official_valid_set_is_apart(raw: Path, tmp_path: Path) -> None:
    splits = all_rows(raw, tmp_path, views="all")
    assert list(splits) == ["train", "valid", "test", OFFICIAL_VALID]
    assert all(name.startswith("valid/") for name in splits[OFFICIAL_VALID].ids)
    found = [patients(rows) for rows in splits.values()]
    assert sum(map(len, found)) == len(set().union(*found)) == PATIENTS + 5


def test_splits_are_about_8_1_1_of_the_patients_and_keep_when_patients_are_added(tmp_path: Path) -> None:
    before: dict[str, str] = {}
    for count in (1500, 3000):
        root = tmp_path / str(count)
        root.mkdir()
        names = [f"train/patient{i:05d}/study1/view1_frontal.jpg" for i in range(1, count + 1)]
        (root / "train.csv").write_text(
            "\n".join([CHEXPERT_HEADER, *(chexpert_row(n, ["1"] * 5) for n in names)])
        )
        listing = source_named("chexpert", root).find(root, raising)  # type: ignore[attr-defined]
        split_of = {
            name.decode(): split for split, rows in listing.splits.items() for name in rows.names.tolist()
        }
        assert before.items() <= split_of.items()
        before = split_of
        shares = [list(split_of.values()).count(split) / count for split in ("train", "valid", "test")]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)


def test_options_are_part_of_the_digest_and_stored_in_the_plan(raw: Path, tmp_path: Path) -> None:
    folders = set()
    for options in ({}, {"uncertain": "ones"}, {"blank": "unobserved"}, {"views": "all"}):
        folder = prepare(
            "chexpert", raw=raw, options=options, root=tmp_path, formats="arrow", workers=2, rows_per_shard=20,
            progress=False,
        )  # fmt: skip
        assert find_prepared("chexpert", raw, tmp_path, options=options, rows_per_shard=20) == folder
        manifest = Manifest.load(folder)
        assert manifest.options == dict(source_named("chexpert", raw).options) | options
        used = manifest.splits["train"].labels_used["1.0"]
        rows = manifest.splits["train"].rows
        assert (min(used) < rows) == (options != {"uncertain": "ones"})
        folders.add(folder)
    assert len(folders) == 4


def test_default_options_given_explicitly_change_nothing(raw: Path) -> None:
    given = source_named("chexpert", raw, {"uncertain": "unobserved", "views": "frontal"})
    assert given.options == source_named("chexpert", raw).options


@pytest.mark.parametrize("inside", ["", "CheXpert-v1.0"])
def test_either_release_is_found_and_so_is_the_folder_of_the_lists(
    raw: Path, tmp_path: Path, inside: str
) -> None:
    other = write_chexpert(tmp_path / "raw", PATIENTS, inside=inside)
    assert source_named("chexpert", other).checksums() == source_named("chexpert", raw).checksums()
    folder = raw / "CheXpert-v1.0-small"
    assert source_named("chexpert", folder).checksums() == source_named("chexpert", raw).checksums()


def zipped(raw: Path, path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    write_zip(path, {name: data for name, data in content(raw).items() if not name.endswith(".zip")}, method)
    return path


def test_the_archive_gives_the_same_data_set_as_the_folder(raw: Path, tmp_path: Path) -> None:
    archive = zipped(raw, tmp_path / "CheXpert-v1.0-small.zip")
    folders = [
        prepare("chexpert", raw=form, root=tmp_path / str(n), formats="arrow", workers=1, progress=False)
        for n, form in enumerate((raw, tmp_path, archive))
    ]
    assert content(folders[0]) == content(folders[1]) == content(folders[2])


def test_archives_that_cannot_be_read_are_refused(raw: Path, tmp_path: Path) -> None:
    path = zipped(raw, tmp_path / "CheXpert-v1.0.zip", zipfile.ZIP_STORED)
    whole = path.read_bytes()

    def refused(data: bytes, sentence: str) -> None:
        path.write_bytes(data)
        with pytest.raises(RawDataError, match=sentence) as caught:
            prepare(
                "chexpert", raw=tmp_path, root=tmp_path / "data", formats="arrow", workers=1, progress=False
            )
        assert str(path) in str(caught.value)
        assert not (tmp_path / "data").exists()

    refused(whole[: len(whole) // 2], r"CheXpert-v1.0.zip cannot be read: .*is it complete\?")
    list_text = whole.index(b"Path,Sex")
    refused(
        whole[:list_text] + b"Pfad" + whole[list_text + 4 :],
        r"train.csv(, line 1 has no column| cannot be read)",
    )
    entry = whole.rindex(b"CheXpert-v1.0-small/train.csv") - 46 + 8
    refused(whole[:entry] + b"\x01" + whole[entry + 1 :], r"train.csv cannot be read: .*encrypted")
    write_zip(path, {"CheXpert-v1.0/valid.csv": b"Path\n"})
    refused(path.read_bytes(), "lacks train.csv")


def test_names_with_or_without_folders_and_any_line_ending_give_the_same(raw: Path, tmp_path: Path) -> None:
    other = write_chexpert(tmp_path / "raw", PATIENTS)
    path = other / "CheXpert-v1.0-small" / "train.csv"
    lines = path.read_text().splitlines()
    prefixes = ('"/data/me/CheXpert-v1.0-small/', '"./', '"', '"D:\\CheXpert\\')
    for number, line in enumerate(lines[1:], 1):
        name, rest = line.split(",", 1)
        name = prefixes[number % len(prefixes)] + name.removeprefix("CheXpert-v1.0-small/") + '"'
        lines[number] = f" {name}, {rest.replace('1.0', '1')}"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert source_named("chexpert", other).checksums() == source_named("chexpert", raw).checksums()


def test_without_the_official_valid_set_the_rest_is_prepared(tmp_path: Path) -> None:
    raw = write_chexpert(tmp_path / "raw", PATIENTS)
    (raw / "CheXpert-v1.0-small" / "valid.csv").unlink()
    assert list(source_named("chexpert", raw).splits()) == ["train", "valid", "test"]


def test_workers_change_nothing(raw: Path, tmp_path: Path) -> None:
    folders = [
        prepare("chexpert", raw=raw, root=tmp_path / str(workers), formats="arrow", workers=workers,
                rows_per_shard=16, progress=False)
        for workers in (1, 2)
    ]  # fmt: skip
    assert content(folders[0]) == content(folders[1])


def test_missing_unlisted_and_damaged_pictures_are_named(tmp_path: Path) -> None:
    raw = write_chexpert(tmp_path / "raw", 6)
    root = raw / "CheXpert-v1.0-small"
    picture = root / "train/patient00003/study1/view1_frontal.jpg"
    whole = picture.read_bytes()

    def refused(sentence: str) -> None:
        with pytest.raises(RawDataError, match=sentence):
            prepare("chexpert", raw=raw, root=tmp_path / "data", formats="arrow", workers=1, progress=False)
        assert not list((tmp_path / "data").glob("*/manifest.json"))

    picture.write_bytes(whole[:700])
    refused(r"patient00003/study1/view1_frontal.jpg \(.*train.csv, line 4\) is .*truncated")
    picture.unlink()
    refused(r"patient00003/study1/view1_frontal.jpg is missing, but is named in .*train.csv, line 4")
    picture.write_bytes(whole)
    extra = root / "train/patient00003/study2/view1_frontal.jpg"
    extra.parent.mkdir()
    extra.write_bytes(jpeg(80, 70, 0, "L"))
    refused(r"patient00003/study2/view1_frontal.jpg is not named by .*train.csv")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"uncertian": "ones"},
            r"no option 'uncertian': did you mean uncertain\? its options: uncertain, blank, views",
        ),
        ({"blank": "ones"}, r"chexpert: blank is 'ones', but must be one of zeros, unobserved"),
    ],
)
def test_invalid_options_are_refused(raw: Path, options: dict[str, Option], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        source_named("chexpert", raw, options)
    with pytest.raises(ConfigError, match="mnist has no option 'x': its options: count"):
        source_named("mnist", raw, {"x": 1})
