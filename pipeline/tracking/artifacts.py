"""Figures, tables, config and final model of a cell, each uploaded once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.tracking.state import UploadState

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient
    from torch import nn

MODEL_FILE = "model.pt"
MODEL_NAME = "model"


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note_artifact(state: UploadState, path: Path, folder: str) -> None:
    """Enter a file, or each file of a folder, into what is to be uploaded."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        inside = file.name if path.is_file() else f"{path.name}/{file.relative_to(path).as_posix()}"
        target = f"{folder.strip('/')}/{inside}".lstrip("/")
        state.artifacts.setdefault(target, {"sent": ""})["source"] = str(file.absolute())


def send_artifacts(client: MlflowClient, state: UploadState, save: Callable[[], None]) -> None:
    """Upload the files that changed since they were uploaded last; one that is gone is passed over.

    Sending a file again replaces it in the store, so a lost answer does no harm.
    """
    assert state.run_id is not None
    for target, entry in list(state.artifacts.items()):
        source = Path(entry["source"])
        if not source.is_file() or entry["sent"] == (sent := digest(source)):
            continue
        folder = target.rpartition("/")[0]
        client.log_artifact(state.run_id, str(source), folder or None)
        entry["sent"] = sent
        save()


def save_model(module: nn.Module, cell: Path) -> None:
    """Keep the final model beside the metrics, so that it can be uploaded later, even after this process has ended."""
    import torch

    part = cell / f".{MODEL_FILE}.{os.getpid()}"
    try:
        with part.open(
            "wb"
        ) as file:  # given a path, torch would write its name into the file, and so change the digest
            torch.save(_bare(module), file)
        os.replace(part, cell / MODEL_FILE)
    finally:
        part.unlink(missing_ok=True)


def send_model(client: MlflowClient, state: UploadState, cell: Path, save: Callable[[], None]) -> None:
    """Upload the final model as a logged model named ``model`` that ``mlflow.pytorch.load_model`` opens again.

    Looks whether the store has it already; a half-uploaded one is removed first.
    """
    file = cell / MODEL_FILE
    if not file.is_file() or state.model_sent == (sent := digest(file)):
        return
    assert state.run_id is not None and state.experiment_id is not None
    wanted = f"source_run_id = '{state.run_id}' AND name = '{MODEL_NAME}' AND tags.sha256 = '{sent}'"
    ready = False
    for model in client.search_logged_models([state.experiment_id], wanted):
        if str(model.status) == "READY" and not ready:
            ready = True
            _note_output(client, state.run_id, model.model_id)
        else:
            client.delete_logged_model(model.model_id)
    if not ready:
        _send_new_model(client, state, file, sent)
    state.model_sent = sent
    save()


def _send_new_model(client: MlflowClient, state: UploadState, file: Path, sent: str) -> None:
    import mlflow.pytorch
    import torch
    from mlflow.entities import LoggedModelStatus
    from mlflow.models import Model

    # Our own file: the lease on the cell and its name say that this project wrote it.
    module: Any = torch.load(file, map_location="cpu", weights_only=False)
    assert state.run_id is not None and state.experiment_id is not None
    model = client.create_logged_model(
        state.experiment_id,
        name=MODEL_NAME,
        source_run_id=state.run_id,
        tags={"sha256": sent, **{k: state.tags[k] for k in ("sweep", "cell", "system") if k in state.tags}},
        model_type=state.tags.get("system"),
    )
    with tempfile.TemporaryDirectory() as folder:
        # Requirements are given, because MLflow would find them out by starting Python and loading the model again.
        mlflow.pytorch.save_model(
            module,
            f"{folder}/{MODEL_NAME}",
            mlflow_model=Model(run_id=state.run_id, model_id=model.model_id),
            serialization_format="pickle",
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
        )
        client.log_model_artifacts(model.model_id, f"{folder}/{MODEL_NAME}")
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    _note_output(client, state.run_id, model.model_id)


def _note_output(client: MlflowClient, run_id: str, model_id: str) -> None:
    from mlflow.entities import LoggedModelOutput

    outputs = client.get_run(run_id).outputs
    if outputs is None or all(model.model_id != model_id for model in outputs.model_outputs):
        client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])


def _bare(module: nn.Module) -> nn.Module:
    """The module itself, without what DistributedDataParallel and torch.compile put around it."""
    for wrapper in ("_orig_mod", "module", "_orig_mod"):
        inner = getattr(module, wrapper, None)
        if type(module).__name__ in ("OptimizedModule", "DistributedDataParallel") and inner is not None:
            module = inner
    return module
