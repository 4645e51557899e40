"""AffectNet: lists in their usual forms, faces aligned by their landmarks, splits as Rb-VAE makes them."""

from __future__ import annotations

import re
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.checking import check
from data_prep.damage import DamagedPicture
from data_prep.errors import RawDataError
from data_prep.manifest import Manifest, verify_checksums
from data_prep.progress import Progress
from data_prep.shards.arrow import open_split
from data_prep.sources.affectnet import AffectNet, affectnet
from data_prep.sources.affectnet_lists import EXPRESSIONS, read_faces
from data_prep.sources.face_alignment import SIDE, aligned, mean_shape, similarity
from tests.data_prep.fixtures import content, prepared
from tests.data_prep.sources.raw_faces import (
    HEADER,
    REFERENCES,
    line,
    picture,
    posed,
    template,
    write_affectnet,
)
from tests.data_prep.sources.raw_pictures import write_zip

QUIET = Progress(shown=False)
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_affectnet(tmp_path_factory.mktemp("affectnet"))


@pytest.fixture
def own(raw: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))


@pytest.fixture(scope="module")
def verified(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> AffectNet:
    return affectnet(raw).verified(tmp_path_factory.mktemp("work"), QUIET)


def test_a_similarity_transform_is_recovered() -> None:
    shape = template()
    for seed in range(20):
        generator = np.random.default_rng(seed)
        a, b = complex(*generator.normal(0, 2, 2)), complex(*generator.normal(0, 50, 2))
        moved = (shape[:, 0] + 1j * shape[:, 1] - b) / a
        found = similarity(np.stack([moved.real, moved.imag], axis=1), shape)
        assert found == pytest.approx((a, b))


def test_the_mean_shape_is_upright_and_in_the_middle() -> None:
    landmarks = np.stack([posed(seed)[0] for seed in range(40)]).astype(np.float32)
    shape = mean_shape(landmarks)
    a, _ = similarity(template(), shape)
    assert abs(np.angle(a)) < 0.12
    fitted = (template() - template().mean(axis=0)) * abs(a)
    assert np.abs(fitted - (shape - shape.mean(axis=0))).max() < 4
    assert np.ptp(shape, axis=0).max() == pytest.approx(0.75 * SIDE, abs=0.01)
    assert shape.min() > 0
    assert shape.max() < SIDE
    np.testing.assert_allclose(mean_shape(landmarks[::-1]), shape, atol=0.002)


def test_landmarks_of_every_face_are_aligned_to_the_mean_shape(verified: AffectNet) -> None:
    index = verified._index
    assert index is not None
    rows = verified.rows("train", 0, verified.splits()["train"])
    rows.check((3, SIDE, SIDE), [8], 0)
    y, x = (index.shape[:, 1] - 0.5).round().astype(int), (index.shape[:, 0] - 0.5).round().astype(int)
    at_landmarks = rows.image[:, 0, y, x].mean(axis=1)
    elsewhere = np.median(rows.image[:, 0, 24:88, 14:82], axis=(1, 2))
    assert (at_landmarks > elsewhere + 80).all()
    assert np.abs(rows.image[:, 2].astype(int) * 2 - rows.image[:, 0]).mean() < 8, "colours are unchanged"


@pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
def test_alignment_keeps_brightness_whatever_the_size_of_the_picture(scale: float) -> None:
    """An affine transformation alone would skip pixels of a large picture, and so lose fine lines."""
    size = round(400 * scale)
    stripes = np.zeros((size, size, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    file = BytesIO()
    Image.fromarray(stripes).save(file, "PNG")
    landmarks = template() * size / 140 + size * 0.15
    face = aligned(file.getvalue(), landmarks, mean_shape(template()[None].astype(np.float32)))
    inner = face[:, 20:80, 20:80].astype(float)
    assert inner.mean() == pytest.approx(100, abs=4)
    if scale >= 1:
        assert inner.std() < 25


def test_splits_are_those_of_the_paper_in_small(verified: AffectNet, raw: Path) -> None:
    assert dict(verified.splits()) == {"train": REFERENCES + 8 + 7 * 4, "probe": 14, "test": 14}
    names: set[str] = set()
    for split, count in verified.splits().items():
        rows = verified.rows(split, 0, count)
        assert list(rows.ids) == verified.ids(split)
        np.testing.assert_array_equal(rows.labels[:, 0], verified.label_column(split))
        assert not names & set(rows.ids)
        names |= set(rows.ids)
        of_affectnet = [(i, n) for i, n in enumerate(rows.ids) if not n.startswith("neutral/")]
        for i, name in of_affectnet:
            found = re.search(r"face(\d+)", name)
            assert found is not None
            assert rows.labels[i, 0] == int(found[1]) % 8
        if split == "train":
            assert rows.reference.sum() == REFERENCES == count - len(of_affectnet)
            assert (rows.labels[rows.reference] == EXPRESSIONS.index("neutral")).all()
        else:
            assert np.bincount(rows.labels[:, 0], minlength=8).tolist() == [0, 2, 2, 2, 2, 2, 2, 2]
            assert not rows.reference.any()


def test_affectnets_own_neutral_faces_may_be_the_references(raw: Path, tmp_path: Path) -> None:
    source = affectnet(raw, reference="affectnet").verified(tmp_path, QUIET)
    rows = source.rows("train", 0, source.splits()["train"])
    assert rows.reference.sum() == 8
    assert (rows.labels[rows.reference] == 0).all()
    assert (rows.labels[~rows.reference] > 0).all()


def test_preparation_is_deterministic(raw: Path, tmp_path: Path) -> None:
    folders = [prepared("affectnet", raw, tmp_path / name, rows_per_shard=16) for name in ("one", "two")]
    assert content(folders[0]) == content(folders[1])
    manifest = Manifest.load(folders[0])
    verify_checksums(folders[0], manifest)
    assert manifest.image_shape == (3, SIDE, SIDE)
    assert sum(int(s.reference.sum()) for s in open_split(folders[0], manifest, "train")) == REFERENCES


def test_a_list_without_header_and_with_other_line_endings_gives_the_same(raw: Path, tmp_path: Path) -> None:
    official = raw / "Manually_Annotated_file_lists" / "training.csv"
    expected = read_faces(official, with_expressions=True)
    lines = official.read_text().splitlines()
    for text in (
        "\n".join(lines[1:]),
        "\r\n".join(lines) + "\r\n\r\n",
        "\ufeff" + "\n".join(lines),
        "\n".join([lines[0].upper(), *reversed(lines[1:])]),
        "\n".join(lines).replace("/face", "\\face"),
    ):
        other = tmp_path / "other.csv"
        other.write_bytes(text.encode())
        found = read_faces(other, with_expressions=True)
        for column in ("names", "expressions", "landmarks"):
            np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))


def changed(own: Path, number: int, old: str, new: str) -> Path:
    """The list with a change in one line (from 1)."""
    path = own / "Manually_Annotated_file_lists" / "training.csv"
    lines = path.read_text().splitlines()
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("number", "old", "new", "sentence"),
    [
        (5, "face003.JPG", "face002.bmp", "line 5"),
        (5, "0/face003.JPG", "../face003.JPG", "line 5: .* is not a path below the folder"),
        (5, "0/face003.JPG", "/etc/passwd", "line 5: .* is not a path below the folder"),
        (5, "0/face003.JPG", "x" * 300, "line 5: the name of a picture is longer"),
        (5, ",10,10,", ",10,", "line 5 has 8 fields where 9 are expected"),
        (5, ",3,-0.1", ",11,-0.1", "line 5: the expression is '11'"),
        (5, ",3,-0.1", ",happy,-0.1", "line 5: the expression is 'happy'"),
        (5, ";", ";1.0;", "line 5 has 137 coordinates where 68 points"),
        (5, ";", ";x", "line 5: the landmarks .* are not numbers"),
        (5, ";", ";nan;", "line 5"),
        (5, ";", "e30;", "line 5: a landmark is at "),
        (1, "facial_landmarks", "points", "line 1 names 0 columns facial_landmarks"),
        (1, "face_x", "expression", "line 1 names 2 columns expression"),
    ],
)
def test_an_error_in_a_list_is_reported_with_its_line(
    own: Path, number: int, old: str, new: str, sentence: str
) -> None:
    path = changed(own, number, old, new)
    with pytest.raises(RawDataError, match=sentence) as caught:
        affectnet(own).checksums()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_duplicate_name_is_reported_with_both_lines(own: Path) -> None:
    changed(own, 6, "1/face004.jpg", "0/face003.JPG")
    with pytest.raises(RawDataError, match=r"line 6: 0/face003\.JPG occurs twice \(first in line 5\)"):
        affectnet(own).checksums()


def test_a_missing_picture_is_reported_with_its_line_in_the_list(own: Path) -> None:
    (own / "Manually_Annotated_Images" / "0" / "face003.JPG").unlink()
    with pytest.raises(
        RawDataError, match=r"face003\.JPG is missing, but is named in .*training\.csv, line 5"
    ):
        affectnet(own).checksums()
    (own / "Manually_Annotated_Images" / "0" / "face003.JPG").touch()
    (own / "neutral" / "2.jpg").unlink()
    with pytest.raises(RawDataError, match=r"2\.jpg is missing, but is named in .*landmarks\.csv, line 4"):
        affectnet(own).checksums()


def test_faces_without_a_picture_and_damaged_ones_are_left_out_on_request(own: Path, tmp_path: Path) -> None:
    pictures = own / "Manually_Annotated_Images"
    (pictures / "0" / "face003.JPG").unlink()
    for name in ("1/face001.png", "2/face005.png"):
        (pictures / name).write_bytes((pictures / name).read_bytes()[:-40])
    found = check("affectnet", raw=own, options={}, workers=1, progress=QUIET)
    assert [finding.problem.partition(" is missing")[0][-11:] for finding in found.findings[:1]] == [
        "face003.JPG"
    ]
    assert sorted(finding.picture[-13:] for finding in found.findings[1:]) == [
        "1/face001.png",
        "2/face005.png",
    ]
    options = {"pictures": "both", "damaged": "leave_out"}
    manifest = Manifest.load(prepared("affectnet", own, tmp_path / "out", options=options))
    assert sorted(manifest.left_out.values()) == [1, 2]
    assert sum(split.rows for split in manifest.splits.values()) == REFERENCES + 64 - 3


def test_one_archive_gives_the_same_data_set(raw: Path, tmp_path: Path) -> None:
    shutil.copytree(raw / "neutral", tmp_path / "neutral")
    files = {str(p.relative_to(raw)): p.read_bytes() for p in raw.rglob("*.*") if "neutral" not in p.parts}
    write_zip(tmp_path / "affectnet.zip", files)
    assert affectnet(tmp_path / "affectnet.zip").checksums() == affectnet(raw).checksums()
    rows = affectnet(tmp_path / "affectnet.zip").verified(tmp_path / "work", QUIET).rows("test", 0, 14)
    assert len(rows) == 14


def test_annotations_in_small_files_are_read(raw: Path, tmp_path: Path) -> None:
    """The form of 2022: expression as text or a number, landmarks as an array; the same faces under other names."""
    listed = read_faces(raw / "Manually_Annotated_file_lists" / "training.csv", with_expressions=True)
    for kind in ("images", "annotations"):
        (tmp_path / "train_set" / kind).mkdir(parents=True)
    for number, (name, expression, points) in enumerate(
        zip(listed.names.tolist(), listed.expressions.tolist(), listed.landmarks, strict=True)
    ):
        start = tmp_path / "train_set" / "annotations" / str(number)
        image = tmp_path / "train_set" / "images" / f"{number}.jpg"
        shutil.copy(raw / "Manually_Annotated_Images" / name.decode(), image)
        np.save(f"{start}_exp.npy", np.array(str(expression) if number % 2 else float(expression)))
        np.save(f"{start}_lnd.npy", points.reshape(-1).astype(np.float64))
    source = affectnet(tmp_path, reference="affectnet")
    expected = affectnet(raw, reference="affectnet")
    assert source.splits() == expected.splits()
    ready = source.verified(tmp_path / "work", QUIET)
    assert np.bincount(ready.rows("test", 0, 14).labels[:, 0]).tolist() == [0, 2, 2, 2, 2, 2, 2, 2]
    (tmp_path / "train_set" / "annotations" / "7_lnd.npy").unlink()
    with pytest.raises(RawDataError, match=r"7_lnd\.npy is missing, but its picture is there"):
        affectnet(tmp_path, reference="affectnet").splits()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_picture_is_named_and_nothing_half_written_is_left(
    own: Path, tmp_path: Path, damage: str
) -> None:
    for path in (own / "Manually_Annotated_Images").rglob("*.*"):
        whole = path.read_bytes()
        path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"no picture"}[damage])
    with pytest.raises(
        RawDataError,
        match=r"face\d+\.\w+ \(.*training\.csv, line \d+\) (is .*truncated|is not a picture|cannot be)",
    ) as caught:
        prepared("affectnet", own, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("manifest.json"))
    assert not list((tmp_path / "out").rglob("*.arrow"))


def test_landmarks_outside_the_picture_are_reported(tmp_path: Path) -> None:
    points, size = posed(0)
    file = BytesIO()
    picture(points, size).save(file, "PNG")
    with pytest.raises(DamagedPicture, match="landmarks lie outside"):
        aligned(file.getvalue(), points + 5000, mean_shape(points[None].astype(np.float32)))


def test_missing_raw_files_are_reported_with_where_to_get_and_put_them(own: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        RawDataError, match=r"empty lacks training\.csv .* Manually_Annotated_Images .*--raw"
    ) as caught:
        affectnet(tmp_path / "empty").checksums()
    assert "http://mohammadmahoor.com/affectnet/" in str(caught.value)
    shutil.rmtree(own / "neutral")
    with pytest.raises(
        RawDataError, match=r"landmarks\.csv is missing: put neutral faces .*reference=affectnet"
    ):
        affectnet(own).checksums()


ROWS = [line(f"{n}/face{n}.jpg", posed(n)[0], n % 11) for n in range(4)]


@many
@given(data=st.data())
def test_any_list_is_read_or_refused_in_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "training.csv"
    text = "\n".join([HEADER, *ROWS]).encode()
    kind = data.draw(st.sampled_from(["cut", "changed", "fields", "anything"]))
    if kind == "cut":
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    elif kind == "changed":
        spoiled = bytearray(text)
        for _ in range(data.draw(st.integers(1, 8))):
            spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
        text = bytes(spoiled)
    elif kind == "fields":
        fields = ROWS[0].split(",")
        strange = st.one_of(
            st.text(max_size=20), st.sampled_from(["", "-1", "nan", "1;2", ";" * 135, "../x", '"', "99"])
        )
        fields[data.draw(st.integers(0, 8))] = data.draw(strange)
        text = "\n".join([HEADER, ",".join(fields), *ROWS[1:]]).encode("utf-8", "surrogatepass")
    else:
        text = data.draw(st.binary(max_size=300))
    path.write_bytes(text)
    try:
        found = read_faces(path, with_expressions=True)
    except RawDataError as error:
        sentence = str(error)
    else:
        assert np.isfinite(found.landmarks).all()
        assert ((found.expressions >= 0) & (found.expressions < 8)).all()
        assert len(set(found.names.tolist())) == len(found)
        sentence = f"{path} can be read"
    assert str(path) in sentence
    assert len(sentence.splitlines()) == 1
