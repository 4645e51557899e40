"""Checkpoints: whole or not there, found again newest first, and never read unchecked.

``step-00000300.pt`` is written beside, flushed and renamed; ``step-00000300.json`` with its size and SHA-256 follows.
A checkpoint counts only when that marker is there and agrees with the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import torch

from data_prep.files import atomic_write, checksum, remove_partial_files

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
    path = folder / f"step-{step:08d}.pt"
    path.with_suffix(".json").unlink(missing_ok=True)
    with atomic_write(path) as file:
        file.write(content)
    marker = {"step": step, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with atomic_write(path.with_suffix(".json")) as file:
        file.write(json.dumps(marker).encode())
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


def newest_step(folder: Path) -> int | None:
    """Step of the newest checkpoint that has its marker, unchecked; None where there is none."""
    markers = sorted(folder.glob("step-*.json"))
    return int(markers[-1].stem.removeprefix("step-")) if markers else None


def is_good(path: Path) -> bool:
    """Whether the marker is there and the file is what it says."""
    try:
        marker = json.loads(path.with_suffix(".json").read_text())
        return path.stat().st_size == marker["bytes"] and checksum(path) == marker["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
