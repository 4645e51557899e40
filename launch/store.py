"""A launcher and the tracking store: waiting for a server that is down for a moment, recording that a sweep was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from data_prep.errors import TrackingError
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import is_running
from pipeline.tracking import public_uri, stop_sweep
from pipeline.tracking.backlog import mark_killed
from pipeline.tracking.server import server_error, server_of

PATIENCE_S = 60.0
SECONDS_BETWEEN_TRIES = 2.0


def wait_for_store(uri: str) -> None:
    """Return when a store's server answers, or at once if the store is a file; prints a message if it waits.

    Raises:
        TrackingError: it does not answer within a minute.
    """
    server, deadline, waiting = server_of(uri), time.monotonic() + PATIENCE_S, False
    while (problem := server_error(server)) is not None:
        if time.monotonic() > deadline:
            raise TrackingError(
                f"the MLflow store {public_uri(uri)} does not answer ({problem}): make sure that its server runs, and"
                " run the same command again; submitted jobs continue meanwhile"
            )
        if not waiting:
            waiting = True
            print(
                f"the MLflow store {public_uri(uri)} does not answer ({problem}); trying for {PATIENCE_S:.0f} s",
                flush=True,
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
    if waiting:
        print("the MLflow store answers", flush=True)


@contextmanager
def recording_a_stop(uri: str, parent_run_id: str, cells: Iterable[CellFolder]) -> Iterator[None]:
    """Whatever ends the block early (Ctrl-C, a full disk), no run of the sweep counts as running in MLflow afterwards."""
    try:
        yield
    except BaseException:
        _record_stop(uri, parent_run_id, cells)
        raise


def _record_stop(uri: str, parent_run_id: str, cells: Iterable[CellFolder]) -> None:
    for cell in cells:
        with suppress(OSError):  # the disk may be what is full
            if not is_running(cell.folder):
                mark_killed(cell.folder)
    try:
        stop_sweep(uri, parent_run_id)
    except TrackingError as error:
        with suppress(OSError):
            print(f"{error}; there, the sweep is still shown as running", flush=True)
