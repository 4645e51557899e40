"""A look at some pictures: their sizes, modes and formats, and whether they are grey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from data_prep.damage import DamagedPicture
from data_prep.decode import DEEPEST, ORIENTATION, Mode, has_16_bits, opened, refusing_bombs
from data_prep.sources.picture_files import why_not_read

_SHOWN = 4


@dataclass(kw_only=True)
class Looked:
    """What some pictures are like."""

    count: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    turned: int = 0
    """that are not upright without their EXIF orientation"""
    several: int = 0
    """that hold more than one picture"""
    coloured: int = 0
    """counted up to the first"""
    brightest: int = 0
    """value of those of 16 bits"""
    damaged: list[str] = field(default_factory=list)

    @property
    def mode(self) -> Mode:
        """Grey if all are, else RGB."""
        return "RGB" if self.coloured or not self.count else "L"

    def lines(self) -> list[str]:
        """For a person."""
        told = [f"{kind} {_most(found)}" for kind, found in (
            ("formats", self.formats), ("sizes", self.sizes), ("modes", self.modes),
        )]  # fmt: skip
        lines = [f"of {self.count:,} looked at: {'; '.join(told)}"]
        if self.turned:
            lines.append(
                f"{self.turned:,} of these are turned as their EXIF orientation says (exif=ignore leaves them as they lie)"
            )
        if self.several:
            lines.append(f"{self.several:,} of these hold several pictures, of which the first is taken")
        if self.brightest:
            lines.append(
                f"{self.brightest:,} of {DEEPEST:,} is the largest value of those with 16 bits "
                f"(white={self.brightest} makes it white)"
            )
        if self.damaged:
            lines.append(f"{len(self.damaged):,} of these cannot be used: {'; '.join(self.damaged[:_SHOWN])}")
        return lines


def look_at(contents: Sequence[tuple[str, bytes | Exception]], formats: tuple[str, ...]) -> Looked:
    """Look at the bytes of some pictures, or at why they could not be read."""
    looked = Looked()
    with refusing_bombs():
        for name, content in contents:
            looked.count += 1
            try:
                if isinstance(content, Exception):
                    raise content
                with Image.open(BytesIO(content), formats=formats) as picture:
                    looked.sizes[f"{picture.width} x {picture.height}"] += 1
                    looked.modes[picture.mode] += 1
                    looked.formats[picture.format or "?"] += 1
                    # A phone's JPEG has a preview next to the picture.
                    looked.several += picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1
                    if has_16_bits(picture):
                        looked.brightest = max(looked.brightest, int(np.asarray(picture).max()))
                    looked.turned += picture.getexif().get(ORIENTATION, 1) not in (0, 1)
                if not looked.coloured:  # decoding takes time
                    looked.coloured += not is_grey(opened(content, formats=formats))
            except UnidentifiedImageError:
                looked.damaged.append(f"{name} is no picture file")
            except (DamagedPicture, OSError) as error:
                looked.damaged.append(f"{name} {why_not_read(error)}")
    return looked


def is_grey(picture: Image.Image) -> bool:
    """Whether all its pixels are grey, whatever its mode."""
    if picture.mode in ("L", "1", "LA"):
        return True
    pixels = np.asarray(picture.convert("RGB"))
    return bool((pixels == pixels[..., :1]).all())


def _most(found: Counter[str]) -> str:
    told = [name if len(found) == 1 else f"{name} ({count:,})" for name, count in found.most_common(_SHOWN)]
    more = len(found) - _SHOWN
    return ", ".join(told) + (f" and {more:,} more" if more > 0 else "")
