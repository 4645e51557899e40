"""The explorers of a sweep's cells: written at its end if they are few, and kept with the runs in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.errors import TrackingError, UserError
from pipeline.cell import Cell
from pipeline.cells.folder import TRAINED_FILE, CellFolder
from pipeline.cells.lease import is_running
from pipeline.pages.explored_cell import FILE, write_explorer
from pipeline.tracking import sync
from pipeline.tracking.artifacts import note_artifact
from pipeline.tracking.state import UploadState, exclusive

MOST = 20
"""Cells of a sweep up to which each gets an explorer by itself: it has some megabytes and takes a second or two."""


def write_explorers(cells: Sequence[Cell]) -> list[Path]:
    """The explorers of those cells that are trained, new ones where there is none or the cell was trained again since.

    What is in the way, such as a system that no page can run, is told once and passed over.
    """
    pages, told = [], set()
    for cell in cells:
        page = cell.folder / FILE
        trained = cell.folder / TRAINED_FILE
        if not trained.is_file():
            continue
        if page.is_file() and page.stat().st_mtime >= trained.stat().st_mtime:
            pages.append(page)
            continue
        try:
            write_explorer(cell, page)
        except (UserError, OSError) as error:
            if str(error) not in told:
                print(f"no explorer of {cell.name}: {error}")
            told.add(str(error))
            continue
        send_explorer(cell, page)
        pages.append(page)
    return pages


def send_explorer(cell: CellFolder, page: Path) -> None:
    """Make the page an artifact of the run in MLflow, if it is there; a store that cannot be reached costs a line."""
    try:
        if is_running(cell.folder):
            raise TrackingError(
                "the run is being trained or measured; it is sent when this is repeated after that"
            )
        with exclusive(cell.folder):
            state = UploadState.load(cell.folder)
            if state is None:
                return
            note_artifact(state, cell.folder, page, "")
            state.save(cell.folder)
        sync(cell.folder)
    except UserError as error:
        print(f"not sent to MLflow: {error}")
