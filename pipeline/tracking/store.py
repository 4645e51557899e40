"""The MLflow store: connecting late, creating it once, and the parent run of a sweep."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from data_prep.errors import TrackingError
from data_prep.lock import exclusive_lock
from data_prep.start_up import importing
from pipeline.tracking.address import public_uri, sqlite_file, usable_uri, without_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROLE = "role"
"""Tag that distinguishes the parent run of a sweep (value ``sweep``) from its cells."""

Status = Literal["finished", "failed", "killed", "running"]

_ENVIRONMENT = {
    # A request must not delay the end of a run: MLflow's own timeouts add up to many
    # minutes.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # No telemetry: a training job reports to its own store only.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True, slots=True)
class SweepRun:
    """The parent run of a sweep."""

    parent_run_id: str
    experiment_id: str


def connect(uri: str) -> MlflowClient:
    """A client of the store; imports MLflow, which takes seconds, so call it late or in a thread."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and parts.username is not None:
        # MLflow prints the address of a run including the password; suppress that.
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
        uri = public_uri(uri)
    # Each process would log the 40 tables it found or created, and each attempt while a server is down.
    for name in ("mlflow.store.db.utils", "alembic", "mlflow.pytorch", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with importing():
        from mlflow import MlflowClient

        return MlflowClient(uri)  # it imports as much again


def create_store(uri: str) -> None:
    """Make sure that the store exists and answers; call this before the first worker starts.

    A new SQLite file is created under a lock: MLflow's own migrations race, and several processes that meet
    on a new file all fail.

    Raises:
        TrackingError: it cannot be reached or created.
    """
    uri = usable_uri(uri)
    with reporting_store_errors(uri), _alone(uri):
        connect(uri).search_experiments(max_results=1)


def start_sweep(uri: str, experiment: str, sweep: str, tags: Mapping[str, str]) -> SweepRun:
    """The parent run of a sweep: created, or reused if the sweep was started before.

    Raises:
        TrackingError: the store cannot be reached.
    """
    create_store(uri)
    uri = usable_uri(uri)
    with reporting_store_errors(uri):
        client = connect(uri)
        experiment_id = find_experiment(client, uri, experiment)
        query = f"tags.{ROLE} = 'sweep' and tags.sweep = {quoted(sweep)}"
        found = client.search_runs(
            [experiment_id], query, order_by=["attributes.start_time ASC"], max_results=1
        )
        if found:
            run_id = found[0].info.run_id
            client.update_run(run_id, status="RUNNING")
            for key, value in tags.items():
                client.set_tag(run_id, key, value)
        else:
            all_tags = {**tags, ROLE: "sweep", "sweep": sweep}
            run_id = client.create_run(experiment_id, tags=all_tags, run_name=sweep).info.run_id
        return SweepRun(run_id, experiment_id)


def finish_sweep(uri: str, parent_run_id: str, status: Status) -> None:
    """Set the status of a sweep's parent run.

    Raises:
        TrackingError: the store cannot be reached.
    """
    uri = usable_uri(uri)
    with reporting_store_errors(uri):
        set_status(connect(uri), parent_run_id, status.upper())


def set_status(client: MlflowClient, run_id: str, status: str) -> None:
    """Set the status of a run in the store: RUNNING, FINISHED, FAILED or KILLED."""
    if status == "RUNNING":
        client.update_run(run_id, status=status)
    else:
        client.set_terminated(run_id, status)


def find_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Id of an experiment, created if missing; artifacts of a SQLite store go next to its file."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        file = sqlite_file(uri)
        location = None if file is None else (file.parent / "mlartifacts" / name).absolute().as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            experiment = client.get_experiment_by_name(name)  # another process may have been faster
            if experiment is None:
                raise error
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def quoted(value: str) -> str:
    """A string quoted for an MLflow filter.

    Raises:
        TrackingError: it contains both kinds of quotes, which MLflow's filters cannot express.
    """
    if "'" in value and '"' in value:
        raise TrackingError(f"the name {value!r} contains both kinds of quotes; MLflow cannot search for it")
    return f'"{value}"' if "'" in value else f"'{value}'"


def as_logged(value: float) -> float:
    """The value that was logged: MLflow's SQL stores save infinity as the largest float."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


@contextmanager
def reporting_store_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's errors about its store into a :class:`TrackingError` without secrets."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        raise TrackingError(
            f"the MLflow store {public_uri(uri)} cannot be used: {reason(error, uri)}"
        ) from error


def reason(error: BaseException, uri: str, most: int = 240) -> str:
    """The first line of an error message, shortened and without secrets."""
    text = without_secrets(str(error) or type(error).__name__, uri).strip().splitlines()
    line = next((part.strip() for part in text if part.strip()), type(error).__name__)
    return line if len(line) <= most else line[: most - 1] + "…"


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    file = sqlite_file(uri)
    if file is None:
        yield
        return
    with exclusive_lock(file.with_name(file.name + ".lock")):
        yield
