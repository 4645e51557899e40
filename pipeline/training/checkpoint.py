"""Checkpoints: whole or not there, found again newest first, and never read unchecked.

``step-00000300.pt`` is written beside, flushed and renamed; ``step-00000300.json`` with its size and SHA-256 follows.
A checkpoint counts only when that marker is there and agrees with the file.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from data_prep.files import atomic_write, remove_partial_files
from pipeline.training.markers import checkpoint_file, is_good, write_marker

log = logging.getLogger(__name__)


def save(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write the state of a step, then remove all but the newest ``keep`` checkpoints.

    The old ones go only after the new one is whole, so a full disk or a kill leaves the last good one in place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    path = checkpoint_file(folder, step)
    path.with_suffix(".json").unlink(missing_ok=True)
    with atomic_write(path) as file:
        file.write(content)
    write_marker(path, step, len(content), hashlib.sha256(content).hexdigest())
    for old in sorted(folder.glob("step-*.pt"))[:-keep]:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()
    return path


def load_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of the newest good checkpoint, or None; damaged ones are passed over with a warning."""
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        if is_good(path):
            return torch.load(path, map_location=device, weights_only=True)
        log.warning("checkpoint %s is incomplete or damaged; the one before it is used", path)
    return None
