"""The final model of a cell: stored next to the metrics, and uploaded once."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.files import atomic_write
from pipeline.tracking.artifacts import digest
from pipeline.tracking.run import RunInStore
from pipeline.tracking.state import UploadState

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient
    from torch import nn

_logger = logging.getLogger(__name__)

FILE = "model.pt"
NAME = "model"


def save_model(module: nn.Module, cell: Path) -> None:
    """Save the module in the cell, so that it can be uploaded even after this process has ended.

    Raises:
        pickle.PicklingError, TypeError, AttributeError: the module contains something that cannot be pickled.
    """
    import torch

    # Given a path, torch would write its name into the file, and equal models would have different digests.
    with atomic_write(cell / FILE) as file:
        torch.save(_bare(module), file)


def send_model(
    client: MlflowClient, run: RunInStore, state: UploadState, cell: Path, save: Callable[[], None]
) -> int:
    """Upload the module as the run's logged model ``model``; ``mlflow.pytorch.load_model`` opens it again.

    Checks first whether the store already has it; a half-uploaded one is removed.

    Returns:
        Number of files uploaded: 1 or 0.
    """
    file = cell / FILE
    if not file.is_file() or state.model_sent == (sent := digest(file)):
        return 0
    query = f"source_run_id = '{run.run_id}' AND name = '{NAME}' AND tags.sha256 = '{sent}'"
    ready = False
    for model in client.search_logged_models([run.experiment_id], query):
        if str(model.status) == "READY" and not ready:
            ready = True
            _note_output(client, run.run_id, model.model_id)
        else:
            client.delete_logged_model(model.model_id)
    uploaded = not ready and _send_new(client, run, state, file, sent)
    state.model_sent = sent
    save()
    return int(uploaded)


def _send_new(client: MlflowClient, run: RunInStore, state: UploadState, file: Path, sent: str) -> bool:
    """Whether it could be uploaded."""
    import mlflow.pytorch
    import torch
    from mlflow.entities import LoggedModelStatus
    from mlflow.models import Model

    try:
        # Our own file (save_model wrote it into this cell), so it may be unpickled.
        module = torch.load(file, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError, EOFError, RuntimeError) as error:
        # Its class has moved since, or the file is damaged: no reason not to finish the run.
        _logger.warning("%s is not uploaded to MLflow, because it cannot be opened: %s", file, error)
        return False
    model = client.create_logged_model(
        run.experiment_id,
        name=NAME,
        source_run_id=run.run_id,
        tags={"sha256": sent, **{k: state.tags[k] for k in ("sweep", "cell", "system") if k in state.tags}},
        model_type=state.tags.get("system"),
    )
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pytorch.save_model(
            module,
            f"{folder}/{NAME}",
            mlflow_model=Model(run_id=run.run_id, model_id=model.model_id),
            serialization_format="pickle",
            # Without them, MLflow infers them by loading the model in another Python process: many seconds.
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
        )
        client.log_model_artifacts(model.model_id, f"{folder}/{NAME}")
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    _note_output(client, run.run_id, model.model_id)
    return True


def _note_output(client: MlflowClient, run_id: str, model_id: str) -> None:
    from mlflow.entities import LoggedModelOutput

    outputs = client.get_run(run_id).outputs
    if outputs is None or all(model.model_id != model_id for model in outputs.model_outputs):
        client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])


def _bare(module: nn.Module) -> nn.Module:
    """The module itself, without the wrappers of DistributedDataParallel and torch.compile."""
    wrapped = {"OptimizedModule": "_orig_mod", "DistributedDataParallel": "module"}
    while type(module).__name__ in wrapped:
        module = getattr(module, wrapped[type(module).__name__])
    return module
