"""A sweep's trained cells in the MLflow store that the user names: what the store lacks is found, and brought there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.counted import counted
from data_prep.errors import ConfigError, TrackingError, UserError
from data_prep.lock import exclusive_lock
from launch.former_cells import is_former
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import is_running
from pipeline.measures.plan import is_done
from pipeline.tracking import Destination, finish_sweep, public_uri, start_sweep, sync
from pipeline.tracking.backlog import is_uploaded
from pipeline.tracking.run import KEY
from pipeline.tracking.runs import RecordedRun, sweeps_named
from pipeline.tracking.state import FILE, UploadState
from pipeline.tracking.sweep_identity import claim_sweep
from pipeline.tracking.upload import Sent


@dataclass(frozen=True, slots=True)
class RecordedTracking:
    """What the configuration of a sweep's cells says of MLflow."""

    experiment: str
    parent_run_id: str | None

    @classmethod
    def of(cls, sweep: Path) -> RecordedTracking | None:
        """That of one of the cells; None if the sweep has none that used MLflow."""
        for file in sorted(sweep.glob("*/config.json")):
            tracking = _tracking_of(CellFolder(file.parent))
            if tracking.get("enabled") and isinstance(tracking.get("experiment"), str):
                return cls(tracking["experiment"], tracking.get("parent_run_id"))
        states = (UploadState.load(file.parent) for file in sorted(sweep.glob(f"*/{FILE}")))
        return next((cls(state.experiment, state.parent_run_id) for state in states if state), None)


def upload_sweeps(runs: Path, uri: str, only: Path | None = None) -> Sent:
    """Bring every trained or tracked cell under ``runs`` (or of one sweep) to the store; continues after a failure.

    Raises:
        TrackingError: some cells could not be uploaded; the sentence has the first reason.
    """
    sweeps = [only] if only is not None else sorted(path for path in runs.glob("*") if _cells(path))
    sent = Sent()
    failed: list[str] = []
    for sweep in sweeps:
        cells = [cell for cell in _cells(sweep) if not is_running(cell.folder)]  # those upload by themselves
        if cells:
            sent += _upload(sweep, cells, uri, failed)
    if failed:
        raise TrackingError(
            f"{sent} sent, but {counted(len(failed), 'run')} could not be uploaded, the first is {failed[0]}"
        )
    return sent


def bring_finished_cells(cells: Iterable[CellFolder], uri: str, to: Destination) -> None:
    """Bring the trained cells that the store lacks, or has in part; says what was sent, and what could not be.

    A run may be missing because it was deleted in MLflow, or the store was, or because the sweep was in another store.
    """
    trained = [
        cell
        for cell in cells
        if cell.is_trained() and _tracking_of(cell).get("enabled") and not is_running(cell.folder)
    ]
    if not trained:
        return
    there = {sweep.id: sweep.runs for sweep in sweeps_named(uri, to.sweep)}
    runs = there.get(to.sweep_id or to.parent_run_id or "", ())
    missing = not_in_store(trained, runs)
    missing += [cell for cell in trained if cell not in missing and not is_uploaded(cell.folder, uri)]
    sent, failed = Sent(), []
    for cell in missing:
        try:
            sent += sync(cell.folder, to, lambda cell=cell: _described(cell, uri))  # type: ignore[misc]
        except UserError as error:
            failed.append(f"{cell.name}: {error}")
    if sent.points or sent.files or sent.created:
        print(
            f"trained cells that {public_uri(uri)} lacked in whole or in part are there now: {sent}",
            flush=True,
        )
    if failed:
        print(
            f"{counted(len(failed), 'trained cell is', 'trained cells are')} not in"
            f" {public_uri(uri)}; the first is {failed[0]}",
            flush=True,
        )


def not_in_store(cells: Sequence[CellFolder], runs: Iterable[RecordedRun]) -> list[CellFolder]:
    """The cells that none of the runs belongs to: a run of an earlier training of the same cell is not the cell's."""
    keys = {run.cell: run.tags.get(KEY) for run in runs}
    missing = []
    for cell in cells:
        state = UploadState.load(cell.folder)
        if cell.name not in keys or (state is not None and keys[cell.name] not in (state.key, None)):
            missing.append(cell)
    return missing


def _cells(sweep: Path) -> list[CellFolder]:
    """The cells that are or should be in MLflow."""
    cells = {file.parent for name in ("config.json", FILE) for file in sweep.glob(f"*/{name}")}
    return [
        cell
        for cell in map(CellFolder, sorted(cells))
        if (cell.folder / FILE).is_file() or (cell.is_trained() and _tracking_of(cell).get("enabled"))
    ]


def _upload(sweep: Path, cells: Sequence[CellFolder], uri: str, failed: list[str]) -> Sent:
    sent = Sent()
    with exclusive_lock(sweep / "launch.lock"):
        to = destination(sweep, uri)
        for cell in cells:
            try:
                sent += sync(cell.folder, to, lambda cell=cell: _described(cell, uri))  # type: ignore[misc]
            except UserError as error:
                failed.append(f"{cell.name}: {error}")
            else:
                name_parent(cell, to)
    return sent


def destination(sweep: Path, uri: str) -> Destination:
    """Where the runs of a sweep's folder belong in a store; its parent run is made if it is missing there."""
    recorded = RecordedTracking.of(sweep)
    identity = claim_sweep(sweep, None if recorded is None else recorded.experiment)
    if recorded is None or recorded.parent_run_id is None:  # launch/debug.py
        parent = None
    else:
        started = start_sweep(
            uri, identity.experiment, sweep.name, {}, identity, recorded.parent_run_id, running=False
        )
        parent = started.parent_run_id
        if started.is_new:
            cells = [CellFolder(file.parent) for file in sweep.glob("*/config.json")]
            finish_sweep(uri, parent, "finished" if all(map(is_done, cells)) else "killed")
    return Destination(
        uri=uri,
        experiment=identity.experiment,
        sweep=sweep.name,
        sweep_id=identity.id,
        parent_run_id=parent,
    )


def _described(cell: CellFolder, uri: str) -> UploadState:
    """The state of a cell that has none."""
    from jobs.unit import upload_state  # imports torch
    from pipeline.cell import Cell

    state = upload_state(Cell.open(cell.config_file), uri)
    state.status = "FINISHED" if is_done(cell) else "KILLED"
    return state


def name_parent(cell: CellFolder, to: Destination) -> None:
    """Update the parent run in a cell's configuration, for a later measuring; it is no part of a run's identity."""
    tracking = _tracking_of(cell)
    if is_former(cell) or tracking.get("parent_run_id") == to.parent_run_id or not tracking:
        return
    tracking |= {"parent_run_id": to.parent_run_id, "experiment": to.experiment}
    cell.write_plain_config(cell.plain_config() | {"tracking": tracking})


def _tracking_of(cell: CellFolder) -> dict[str, Any]:
    """The tracking section of its configuration, of whatever version; empty if it cannot be read."""
    try:
        tracking = cell.plain_config().get("tracking")
    except ConfigError:
        return {}
    return tracking if isinstance(tracking, dict) else {}
