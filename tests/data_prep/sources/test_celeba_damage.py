"""An error in CelebA's files is reported in one sentence with file and row, and leaves no data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.errors import RawDataError
from data_prep.progress import Progress
from data_prep.sources import source_named
from tests.data_prep.fixtures import prepared
from tests.data_prep.sources.raw_pictures import jpeg, picture_name, write_celeba

QUIET = Progress(shown=False)
ROWS = 40


def damage_picture(raw: Path) -> str:
    path = raw / "img_align_celeba" / picture_name(11)
    path.write_bytes(path.read_bytes()[:900])
    return rf"{path} \(.*list_attr_celeba.txt, line 14\) is .*truncated"


def remove_picture(raw: Path) -> str:
    (raw / "img_align_celeba" / picture_name(11)).unlink()
    return r"000012.jpg is missing, but is named in .*list_attr_celeba.txt, line 14"


def add_picture(raw: Path) -> str:
    (raw / "img_align_celeba" / "000041.jpg").write_bytes(jpeg(218, 178, 1))
    return r"000041.jpg is not named by .*list_attr_celeba.txt: the list is shorter"


def text_instead_of_a_picture(raw: Path) -> str:
    (raw / "img_align_celeba" / picture_name(11)).write_text("<html>404</html>")
    return r"000012.jpg \(.*line 14\) is not a picture file but an HTML page"


def small_picture(raw: Path) -> str:
    (raw / "img_align_celeba" / picture_name(11)).write_bytes(jpeg(64, 64, 1))
    return r"000012.jpg \(.*line 14\) has 64 x 64 pixels where 178 x 218 are expected"


def picture_for_a_folder(raw: Path) -> str:
    (raw / "img_align_celeba" / picture_name(11)).unlink()
    (raw / "img_align_celeba" / picture_name(11)).mkdir()
    return r"000012.jpg .*cannot be read: Is a directory"


def no_pictures(raw: Path) -> str:
    (raw / "img_align_celeba").rename(raw / "elsewhere")
    return r"lacks img_align_celeba.zip, or the folder .*get it from http.*--raw"


def no_partition(raw: Path) -> str:
    (raw / "list_eval_partition.txt").unlink()
    return r"lacks list_eval_partition.txt or .csv .*agreement.*mmlab"


def shorter_partition(raw: Path) -> str:
    path = raw / "list_eval_partition.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    return r"list_attr_celeba.txt, line 42 names 000040.jpg, which .*list_eval_partition.txt does not"


@pytest.mark.parametrize(
    "damage",
    [
        damage_picture, remove_picture, add_picture, text_instead_of_a_picture, picture_for_a_folder, no_pictures,
        no_partition, shorter_partition,
    ],
)  # fmt: skip
def test_an_error_is_reported_with_file_and_row_and_leaves_no_data_set(
    tmp_path: Path, damage: Callable[[Path], str]
) -> None:
    raw = write_celeba(tmp_path / "raw", ROWS)
    sentence = damage(raw)
    with pytest.raises(RawDataError, match=sentence) as caught:
        prepared(
            "celeba", raw, tmp_path / "data", workers=2 if damage is damage_picture else 1, rows_per_shard=9
        )
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").rglob("manifest.json"))
    assert not list((tmp_path / "data").glob("*/.*.partial"))


def test_a_picture_that_is_none_of_the_aligned_ones_is_refused_with_its_size(tmp_path: Path) -> None:
    raw = write_celeba(tmp_path / "raw", ROWS)
    sentence = small_picture(raw)
    for name in ("celeba", "celeba_glasses_facial_hair"):
        with pytest.raises(RawDataError, match=sentence):
            prepared(name, raw, tmp_path / "data")


def test_a_picture_that_changes_during_preparation_is_named(tmp_path: Path) -> None:
    raw = write_celeba(tmp_path / "raw", ROWS)
    source = source_named("celeba", raw).verified(tmp_path / "work", QUIET)
    (raw / "img_align_celeba" / picture_name(3)).write_bytes(jpeg(218, 178, seed=77))
    with pytest.raises(RawDataError, match=r"000004.jpg .*line 6\) has changed since the preparation began"):
        source.rows("train", 0, 9)


def test_pictures_missing_for_a_task_are_named(tmp_path: Path) -> None:
    """They are gone, or the task runs on another machine without that disk."""
    raw = write_celeba(tmp_path / "raw", ROWS)
    source = source_named("celeba", raw).verified(tmp_path / "work", QUIET)
    pictures = raw / "img_align_celeba"
    (pictures / picture_name(3)).unlink()
    with pytest.raises(RawDataError, match=r"000004.jpg .*line 6\) no longer exists, or not on this machine"):
        source.rows("train", 0, 9)
    pictures.rename(raw / "elsewhere")
    with pytest.raises(RawDataError, match=rf"{pictures} no longer exists, or not on this machine"):
        source.rows("train", 0, 9)
