"""Showing a prepared data set: ``prepare.py inspect FOLDER``, and the summary after a preparation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from data_prep.contact_sheet import write_contact_sheet
from data_prep.counted import counted
from data_prep.manifest import Manifest, verify_checksums, verify_sizes
from data_prep.stages import naming_unwritable_places
from launch.command_line import described
from launch.label_tables import print_label_tables


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Show what is in a prepared data set, and draw a contact sheet next to its folder."""

    folder: tyro.conf.Positional[Path]
    """the data set: OUT/NAME-DIGEST"""
    verify: bool = False
    """compare the SHA-256 of every file with the manifest"""
    sheet: Annotated[Path | None, described("PNG")] = None
    """path of the contact sheet (default: FOLDER.png)"""


def inspect_data_set(options: Inspect) -> None:
    """Print its content, check its files, and draw the contact sheet."""
    manifest = Manifest.load(options.folder)
    verify_sizes(options.folder, manifest)
    print_summary(options.folder)
    _print_origin(manifest)
    print_label_tables(options.folder, manifest, _console())
    if options.verify:
        verify_checksums(options.folder, manifest)
        print("every file has the SHA-256 in the manifest")
    folder = Path(
        os.path.abspath(options.folder)
    )  # "." has no name, and a link's target may belong to others
    sheet = options.sheet or folder.with_name(f"{folder.name}.png")
    with naming_unwritable_places(sheet, "--sheet"):
        write_contact_sheet(folder, sheet, next(iter(manifest.splits)))
    print(f"contact sheet: {sheet}")


def print_summary(folder: Path) -> None:
    """Rows, labels used at each rate, and files of each split."""
    manifest = Manifest.load(folder)
    rates = list(next(iter(manifest.splits.values())).labels_used)
    table = Table(title=f"{manifest.name}, digest {manifest.digest}", title_justify="left")
    for column in (
        "split",
        "rows",
        *(f"labels at f={rate}" for rate in rates),
        "shards",
        "FFCV",
        "MB",
    ):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split in manifest.splits.values():
        used = (f"{sum(split.labels_used[rate]):,}" for rate in rates)
        size = sum(file.bytes for file in split.files) / 1e6
        ffcv = "-" if split.beton is None else split.beton.file
        table.add_row(split.name, f"{split.rows:,}", *used, str(len(split.shards)), ffcv, f"{size:.1f}")
    _console().print(table)
    for reason, count in manifest.left_out.items():
        print(f"left out: {counted(count, 'picture')} ({reason})")
    if "test" not in manifest.splits:
        print("warning: there is no split test; a run is measured on it unless --split says otherwise")
    _warn_of_unused_values(manifest)
    print(folder)


def _warn_of_unused_values(manifest: Manifest) -> None:
    """Name the values of labels that no row of the training split has, as where classes are counted from 1."""
    frequencies = manifest.splits["train"].label_frequencies if "train" in manifest.splits else ()
    for label, shares in zip(manifest.labels, frequencies, strict=False):
        unused = [value for value, share in zip(label.values, shares, strict=True) if share == 0]
        if unused and any(shares):
            print(f"warning: no training row has {label.name} = {', '.join(unused)}")


def _print_origin(manifest: Manifest) -> None:
    """What a row has besides its labels, and the sources of the data."""
    print_shape(manifest.image_shape)
    if manifest.factors:
        print(f"factors: {', '.join(manifest.factors)}")
    if manifest.regions:
        print("regions: a box for each label, of the pixels that it may change")
    options = {**manifest.options, "seed of the supervision ranks": manifest.seed}
    print(f"options: {', '.join(f'{name}={value}' for name, value in options.items())}")
    for file, digest in manifest.sources.items():
        print(f"source:  {file} ({digest})")


def print_shape(image_shape: tuple[int, int, int]) -> None:
    """One line on the images."""
    print(f"image:   {' x '.join(map(str, image_shape))} uint8 (channels x height x width)")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=140)  # tables must not wrap in a log
