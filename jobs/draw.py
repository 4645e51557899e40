"""Draws the figures of a cell again from what its measures left on disk: ``python -m jobs.draw --config FILE``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from data_prep.errors import report_user_errors
from pipeline.cells.folder import CellFolder
from pipeline.figures.draw import draw_figures


@dataclass
class Arguments:
    """Draw the figures of a cell again, without its model."""

    config: Path
    """The cell's `config.json`."""


def main() -> None:
    """Command line; prints the files that were written."""
    with report_user_errors():
        arguments = tyro.cli(Arguments, prog="python -m jobs.draw")
        for path in draw_figures(CellFolder.of(arguments.config).folder):
            print(path)


if __name__ == "__main__":
    main()
