"""The idx parser: any error in a file is reported in one sentence that names it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.errors import RawDataError
from data_prep.sources.idx import map_idx, read_header, unpacked_blocks, unpacked_md5
from tests.data_prep.fixtures import idx_bytes

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
CONTENT = idx_bytes(IMAGES)
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_everything(path: Path) -> bytes:
    read_header(path, 3)
    return b"".join(unpacked_blocks(path, 3))


def test_plain_and_packed_files_hold_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed.gz"
    plain.write_bytes(CONTENT)
    packed.write_bytes(gzip.compress(CONTENT))
    assert read_everything(plain) == read_everything(packed) == CONTENT
    assert unpacked_md5(plain, 3) == unpacked_md5(packed, 3)
    np.testing.assert_array_equal(map_idx(plain, 3), IMAGES)


def test_a_packed_file_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(CONTENT)
    assert read_everything(path) == CONTENT


@many
@given(length=st.integers(0, len(CONTENT) - 1))
def test_every_truncation_of_a_plain_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "images"
    path.write_bytes(CONTENT[:length])
    with pytest.raises(RawDataError, match="truncated") as caught:
        read_everything(path)
    assert str(path) in str(caught.value)
    with pytest.raises(RawDataError):
        map_idx(path, 3)


@many
@given(data=st.data())
def test_every_truncation_of_a_packed_file_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    packed = gzip.compress(CONTENT, mtime=0)
    path = tmp_path / "images.gz"
    path.write_bytes(packed[: data.draw(st.integers(0, len(packed) - 1))])
    with pytest.raises(RawDataError, match=r"truncated|not an idx file") as caught:
        read_everything(path)
    assert str(path) in str(caught.value)


@many
@given(position=st.integers(0, 200), bit=st.integers(0, 7), packed=st.booleans())
def test_a_flipped_bit_is_read_or_refused_but_nothing_else(
    tmp_path: Path, position: int, bit: int, packed: bool
) -> None:
    content = bytearray(gzip.compress(CONTENT, mtime=0) if packed else CONTENT)
    content[position % len(content)] ^= 1 << bit
    path = tmp_path / "images"
    path.write_bytes(content)
    try:
        found = read_everything(path)
    except RawDataError:
        return
    # gzip has checksums, so only its header's free fields may have changed; in a plain file pixels may as well.
    assert found == CONTENT if packed else found[:16] == CONTENT[:16]


@many
@given(content=st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(RawDataError) as caught:
        read_everything(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x00\x01" + CONTENT[2:], "not an idx file"),
        (b"\x00\x00\x0d" + CONTENT[3:], "type 0x0d"),
        (b"\x00\x00\x08\x01" + CONTENT[4:], "1 dimensions where 3"),
        (CONTENT + b"x", "continues after byte 76"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 3, 4), "is empty"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "impossible"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_sentence_says_what_is_wrong(tmp_path: Path, content: bytes, sentence: str, packed: bool) -> None:
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(RawDataError, match=sentence) as caught:
        read_everything(path)
    assert str(path) in str(caught.value)


def test_a_bomb_is_not_unpacked_beyond_what_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(CONTENT + bytes(50 << 20)))
    blocks = unpacked_blocks(path, 3)
    assert next(blocks) + next(blocks) == CONTENT
    with pytest.raises(RawDataError, match="continues after"):
        next(blocks)
