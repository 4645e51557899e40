"""Decoding pictures: a full decode and the documented resize, and an error for damaged files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from data_prep.damage import DamagedPicture
from data_prep.decode import decode_picture, opened, refusing_bombs
from tests.data_prep.sources.raw_pictures import jpeg

CONTENT = jpeg(109, 89, seed=1)
GOLDEN = np.array(
    [
        [
            [80.6, 96.9, 107.0, 122.6],
            [100.0, 150.9, 151.2, 122.1],
            [150.4, 190.9, 212.9, 170.6],
            [199.9, 206.6, 207.5, 204.6],
        ],
        [
            [68.9, 86.2, 95.6, 111.4],
            [69.1, 105.8, 103.2, 83.6],
            [86.3, 118.3, 140.9, 104.6],
            [128.3, 120.9, 125.1, 126.2],
        ],
        [
            [61.0, 74.2, 86.5, 101.0],
            [55.4, 87.4, 84.5, 66.1],
            [63.0, 89.5, 109.4, 78.0],
            [90.3, 92.0, 99.5, 93.1],
        ],
    ]
)
"""Mean colour (3, 4, 4) of the sixteen areas of the photograph at 64 x 64."""
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def portrait(height: int, width: int) -> Image.Image:
    """A part of a photograph in the public domain, of Rear Admiral Grace Hopper, which matplotlib ships."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return Image.open(path).crop((170, 60, 170 + width, 60 + height))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def as_jpeg(picture: Image.Image, **options: object) -> bytes:
    return saved(picture, "JPEG", quality=90, **options)


def triangle_weights(before: int, after: int) -> NDArray[np.float64]:
    """(after, before): the bilinear resize as a matrix, each output a triangle over twice the reduction."""
    scale = before / after
    centres = (np.arange(after) + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(before)[None] - centres[:, None]) / scale)
    return weights / weights.sum(axis=1, keepdims=True)


def test_a_photograph_goes_through_the_celeba_path_as_documented() -> None:
    """178 x 218 → 64 x 64: the golden values of a real face, and a transcription of the resize from first principles."""
    content = as_jpeg(portrait(218, 178))
    decoded = decode_picture(content, mode="RGB", size=(64, 64))
    assert decoded.shape == (3, 64, 64)
    full = np.asarray(Image.open(BytesIO(content)), dtype=np.float64)
    slow = np.einsum("yh,xw,hwc->cyx", triangle_weights(218, 64), triangle_weights(178, 64), full)
    assert np.abs(decoded - slow).max() < 1.1, "two roundings"
    # Decoders may differ by a rounding of the inverse transform, so the golden values are of areas.
    areas = decoded.reshape(3, 4, 16, 4, 16).mean(axis=(2, 4)).round(1)
    np.testing.assert_allclose(areas, GOLDEN, atol=0.6)


def test_a_large_picture_is_decoded_in_full_not_at_an_eighth() -> None:
    picture = portrait(320, 400)
    content = as_jpeg(picture)
    full = Image.open(BytesIO(content)).resize((32, 24), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(
        decode_picture(content, mode="RGB", size=(24, 32)), np.asarray(full).transpose(2, 0, 1)
    )
    reduced = Image.open(BytesIO(content))
    reduced.draft("RGB", (50, 40))
    quick = np.asarray(reduced.resize((32, 24), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert (quick != decode_picture(content, mode="RGB", size=(24, 32))).any(), (
        "the shortcut gives other pixels"
    )


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_grey_and_colour_are_decoded_as_requested(mode: str, progressive: bool) -> None:
    content = as_jpeg(portrait(218, 178).convert(mode), progressive=progressive)
    grey, colour = (decode_picture(content, mode=m, size=(64, 64)) for m in ("L", "RGB"))
    assert grey.shape == (1, 64, 64)
    assert colour.shape == (3, 64, 64)
    weighted = np.tensordot([0.299, 0.587, 0.114], colour, axes=1)
    assert np.abs(weighted - grey[0]).max() < 2
    assert (np.ptp(colour, axis=0).max() == 0) == (mode == "L")


def test_a_crop_is_taken_before_the_resize() -> None:
    picture = portrait(218, 178)
    whole = Image.open(BytesIO(as_jpeg(picture)))
    expected = whole.crop((15, 40, 163, 188)).resize((64, 64), Image.Resampling.BILINEAR)
    found = decode_picture(as_jpeg(picture), mode="RGB", size=(64, 64), crop=(15, 40, 163, 188))
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))
    with pytest.raises(DamagedPicture, match="has 178 x 218 pixels, too few"):
        decode_picture(as_jpeg(picture), mode="RGB", size=(64, 64), crop=(15, 40, 179, 188))


@many
@given(length=st.integers(0, len(CONTENT) - 1))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(DamagedPicture, match=r"truncated|not a picture|cannot be decoded"):
        decode_picture(CONTENT[:length], mode="RGB", size=(64, 64))


@many
@given(data=st.data())
def test_damage_never_ends_in_another_exception(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    for _ in range(data.draw(st.integers(1, 5))):
        # Most damage to the compressed pixels still decodes, so half of it goes into the headers.
        position = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(0, 640)))
        content[position : position + 1] = data.draw(st.binary(max_size=3))
    with refusing_bombs():
        try:
            assert decode_picture(bytes(content), mode="RGB", size=(64, 64)).shape == (3, 64, 64)
        except DamagedPicture as error:
            assert str(error).isprintable()  # noqa: PT017


@many
@given(content=st.binary(max_size=200))
def test_content_that_is_not_a_picture_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedPicture, match=r"not a picture file|cannot be decoded"):
        decode_picture(content, mode="L", size=(64, 64))


def test_other_formats_are_read_unless_excluded() -> None:
    picture = portrait(30, 30)
    expected = np.asarray(picture).transpose(2, 0, 1)
    for kind in ("PNG", "BMP", "TIFF"):
        content = saved(picture, kind)
        np.testing.assert_array_equal(decode_picture(content, mode="RGB", size=(30, 30)), expected)
        with pytest.raises(DamagedPicture, match="not a JPEG file: it begins with"):
            opened(content, formats=("JPEG",))
    with pytest.raises(DamagedPicture, match="an HTML page"):
        opened(b"<html><body>quota exceeded</body></html>")


def test_16_bit_grey_is_scaled_and_transparent_parts_become_white() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        deep = saved(Image.fromarray(grey.astype(np.uint16) * 257), kind)
        np.testing.assert_array_equal(decode_picture(deep, mode="L", size=(16, 16))[0], grey)
    with pytest.raises(DamagedPicture, match="32 bits"):
        opened(saved(Image.fromarray(grey.astype(np.float32)), "TIFF"))
    half = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    half.paste((0, 0, 200, 255), (0, 0, 2, 4))
    for picture in (half, half.quantize(4)):
        pixels = decode_picture(saved(picture, "PNG"), mode="RGB", size=(4, 4))
        np.testing.assert_array_equal(pixels[:, 0, [0, 3]].T, [[0, 0, 200], [255, 255, 255]])


@pytest.mark.parametrize("seed", range(5))
def test_damage_of_the_same_length_is_found(seed: int) -> None:
    """A hole of zeros and a scrambled block in a JPEG file, and a single flipped bit in a PNG file."""
    start, generator = CONTENT.index(b"\xff\xda") + 14, np.random.default_rng(seed)
    place = int(generator.integers(start, len(CONTENT) - 300))
    hole, scrambled, flipped = (
        bytearray(CONTENT),
        bytearray(CONTENT),
        bytearray(saved(portrait(40, 40), "PNG")),
    )
    hole[place : place + 16] = bytes(16)
    scrambled[place : place + 256] = generator.bytes(256)
    flipped[int(generator.integers(8, len(flipped)))] ^= 1 << seed
    for content in (hole, scrambled, flipped):
        with pytest.raises(DamagedPicture, match=r"damaged|truncated"):
            opened(bytes(content))
    assert opened(bytes(hole), lenient=True).size == (89, 109)


def test_zeros_that_an_optimised_file_holds_are_no_damage() -> None:
    for progressive in (False, True):
        flat = saved(Image.new("L", (512, 512), 128), "JPEG", optimize=True, progressive=progressive)
        assert bytes(16) in flat
        assert np.ptp(np.asarray(opened(flat))) == 0


@pytest.mark.parametrize("size", [(8200, 8200), (12000, 12000), (65535, 65535)])
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    content = bytearray(CONTENT)
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = size[0].to_bytes(2, "big") + size[1].to_bytes(2, "big")
    with refusing_bombs(), pytest.raises(DamagedPicture, match=r"too many|impossible number"):
        decode_picture(bytes(content), mode="RGB", size=(64, 64))


def test_an_orientation_is_followed_on_request_before_the_middle_is_cut_out() -> None:
    lying = Image.new("L", (24, 8), 0)
    lying.paste(255, (16, 0, 24, 8))  # the right third; upright, it is the lowest
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        file = BytesIO()
        lying.save(file, kind, exif=exif)
        content = file.getvalue()
        if kind != "TIFF":
            assert decode_picture(content, mode="L", size=(1, 3))[0, 0].argmax() == 2, kind
        upright = decode_picture(content, mode="L", size=(3, 1), upright=True)[0, :, 0]
        assert (upright > 128).tolist() == [False, False, True], kind
        middle = decode_picture(content, mode="L", size=(2, 2), upright=True, crop="centre")
        assert middle.max() < 60, kind
