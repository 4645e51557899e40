"""A trained cell as an export: the model, its card and its figures in a new folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from data_prep.errors import ConfigError
from data_prep.files import atomic_folder
from pipeline.cell import Cell
from pipeline.cells.measurements import results
from pipeline.exports.card import copy_figures, write_card
from pipeline.exports.onnx import write_onnx
from pipeline.exports.record import ExportRecord
from pipeline.exports.write import write_export
from pipeline.trained_cell import load_cell, manifest_of


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    record: ExportRecord
    figures: int
    figures_left_out: int
    """For the licence of the data."""


def export_cell(cell: Cell, folder: Path, *, all_figures: bool = False, onnx: bool = False) -> Exported:
    """Write the trained model of a cell into a folder that does not exist yet; it is there when it is whole.

    Args:
        cell: a trained cell whose data set is still there.
        folder: the new folder.
        all_figures: also those that show pictures of data that may not be passed on freely.
        onnx: write encoder and decoder as ONNX, too.

    Raises:
        RunError: the cell is not trained, or lacks its data set or checkpoints.
        ConfigError: the folder exists, or the system or its network cannot be exported.
        MissingDependencyError: the packages for ONNX are not installed.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists already: remove it, or name another folder for the export")
    model = load_cell(cell.folder, torch.device("cpu"))
    manifest = manifest_of(cell)
    with atomic_folder(folder) as partial:
        found = results(cell.folder)
        record = write_export(partial, cell, manifest, model.network, found, cell.last_step() or 0)
        figures = copy_figures(cell.figures, partial, record, all_of_them=all_figures)
        left_out = len(list(cell.figures.glob("*.png"))) - len(figures)
        write_card(partial, record, figures, left_out)
        if onnx:
            write_onnx(partial, model)
    return Exported(record, len(figures), left_out)
