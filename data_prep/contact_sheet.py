"""A picture of a data set: some rows of each class, so that a person sees what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.files import atomic_write
from data_prep.manifest import Manifest
from data_prep.shards.arrow import Shard, open_split

_ROWS_PER_CLASS = 12
_GAP = 2
_LEAST_WIDTH = 640


def write_contact_sheet(folder: Path, path: Path, split: str) -> None:
    """Write a PNG whose lines are the values of the first label, each with its first rows of ``split``."""
    manifest = Manifest.load(folder)
    shards = open_split(folder, manifest, split)
    lines = [_line(shards, value) for value in range(manifest.labels[0].cardinality)]
    sheet = np.concatenate([line for line in lines if line is not None])
    image = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    scale = max(1, -(-_LEAST_WIDTH // image.width))
    with atomic_write(path) as file:
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(
            file, format="PNG"
        )


def _line(shards: Sequence[Shard], value: int) -> NDArray[np.uint8] | None:
    """The first rows with this value side by side, uint8 (H + gap, width, C); None if there are none."""
    images = list(islice(_images_with(shards, value), _ROWS_PER_CLASS))
    if not images:
        return None
    channels, height, width = images[0].shape
    line = np.zeros((height + _GAP, _ROWS_PER_CLASS * (width + _GAP), channels), dtype=np.uint8)
    for column, image in enumerate(images):
        left = column * (width + _GAP)
        line[:height, left : left + width] = image.transpose(1, 2, 0)
    return line


def _images_with(shards: Sequence[Shard], value: int) -> Iterator[NDArray[np.uint8]]:
    for shard in shards:
        for row in np.flatnonzero((shard.labels[:, 0] == value) & shard.observed[:, 0]):
            yield shard.image[row]
