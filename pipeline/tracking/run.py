"""The MLflow run of a cell: found or created, with its params, tags and data set."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, NamedTuple

from pipeline.tracking.state import UploadState
from pipeline.tracking.store import find_experiment, quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"
KEY = "cell_key"

_PER_BATCH = 100
_LONGEST_PARAM = 6000
_LONGEST_TAG = 8000
_LONGEST_DIGEST = 36


class RunInStore(NamedTuple):
    """The run of a cell in the store."""

    experiment_id: str
    run_id: str
    is_new: bool
    """Whether this process (or one whose state it took over) has just created it, so that it has no points yet."""


def ensure_run(client: MlflowClient, uri: str, state: UploadState) -> RunInStore:
    """Make sure that the run of ``state`` exists in the store, is up to date, and running.

    Idempotent, so that it can be repeated after a failure with an unknown outcome.
    """
    experiment_id = find_experiment(client, uri, state.experiment)
    run = _known(client, state) or _found(client, state, experiment_id)
    is_new = run is None or (state.run_id is None and run.data.tags.get(KEY) == state.key)
    if run is None:
        run = client.create_run(experiment_id, tags=_tags(state), run_name=state.run_name)
    _describe(client, run, state)
    if run.info.status != "RUNNING" and state.status == "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    return RunInStore(experiment_id, run.info.run_id, is_new)


def _known(client: MlflowClient, state: UploadState) -> Run | None:
    from mlflow.exceptions import MlflowException

    if state.run_id is None:
        return None
    try:
        run = client.get_run(state.run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage == "active" else None


def _found(client: MlflowClient, state: UploadState, experiment_id: str) -> Run | None:
    """The run that another process of this cell created: by cell within its sweep, else by the key on disk."""
    if state.parent_run_id and "cell" in state.tags:
        query = f"tags.cell = {quoted(state.tags['cell'])} and tags.`{PARENT}` = '{state.parent_run_id}'"
    else:
        query = f"tags.{KEY} = '{state.key}'"
    order = ["attributes.start_time ASC"]
    runs = client.search_runs([experiment_id], query, order_by=order, max_results=1)
    return runs[0] if runs else None


def _tags(state: UploadState) -> dict[str, str]:
    tags = {k: v[:_LONGEST_TAG] for k, v in state.tags.items()}
    tags |= {KEY: state.key, "node": socket.gethostname()}
    if state.parent_run_id:
        tags[PARENT] = state.parent_run_id
    return tags


def _describe(client: MlflowClient, run: Run, state: UploadState) -> None:
    """Log missing params, tags and data set; a param keeps its first value in MLflow."""
    from mlflow.entities import Param, RunTag

    run_id = run.info.run_id
    there = run.data.params
    params = [Param(k, v[:_LONGEST_PARAM]) for k, v in state.params.items() if k not in there]
    for first in range(0, len(params), _PER_BATCH):
        client.log_batch(run_id, params=params[first : first + _PER_BATCH])
    tags = [RunTag(k, v) for k, v in _tags(state).items() if run.data.tags.get(k) != v]
    if tags:
        client.log_batch(run_id, tags=tags)
    if state.data is not None and not (run.inputs and run.inputs.dataset_inputs):
        _log_dataset(client, run_id, state.data)


def _log_dataset(client: MlflowClient, run_id: str, data: dict[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # In the format of mlflow.data for a local folder; mlflow.data.get_source(dataset) reads it.
    source = json.dumps({"uri": data["source"]})
    dataset = Dataset(data["name"], data["digest"][:_LONGEST_DIGEST], source_type="local", source=source)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
