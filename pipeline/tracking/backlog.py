"""Uploading later what a run could not upload."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.tracking.address import with_environment_secrets
from pipeline.tracking.measured import note_results
from pipeline.tracking.state import FILE, UploadState, exclusive
from pipeline.tracking.store import reporting_store_errors
from pipeline.tracking.upload import Upload


def cells_with_state(runs: Path, sweep: str | None = None) -> list[Path]:
    """Folders of all runs under ``runs`` (or of one sweep) that have or need a run in MLflow."""
    sweeps = [runs / sweep] if sweep is not None else list(runs.glob("*"))
    return sorted(path.parent for folder in sweeps for path in folder.glob(f"*/{FILE}"))


def sync(cell: Path) -> int:
    """Upload what the MLflow run of a cell lacks; nothing is duplicated.

    Returns:
        The number of points uploaded.

    Raises:
        TrackingError: the store cannot be reached, or a running process is uploading this cell.
    """
    cell = cell.absolute()
    with exclusive(cell):
        state = UploadState.load(cell)
        if state is None:
            return 0
        note_results(state, cell)
        uri = with_environment_secrets(state.uri)
        with reporting_store_errors(uri):
            upload = Upload(cell, uri, state, threading.RLock())
            left = upload.points_left()
            upload.bring_up_to_date()
        return left
