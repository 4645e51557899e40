"""The runs of a sweep, read from MLflow only; those that another run has replaced do not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_prep.counted import counted
from data_prep.errors import TrackingError
from pipeline.tracking.address import public_uri, sqlite_file, usable_uri
from pipeline.tracking.measured import measure_statuses
from pipeline.tracking.state import SWEEP_ID
from pipeline.tracking.store import as_logged, connect, quoted, reporting_store_errors
from pipeline.tracking.sweep_run import PARENT, REPLACED, ROLE, all_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient


READERS = "readers-"
"""Prefix of the names of sweeps of label readers, which are trained for other sweeps (``launch/readers.py``)."""


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
class RecordedSweep:
    """A sweep as recorded in MLflow."""

    name: str
    id: str
    """That of its ``sweep.json``; for one without, the id of its parent run, or nothing."""
    last_start_ms: int
    user: str
    host: str
    folder: str
    """Where it was launched last; empty if that was not recorded."""
    runs: tuple[RecordedRun, ...]
    """Its cells, oldest first."""

    @property
    def statuses(self) -> dict[str, int]:
        """Number of cells by status."""
        return dict(Counter(run.status for run in self.runs))

    def __str__(self) -> str:
        place = (
            f"{self.folder} of {self.user} on {self.host}" if self.folder else "a folder that is not recorded"
        )
        return f"{self.id[:8] or 'without id'} ({place}, {counted(len(self.runs), 'run')})"


def list_sweeps(uri: str) -> list[RecordedSweep]:
    """All sweeps of a store, the newest first.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    return _grouped(_search(uri, "tags.sweep != ''"))


def sweeps_named(uri: str, name: str) -> list[RecordedSweep]:
    """The sweeps of that name, the newest first: one for each folder that was launched.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    return _grouped(_search(uri, f"tags.sweep = {quoted(name)}"))


def sweeps_with_id(uri: str, beginning: str) -> list[RecordedSweep]:
    """The sweeps whose id begins like this.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    if not beginning.isalnum():
        return []
    query = f"tags.{ROLE} = 'sweep' and tags.{SWEEP_ID} LIKE '{beginning}%'"
    names = {run.data.tags.get("sweep", "") for run in _search(uri, query)} - {""}
    found = [sweep for name in sorted(names) for sweep in sweeps_named(uri, name)]
    return [sweep for sweep in found if sweep.id.startswith(beginning)]


def newest_sweep(uri: str) -> RecordedSweep | None:
    """The sweep that was started last; one with a finished run, if there is any, and not of label readers.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    parents = _search(uri, f"tags.{ROLE} = 'sweep'")
    # Only as many sweeps are read as needed: one of a thousand runs takes seconds.
    newest = sorted(parents, key=lambda run: run.info.start_time, reverse=True)
    names = dict.fromkeys(run.data.tags["sweep"] for run in newest)
    names = dict.fromkeys(sorted(names, key=lambda name: name.startswith(READERS)))
    first = None
    for name in names:
        sweeps = sweeps_named(uri, name)
        first = first or next(iter(sweeps), None)
        for sweep in sweeps:
            if sweep.statuses.get("FINISHED"):
                return sweep
    others = list_sweeps(uri)  # debug's runs have no parent
    return next((sweep for sweep in others if sweep.statuses.get("FINISHED")), first)


def read_sweep(uri: str, name: str) -> list[RecordedRun]:
    """All cells of the newest sweep of that name, oldest first; none if no sweep has that name.

    Raises:
        TrackingError: there is no such store, or it cannot be reached.
    """
    sweeps = sweeps_named(uri, name)
    return list(sweeps[0].runs) if sweeps else []


def deleted_experiments(uri: str) -> list[str]:
    """Names of the experiments that were deleted in MLflow: their runs are not found.

    Raises:
        TrackingError: the store cannot be reached.
    """
    from mlflow.entities import ViewType

    with reporting_store_errors(uri):
        found = connect(usable_uri(uri)).search_experiments(view_type=ViewType.DELETED_ONLY)
        return [experiment.name for experiment in found]


def _grouped(runs: Sequence[Any]) -> list[RecordedSweep]:
    """The runs by sweep: by its id, else by their parent run."""
    parents = {run.info.run_id: run for run in runs if run.data.tags.get(ROLE) == "sweep"}
    groups: dict[tuple[str, str], list[Any]] = {}
    for run in runs:
        tags = run.data.tags
        parent = tags.get(PARENT, "")
        if tags.get(ROLE) == "sweep":
            owner = tags.get(SWEEP_ID, run.info.run_id)
        elif SWEEP_ID in tags:
            owner = tags[SWEEP_ID]
        else:
            owner = parents[parent].data.tags.get(SWEEP_ID, parent) if parent in parents else parent
        groups.setdefault((tags["sweep"], owner), []).append(run)
    sweeps = [_sweep(name, owner, group) for (name, owner), group in groups.items()]
    return sorted(sweeps, key=lambda sweep: sweep.last_start_ms, reverse=True)


def _sweep(name: str, owner: str, group: Iterable[Any]) -> RecordedSweep:
    runs = sorted(group, key=lambda run: int(run.info.start_time))
    launches = [run.data.tags for run in runs if run.data.tags.get(ROLE) == "sweep"]
    place = launches[-1] if launches else {}
    # Of a cell with two runs, neither of which is marked, the newer one counts.
    cells = {
        run.data.tags.get("cell", run.info.run_name or run.info.run_id): run
        for run in runs
        if run.data.tags.get(ROLE) != "sweep"
    }
    return RecordedSweep(
        name=name,
        id=owner,
        last_start_ms=runs[-1].info.start_time,
        user=place.get("user", ""),
        host=place.get("host", ""),
        folder=place.get("folder", ""),
        runs=tuple(
            sorted(
                (_recorded(cell, run) for cell, run in cells.items()),
                key=lambda run: run.started_ms,
            )
        ),
    )


def _recorded(cell: str, run: Any) -> RecordedRun:
    return RecordedRun(
        run_id=run.info.run_id,
        cell=cell,
        status=run.info.status,
        started_ms=run.info.start_time,
        params=_params(run),
        metrics={name: as_logged(value) for name, value in run.data.metrics.items()},
        tags=dict(run.data.tags),
    )


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
        client: MlflowClient = connect(uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return [run for run in all_runs(client, experiments, query) if REPLACED not in run.data.tags]
