"""From the bytes of a picture to an image of the data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.damage import DamagedPicture
from data_prep.decode import FORMATS, Part, opened, resized
from data_prep.errors import ConfigError
from data_prep.sources.own_pictures.look import is_grey

ALL_FORMATS = (*FORMATS, "PPM")
"""PPM is what arrays are given as."""


def part_named(crop: str) -> Part | None:
    """The part of a picture that an option names; ``ConfigError`` if it names none."""
    if crop == "centre":
        return "centre"
    if crop == "none":
        return None
    numbers = [part.strip() for part in crop.split(",")]
    if len(numbers) == 4 and all(n.isdecimal() for n in numbers):
        left, upper, right, lower = map(int, numbers)
        if left < right and upper < lower:
            return left, upper, right, lower
    raise ConfigError(
        f"pictures: crop is {crop!r}, but must be centre, none, or a box LEFT,UPPER,RIGHT,LOWER in pixels"
    )


def made(
    content: bytes, *, only_grey: bool, lenient: bool, upright: bool, white: int, **how: Any
) -> NDArray[np.uint8]:
    """``decode_picture``; ``DamagedPicture`` if only grey pictures are expected, and this one is in colour."""
    picture = opened(content, formats=ALL_FORMATS, lenient=lenient, upright=upright, white=white)
    if only_grey and not is_grey(picture):
        raise DamagedPicture("is in colour, but those looked at are grey: choose colour=rgb or colour=grey")
    return resized(picture, **how)
