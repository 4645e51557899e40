"""The runs of a sweep, read from MLflow only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_prep.errors import TrackingError
from pipeline.tracking.address import public_uri, sqlite_file, usable_uri
from pipeline.tracking.measured import measure_statuses
from pipeline.tracking.store import ROLE, as_logged, connect, quoted, reporting_store_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One cell as recorded in MLflow."""

    run_id: str
    cell: str
    status: str
    """FINISHED, FAILED, KILLED or RUNNING."""

    started_ms: int
    params: dict[str, str]
    metrics: dict[str, float]
    """Last value of each metric."""

    tags: dict[str, str]

    @property
    def is_measured(self) -> bool:
        """Whether it is trained, and has been measured: some measures may have failed, or be yet to come."""
        return self.status == "FINISHED" or bool(measure_statuses(self.tags))


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """The status of a sweep."""

    name: str
    last_start_ms: int
    statuses: dict[str, int]
    """Number of cells by status."""


def list_sweeps(uri: str) -> list[SweepSummary]:
    """All sweeps of a store, the newest first.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    starts: dict[str, int] = {}
    statuses: dict[str, Counter[str]] = {}
    for run in _search(uri, "tags.sweep != ''"):
        name = run.data.tags["sweep"]
        starts[name] = max(starts.get(name, 0), run.info.start_time)
        counted = statuses.setdefault(name, Counter())
        if run.data.tags.get(ROLE) != "sweep":
            counted[run.info.status] += 1
    names = sorted(starts, key=lambda name: starts[name], reverse=True)
    return [SweepSummary(name, starts[name], dict(statuses[name])) for name in names]


def read_sweep(uri: str, sweep: str) -> list[RecordedRun]:
    """All cells of a sweep, oldest first; none if no sweep has that name.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    runs = [
        run for run in _search(uri, f"tags.sweep = {quoted(sweep)}") if run.data.tags.get(ROLE) != "sweep"
    ]
    recorded = [
        RecordedRun(
            run_id=run.info.run_id,
            cell=run.data.tags.get("cell", run.info.run_name or run.info.run_id),
            status=run.info.status,
            started_ms=run.info.start_time,
            params=_params(run),
            metrics={name: as_logged(value) for name, value in run.data.metrics.items()},
            tags=dict(run.data.tags),
        )
        for run in runs
    ]
    return sorted(recorded, key=lambda run: run.started_ms)


def _params(run: Any) -> dict[str, str]:
    """The run's params, with the system that its tag names: in MLflow a param keeps its first value, and a tag does not."""
    params = dict(run.data.params)
    if "model.system" in params and "system" in run.data.tags:
        params["model.system"] = run.data.tags["system"]
    return params


def _search(uri: str, query: str) -> list[Any]:
    uri = usable_uri(uri)
    file = sqlite_file(uri)
    if file is not None and not file.exists():  # MLflow would create one
        raise TrackingError(f"there is no MLflow store at {public_uri(uri)} yet; run a sweep first")
    with reporting_store_errors(uri):
        client = connect(uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return _all_pages(client, experiments, query)


def _all_pages(client: MlflowClient, experiments: list[str], query: str) -> list[Any]:
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(experiments, query, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
