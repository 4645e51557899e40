"""A tracking store whose server is away for a moment is waited for."""

from __future__ import annotations

import time

from data_prep.errors import TrackingError
from pipeline.tracking import public_uri
from pipeline.tracking.server import server_error, server_of

PATIENCE_S = 60.0
SECONDS_BETWEEN_TRIES = 2.0


def wait_for_store(uri: str) -> None:
    """Return when the server of a store answers, or at once where the store is a file; says so when it waits.

    Raises:
        TrackingError: it does not answer for a minute.
    """
    server, deadline, told = server_of(uri), time.monotonic() + PATIENCE_S, False
    while (problem := server_error(server)) is not None:
        if time.monotonic() > deadline:
            raise TrackingError(
                f"the MLflow store {public_uri(uri)} does not answer ({problem}): see that its server runs, and run the same"
                " command again; jobs that were submitted go on meanwhile"
            )
        if not told:
            told = True
            print(
                f"the MLflow store {public_uri(uri)} does not answer ({problem}); trying for {PATIENCE_S:.0f} s",
                flush=True,
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
    if told:
        print("the MLflow store answers", flush=True)
