"""The MLflow store: connecting late, creating it once, and its errors as one sentence."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from data_prep.errors import TrackingError
from data_prep.lock import exclusive_lock
from pipeline.importing_mlflow import importing_mlflow
from pipeline.tracking.address import public_uri, sqlite_file, usable_uri, without_secrets
from pipeline.tracking.sqlite_store import artifact_location, make_store, move_artifact_roots

if TYPE_CHECKING:
    from mlflow import MlflowClient

_logger = logging.getLogger(__name__)

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
    for name in ("alembic", "mlflow.pytorch", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Its errors are ours, in a sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with importing_mlflow():
        from mlflow import MlflowClient

        return MlflowClient(uri)  # it imports as much again


def create_store(uri: str) -> None:
    """Make sure that the store exists and answers; call this before the first worker starts.

    A new SQLite file is created under a lock: MLflow's own migrations race, and several processes that meet
    on a new file all fail. It is made under another name and renamed, so that an interruption leaves no half of it. A file
    that was moved gets the present addresses of its artifacts.

    Raises:
        TrackingError: it cannot be reached or created.
    """
    uri = usable_uri(uri)
    file = sqlite_file(uri)
    with reporting_store_errors(uri), _alone(file):
        if file is not None:
            make_store(file, lambda partial: _touch(connect(partial)))
        _touch(connect(uri))
        if file is not None:
            move_artifact_roots(file)


def _touch(client: MlflowClient) -> None:
    """Let MLflow create the tables of its database, or raise because it does not answer."""
    client.search_experiments(max_results=1)


def set_status(client: MlflowClient, run_id: str, status: str) -> None:
    """Set the status of a run in the store: RUNNING, FINISHED, FAILED or KILLED."""
    if status == "RUNNING":
        client.update_run(run_id, status=status)
    else:
        client.set_terminated(run_id, status)


KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of an experiment that holds training runs. MLflow 3.17's own pages follow the switch in their sidebar instead."""


def find_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Id of an experiment, created if missing; artifacts of a SQLite store go next to its file.

    It is marked as one of training runs, unless it already has a kind.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        file = sqlite_file(uri)
        location = None if file is None else artifact_location(file, name)
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=KIND))
        except MlflowException as error:
            experiment = client.get_experiment_by_name(name)  # another process may have been faster
            if experiment is None:
                raise error
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
        _logger.warning("the experiment %s, which was deleted in MLflow, is restored with its runs", name)
    for tag, kind in KIND.items():
        if tag not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, tag, kind)
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
def _alone(file: Path | None) -> Iterator[None]:
    if file is None:
        yield
        return
    with exclusive_lock(file.with_name(file.name + ".lock")):
        yield
