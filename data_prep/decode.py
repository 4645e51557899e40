"""Decode picture files in full, then resize them. The only place where a data set's pixels are made.

The resize is Pillow's bilinear one, whose triangle grows with the reduction (what others call antialiasing). It is the
default of torchvision's ``Resize`` on pictures, with which the published CelebA and CheXpert numbers were made; a box
would alias, and the bicubic and Lanczos kernels overshoot at edges. JPEG's own reduction while decoding (Pillow's
``draft``) is left alone: it is faster for large pictures and gives other pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from data_prep.damage import DamagedPicture, check_png, jpeg_header, whole_jpeg

Mode = Literal["L", "RGB"]
Box = tuple[int, int, int, int]
Part = Box | Literal["centre"]
"""(left, upper, right, lower) in pixels of the file, or the largest square in its middle."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow's names of the formats that are read, whatever a file is called."""

_MOST_PIXELS = 1 << 26  # a chest radiograph at full resolution has 2^23
_WHITE = (255, 255, 255, 255)
DEEPEST = 65535
"""The white of 16 bits."""
ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation → what makes the picture upright."""


def decode_picture(
    content: bytes,
    *,
    mode: Mode,
    size: tuple[int, int],
    crop: Part | None = None,
    formats: tuple[str, ...] = FORMATS,
    lenient: bool = False,
    upright: bool = False,
    file_size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Pixels uint8 (C, H, W) of a picture file, C being 1 for mode L and 3 for RGB; ``DamagedPicture`` if incomplete.

    ``size`` is (H, W). ``crop`` is cut out first. A picture of another mode is converted (grey = 0.299 R + 0.587 G +
    0.114 B). ``formats``, ``lenient`` and ``upright`` as in ``opened``; ``file_size`` is the (width, height) that a
    picture must have.
    """
    picture = opened(content, formats=formats, lenient=lenient, upright=upright)
    if file_size is not None and picture.size != file_size:
        raise DamagedPicture(
            f"has {picture.width} x {picture.height} pixels where {file_size[0]} x {file_size[1]} are expected"
        )
    return resized(picture, mode=mode, size=size, crop=crop)


def resized(
    picture: Image.Image, *, mode: Mode, size: tuple[int, int], crop: Part | None = None
) -> NDArray[np.uint8]:
    """Pixels uint8 (C, H, W) of an opened picture; arguments as in ``decode_picture``."""
    box = _box(crop, picture.size)
    pixels = picture if picture.mode == mode else picture.convert(mode)
    if box is not None:
        pixels = pixels.crop(box)
    array = np.asarray(pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def opened(
    content: bytes,
    *,
    formats: tuple[str, ...] = FORMATS,
    lenient: bool = False,
    upright: bool = False,
    white: int = DEEPEST,
) -> Image.Image:
    """A picture file, decoded in full and of 8 bits per channel; ``DamagedPicture`` if it is none, or incomplete.

    16-bit grey is scaled to 8 bits, so that ``white`` becomes 255, and must not be above it; transparent parts become
    white. ``lenient`` takes what the decoder makes of a damaged file if it can make anything of it. ``upright`` turns
    the picture as the orientation in its metadata says (which Pillow always does for a TIFF file).
    """
    try:
        # Pillow opens a small JPEG file in a third of the time of its decoding: it is needed only for what it alone reads.
        if not lenient and not (upright and b"Exif" in content) and "JPEG" in formats:
            pixels = _plain_jpeg(content)
            if pixels is not None:
                return Image.fromarray(pixels)
        with Image.open(BytesIO(content), formats=formats) as picture:
            _refuse_too_many_pixels(*picture.size)
            if not lenient and picture.format == "PNG":
                check_png(content)
            if not lenient and picture.format in ("JPEG", "MPO"):
                pixels = whole_jpeg(content, picture.mode)
                if pixels is not None:
                    return _turned(Image.fromarray(pixels), picture) if upright else Image.fromarray(pixels)
            picture.load()
            shallow = _of_8_bits(picture, white)
            return _turned(shallow, picture) if upright else shallow
    except UnidentifiedImageError:
        raise DamagedPicture(_not_a_picture(content, formats)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DamagedPicture("claims an impossible number of pixels") from None
    except DamagedPicture:
        raise
    # Pillow's parsers raise all kinds of exceptions on damaged input; each means that the picture is damaged.
    except Exception as error:
        raise DamagedPicture(
            f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"
        ) from None


def _plain_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Pixels of a JPEG file in grey or colour, as ``whole_jpeg``; None of any other file."""
    header = jpeg_header(content)
    if header is None:
        return None
    width, height, mode = header
    _refuse_too_many_pixels(width, height)
    return whole_jpeg(content, mode)


def _refuse_too_many_pixels(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise DamagedPicture(f"says that it has {width} x {height} pixels, which is too many")


def _turned(pixels: Image.Image, picture: Image.Image) -> Image.Image:
    """The pixels of a picture file as its EXIF orientation says."""
    if "exif" not in picture.info or picture.format == "TIFF":
        return pixels
    turn = _TURNS.get(picture.getexif().get(ORIENTATION, 1))
    return pixels if turn is None else pixels.transpose(turn)


def _box(crop: Part | None, size: tuple[int, int]) -> Box | None:
    """The part of a picture of ``size`` (width, height); ``DamagedPicture`` if the picture is too small for it."""
    width, height = size
    if crop == "centre":
        side = min(size)
        left, upper = (width - side) // 2, (height - side) // 2
        return left, upper, left + side, upper + side
    if crop is not None and (crop[2] > width or crop[3] > height):
        raise DamagedPicture(
            f"has {width} x {height} pixels, too few for the part from {crop[:2]} to {crop[2:]}"
        )
    return crop


def has_16_bits(picture: Image.Image) -> bool:
    """Whether it is grey with 16 bits."""
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")


def _of_8_bits(picture: Image.Image, white: int) -> Image.Image:
    """A loaded picture in mode L, or whatever Pillow converts to RGB without loss of range."""
    if has_16_bits(picture):
        deep = np.asarray(picture).astype(np.int64)
        if deep.max() > white:
            raise DamagedPicture(f"has the value {deep.max()}, which is above white={white}")
        return Image.fromarray(((deep * 255 + white // 2) // white).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise DamagedPicture("has pixels of 32 bits, whose range is not known: convert it to 8 or 16 bits")
    if picture.has_transparency_data:
        on_white = Image.new("RGBA", picture.size, _WHITE)
        return Image.alpha_composite(on_white, picture.convert("RGBA")).convert("RGB")
    return picture


def _not_a_picture(content: bytes, formats: tuple[str, ...]) -> str:
    kind = "a JPEG file" if formats == ("JPEG",) else "a picture file"
    if content.lstrip()[:5].lower() in (b"<html", b"<!doc"):
        return f"is not {kind} but an HTML page, as a failed download leaves it"
    return f"is not {kind}: it begins with {content[:4].hex() or 'nothing'}"


@contextmanager
def refusing_bombs() -> Iterator[None]:
    """Inside, a picture that claims to be huge is an error (Pillow would only warn); enter once, not per file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
