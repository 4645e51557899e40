"""Zip archives of pictures such as CelebA's: read in place, and not trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from data_prep.errors import RawDataError
from tests.data_prep.fixtures import content, prepared
from tests.data_prep.sources.raw_pictures import jpeg, picture_name, write_celeba, write_zip

ROWS = 40


def archive_with(raw: Path, extra: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    contents = {f"img_align_celeba/{picture_name(i)}": jpeg(218, 178, seed=i) for i in range(ROWS)}
    write_zip(raw / "img_align_celeba.zip", contents | extra, method)
    return raw / "img_align_celeba.zip"


@pytest.fixture
def with_lists(tmp_path: Path) -> Path:
    raw = write_celeba(tmp_path / "raw", ROWS, archive=True)
    (raw / "img_align_celeba.zip").unlink()
    return raw


def test_a_packed_archive_gives_the_same_pictures(with_lists: Path, tmp_path: Path) -> None:
    raw = write_celeba(tmp_path / "unpacked", ROWS)
    archive_with(with_lists, {"img_align_celeba/": b"", "__MACOSX/._000001.jpg": b"x"}, zipfile.ZIP_DEFLATED)
    assert content(prepared("celeba", with_lists, tmp_path / "a")) == content(
        prepared("celeba", raw, tmp_path / "b")
    )


@pytest.mark.parametrize(
    "name", ["../000099.jpg", "/etc/000099.jpg", "a/../../b.jpg", "..\\b.jpg", "C:\\b.jpg", "../x.txt"]
)
def test_an_archive_whose_paths_leave_the_folder_is_refused(
    with_lists: Path, tmp_path: Path, name: str
) -> None:
    archive_with(with_lists, {name: jpeg(218, 178, 1)})
    with pytest.raises(RawDataError, match=r"img_align_celeba.zip holds .* outside its folder"):
        prepared("celeba", with_lists, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_bomb_in_an_archive_is_refused_before_it_is_unpacked(with_lists: Path, tmp_path: Path) -> None:
    archive_with(with_lists, {"img_align_celeba/000041.jpg": bytes(30 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(
        RawDataError, match=r"000041.jpg would unpack to 31457280 bytes from \d+, which no picture does"
    ):
        prepared("celeba", with_lists, tmp_path / "data")


def patched(path: Path, name: str, offset: int, value: bytes) -> None:
    """Overwrite bytes of the directory entry of a file in an archive."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(name.encode()) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + offset : entry + offset + len(value)] = value
    path.write_bytes(data)


def test_an_archive_with_a_false_size_is_refused(with_lists: Path, tmp_path: Path) -> None:
    path = archive_with(with_lists, {}, zipfile.ZIP_DEFLATED)
    patched(path, "img_align_celeba/000005.jpg", 24, (500).to_bytes(4, "little"))
    with pytest.raises(RawDataError, match=r"000005.jpg in .*zip \(.*line 7\) is damaged in the archive"):
        prepared("celeba", with_lists, tmp_path / "data")


def test_an_encrypted_archive_is_refused(with_lists: Path, tmp_path: Path) -> None:
    patched(archive_with(with_lists, {}), "img_align_celeba/000005.jpg", 8, b"\x01\x00")
    with pytest.raises(RawDataError, match=r"img_align_celeba.zip is encrypted"):
        prepared("celeba", with_lists, tmp_path / "data")


def test_a_truncated_archive_is_refused(with_lists: Path, tmp_path: Path) -> None:
    path = archive_with(with_lists, {})
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 100, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(RawDataError, match=r"img_align_celeba.zip cannot be read: .*; is it complete\?"):
            prepared("celeba", with_lists, tmp_path / "data")


def test_a_picture_damaged_in_its_archive_is_named(with_lists: Path, tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = archive_with(with_lists, {}, method)
        damaged = bytearray(path.read_bytes())
        damaged[damaged.index(b"000005.jpg") + 700] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(
            RawDataError, match=r"000005.jpg in .*zip \(.*line 7\) (is damaged|cannot be unpacked)"
        ):
            prepared("celeba", with_lists, tmp_path / "data")


def test_a_picture_that_an_archive_holds_twice_is_refused(with_lists: Path, tmp_path: Path) -> None:
    archive_with(with_lists, {"again/img_align_celeba/000005.jpg": jpeg(218, 178, 9)})
    with pytest.raises(RawDataError, match=r"img_align_celeba.zip holds 000005.jpg twice"):
        prepared("celeba", with_lists, tmp_path / "data")
