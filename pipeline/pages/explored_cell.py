"""The explorer of a cell: its newest checkpoint, pictures of its data set, and what is said of the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from data_prep.errors import ConfigError, RunError
from data_prep.files import atomic_write
from pipeline.cell import Cell
from pipeline.data.dataset import DataSet
from pipeline.measures.examples import MeasuredSplit
from pipeline.models.capabilities import Classifies, ClassMeans, Encodes, GeneratesFromLabels
from pipeline.models.interface import DataSpec
from pipeline.models.parts.class_means import class_means
from pipeline.pages.explorer_page import explorer_page
from pipeline.pages.label_controls import needs_means
from pipeline.pages.pictures import Pictures, spread
from pipeline.training import checkpoint

FILE = "explorer.html"
FOR_MEANS = 2000
"""Pictures of ``train`` that mean codes are taken of."""
BATCH = 100


def write_explorer(cell: Cell, path: Path, *, split: str | None = None, pictures: int = 50) -> None:
    """Write the explorer of a cell, trained or in training.

    Raises:
        RunError: it has no checkpoint yet.
        ConfigError: the data set has no such split, or a page cannot run or show the model.
    """
    data = DataSet(Path(cell.config.data.folder))
    name = split or cell.config.measures.split
    if name not in data.manifest.splits:
        raise ConfigError(
            f"{data.manifest.name} has no split {name}; there are: {', '.join(data.manifest.splits)}"
        )
    model, step = _trained_model(cell, data)
    examples = MeasuredSplit(data, name, torch.device("cpu"), BATCH)
    rows = spread(len(examples), pictures)
    shown = Pictures(
        split=name,
        rows=rows,
        images=data.images(name).gather(np.array(rows)),
        labels=examples.labels[list(rows)],
        observed=examples.observed[list(rows)],
    )
    means = None
    if needs_means(model) and data.manifest.labels:
        means = _means(model, MeasuredSplit(data, "train", torch.device("cpu"), BATCH))
    last = cell.last_step()
    facts = {
        "data": f"{data.manifest.name}, {len(examples):,} {name} pictures, {len(rows)} of them here",
        "labels used in training": f"{cell.config.data.supervision_rate:.1%}"
        if uses_labels(model)
        else "none",
        "training": f"step {step:,}" + ("" if last in (None, step) else f" of {last:,}, not finished"),
    }
    page = explorer_page(model, data.manifest.labels, shown, means=means, title=cell.name, facts=facts)
    with atomic_write(path) as file:
        file.write(page.encode())


def uses_labels(model: nn.Module) -> bool:
    """Whether the system is trained with labels: it predicts them, or generates from them."""
    return isinstance(model, Classifies | GeneratesFromLabels)


def _trained_model(cell: Cell, data: DataSet) -> tuple[nn.Module, int]:
    """The model of the newest good checkpoint in evaluation mode, on the CPU, and its step."""
    state = checkpoint.load_newest(cell.checkpoints, torch.device("cpu"))
    if state is None:
        raise RunError(f"{cell.folder} has no checkpoint yet, so there is nothing to explore")
    model = cell.config.model.build(DataSpec.of(data.manifest))
    model.load_state_dict(state["model"])
    return model.eval().requires_grad_(False), int(state["step"])


def _means(model: nn.Module, examples: MeasuredSplit) -> ClassMeans:
    """Mean codes of the values of labels, of some pictures spread over the split."""
    assert isinstance(model, Encodes)
    rows = np.array(spread(len(examples), FOR_MEANS))
    batches = (examples.at(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH))
    cardinalities = [label.cardinality for label in examples.data.manifest.labels]
    return class_means(model, batches, cardinalities)
