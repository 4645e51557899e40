"""The MLflow run of a cell: found by its key or created, with its params, tags and data set."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, NamedTuple

from data_prep.program_name import program
from pipeline.tracking.state import SWEEP_ID, UploadState
from pipeline.tracking.store import find_experiment, quoted
from pipeline.tracking.sweep_run import NOTE, PARENT, REPLACED, all_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

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
    """Whether it was just created, so that it has no points yet."""


def ensure_run(client: MlflowClient, uri: str, state: UploadState) -> RunInStore:
    """Make sure that the run of ``state`` exists in the store, is up to date, and running.

    Idempotent, so that it can be repeated after a failure with an unknown outcome.
    """
    experiment_id = find_experiment(client, uri, state.experiment)
    run = _known(client, state) or _found(client, state, experiment_id)
    is_new = run is None
    if run is None:
        run = client.create_run(
            experiment_id, tags=_tags(state) | {NOTE: _note(state)}, run_name=state.run_name
        )
    _describe(client, run, state)
    if state.run_id != run.info.run_id:
        _replace_others(client, run.info.run_id, state)
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
    """The run that another process of this cell created, by the key on disk."""
    return next(all_runs(client, [experiment_id], f"tags.{KEY} = '{state.key}'"), None)


def _replace_others(client: MlflowClient, run_id: str, state: UploadState) -> None:
    """Mark other runs of this cell of this sweep as replaced: the cell was made anew, or goes to another experiment."""
    if "cell" not in state.tags or not (state.parent_run_id or SWEEP_ID in state.tags):
        return
    everywhere = [each.experiment_id for each in client.search_experiments()]
    for other in all_runs(client, everywhere, f"tags.cell = {quoted(state.tags['cell'])}"):
        tags = other.data.tags
        same_sweep = (
            tags[SWEEP_ID] == state.tags.get(SWEEP_ID)
            if SWEEP_ID in tags
            else state.parent_run_id is not None and tags.get(PARENT) == state.parent_run_id
        )
        if same_sweep and other.info.run_id != run_id and REPLACED not in tags:
            client.set_tag(other.info.run_id, REPLACED, run_id)


def _tags(state: UploadState) -> dict[str, str]:
    tags = {k: v[:_LONGEST_TAG] for k, v in state.tags.items()}
    tags |= {KEY: state.key, "node": socket.gethostname()}
    if state.parent_run_id:
        tags[PARENT] = state.parent_run_id
    return tags


def _note(state: UploadState) -> str:
    """The run in one line, and where its page is."""
    data = state.data["name"] if state.data else state.params.get("data.name", "")
    said = {
        "preset": state.tags.get("preset", ""),
        "data": data,
        "supervision rate": state.params.get("data.supervision_rate", ""),
        "seed": state.params.get("seed", ""),
    }
    line = ", ".join(f"{name} {value}" for name, value in said.items() if value)
    explorer = f"`explorer.html` among the artifacts, once its sweep or `{program('explore')}` has made it"
    return f"{line}. Its explorer is {explorer}."


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
    if REPLACED in run.data.tags:  # the cell is back in this experiment
        client.delete_tag(run_id, REPLACED)
    if state.data is not None and not (run.inputs and run.inputs.dataset_inputs):
        _log_dataset(client, run_id, state.data)


def _log_dataset(client: MlflowClient, run_id: str, data: dict[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # In the format of mlflow.data for a local folder; mlflow.data.get_source(dataset) reads it.
    source = json.dumps({"uri": data["source"]})
    dataset = Dataset(data["name"], data["digest"][:_LONGEST_DIGEST], source_type="local", source=source)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
