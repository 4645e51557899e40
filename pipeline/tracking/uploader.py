"""The thread that uploads during training."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from data_prep.errors import LeaseLost, TrackingError
from pipeline.tracking.address import public_uri
from pipeline.tracking.state import UploadedElsewhere, UploadState, exclusive
from pipeline.tracking.store import reason
from pipeline.tracking.upload import Upload

_logger = logging.getLogger(__name__)

_EVERY_S = 2.0
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0


class Uploader(threading.Thread):
    """Uploads a cell every few seconds, and retries for as long as the store is down.

    Never raises and never delays training: it reads the file that training writes. Logs once that the store
    is down, and once that it is back. Ends at once if ``guard`` raises LeaseLost.

    Args:
        cell: folder of the run.
        uri: address of the store.
        state: of the upload, shared with the thread that logs.
        lock: held while the state is changed or saved.
        guard: called before anything is uploaded.
        patience_s: how long the first upload waits, unless the run ends before.
    """

    def __init__(
        self,
        cell: Path,
        uri: str,
        state: UploadState,
        lock: threading.RLock,
        guard: Callable[[], None],
        patience_s: float = 0.0,
    ) -> None:
        super().__init__(name="mlflow-uploader", daemon=True)
        self.started = threading.Event()
        """Set after the first attempt, successful or not; MLflow is imported by then."""
        self._cell = cell
        self._uri = uri
        self._open_upload: Callable[[], Upload] = lambda: Upload(cell, uri, state, lock, guard)
        self._upload: Upload | None = None
        self._patience_s = patience_s
        self._beginning = threading.Lock()
        self._began = patience_s <= 0
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._away: str | None = None

    def run(self) -> None:
        """Upload until :meth:`close` is called and everything is uploaded."""
        self._closing.wait(self._patience_s)
        with self._beginning:
            self._began = not self._abandoned.is_set()
        wait = _FIRST_WAIT_S
        while not self._abandoned.is_set():
            closing = self._closing.is_set()
            done = self._try_once()
            self.started.set()
            if done:
                wait = _FIRST_WAIT_S
                if closing:
                    return
                self._closing.wait(_EVERY_S)
            elif closing:
                self._abandoned.wait(_FIRST_WAIT_S)
            else:
                self._closing.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)

    def close(self, bound_seconds: float, bound_away_seconds: float = 10.0) -> bool:
        """Upload what is left, for at most that long (the shorter bound while the store is down).

        Returns:
            Whether everything is in the store.
        """
        start = time.monotonic()
        self._closing.set()
        while self.is_alive():
            bound = bound_seconds if self._away is None else min(bound_seconds, bound_away_seconds)
            left = start + bound - time.monotonic()
            if left <= 0:
                self._abandoned.set()
                return False
            self.join(min(left, 0.2))
        return self._away is None

    def leave_to_the_next(self) -> bool:
        """End without any upload, if none has begun; returns whether that is so."""
        with self._beginning:
            if not self._began:
                self.abandon()
            return not self._began

    def abandon(self) -> None:
        """End without uploading anything more."""
        self._abandoned.set()
        self._closing.set()

    def points_left(self) -> int | None:
        """Number of values that are not in the store yet; None if unknown."""
        return None if self._upload is None else self._upload.points_left()

    def _try_once(self) -> bool:
        try:
            with exclusive(self._cell):
                if self._upload is None:
                    self._upload = self._open_upload()
                self._upload.bring_up_to_date()
        except LeaseLost:  # the newer copy uploads what is left
            self._abandoned.set()
            return False
        except UploadedElsewhere:  # the store is not away, and the other one ends
            return False
        except Exception as error:
            self._warn_down(error)
            return False
        if self._away is not None:
            _logger.warning("MLflow at %s is back; the backlog is uploaded", public_uri(self._uri))
            self._away = None
        return True

    def _warn_down(self, error: Exception) -> None:
        if self._away is None:
            text = str(error) if isinstance(error, TrackingError) else reason(error, self._uri)
            _logger.warning(
                "MLflow at %s does not accept the points of %s at the moment (%s); they stay in metrics.jsonl, "
                "and the run continues",
                public_uri(self._uri),
                self._cell.name,
                text,
            )
        self._away = type(error).__name__
