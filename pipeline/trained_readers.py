"""Loads the label readers that a run's measures rest on, from their cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from data_prep.errors import RunError
from data_prep.manifest import Manifest
from pipeline.cell import Cell
from pipeline.measures.examples import MeasuredSplit
from pipeline.measures.label_readers import LabelReaders
from pipeline.models.interface import DataSpec
from pipeline.models.label_reader import LabelReader
from pipeline.training import checkpoint


def load_readers(folders: Sequence[str], examples: MeasuredSplit) -> LabelReaders:
    """The readers of these cells in evaluation mode, on the device of the examples.

    Raises:
        RunError: one is not trained yet, is no label reader, or was trained on another data set.
    """
    members = tuple(_load(Path(folder), examples.data.manifest, examples.device) for folder in folders)
    names = tuple(Path(folder).name for folder in folders)
    return LabelReaders(names, members, examples.batch_size, examples.heartbeat)


def _load(folder: Path, manifest: Manifest, device: torch.device) -> LabelReader:
    """The trained model of a cell, in evaluation mode."""
    cell = Cell.open(folder / "config.json")
    if not cell.is_trained():
        raise RunError(f"the label reader {folder} is not trained yet")
    if Manifest.load(Path(cell.config.data.folder)).digest != manifest.digest:
        raise RunError(f"the label reader {folder} was trained on another data set than {manifest.name} here")
    state = checkpoint.load_newest(cell.checkpoints, device)
    if state is None:
        raise RunError(f"the label reader {folder} has no checkpoint; train it again")
    model = cell.config.model.build(DataSpec.of(manifest))
    if not isinstance(model, LabelReader):
        raise RunError(f"{folder} is no label reader, but a {cell.config.model.system}")
    model.load_state_dict(state["model"])
    return model.to(device).eval().requires_grad_(False)
