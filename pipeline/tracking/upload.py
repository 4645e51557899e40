"""One pass of an upload: everything that a cell's MLflow run lacks is uploaded, each point once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.counted import counted
from data_prep.files import flush
from pipeline.cells.lease import no_guard
from pipeline.tracking.artifacts import forget_missing_artifacts, send_artifacts
from pipeline.tracking.final_model import send_model
from pipeline.tracking.metric_log import Point, read_lines, read_points
from pipeline.tracking.mirror import measured_digest, same, send_measured
from pipeline.tracking.run import RunInStore, ensure_run
from pipeline.tracking.state import METRICS_FILE, UploadState
from pipeline.tracking.store import as_logged, connect, create_store, set_status

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_PER_BATCH = 1000


@dataclass(kw_only=True, slots=True)
class Sent:
    """What an upload has sent."""

    runs: int = 0
    created: int = 0
    """Runs that the store did not have."""
    points: int = 0
    files: int = 0

    def __iadd__(self, other: Sent) -> Sent:
        for entry in fields(self):
            setattr(self, entry.name, getattr(self, entry.name) + getattr(other, entry.name))
        return self

    def __str__(self) -> str:
        counts = ((self.runs, "run"), (self.points, "point"), (self.files, "file"))
        runs, points, files = (counted(count, what) for count, what in counts)
        return f"{runs}: {self.created} created, {points}, {files}"


class Upload:
    """Brings a cell's MLflow run up to date with its folder.

    ``metrics.jsonl`` is the queue and ``state.pushed_bytes`` the position in it. MLflow stores a point that is
    logged twice twice, and after a crash or a lost response it is unknown whether the last points arrived:
    points up to ``_check_until`` are therefore looked up in the store before upload, all later ones
    are known to be new. ``guard`` is called before anything is written, to the store or next to the metrics.
    """

    def __init__(
        self,
        cell: Path,
        uri: str,
        state: UploadState,
        lock: threading.RLock,
        guard: Callable[[], None] = no_guard,
    ) -> None:
        self._guard = guard
        self.cell = cell
        self.state = state
        """Shared with the thread that logs; changed and saved under ``lock`` only."""
        self.sent = Sent(runs=1)
        """Since this object was made."""
        self._uri = uri
        self._lock = lock
        self._client: MlflowClient | None = None
        self._run: RunInStore | None = None
        self._check_until = self._size()
        self._steps_there: dict[str, set[int]] = {}

    def bring_up_to_date(self) -> None:
        """Upload everything that there is now; the status is sent last, so that FINISHED means complete.

        Raises:
            LeaseLost: raised by the guard.
            Exception: any exception of MLflow; call again later, which determines what has arrived.
        """
        try:
            self._guard()
            client, run = self._reach_run()
            while self._push_metrics(client, run):
                pass
            self._push_measured(client, run)
            self.sent.files += send_artifacts(client, run, self.state, self.cell, self.save)
            self.sent.files += send_model(client, run, self.state, self.cell, self.save)
            self._push_status(client, run)
        except Exception:
            self._run = None
            raise

    def points_left(self) -> int:
        """Number of values of ``metrics.jsonl`` and of measures that are not known to be in the store."""
        all_shown = self.state.measured_sent == measured_digest(self.state)
        left, place = 0 if all_shown else len(self.state.measured["metrics"]), self.state.pushed_bytes
        while True:
            points, end = self._read(place)
            if end == place:
                return left
            left += sum(len(point.metrics) for point in points)
            place = end

    def look_up_what_is_there(self) -> None:
        """Send again what the store has lost since: points, results, files and the model are compared with the folder."""
        client, run = self._reach_run()
        shown = client.get_run(run.run_id).data.metrics
        file = self.cell / METRICS_FILE
        newest: dict[str, tuple[int, int, float]] = {}
        for point in read_points(file) if file.exists() else ():
            for name, value in point.named().items():
                newest[name] = max(
                    newest.get(name, (-1, 0, 0.0)), (point.step, point.time_ms, as_logged(value))
                )
        if any(name not in shown or not same(shown[name], value) for name, (*_, value) in newest.items()):
            self.state.pushed_bytes = 0
            self._check_until = self._size()
        self.state.measured_sent = self.state.model_sent = ""
        forget_missing_artifacts(client, run, self.state, self.cell)

    def save(self) -> None:
        """Save the state."""
        self._guard()
        with self._lock:
            self.state.save(self.cell)

    def _reach_run(self) -> tuple[MlflowClient, RunInStore]:
        if self._client is None:
            create_store(self._uri)
            self._client = connect(self._uri)
        if self._run is not None:
            return self._client, self._run
        self.save()  # the key of the run must be on disk before the run is made
        run = ensure_run(self._client, self._uri, self.state)
        with self._lock:
            if run.is_new or self.state.run_id != run.run_id:
                self.state.forget_what_was_sent()
                self._steps_there.clear()
                # Whatever is appended later is not there yet.
                self._check_until = 0 if run.is_new else self._size()
                self.sent.created += run.is_new
            self.state.run_id = run.run_id
            self.state.status_sent = ""
            self.save()
        self._run = run
        return self._client, run

    def _push_metrics(self, client: MlflowClient, run: RunInStore) -> bool:
        start = self.state.pushed_bytes
        points, end = self._read(start)
        if end == start:
            return False
        # What a power cut could remove from the file must not be in the store: a resumed run would log it again.
        flush(self.cell / METRICS_FILE)
        wanted = self._entities(points)
        if start < self._check_until:
            wanted = [metric for metric in wanted if not self._is_there(client, run, metric)]
        try:
            for first in range(0, len(wanted), _PER_BATCH):
                self._guard()
                batch = wanted[first : first + _PER_BATCH]
                client.log_batch(run.run_id, metrics=batch)
                self.sent.points += len(batch)
        except Exception:
            self._check_until = max(self._check_until, end)
            self._steps_there.clear()
            raise
        with self._lock:
            self.state.pushed_bytes = end
            self.save()
        return True

    def _push_measured(self, client: MlflowClient, run: RunInStore) -> None:
        with self._lock:
            digest, measured = measured_digest(self.state), self.state.measured
        if digest == self.state.measured_sent:
            return
        self.sent.points += send_measured(
            client, run.run_id, measured, self._last_training_step(), self._guard
        )
        with self._lock:
            self.state.measured_sent = digest
            self.save()

    def _last_training_step(self) -> int:
        file = self.cell / METRICS_FILE
        points = read_points(file) if file.exists() else ()
        return max((point.step for point in points if point.kind in ("train", "test")), default=0)

    def _is_there(self, client: MlflowClient, run: RunInStore, metric: Metric) -> bool:
        if metric.key not in self._steps_there:
            history = client.get_metric_history(run.run_id, metric.key)
            self._steps_there[metric.key] = {known.step for known in history}
        return metric.step in self._steps_there[metric.key]

    @staticmethod
    def _entities(points: list[Point]) -> list[Metric]:
        from mlflow.entities import Metric

        return [
            Metric(key, value, point.time_ms, point.step)
            for point in points
            for key, value in point.named().items()
        ]

    def _push_status(self, client: MlflowClient, run: RunInStore) -> None:
        status = self.state.status
        if self.state.status_sent == status:
            return
        self._guard()
        set_status(client, run.run_id, status)
        with self._lock:
            self.state.status_sent = status
            self.save()

    def _read(self, start: int) -> tuple[list[Point], int]:
        file = self.cell / METRICS_FILE
        return read_lines(file, start, _PER_BATCH) if file.exists() else ([], start)

    def _size(self) -> int:
        file = self.cell / METRICS_FILE
        return file.stat().st_size if file.exists() else 0
