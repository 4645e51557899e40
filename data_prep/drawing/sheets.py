"""Contact sheets of drawings: pictures with their labels, and each label off and on."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data_prep.drawing.kinds import drawing_named
from data_prep.files import atomic_write

_COLUMNS = 8
_WIDTH, _LINE, _LINES, _LETTERS = 112, 10, 4, 23
_SEEN = 64
_LEFT = 118


def write_sheet(kind: str, path: Path, *, count: int, seed: int) -> None:
    """Write a picture (JPEG or PNG, by its name) of the first ``count`` drawings and what can be seen on each."""
    drawing = drawing_named(kind)
    drawn = [drawing.draw(seed, index) for index in range(count)]
    height = round(_WIDTH * drawn[0].pixels.shape[0] / drawn[0].pixels.shape[1])
    cell = height + _LINES * _LINE + 4
    sheet = Image.new("RGB", (_COLUMNS * _WIDTH, math.ceil(count / _COLUMNS) * cell), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(8.5)
    for index, each in enumerate(drawn):
        left, top = index % _COLUMNS * _WIDTH, index // _COLUMNS * cell
        picture = Image.fromarray(each.pixels)
        picture.thumbnail((_WIDTH - 2, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, top))
        words = ", ".join(label.replace("_", " ").replace("Wearing ", "").lower() for label in each.shown)
        lines = textwrap.wrap(words or "no finding", _LETTERS, max_lines=_LINES, placeholder=" …")
        pen.multiline_text((left + 2, top + height + 1), "\n".join(lines), "black", font, spacing=1)
    _save(sheet, path)


def write_label_sheet(kind: str, path: Path, *, count: int, seed: int) -> None:
    """Write a row per label: the first ``count`` drawings at 64 x 64, each with the label off and on."""
    drawing = drawing_named(kind)
    rows = []
    for label in drawing.labels:
        row = [drawing.switched(seed, i, label, value) for i in range(count) for value in (False, True)]
        rows.append(np.concatenate([_seen(pixels) for pixels in row], axis=1))
    pictures = np.concatenate(rows)
    sheet = Image.new("RGB", (_LEFT + pictures.shape[1], pictures.shape[0]), "white")
    sheet.paste(Image.fromarray(pictures), (_LEFT, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, label in enumerate(drawing.labels):
        pen.text((4, number * _SEEN + 26), label.replace("_", " "), "black", font)
    _save(sheet, path)


def _seen(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels).convert("RGB")
    return np.asarray(picture.resize((_SEEN, _SEEN), Image.Resampling.BILINEAR))


def _save(sheet: Image.Image, path: Path) -> None:
    with atomic_write(path) as file:
        if path.suffix.lower() == ".png":
            sheet.save(file, format="PNG", optimize=True)
        else:
            sheet.save(file, format="JPEG", quality=82)
