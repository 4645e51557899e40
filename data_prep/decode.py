"""Picture files into pixels: decoded in full, then brought to size. The one place where a data set's pixels are made.

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
    """The bytes are no whole picture; the text completes a sentence that begins with the file's name."""


def decode_jpeg(
    content: bytes, *, mode: Mode, size: tuple[int, int], crop: Box | None = None
) -> NDArray[np.uint8]:
    """Pixels uint8 (C, H, W) of a JPEG file, C being 1 for mode L and 3 for RGB; ``DamagedPicture`` if it is not whole.

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
            # Pillow misses that the last two bytes are gone, and everything else that is cut off it sees.
            if _JPEG_END not in content[-1024:] and _JPEG_END not in content:
                raise DamagedPicture("is truncated: the marker at the end of a JPEG file is not there")
            pixels = picture if picture.mode == mode else picture.convert(mode)
            if crop is not None:
                pixels = pixels.crop(crop)
            array = np.asarray(pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    except UnidentifiedImageError:
        raise DamagedPicture(f"is no JPEG file: it begins with {content[:4].hex() or 'nothing'}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DamagedPicture("says that it has very many pixels, which cannot be right") from None
    except DamagedPicture:
        raise
    # Pillow's parsers raise what the damage leads them to; whatever it is, the picture is not whole.
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
    """Inside, a picture that says it is huge is an error, where Pillow would only warn; enter it once, not per file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
