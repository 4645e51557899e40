"""The trained model of a cell, from its newest checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from data_prep.errors import RunError
from data_prep.manifest import MANIFEST_FILE, Manifest
from pipeline.cell import Cell
from pipeline.config import identity
from pipeline.models.interface import DataSpec
from pipeline.trained_model import TrainedModel
from pipeline.training import checkpoint


def manifest_of(cell: Cell) -> Manifest:
    """The manifest of the cell's data set; RunError if it is gone."""
    folder = Path(cell.config.data.folder)
    if not cell.config.data.folder or not (folder / MANIFEST_FILE).is_file():
        raise RunError(
            f"the data set of {cell.folder} is missing ({folder}), which names the labels; prepare it again (the command"
            " that started the run does), or restore it"
        )
    return Manifest.load(folder)


def trained_network(cell: Cell, manifest: Manifest, device: torch.device) -> nn.Module:
    """The network of a cell, in evaluation mode.

    Raises:
        RunError: the cell is not trained, or its checkpoints are lost.
    """
    if not cell.is_trained():
        raise RunError(f"{cell.folder} is not trained yet; train it first")
    state = checkpoint.load_newest(cell.checkpoints, device)
    if state is None:
        raise RunError(f"{cell.folder} has no good checkpoint; train it again")
    network = cell.config.model.build(DataSpec.of(manifest)).to(device).eval()
    network.load_state_dict(state["model"])
    return network


def load_cell(folder: Path, device: torch.device) -> TrainedModel:
    """The trained model of a cell's folder.

    Raises:
        RunError: the cell is not trained, or its data set or checkpoints are lost.
    """
    cell = Cell.open(folder / "config.json")
    manifest = manifest_of(cell)
    return TrainedModel(
        network=trained_network(cell, manifest, device),
        config=cell.config,
        name=cell.name,
        identity=identity(cell.config, manifest.digest),
        labels=manifest.labels,
        image_shape=manifest.image_shape,
    )
