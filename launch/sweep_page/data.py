"""The data sets of a sweep for its page: facts, the contact sheet, and the table of labels, from the prepared data."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from data_prep.contact_sheet import write_contact_sheet
from data_prep.errors import UserError
from data_prep.label_table import values_of
from data_prep.manifest import Manifest
from pipeline.pages.report_page import Column, DataPart, Fact, Table, Value
from pipeline.pages.small_pictures import as_webp

SHEET = (1400, 4000)
"""Pixels of a contact sheet, at most."""


def data_part(folder: Path, rates: Sequence[float]) -> DataPart:
    """What is known of a prepared data set; what is missing, as on another machine, is said.

    Args:
        folder: the data set's.
        rates: supervision rates of the sweep, whose numbers of labels the table has.
    """
    try:
        manifest = Manifest.load(folder)
    except UserError as error:
        facts: list[Fact] = [("folder", str(folder)), ("not shown", str(error))]
        return DataPart(title=folder.name, facts=facts, sheet=None, labels=_labels([], [], []))
    options = ", ".join(f"{name}={value}" for name, value in manifest.options.items())
    facts = [
        ("folder", str(folder)),
        ("options", options or "none"),
        ("digest", manifest.digest),
        ("images", " x ".join(map(str, manifest.image_shape)) + " (channels x height x width)"),
        ("rows", ", ".join(f"{name} {split.rows:,}" for name, split in manifest.splits.items())),
    ]
    if manifest.factors:
        facts.append(("factors", ", ".join(manifest.factors)))
    sheet = None
    try:
        sheet = _sheet(folder, next(iter(manifest.splits)))
    except (UserError, OSError) as error:
        facts.append(("no contact sheet", str(error)))
    return DataPart(title=manifest.name, facts=facts, sheet=sheet, labels=_label_table(manifest, rates))


def _sheet(folder: Path, split: str) -> bytes:
    """That of ``prepare.py inspect`` next to the data, or a new one."""
    there = folder.with_name(f"{folder.name}.png")
    with tempfile.TemporaryDirectory() as scratch:
        if not there.is_file():
            there = Path(scratch, "sheet.png")
            write_contact_sheet(folder, there, split)
        with Image.open(there) as image:
            return as_webp(image.convert("RGB"), SHEET, 75)


def _label_table(manifest: Manifest, rates: Sequence[float]) -> Table:
    first = next(iter(manifest.splits.values()))
    used = {text: counts for text, counts in first.labels_used.items() if float(text) in rates}
    rows: list[list[Value]] = []
    for value in values_of(manifest.labels):
        shares = [split.label_frequencies[value.label][value.value] for split in manifest.splits.values()]
        rows.append([value.name, *shares, *(counts[value.label] for counts in used.values())])
    return _labels(list(manifest.splits), list(used), rows)


def _labels(splits: Sequence[str], rates: Sequence[str], rows: Sequence[Sequence[Value]]) -> Table:
    columns = [
        Column(name="label"),
        *(
            Column(name=split, kind="number", about="share among the rows where the label is known")
            for split in splits
        ),
        *(
            Column(name=f"used at f={rate}", kind="number", about="rows whose label is used in training")
            for rate in rates
        ),
    ]
    return Table(name="The table of labels", columns=columns, rows=rows)
