"""A table of runs on a terminal, with notes below."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from pipeline.measures.notes import notes
from pipeline.measures.recorded import TEST
from pipeline.measures.summary import Row
from pipeline.measures.tables import SHOWN, TEXT_COLUMNS, body, headings, not_shown

_WIDTH_WITHOUT_TERMINAL = 300
_HYPHENATED = {"classification": "classi-\nfication", "difference": "differ-\nence"}
"""Headings that are wider than their columns."""


def wide_enough_console() -> Console:
    """The terminal; in a file or a pipe, nothing needs to be cut."""
    console = Console()
    return (
        console if console.is_terminal or "COLUMNS" in os.environ else Console(width=_WIDTH_WITHOUT_TERMINAL)
    )


def print_table(
    sweep: str, split: str, rows: Sequence[Row], metrics: Sequence[str], console: Console
) -> None:
    """The table of a sweep on a split, with as many metrics as fit the terminal, and where the others are.

    An accuracy says nothing without what the majority would score, so that this column stays with it.
    """
    title = sweep if split == TEST else f"{sweep}, split {split}"
    rows = [row for row in rows if any(name in row.metrics for name in metrics)]
    shown = len(metrics[:SHOWN])
    least = 2 if "majority_baseline" in metrics[:2] else 1
    while shown > least and _width(rows, metrics[:shown], console) > console.width:
        shown -= 1
    narrow = _width(rows, metrics[:shown], console) > console.width
    names = headings(rows, metrics[:shown])
    console.print(_table(title, names, body(rows, metrics[:shown]), narrow=narrow))
    print_notes([*not_shown(metrics[SHOWN:], metrics[shown:SHOWN]), *notes(rows, metrics[:shown])], console)


def print_notes(sentences: Sequence[str], console: Console) -> None:
    """A line for each."""
    for sentence in sentences:
        console.print(escape(sentence), soft_wrap=True, highlight=False)


def _width(rows: Sequence[Row], metrics: Sequence[str], console: Console) -> int:
    """The columns of a terminal that the table takes: those of one row with each column's longest cell."""
    longest = [max(cells, key=len) for cells in zip(*body(rows, metrics), strict=True)]
    table = _table("", headings(rows, metrics), [longest] if longest else [])
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _table(
    title: str, names: Sequence[str], lines: Sequence[Sequence[str]], *, narrow: bool = False
) -> Table:
    """A table whose numbers are never truncated; a narrow one wraps names and standard deviations."""
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in names:
        justify: JustifyMethod = "left" if heading in (*TEXT_COLUMNS, "paper") else "right"
        broken = heading.replace("_", "\n").replace("/", "/\n")
        for word, halves in _HYPHENATED.items() if narrow else ():
            broken = broken.replace(word, halves)
        folds = narrow and heading in TEXT_COLUMNS
        table.add_column(broken, justify=justify, no_wrap=not folds, overflow="fold")
    for line in lines:
        cells = zip(names, line, strict=True)
        table.add_row(*(escape(_in_lines(heading, cell) if narrow else cell) for heading, cell in cells))
    return table


def _in_lines(heading: str, cell: str) -> str:
    if heading in TEXT_COLUMNS:
        return cell.replace("_", "\n_").replace("=", "=\n")
    return cell.replace(" ± ", "\n± ")
