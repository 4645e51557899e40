"""The label tables of ``prepare.py inspect``: frequencies per split, co-occurrences, and numbers at each rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from data_prep.label_table import LabelTable, count_labels
from data_prep.manifest import Manifest

_MOST_TOGETHER = 24
"""Values that fit next to each other on a page."""


def print_label_tables(folder: Path, manifest: Manifest, console: Console) -> None:
    """Frequencies over all splits; then, for several labels, co-occurrences in the first split."""
    counts = {split: count_labels(folder, manifest, split) for split in manifest.splits}
    split, first = next(iter(counts.items()))
    console.print(
        f"share of each label among the rows where it is observed, by split; rows of {split} used at each rate f:"
    )
    console.print(_frequencies(manifest, counts))
    if len(manifest.labels) > 1 and len(first.values) <= _MOST_TOGETHER:
        console.print(f"percentage of the rows of {split} with the row's label that also have the column's:")
        console.print(_together(first))


def _frequencies(manifest: Manifest, counts: dict[str, LabelTable]) -> Table:
    split, first = next(iter(manifest.splits.items()))
    table = Table()
    table.add_column("")
    table.add_column("label", no_wrap=True)
    for name in manifest.splits:
        table.add_column(name, justify="right")
    partly = any((c.known < manifest.splits[name].rows).any() for name, c in counts.items())
    if partly:
        table.add_column("known", justify="right")
    for rate in first.labels_used:
        table.add_column(f"f={rate}", justify="right")
    before = -1
    for number, value in enumerate(counts[split].values):
        cells = [str(number + 1), value.name]
        for count in counts.values():
            known = int(count.known[value.label])
            cells.append(f"{int(count.shown[number, number]) / known:.4f}" if known else "-")
        again = value.label == before  # these counts are of the label, not of the value
        before = value.label
        if partly:
            cells.append("" if again else f"{int(counts[split].known[value.label]) / first.rows:.4f}")
        cells += ["" if again else f"{used[value.label]:,}" for used in first.labels_used.values()]
        table.add_row(*cells)
    return table


def _together(counts: LabelTable) -> Table:
    table = Table(padding=(0, 0))
    table.add_column("")
    table.add_column("label", no_wrap=True)
    for number in range(len(counts.values)):
        table.add_column(str(number + 1), justify="right", min_width=3)
    for number, (value, shares) in enumerate(zip(counts.values, counts.together(), strict=True)):
        cells = ["-" if np.isnan(share) else f"{100 * share:.0f}" for share in shares]
        cells[number] = "·"
        table.add_row(str(number + 1), value.name, *cells)
    return table
