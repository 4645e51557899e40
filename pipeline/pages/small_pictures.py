"""Figures in a page: thumbnails, and the pictures behind them, as far as there is room; the others stay files next to it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

THUMBNAIL = (200, 150)
"""Pixels, at most."""
LARGE = (1600, 1600)
ROOM_FOR_THUMBNAILS = 2_000_000
"""Bytes of all together, before base64."""
ROOM_FOR_LARGE = 7_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureFile:
    """A figure on disk."""

    file: Path
    cell: str
    """Name of its cell; empty for one of the whole sweep."""
    name: str
    href: str
    """Relative address from the page."""
    rank: int = 0
    """Figures of a lower rank get room first."""


@dataclass(frozen=True, slots=True)
class SmallPictures:
    """Figures with their thumbnails and larger pictures, WebP; None where there was no room."""

    figures: Sequence[FigureFile]
    thumbnails: Sequence[bytes | None]
    large: Sequence[bytes | None]

    @classmethod
    def of(
        cls,
        figures: Sequence[FigureFile],
        *,
        for_thumbnails: int = ROOM_FOR_THUMBNAILS,
        for_large: int = ROOM_FOR_LARGE,
    ) -> SmallPictures:
        """Shrink figures in the order of their ranks until there is no room left; unreadable ones are left out."""
        thumbnails: list[bytes | None] = [None] * len(figures)
        large: list[bytes | None] = [None] * len(figures)
        for number in sorted(range(len(figures)), key=lambda number: figures[number].rank):
            if for_thumbnails <= 0:
                break
            try:
                with Image.open(figures[number].file) as opened:
                    image = _on_white(opened)
            except OSError:
                continue
            if for_large > 0:
                picture = as_webp(image, LARGE, 80)
                for_large -= len(picture)
                large[number] = picture
            thumbnails[number] = as_webp(image, THUMBNAIL, 60)
            for_thumbnails -= len(thumbnails[number] or b"")
        return cls(figures, thumbnails, large)

    def texts(self) -> dict[str, str]:
        """The larger pictures for the page, each by the identifier of its element."""
        return {
            f"figure{number}": self.as_text(picture)
            for number, picture in enumerate(self.large)
            if picture is not None
        }

    def described(self) -> list[dict[str, Any]]:
        """Of each figure what the script reads."""
        return [
            {
                "cell": figure.cell,
                "name": figure.name,
                "href": figure.href,
                "thumb": None if thumbnail is None else self.as_text(thumbnail),
                "full": None if large is None else f"figure{number}",
            }
            for number, (figure, thumbnail, large) in enumerate(
                zip(self.figures, self.thumbnails, self.large, strict=True)
            )
        ]

    @staticmethod
    def as_text(picture: bytes) -> str:
        """Base64."""
        return base64.b64encode(picture).decode()


def as_webp(image: Image.Image, most: tuple[int, int], quality: int) -> bytes:
    """A picture of at most so many pixels across and down."""
    small = image.copy()
    small.thumbnail(most, Image.Resampling.BOX if image.width > 4 * most[0] else Image.Resampling.BICUBIC)
    content = io.BytesIO()
    small.save(content, format="WEBP", quality=quality, method=2)
    return content.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    """Without transparency."""
    if image.mode not in ("RGBA", "LA", "P"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
