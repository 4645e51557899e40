"""The Toronto Face Database: its file, faces that a classifier labels, and splits as CSVAE makes them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from data_prep.errors import RawDataError
from data_prep.manifest import Manifest, verify_checksums
from data_prep.progress import Progress
from data_prep.shards.arrow import open_split
from data_prep.sources.tfd import TorontoFaces, tfd
from data_prep.sources.tfd_file import EXPRESSIONS, open_file
from data_prep.sources.tfd_labelling import label_faces
from tests.data_prep.fixtures import content, prepared

QUIET = Progress(shown=False)
SIDE, LABELLED, UNLABELLED = 48, 420, 360
# Each example starts a process that reads the file.
many = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def faces(seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """A file's variables: faces are spots whose position is the expression, some of them barely visible."""
    generator = np.random.default_rng(seed)
    count = LABELLED + UNLABELLED
    expression = np.arange(count) % 7
    angle = expression * (2 * np.pi / 7) + generator.normal(0, 0.1, count)
    y, x = np.mgrid[:SIDE, :SIDE]
    spot = (y - 24 - 14 * np.sin(angle)[:, None, None]) ** 2 + (
        x - 24 - 14 * np.cos(angle)[:, None, None]
    ) ** 2
    contrast = generator.uniform(0, 25, (count, 1, 1))
    images = contrast * np.exp(-spot / 60) + generator.normal(100, 15, (count, SIDE, SIDE))
    labelled = np.arange(count) < LABELLED
    return {
        "images": images.clip(0, 255).astype(np.uint8),
        "labs_ex": np.where(labelled, expression + 1, -1)[:, None].astype(np.int16),
        "labs_id": np.where(labelled & (expression != 3), 1 + np.arange(count) // 7, -1)[:, None].astype(
            np.int16
        ),
        "folds": np.zeros((count, 5), dtype=np.uint8),
    }


@cache
def small_faces() -> dict[str, NDArray[np.generic]]:
    """Twelve of them, of four pixels a side."""
    found = {name: value[:12] for name, value in faces().items()}
    return found | {"images": found["images"][:, :4, :4]}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfd")
    savemat(folder / "TFD_48x48.mat", faces(), do_compression=True)
    return folder


@pytest.fixture(scope="module")
def verified(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> TorontoFaces:
    return tfd(raw).verified(tmp_path_factory.mktemp("work"), QUIET)


def test_unlabelled_faces_are_labelled_where_the_classifier_is_sure(verified: TorontoFaces) -> None:
    variables = faces()
    numbers, expressions = [], []
    for split, count in verified.splits().items():
        rows = verified.rows(split, 0, count)
        rows.check((1, SIDE, SIDE), [7], 2)
        number = np.array([int(row_id.removeprefix("face-")) for row_id in rows.ids])
        np.testing.assert_array_equal(rows.image[:, 0], variables["images"][number])
        np.testing.assert_array_equal(rows.factors[:, 0], variables["labs_id"][number, 0])
        np.testing.assert_array_equal(rows.factors[:, 1], number < LABELLED)
        np.testing.assert_array_equal(rows.labels[:, 0], verified.label_column(split))
        assert list(rows.ids) == verified.ids(split)
        numbers.append(number)
        expressions.append(rows.labels[:, 0])
    number, expression = np.concatenate(numbers), np.concatenate(expressions)
    assert len(set(number)) == len(number)
    assert set(range(LABELLED)) <= set(number), "a face labelled by people is never dropped"
    by_people = number < LABELLED
    np.testing.assert_array_equal(expression[by_people], variables["labs_ex"][number[by_people], 0] - 1)
    assert 0.3 * UNLABELLED < (~by_people).sum() < 0.95 * UNLABELLED, "some are dropped"
    assert (expression[~by_people] == number[~by_people] % 7).mean() > 0.85


def test_eighty_ten_ten_with_the_same_share_of_faces_that_people_labelled(verified: TorontoFaces) -> None:
    splits = verified.splits()
    total = sum(splits.values())
    for split, share in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
        assert splits[split] == pytest.approx(share * total, abs=1.5)
        by_people = verified.rows(split, 0, splits[split]).factors[:, 1].sum()
        assert by_people == pytest.approx(share * LABELLED, abs=1)
    other = tfd(verified.raw, seed=1)
    assert other.splits() == splits
    assert other.ids("valid") != verified.ids("valid")


def test_sure_means_right_nine_times_out_of_ten_although_people_differ() -> None:
    """Where faces are hard, the uncalibrated classifier would be sure of nearly all of them, and often wrong."""
    generator = np.random.default_rng(1)
    expressions = np.arange(1400) % 7
    patterns = generator.normal(0, 1, (7, SIDE, SIDE))
    images = (120 + 3 * patterns[expressions] + generator.normal(0, 25, (1400, SIDE, SIDE))).clip(0, 255)
    known = np.where(np.arange(1400) < 700, expressions, -1)
    found = label_faces(images.astype(np.uint8), known, np.full(1400, -1))
    sure = found.expressions >= 0
    assert not sure[:700].any()
    assert 0.2 < found.accuracy < 0.95
    assert (found.expressions[sure] == expressions[sure]).mean() > 0.85
    assert sure[700:].mean() < 0.9


def test_preparation_is_deterministic(raw: Path, tmp_path: Path) -> None:
    folders = [prepared("tfd", raw, tmp_path / name, rows_per_shard=200) for name in ("one", "two")]
    assert content(folders[0]) == content(folders[1])
    manifest = Manifest.load(folders[0])
    verify_checksums(folders[0], manifest)
    assert manifest.image_shape == (1, SIDE, SIDE)
    assert manifest.labels[0].values == EXPRESSIONS
    assert manifest.factors == ("identity", "labelled_by_people")
    assert sum(len(s) for s in open_split(folders[0], manifest, "train")) == manifest.splits["train"].rows


@pytest.mark.parametrize("name", ["TFD_48x48.mat", "TFD_ranzato_96x96.mat", "TFD/tfd.mat"])
def test_usual_names_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    savemat(tmp_path / name, faces())
    assert tfd(tmp_path).image_shape() == (1, SIDE, SIDE)


def test_an_archive_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "TFD.zip").write_bytes(b"PK")
    with pytest.raises(RawDataError, match=r"TFD\.zip is an archive: unpack it"):
        tfd(tmp_path / "TFD.zip").checksums()


def test_two_files_are_refused(tmp_path: Path) -> None:
    for name in ("TFD_48x48.mat", "TFD_96x96.mat"):
        (tmp_path / name).touch()
    with pytest.raises(RawDataError, match=r"TFD_48x48\.mat, TFD_96x96\.mat: keep the one"):
        tfd(tmp_path).checksums()


def test_a_missing_file_is_reported_with_where_to_get_and_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for source in (tfd(None), tfd(tmp_path)):
        with pytest.raises(RawDataError, match=r"aclab\.ca.*TFD_48x48\.mat.*--raw") as caught:
            source.checksums()
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": None}, "no variable images"),
        ({"labs_ex": None, "labs_id": None}, "no variable labs_ex and no labs_id"),
        ({"images": np.zeros((780, 48 * 48), dtype=np.uint8)}, r"images is uint8 \(780, 2304\)"),
        ({"images": np.zeros((780, 48, 48))}, "images is double"),
        ({"labs_ex": np.ones((779, 1))}, r"labs_ex is \(779, 1\) for 780 images"),
        ({"labs_ex": np.where(np.arange(780) == 17, 8, 1)}, r"labs_ex of image 17 \(from 0\) is 8"),
        ({"labs_ex": np.where(np.arange(780) == 3, np.nan, 1)}, "labs_ex of image 3"),
        ({"labs_id": np.where(np.arange(780) == 5, 1.5, 1)}, "labs_id of image 5"),
        ({"labs_id": np.array(["x"] * 780)[:, None]}, "labs_id holds"),
        ({"labs_ex": np.where(np.arange(780) < 70, 1, -1)}, "has 0 faces labelled disgust"),
    ],
)
def test_a_file_that_is_not_the_database_is_refused(
    tmp_path: Path, change: dict[str, NDArray[np.generic] | None], sentence: str
) -> None:
    variables = {name: value for name, value in (faces() | change).items() if value is not None}
    savemat(tmp_path / "TFD_48x48.mat", variables)
    with pytest.raises(RawDataError, match=sentence) as caught:
        tfd(tmp_path).verified(tmp_path / "work", QUIET)
    assert str(tmp_path / "TFD_48x48.mat") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "work").exists()


def test_a_file_of_another_format_says_how_to_save_it(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n"
    (tmp_path / "TFD_48x48.mat").write_bytes(header)
    with pytest.raises(RawDataError, match="-v7"):
        tfd(tmp_path).image_shape()


@many
@given(data=st.data())
def test_damage_ends_in_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "TFD_48x48.mat"
    savemat(path, small_faces(), do_compression=data.draw(st.booleans()))
    damaged = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        found = open_file(path)
        found.images()
    except RawDataError as error:
        sentence = str(error)
    else:
        assert found.expressions.max() <= 6
        sentence = f"{path}: the damage had no effect"
    assert str(path) in sentence
    assert "\n" not in sentence


def test_a_crash_of_the_parser_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    savemat(tmp_path / "TFD_48x48.mat", faces())
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    really = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **options: really(crash, **options))
    with pytest.raises(
        RawDataError, match=r"TFD_48x48\.mat is not a MATLAB file, or is damaged \(its parser crashes"
    ):
        tfd(tmp_path).image_shape()
