"""Uploading later what a run could not upload, or to another store than the one it was recorded in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.tracking.address import public_uri, with_environment_secrets
from pipeline.tracking.measured import note_results
from pipeline.tracking.mirror import measured_digest
from pipeline.tracking.state import FILE, METRICS_FILE, SWEEP_ID, UploadState, exclusive
from pipeline.tracking.store import reporting_store_errors
from pipeline.tracking.upload import Sent, Upload


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where the runs of a sweep are to be."""

    uri: str
    """Address of the store; may hold a password."""
    experiment: str
    sweep: str
    """Name of the sweep."""
    sweep_id: str | None
    parent_run_id: str | None


def cells_with_state(runs: Path, sweep: str | None = None) -> list[Path]:
    """Folders of all runs under ``runs`` (or of one sweep) that have or need a run in MLflow."""
    sweeps = [runs / sweep] if sweep is not None else list(runs.glob("*"))
    return sorted(path.parent for folder in sweeps for path in folder.glob(f"*/{FILE}"))


def sync(
    cell: Path, to: Destination | None = None, described: Callable[[], UploadState] | None = None
) -> Sent:
    """Upload what the MLflow run of a cell lacks; nothing is duplicated.

    Args:
        cell: its folder.
        to: where its run is to be; None: where it was. With it, the store is asked for what it has, since it may have lost
            something, or be another store than that of the last upload.
        described: gives the state of a cell without one.

    Returns:
        What was sent.

    Raises:
        TrackingError: the store cannot be reached, or a running process is uploading this cell.
    """
    cell = cell.absolute()
    with exclusive(cell):
        state = UploadState.load(cell)
        if state is None and described is not None:
            state = described()
        if state is None:
            return Sent()
        if to is not None:
            state = state.resume_as(_sent_to(state, to), cell)
        note_results(state, cell)
        uri = with_environment_secrets(state.uri) if to is None else to.uri
        with reporting_store_errors(uri):
            upload = Upload(cell, uri, state, threading.RLock())
            if to is not None:
                upload.look_up_what_is_there()
            upload.bring_up_to_date()
        return upload.sent


def mark_killed(cell: Path) -> None:
    """Note that a cell is not running any more, since its user stopped it; the next upload says so in the store."""
    state = UploadState.load(cell)
    if state is not None and state.status == "RUNNING":
        state.status = "KILLED"
        state.save(cell)


def is_uploaded(cell: Path, uri: str) -> bool:
    """Whether everything of a cell was uploaded to this store, according to its folder; nothing is asked."""
    state = UploadState.load(cell)
    if state is None or state.uri != public_uri(uri) or state.run_id is None:
        return False
    note_results(state, cell)
    file = cell / METRICS_FILE
    return (
        state.pushed_bytes == (file.stat().st_size if file.exists() else 0)
        and state.measured_sent == measured_digest(state)
        and state.status_sent == state.status
    )


def _sent_to(state: UploadState, to: Destination) -> UploadState:
    """A state as of a cell that was never uploaded, for the destination."""
    tags = state.tags | {"sweep": to.sweep}
    if to.sweep_id is not None:
        tags[SWEEP_ID] = to.sweep_id
    return UploadState(
        uri=public_uri(to.uri),
        experiment=to.experiment,
        parent_run_id=to.parent_run_id,
        run_name=state.run_name,
        params=state.params,
        tags=tags,
        data=state.data,
        artifacts={
            target: {"source": entry["source"], "sent": ""} for target, entry in state.artifacts.items()
        },
        status=state.status,
    )
