"""The final model of a cell: stored next to the metrics, and uploaded once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.files import atomic_folder
from pipeline.tracking.artifacts import digest
from pipeline.tracking.run import RunInStore
from pipeline.tracking.state import UploadState

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

NAME = "model"
"""Of the folder in the cell, and of the logged model."""
_MLFLOW_FILE = "MLmodel"


def save_model(write: Callable[[Path], object], cell: Path) -> None:
    """Have the model written into the cell, so that it can be uploaded even after this process has ended.

    Raises:
        Exception: whatever ``write`` raises; no model is left then.
    """
    shutil.rmtree(cell / NAME, ignore_errors=True)  # of a shorter training
    with atomic_folder(cell / NAME) as folder:
        write(folder)


def send_model(
    client: MlflowClient, run: RunInStore, state: UploadState, cell: Path, save: Callable[[], None]
) -> int:
    """Upload the cell's folder ``model`` as the run's logged model ``model``.

    Checks first whether the store already has it; a half-uploaded one is removed.

    Returns:
        Number of models uploaded: 1 or 0.
    """
    folder = cell.absolute() / NAME
    if not folder.is_dir() or state.model_sent == (sent := _digest(folder)):
        return 0
    query = f"source_run_id = '{run.run_id}' AND name = '{NAME}' AND tags.sha256 = '{sent}'"
    ready = False
    for model in client.search_logged_models([run.experiment_id], query):
        if str(model.status) == "READY" and not ready:
            ready = True
            _note_output(client, run.run_id, model.model_id)
        else:
            client.delete_logged_model(model.model_id)
    if not ready:
        _send_new(client, run, state, folder, sent)
    state.model_sent = sent
    save()
    return int(not ready)


def _digest(folder: Path) -> str:
    """Of the names and contents of the files, except MLflow's own, which holds a time."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MLFLOW_FILE)
    parts = [f"{path.relative_to(folder).as_posix()} {digest(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _send_new(client: MlflowClient, run: RunInStore, state: UploadState, folder: Path, sent: str) -> None:
    from mlflow.entities import LoggedModelStatus
    from mlflow.models import Model

    model = client.create_logged_model(
        run.experiment_id,
        name=NAME,
        source_run_id=run.run_id,
        tags={"sha256": sent, **{k: state.tags[k] for k in ("sweep", "cell", "system") if k in state.tags}},
        model_type=state.tags.get("system"),
    )
    with tempfile.TemporaryDirectory() as temporary:
        named = Path(temporary) / NAME
        shutil.copytree(folder, named, copy_function=os.symlink)
        description = Model.load(str(folder))
        description.run_id, description.model_id = run.run_id, model.model_id
        (named / _MLFLOW_FILE).unlink()
        description.save(str(named / _MLFLOW_FILE))
        client.log_model_artifacts(model.model_id, str(named))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    _note_output(client, run.run_id, model.model_id)


def _note_output(client: MlflowClient, run_id: str, model_id: str) -> None:
    from mlflow.entities import LoggedModelOutput

    outputs = client.get_run(run_id).outputs
    if outputs is None or all(model.model_id != model_id for model in outputs.model_outputs):
        client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])
