"""Whether there is disk space for the checkpoints of a sweep."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from data_prep.counted import counted
from data_prep.manifest import MANIFEST_FILE, Manifest
from launch.clusters.slurm.findings import Finding
from pipeline.cell import Cell
from pipeline.models.interface import DataSpec
from pipeline.models.registry import ModelConfig

BYTES_PER_PARAMETER = 12
"""Bytes of a parameter in a checkpoint: the value and Adam's two moments, in float32."""
GUESSED_PARAMETERS = 5_000_000
"""Assumed parameters of a model that cannot be built yet, because its data set is not prepared."""


def disk_finding(sweep: Path, cells: Sequence[Cell]) -> Finding:
    """Compares the size of all cells' checkpoints with the free space; a user's quota is not known here."""
    guessed, needed = False, 0
    alike = Counter(
        (cell.config.model, cell.config.data.folder, cell.config.training.keep_checkpoints) for cell in cells
    )
    for (model, folder, kept), count in alike.items():
        parameters = _parameters(model, Path(folder))
        guessed |= parameters is None
        # One more than are kept: the newest is written before the oldest is removed.
        needed += count * (kept + 1) * BYTES_PER_PARAMETER * (parameters or GUESSED_PARAMETERS)
    there = next(folder for folder in (sweep, *sweep.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    about = "an estimated (their data is not prepared yet)" if guessed else "about"
    numbers = f"the checkpoints of {counted(len(cells), 'cell')} take {about} {_amount(needed)}; {_amount(free)} are free"
    numbers += f" in {there}"
    if needed > free:
        return Finding("problem", f"{numbers}: use another disk (--runs) or fewer cells (--only)")
    if needed > free / 2:
        return Finding("warning", f"{numbers}: other files may fill it in the meantime")
    return Finding("ok", numbers)


def _parameters(model: ModelConfig, data: Path) -> int | None:
    """Number of parameters of a model; None if its data set is not prepared."""
    if not (data / MANIFEST_FILE).is_file():
        return None
    shape = DataSpec.of(Manifest.load(data))
    # On the CPU: models that read their data's labels cannot be built on the meta device.
    with torch.random.fork_rng(devices=[]):
        return sum(parameter.numel() for parameter in model.build(shape).parameters())


def _amount(count: float) -> str:
    """Bytes as text: "1.4 GB"."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
