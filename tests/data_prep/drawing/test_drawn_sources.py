"""The drawn sources: drawn once, read by CelebA's and CheXpert's own code, named by their options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.celeba_names import CCVAE_LABELS
from data_prep.drawing.faces.picture import person
from data_prep.drawing.faces.raw_layout import Faces
from data_prep.drawing.kinds import drawing_named
from data_prep.errors import ConfigError, RawDataError
from data_prep.manifest import Manifest
from data_prep.plan import data_set_folder
from data_prep.shards.arrow import open_split
from data_prep.sources import source_named
from data_prep.sources.drawn import DrawnPictures, scaled
from data_prep.sources.labelled_pictures import LabelledPictures
from data_prep.sources.options import Option
from data_prep.sources.raw_files import cache_folder
from data_prep.stages import prepare

VISIBLE = 8.0
"""Grey values."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def prepared(name: str, root: Path, **options: Option) -> Path:
    return prepare(name, root=root, workers=1, formats="arrow", progress=False, options=options)


def test_faces_have_the_labels_and_factors_they_were_drawn_from(tmp_path: Path) -> None:
    folder = prepared("drawn_faces", tmp_path / "data", count=20, seed=2)
    manifest = Manifest.load(folder)
    assert manifest.image_shape == (3, 64, 64)
    assert [label.name for label in manifest.labels] == list(CCVAE_LABELS)
    assert {name: split.rows for name, split in manifest.splits.items()} == {
        "train": 16,
        "valid": 2,
        "test": 2,
    }
    (shard,) = open_split(folder, manifest, "valid")
    for row in range(2):
        labels, face = person(2, 16 + row)
        assert shard.labels[row].tolist() == [labels[name] for name in CCVAE_LABELS]
        smile = shard.factors[row][manifest.factors.index("smile")]
        assert smile == pytest.approx(face.smile, rel=1e-5)
    assert shard.observed.all()
    assert np.asarray(shard.image).std() > 20


def test_faces_are_drawn_once_for_all_data_sets_made_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared("drawn_faces", tmp_path / "data", count=20)
    monkeypatch.setattr(Faces, "draw", lambda *_: pytest.fail("drawn again"))
    hair = Manifest.load(prepared("drawn_faces", tmp_path / "data", count=20, read_as="celeba_hair"))
    assert hair.labels[0].values == ("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
    drawn = cache_folder("drawn_faces") / "20-seed-0-version-1"
    face = prepared("drawn_faces", tmp_path / "data", count=20, view="face")
    (shard,) = open_split(face, Manifest.load(face), "valid")
    picture = Image.open(drawn / "img_align_celeba" / "000017.jpg")
    closer = np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC, box=(45, 84, 133, 172)))
    assert np.abs(np.asarray(shard.image)[0].transpose(1, 2, 0) - closer.astype(float)).mean() < 2
    named = prepare(
        "drawn_faces", raw=drawn, root=tmp_path / "named", workers=1, formats="arrow", progress=False,
        options={"count": 20},
    )  # fmt: skip
    assert named.name in {folder.name for folder in (tmp_path / "data").iterdir()}


def test_radiographs_have_unobserved_labels_where_reports_are_uncertain(tmp_path: Path) -> None:
    folder = prepared("drawn_radiographs", tmp_path / "data", count=20, seed=1)
    manifest = Manifest.load(folder)
    assert manifest.image_shape == (1, 64, 64)
    shards = [shard for split in manifest.splits for shard in open_split(folder, manifest, split)]
    observed = np.concatenate([shard.observed for shard in shards])
    assert 0 < (~observed).sum() < observed.size / 2
    assert all((shard.factors[:, manifest.factors.index("lateral")] == 0).all() for shard in shards)
    everything = prepared(
        "drawn_radiographs", tmp_path / "data", count=20, seed=1, views="all", uncertain="ones"
    )
    assert sum(split.rows for split in Manifest.load(everything).splits.values()) == 20


@pytest.mark.parametrize(
    ("name", "options", "labels"),
    [
        ("drawn_faces", {"view": "face"}, {"Eyeglasses": "Eyeglasses", "Smiling": "Smiling"}),
        ("drawn_faces", {"read_as": "celeba_facial_hair"}, {"Facial_Hair": "No_Beard"}),  # cropped first
        ("drawn_faces", {"read_as": "celeba_hair"}, {"Hair": "Black_Hair"}),
        ("drawn_radiographs", {"views": "all"}, {"Cardiomegaly": "Cardiomegaly", "Edema": "Edema"}),
    ],
)
def test_switching_a_label_changes_the_pixels_of_its_region_alone(
    tmp_path: Path, name: str, options: dict[str, Option], labels: dict[str, str]
) -> None:
    source = source_named(name, None, {"count": 20, **options})
    assert isinstance(source, DrawnPictures)
    drawing, read = drawing_named(source.kind), source.read_as(None)
    folder = prepared(name, tmp_path / "data", count=20, **options)
    manifest = Manifest.load(folder)
    assert manifest.regions
    (shard,) = open_split(folder, manifest, "train")
    assert shard.regions is not None
    for row in range(3):
        index = drawing.index_of(shard.ids[row].as_py(), 20)
        for label, drawn_label in labels.items():
            off, on = (seen(drawing.switched(0, index, drawn_label, value), read) for value in (False, True))
            changed = np.abs(off - on) > VISIBLE
            left, upper, right, lower = shard.regions[
                row, [spec.name for spec in manifest.labels].index(label)
            ]
            assert changed[upper:lower, left:right].any()
            changed[max(upper - 1, 0) : lower + 1, max(left - 1, 0) : right + 1] = False  # the resize blurs
            assert not changed.any()


def test_a_box_covers_every_pixel_that_it_touches() -> None:
    assert scaled((10, 20, 31, 40), (0, 0, 100, 100), (50, 50)) == (5, 10, 16, 20)
    assert scaled((10, 20, 31, 40), (10, 0, 60, 100), (50, 50)) == (0, 10, 21, 20)
    assert scaled((0, 0, 8, 8), (10, 10, 60, 60), (50, 50)) == (0, 0, 0, 0)


def seen(pixels: np.ndarray, read: LabelledPictures) -> np.ndarray:
    """A picture as the data set has it: grey, cropped, resized."""
    picture = Image.fromarray(pixels).convert("L").crop(read.crop or (0, 0, pixels.shape[1], pixels.shape[0]))
    return np.asarray(picture.resize(read.size[::-1], Image.Resampling.BILINEAR), dtype=np.float64)


def test_the_folder_is_named_by_count_seed_options_and_the_version_of_the_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(**options: Option) -> Path:
        return data_set_folder(source_named("drawn_faces", None, options), tmp_path)

    folders = [folder(), folder(count=5), folder(seed=1), folder(read_as="celeba_glasses")]
    assert folder(count=20_000, seed=0) == folders[0]
    monkeypatch.setattr(Faces, "version", 2)
    assert len({*folders, folder()}) == 5


def test_drawing_uses_as_many_processes_as_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawing(*_: object, workers: int | None, **__: object) -> None:
        raise ConfigError(f"{workers} draw")

    monkeypatch.setattr("data_prep.sources.drawn.draw_raw_folder", drawing)
    for workers in (1, 3, None):
        with pytest.raises(ConfigError, match=f"{workers} draw"):
            prepare("drawn_faces", root=tmp_path, workers=workers, progress=False)


def test_wrong_options_are_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be drawn"):
        source_named("drawn_faces", None, {"count": 0})
    with pytest.raises(ConfigError, match="read_as is 'cats'"):
        prepared("drawn_faces", tmp_path, read_as="cats")


def test_a_named_folder_of_other_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"")
    with pytest.raises(RawDataError, match="was not drawn by this command"):
        prepare(
            "drawn_faces", raw=tmp_path / "holiday", root=tmp_path / "data", workers=1, formats="arrow", progress=False,
            options={"count": 2},
        )  # fmt: skip
