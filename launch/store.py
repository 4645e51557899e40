"""Waiting for a tracking store whose server is down for a moment."""

from __future__ import annotations

import time

from data_prep.errors import TrackingError
from pipeline.tracking import public_uri
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
