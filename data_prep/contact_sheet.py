"""A picture of a data set: some rows of each value of each label, so that a person sees what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data_prep.files import atomic_write
from data_prep.label_table import Value, values_of
from data_prep.manifest import Manifest
from data_prep.shards.arrow import Shard, open_split

PICTURES_PER_LINE = 12
_GAP = 2
_LEAST_WIDTH = 640
_FONT_SIZE = 13


def write_contact_sheet(folder: Path, path: Path, split: str) -> None:
    """Write a PNG with a row per value of each label (for a binary label, only "yes"), named on its left.

    A row shows the first examples of ``split`` with this value; values that no example has are left out.
    """
    manifest = Manifest.load(folder)
    shards = open_split(folder, manifest, split)
    lines = [(value.name, _line(shards, value)) for value in _values(manifest)]
    shown = [(name, line) for name, line in lines if line is not None]
    if not shown:  # no label is observed: show the first pictures
        shown = [("", _pictures([shards[0].image[i] for i in range(min(len(shards[0]), PICTURES_PER_LINE))]))]
    _write(path, shown)


def write_sheet_of(path: Path, lines: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]]) -> None:
    """Write a PNG with a named row for each line of images (C, H, W) of one size."""
    _write(path, [(name, _pictures(images)) for name, images in lines])


def _write(path: Path, shown: Sequence[tuple[str, NDArray[np.uint8]]]) -> None:
    sheet = np.concatenate([line for _, line in shown])
    image = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).convert("RGB")
    scale = max(1, -(-_LEAST_WIDTH // image.width))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    with atomic_write(path) as file:
        _with_names(image, [name for name, _ in shown]).save(file, format="PNG")


def _values(manifest: Manifest) -> Sequence[Value]:
    """The values that get a row of their own; for a single binary label, both."""
    if len(manifest.labels) == 1:
        label = manifest.labels[0]
        return [Value(0, value, f"{label.name}: {meaning}") for value, meaning in enumerate(label.values)]
    return values_of(manifest.labels)


def _with_names(image: Image.Image, names: Sequence[str]) -> Image.Image:
    """The rows of pictures, of equal height, with their names in a margin on the left."""
    font = ImageFont.load_default(_FONT_SIZE)
    margin = int(max(font.getlength(name) for name in names)) + 2 * _GAP + 4
    sheet = Image.new("RGB", (margin + image.width, image.height))
    sheet.paste(image, (margin, 0))
    draw, height = ImageDraw.Draw(sheet), image.height / len(names)
    for number, name in enumerate(names):
        draw.text((_GAP, (number + 0.5) * height), name, fill="white", font=font, anchor="lm")
    return sheet


def _line(shards: Sequence[Shard], value: Value) -> NDArray[np.uint8] | None:
    """The first rows with this value side by side, uint8 (H + gap, width, C); None if there are none."""
    images = list(islice(_images_with(shards, value), PICTURES_PER_LINE))
    return _pictures(images) if images else None


def _pictures(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    channels, height, width = images[0].shape
    line = np.zeros((height + _GAP, PICTURES_PER_LINE * (width + _GAP), channels), dtype=np.uint8)
    for column, image in enumerate(images):
        left = column * (width + _GAP)
        line[:height, left : left + width] = image.transpose(1, 2, 0)
    return line


def _images_with(shards: Sequence[Shard], value: Value) -> Iterator[NDArray[np.uint8]]:
    for shard in shards:
        has = (shard.labels[:, value.label] == value.value) & shard.observed[:, value.label]
        for row in np.flatnonzero(has):
            yield shard.image[row]
