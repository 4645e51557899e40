"""Folders of small drawn pictures, and the tables that people have for them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep.progress import Progress
from data_prep.sources import source_named
from data_prep.sources.own_pictures.source import OwnPictures

QUIET = Progress(shown=False)
KINDS = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".BMP": "BMP", ".tif": "TIFF"}


def picture(number: int, mode: str = "RGB") -> Image.Image:
    """A picture of its own colours, 16 x 20 pixels."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((16, 20), Image.Resampling.NEAREST).convert(mode)


def encoded(number: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    file = BytesIO()
    picture(number, mode).save(file, kind)
    return file.getvalue()


def write_pictures(folder: Path, names: Iterable[str], mode: str = "RGB") -> None:
    """A picture for each name, in the format that its ending says."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(number, KINDS[Path(name).suffix], mode))


def write_table(
    path: Path, rows: Sequence[Sequence[Any]], separator: str = ",", encoding: str = "utf-8"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def own(raw: Path, **options: Any) -> OwnPictures:
    """The source of a folder, with ``size=16`` unless an option says otherwise."""
    source = source_named("pictures", raw, {"size": 16} | options)
    assert isinstance(source, OwnPictures)
    return source


def all_rows(source: OwnPictures, scratch: Path) -> dict[str, dict[str, tuple[list[int], list[bool]]]]:
    """Split → id → labels and whether they are observed, as a plan's tasks read them."""
    source.verified(scratch, QUIET)
    task = source_named("pictures", scratch, source.options)
    found = {}
    for split, count in task.splits().items():
        rows = task.rows(split, 0, count)
        rows.check(task.image_shape(), [label.cardinality for label in task.labels()], len(task.factors))
        found[split] = {
            row_id: (rows.labels[i].tolist(), rows.observed[i].tolist()) for i, row_id in enumerate(rows.ids)
        }
    return found
