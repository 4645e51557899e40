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

Mode = Literal["L", "RGB"]
Box = tuple[int, int, int, int]

_MOST_PIXELS = 1 << 26  # a chest radiograph at full resolution has 2^23
_JPEG_END = b"\xff\xd9"


class DamagedPicture(ValueError):
    """The bytes are not a complete picture; the text completes a sentence that begins with the file's name."""


def decode_jpeg(
    content: bytes, *, mode: Mode, size: tuple[int, int], crop: Box | None = None
) -> NDArray[np.uint8]:
    """Pixels uint8 (C, H, W) of a JPEG file, C being 1 for mode L and 3 for RGB; ``DamagedPicture`` if it is incomplete.

    ``size`` is (H, W). ``crop`` is (left, upper, right, lower) in pixels of the file and is cut out first. A picture
    of another mode is converted (grey = 0.299 R + 0.587 G + 0.114 B); an orientation in its metadata is not followed.
    """
    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as picture:
            width, height = picture.size
            if width * height > _MOST_PIXELS:
                raise DamagedPicture(f"says that it has {width} x {height} pixels, which is too many")
            if crop is not None and (crop[2] > width or crop[3] > height):
                raise DamagedPicture(
                    f"has {width} x {height} pixels, too few for the part from {crop[:2]} to {crop[2:]}"
                )
            picture.load()
            # Pillow notices every truncation except that of the last two bytes.
            if _JPEG_END not in content[-1024:] and _JPEG_END not in content:
                raise DamagedPicture("is truncated: the end marker of a JPEG file is missing")
            pixels = picture if picture.mode == mode else picture.convert(mode)
            if crop is not None:
                pixels = pixels.crop(crop)
            array = np.asarray(pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    except UnidentifiedImageError:
        raise DamagedPicture(f"is not a JPEG file: it begins with {content[:4].hex() or 'nothing'}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DamagedPicture("claims an impossible number of pixels") from None
    except DamagedPicture:
        raise
    # Pillow's parsers raise all kinds of exceptions on damaged input; each means that the picture is damaged.
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        EOFError,
        ArithmeticError,
    ) as error:
        raise DamagedPicture(
            f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"
        ) from None
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


@contextmanager
def refusing_bombs() -> Iterator[None]:
    """Inside, a picture that claims to be huge is an error (Pillow would only warn); enter once, not per file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
