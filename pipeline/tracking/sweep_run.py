"""The parent run of a sweep in MLflow: found by the sweep's identity, never by its name alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.address import usable_uri
from pipeline.tracking.state import SWEEP_ID
from pipeline.tracking.store import (
    Status,
    connect,
    create_store,
    find_experiment,
    quoted,
    reporting_store_errors,
    set_status,
)
from pipeline.tracking.sweep_identity import SweepIdentity

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROLE = "role"
"""Tag that distinguishes the parent run of a sweep (value ``sweep``) from its cells."""
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run, in Markdown; ours is set once, so that a user's words stay."""
REPLACED = "replaced_by"
"""Tag of a run whose numbers no longer count: the id of the run that counts."""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """The parent run of a sweep."""

    parent_run_id: str
    experiment_id: str
    is_new: bool = field(default=False, compare=False)
    """Whether it was just created."""


def start_sweep(
    uri: str,
    experiment: str,
    sweep: str,
    tags: Mapping[str, str],
    identity: SweepIdentity | None = None,
    recorded: str | None = None,
    *,
    running: bool = True,
    note: str = "",
) -> SweepRun:
    """The parent run of a sweep: created, or reused if the sweep was started before.

    A sweep that was started over in the same folder by the same user replaces the former one.

    Args:
        uri: address of the store.
        experiment: MLflow experiment.
        sweep: name of the sweep.
        tags: of the parent run.
        identity: which sweep of that name it is; None: the first one without identity.
        recorded: id of the parent run that its cells name; reused if it has no identity yet, made by an earlier version.
        running: whether its cells are about to run.
        note: what a new one is about, in Markdown.

    Raises:
        TrackingError: the store cannot be reached.
    """
    create_store(uri)
    uri = usable_uri(uri)
    with reporting_store_errors(uri):
        client = connect(uri)
        experiment_id = find_experiment(client, uri, experiment)
        everywhere = [each.experiment_id for each in client.search_experiments()]
        parents = _parents(client, everywhere, sweep)
        here = [run for run in parents if run.info.experiment_id == experiment_id]
        all_tags = {**tags, ROLE: "sweep", "sweep": sweep}
        if identity is not None:
            all_tags |= {SWEEP_ID: identity.id, **identity.place}
        found = _own(here, identity, recorded)
        try:
            if found is None:
                noted = {NOTE: note} if note else {}
                run_id = client.create_run(experiment_id, tags=all_tags | noted, run_name=sweep).info.run_id
            else:
                run_id = found.info.run_id
                for key, value in all_tags.items():
                    if found.data.tags.get(key) != value:
                        client.set_tag(run_id, key, value)
            if running and found is not None:
                client.update_run(run_id, status="RUNNING")
            if identity is not None:
                for former in _started_over(parents, identity):
                    _replace(client, former, run_id)
        except KeyboardInterrupt:  # nobody else knows yet whether there is such a run
            own = _own(_parents(client, [experiment_id], sweep), identity, recorded) if running else None
            if own is not None:
                set_status(client, own.info.run_id, "KILLED")
            raise
        return SweepRun(run_id, experiment_id, is_new=found is None)


def finish_sweep(uri: str, parent_run_id: str, status: Status) -> None:
    """Set the status of a sweep's parent run; one that was deleted in MLflow stays as it is.

    Raises:
        TrackingError: the store cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    uri = usable_uri(uri)
    with reporting_store_errors(uri):
        client = connect(uri)
        try:
            set_status(client, parent_run_id, status.upper())
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise


def send_to_sweep(uri: str, parent_run_id: str, paths: Iterable[Path]) -> None:
    """Make files and folders artifacts of a sweep's parent run, each under its name; nothing if it was deleted in MLflow.

    Raises:
        TrackingError: the store cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    uri = usable_uri(uri)
    with reporting_store_errors(uri):
        client = connect(uri)
        try:
            run = client.get_run(parent_run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return
        if run.info.lifecycle_stage == "active":
            for path in paths:
                if path.is_dir():
                    client.log_artifacts(parent_run_id, str(path), path.name)
                else:
                    client.log_artifact(parent_run_id, str(path))


def stop_sweep(uri: str, parent_run_id: str) -> None:
    """Record that a sweep was stopped: its parent run and each run that still counts as running are ``killed``.

    A cell that is taken up again sets its run to running.

    Raises:
        TrackingError: the store cannot be reached.
    """
    uri = usable_uri(uri)
    with reporting_store_errors(uri):
        client = connect(uri)
        experiment = client.get_run(parent_run_id).info.experiment_id
        for run in all_runs(client, [experiment], f"tags.`{PARENT}` = '{parent_run_id}'"):
            if run.info.status == "RUNNING":
                set_status(client, run.info.run_id, "KILLED")
        set_status(client, parent_run_id, "KILLED")


def all_runs(client: MlflowClient, experiments: list[str], query: str) -> Iterator[Run]:
    """The active runs that a query finds, over all pages, oldest first."""
    token = None
    while experiments:
        page = client.search_runs(
            experiments, query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _parents(client: MlflowClient, experiments: list[str], sweep: str) -> list[Run]:
    """The parent runs of all sweeps of that name, without those that were replaced."""
    query = f"tags.{ROLE} = 'sweep' and tags.sweep = {quoted(sweep)}"
    return [run for run in all_runs(client, experiments, query) if REPLACED not in run.data.tags]


def _own(parents: Iterable[Run], identity: SweepIdentity | None, recorded: str | None) -> Run | None:
    anonymous = [run for run in parents if SWEEP_ID not in run.data.tags]
    if identity is None:
        return next(iter(anonymous), None)
    own = [run for run in parents if run.data.tags.get(SWEEP_ID) == identity.id]
    former = [run for run in anonymous if run.info.run_id == recorded]
    return next(iter(own or former), None)


def _started_over(parents: Iterable[Run], identity: SweepIdentity) -> list[Run]:
    """The sweeps that this user had in this folder before: the folder was removed, and so is another sweep now."""
    return [
        run
        for run in parents
        if run.data.tags.get(SWEEP_ID, identity.id) != identity.id
        and all(run.data.tags.get(name) == value for name, value in identity.place.items())
    ]


def _replace(client: MlflowClient, former: Run, by: str) -> None:
    experiment, parent = former.info.experiment_id, former.info.run_id
    for run in all_runs(client, [experiment], f"tags.`{PARENT}` = '{parent}'"):
        if REPLACED not in run.data.tags:
            client.set_tag(run.info.run_id, REPLACED, by)
    client.set_tag(parent, REPLACED, by)  # last: after an interruption, the next start goes on
