"""Damaged pictures: all are found and named, left out on request, and cost only their own shards when repaired."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from data_prep.checking import check, write_findings
from data_prep.errors import RawDataError
from data_prep.faults import DamagedPictures
from data_prep.manifest import Manifest
from data_prep.progress import Progress
from data_prep.stages import prepare
from tests.data_prep.fixtures import content, prepared, write_raw
from tests.data_prep.sources.raw_pictures import picture_name, write_celeba

QUIET = Progress(shown=False)
ROWS = 40


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "raw", ROWS)


def with_a_hole(raw: Path, number: int) -> bytes:
    """Overwrite the middle of a picture with zeros; returns what it was."""
    path = raw / "img_align_celeba" / picture_name(number)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(200) + whole[len(whole) // 2 + 200 :])
    return whole


def test_all_that_is_wrong_is_listed(raw: Path, tmp_path: Path) -> None:
    """Lines of both lists, missing and surplus pictures, and damaged ones, in a check and as a table."""
    attributes, partition = (raw / f"list_{name}.txt" for name in ("attr_celeba", "eval_partition"))
    attributes.write_text(
        attributes.read_text().replace("000003.jpg ", "000003.jpg 7 ").replace("000005.jpg", "?")
    )
    partition.write_text(partition.read_text().replace("000007.jpg 0", "000007.jpg 5"))
    (raw / "img_align_celeba" / "000090.jpg").write_bytes(b"x")
    (raw / "img_align_celeba" / picture_name(10)).unlink()
    with_a_hole(raw, 20)
    with_a_hole(raw, 21)
    found = check("celeba", raw=raw, options={}, workers=1, progress=QUIET)
    texts = "\n".join(map(str, found.findings))
    for said in (
        "line 5 has 42 fields", "line 7: '?' is not the name", "line 7: the split is '5'", "000011.jpg is missing",
        "000090.jpg is not named", "000021.jpg (", "000022.jpg (",
    ):  # fmt: skip
        assert said in texts
    write_findings(tmp_path / "found.csv", found.findings)
    with (tmp_path / "found.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + len(found.findings)


def test_a_check_of_whole_files_finds_nothing_and_of_other_kinds_says_what_is_wrong(
    raw: Path, tmp_path: Path
) -> None:
    found = check("celeba", raw=raw, options={"count": 30}, workers=1, progress=QUIET)
    assert (found.findings, sum(found.rows.values())) == ((), 30)
    idx = write_raw(tmp_path / "idx", {"train": 30, "test": 20})
    assert check("idx_folder", raw=idx, options={}, progress=QUIET).rows == {"train": 30, "test": 20}
    path = idx / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    found = check("idx_folder", raw=idx, options={}, progress=QUIET)
    assert [finding.problem for finding in found.findings if "is truncated" in finding.problem]


def test_a_repaired_picture_costs_only_its_own_shard(raw: Path, tmp_path: Path) -> None:
    """All damaged pictures are named at once; what is whole is not made again; what is left over is named."""
    whole = {number: with_a_hole(raw, number) for number in (2, 12)}
    with pytest.raises(DamagedPictures, match=r"000003.jpg .*; .*000013.jpg .*damaged=leave_out") as caught:
        prepared("celeba", raw, tmp_path / "out", rows_per_shard=10)
    assert len(caught.value.faults) == 2
    (unfinished,) = (tmp_path / "out").glob("celeba-*")
    made = {path.name: path.stat().st_ino for path in unfinished.glob("*.arrow")}
    assert set(made) == {"train-00002.arrow", "valid-00000.arrow", "test-00000.arrow"}
    for number, picture in whole.items():
        (raw / "img_align_celeba" / picture_name(number)).write_bytes(picture)
    folder = prepared("celeba", raw, tmp_path / "out", rows_per_shard=10)
    assert folder != unfinished
    assert made.items() <= {path.name: path.stat().st_ino for path in folder.glob("*.arrow")}.items()
    expected = prepared("celeba", write_celeba(tmp_path / "clean", ROWS), tmp_path / "b", rows_per_shard=10)
    assert content(folder) == content(expected)


def test_leftovers_are_named_with_their_size(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = with_a_hole(raw, 2)
    with pytest.raises(DamagedPictures):
        prepared("celeba", raw, tmp_path / "out")
    (unfinished,) = (tmp_path / "out").glob("celeba-*")
    (raw / "img_align_celeba" / picture_name(2)).write_bytes(whole)
    prepare("celeba", raw=raw, root=tmp_path / "out", workers=1, formats="arrow")
    said = capsys.readouterr().err
    assert f"{unfinished} (" in said
    assert "2 of 3 shards taken over" in said


def test_leaving_out_after_a_refusal_takes_over_what_is_not_shifted(raw: Path, tmp_path: Path) -> None:
    with_a_hole(raw, 15)
    with pytest.raises(DamagedPictures):
        prepared("celeba", raw, tmp_path / "out", rows_per_shard=10)
    (unfinished,) = (tmp_path / "out").glob("celeba-*")
    made = {path.name: path.stat().st_ino for path in unfinished.glob("*.arrow")}
    folder = prepared("celeba", raw, tmp_path / "out", rows_per_shard=10, options={"damaged": "leave_out"})
    kept = {path.name for path in folder.glob("*.arrow") if made.get(path.name) == path.stat().st_ino}
    assert kept == {"train-00000.arrow", "valid-00000.arrow", "test-00000.arrow"}


@pytest.mark.parametrize("part", [{}, {"count": 30}])
def test_damaged_pictures_are_left_out_on_request_and_counted(
    raw: Path, tmp_path: Path, part: dict[str, int]
) -> None:
    for number in range(4):
        with_a_hole(raw, number)
    options = {"damaged": "leave_out"} | part
    folder = prepared("celeba", raw, tmp_path / "out", options=options)
    manifest = Manifest.load(folder)
    rows, damaged = sum(split.rows for split in manifest.splits.values()), manifest.left_out["damaged"]
    assert rows + damaged == part.get("count", ROWS)
    assert 1 <= damaged <= 4
    used = prepared("celeba", raw, tmp_path / "out", options={"damaged": "use"})
    assert sum(split.rows for split in Manifest.load(used).splits.values()) == ROWS


def test_without_any_whole_training_picture_there_is_no_data_set(raw: Path, tmp_path: Path) -> None:
    for path in (raw / "img_align_celeba").iterdir():
        path.write_bytes(path.read_bytes()[:500])
    sentence = r"and 35 more \(--check lists all\); without them there is no picture for training"
    with pytest.raises(RawDataError, match=sentence):
        prepared("celeba", raw, tmp_path / "out", options={"damaged": "leave_out"})
