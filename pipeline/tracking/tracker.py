"""The tracker that rank 0 of a run logs with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from data_prep.counted import counted
from data_prep.errors import LeaseLost, UserError
from data_prep.program_name import program
from pipeline.cells.lease import no_guard
from pipeline.tracking.address import public_uri, tracking_uri
from pipeline.tracking.artifacts import note_artifact
from pipeline.tracking.final_model import save_model
from pipeline.tracking.measured import note_results
from pipeline.tracking.metric_log import Kind, MetricLog
from pipeline.tracking.settings import DatasetInput, TrackingSettings
from pipeline.tracking.source import source_tags
from pipeline.tracking.state import METRICS_FILE, SWEEP_ID, UploadState
from pipeline.tracking.store import Status
from pipeline.tracking.sweep_identity import SweepIdentity, original_of
from pipeline.tracking.system_metrics import SystemMetrics
from pipeline.tracking.uploader import Uploader

_logger = logging.getLogger(__name__)


class Tracker:
    """Numbers, figures and model of one run: to its folder at once, to MLflow in the background.

    Use it on rank 0, as a context manager: an exception that leaves the block closes the run as failed (Ctrl-C:
    killed), and the end of the block as finished. Opening the same cell again continues the same MLflow run.

    Args:
        cell: folder of the run; created if missing.
        settings: the tracking section.
        params: the configuration, flattened (``model.system``, ``data.supervision_rate``, …).
        tags: further tags for the run; those of git, SLURM, sweep, cell and system are added automatically.
        run_name: name of the run in MLflow.
        data: the data set that the run is trained on.
        guard: called before anything is written or uploaded; raises LeaseLost if a newer copy of the run has taken
            over, and this one must not change anything.
        patience_s: how long the first upload waits. A run that is closed as ``running`` before is uploaded by the process
            that continues it: MLflow's import takes longer than many a short training.

    Raises:
        OSError: ``metrics.jsonl`` cannot be written.
        TrackingError: the address of the store is invalid. A store that is down is not an error.
    """

    def __init__(
        self,
        cell: Path,
        *,
        settings: TrackingSettings,
        params: Mapping[str, str | int | float | bool | None],
        tags: Mapping[str, str],
        run_name: str,
        data: DatasetInput | None,
        guard: Callable[[], None] = no_guard,
        patience_s: float = 0.0,
    ) -> None:
        self.cell = cell.absolute()
        self._guard = guard
        self._metrics = MetricLog(self.cell / METRICS_FILE, guard)
        self._lock = threading.RLock()
        self._closed = False
        self._uploader: Uploader | None = None
        self._system: SystemMetrics | None = None
        if not settings.enabled:
            return
        uri = tracking_uri(settings.uri, self.cell.parent.parent)
        fresh = described(self.cell, uri, settings, params, tags, run_name, data)
        known = UploadState.load(self.cell)
        self._state = fresh if known is None else known.resume_as(fresh, self.cell)
        self._state.save(self.cell)
        self._uploader = Uploader(self.cell, uri, self._state, self._lock, guard, patience_s)
        if settings.system_metrics:
            every_s = settings.system_metrics_every_s
            self._system = SystemMetrics(self._metrics, every_s, self._uploader.started)

    def __enter__(self) -> Tracker:
        if self._uploader is not None:
            self._uploader.start()
        if self._system is not None:
            self._system.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close("finished")
        else:
            self.close("killed" if issubclass(kind, KeyboardInterrupt) else "failed")

    def log(self, kind: Kind, step: int, metrics: Mapping[str, float]) -> None:
        """Log the values of some metrics at a step; an existing value is kept.

        In MLflow a metric's name starts with its kind: ``elbo`` of kind ``train`` is ``train/elbo``.

        Raises:
            OSError: the disk is full.
            LeaseLost: a newer copy of the run has taken over.
        """
        self._metrics.append(kind, step, metrics)

    def mirror_results(self) -> None:
        """Make the run in MLflow show the current content of the cell's ``measures/`` and ``figures/`` folders.

        Each number is a metric ``<split>/<metric>`` (``test/classification_accuracy``; a setting that differs from its
        default follows: ``test/accuracy/threshold_0.4``), how each measure ended the tag ``measure.<split>.<name>``. For a
        repeated measure the run shows the newest value. Idempotent.
        """
        if self._uploader is None:
            return
        self._guard()
        with self._lock:
            note_results(self._state, self.cell)
            self._state.save(self.cell)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload a file, or a folder's files, into ``folder`` of the run's artifacts; again if changed.

        Without ``folder`` a file goes to the top level, and a folder's files go under that folder's own name.
        """
        if self._uploader is None:
            return
        self._guard()
        with self._lock:
            note_artifact(self._state, self.cell, path, folder)
            self._state.save(self.cell)

    def model(self, write: Callable[[Path], object]) -> None:
        """Upload the final model, which ``write`` writes into an empty folder in the cell, in MLflow's format."""
        if self._uploader is None:
            return
        self._guard()
        try:
            save_model(write, self.cell)
        except UserError as error:
            # Hours of training must not fail because of the copy in MLflow: the checkpoint is on disk.
            _logger.warning("the model of %s is not uploaded to MLflow: %s", self.cell, error)

    def close(self, status: Status, bound_seconds: float | None = None) -> None:
        """Upload what is left and set the run's status (``running`` for a run that resumes later: preempted, requeued).

        Takes at most ``bound_seconds`` (60, or 5 for ``running``; 10 while the store is down). What is not in the store
        by then is on disk, and a warning says how to upload it. Calling it again does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._system is not None:
            self._system.stop()
        self._metrics.close()
        if self._uploader is None:
            return
        try:
            self._guard()
        except LeaseLost:  # the run, its status and the backlog belong to the newer copy
            self._uploader.abandon()
            return
        with self._lock:
            self._state.status = status.upper()
            self._state.save(self.cell)
        if status == "running" and self._uploader.leave_to_the_next():
            return
        if bound_seconds is None:
            bound_seconds = 5.0 if status == "running" else 60.0
        complete = not self._uploader.is_alive() or self._uploader.close(bound_seconds)
        if not complete and status != "running":  # a run that resumes later uploads it then
            left = self._uploader.points_left()
            _logger.warning(
                "%s not in MLflow yet; to upload: %s --sync --runs %s",
                f"the points of {self.cell} are"
                if left is None
                else counted(left, f"point of {self.cell} is", f"points of {self.cell} are"),
                program("compare"),
                self.cell.parent.parent,
            )


def described(
    cell: Path,
    uri: str,
    settings: TrackingSettings,
    params: Mapping[str, str | int | float | bool | None],
    tags: Mapping[str, str],
    run_name: str,
    data: DatasetInput | None,
) -> UploadState:
    """The state of a cell of which nothing is uploaded yet, with everything that its run is described by."""
    all_tags = {"cell": cell.name, **source_tags()}
    parent_run_id = settings.parent_run_id
    if settings.sweep is not None:
        all_tags["sweep"] = settings.sweep
        identity = SweepIdentity.read(cell.parent)
        if identity is not None:
            all_tags[SWEEP_ID] = identity.id
        if original_of(cell.parent) is not None:  # the parent run is the original's
            parent_run_id = None
    if "model.system" in params:
        all_tags["system"] = str(params["model.system"])
    return UploadState(
        uri=public_uri(uri),
        experiment=settings.experiment,
        parent_run_id=parent_run_id,
        run_name=run_name,
        params={key: str(value) for key, value in params.items()},
        tags=all_tags | dict(tags),
        data=None if data is None else {"name": data.name, "digest": data.digest, "source": data.source},
    )
