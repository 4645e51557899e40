"""Checkpoints that count only when complete, and are verified before they are read.

``step-00000300.pt`` is written atomically; ``step-00000300.json`` with its size and SHA-256 follows.
A checkpoint counts only if this marker exists and matches the file.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from data_prep.errors import RunError
from data_prep.files import atomic_write, remove_partial_files
from pipeline.cells.checkpoint_markers import checkpoint_file, is_good, step_of, write_marker
from pipeline.cells.lease import no_guard

log = logging.getLogger(__name__)

SECONDS_TO_APPEAR = 60.0
"""How long a rank waits for a file that rank 0 sees: a network file system may show it to other nodes later."""


def save(
    folder: Path, step: int, state: dict[str, Any], keep: int, guard: Callable[[], None] = no_guard
) -> Path:
    """Write the state of a step, then remove all but the newest ``keep`` checkpoints.

    The old ones are removed only after the new one is complete, so a full disk or a kill leaves the last good one. Those of
    later steps and those without a marker are removed too: a run that reaches this step has skipped them as damaged.

    Args:
        folder: the checkpoints of a cell.
        step: steps done.
        state: tensors and plain values.
        keep: how many to keep.
        guard: called before each change of the folder; raises LeaseLost if another copy has taken over.

    Raises:
        OSError: the disk is full; the error names the file.
        LeaseLost: a newer copy of the run has taken over; nothing half-written is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    path = checkpoint_file(folder, step)
    guard()
    remove_partial_files(folder)
    path.with_suffix(".json").unlink(missing_ok=True)
    try:
        with atomic_write(path) as file:
            file.write(content)
            guard()
        guard()
        write_marker(path, step, len(content), hashlib.sha256(content).hexdigest())
    except FileNotFoundError:  # a newer copy has removed what it considered the remains of a killed one
        guard()
        raise
    guard()
    there = sorted(folder.glob("step-*.pt"))
    good = [other for other in there if step_of(other) <= step and other.with_suffix(".json").is_file()]
    for old in set(there) - set(good[-keep:]):
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    return path


def newest_good(folder: Path) -> int | None:
    """Step of the newest checkpoint that matches its marker, or None.

    Damaged ones are skipped with a warning, and lose their marker so that they are not considered again.
    """
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        if is_good(path):
            return step_of(path)
        log.warning("checkpoint %s is incomplete or damaged; using the previous one", path)
        path.with_suffix(".json").unlink(missing_ok=True)
    return None


def load(folder: Path, step: int, device: torch.device) -> dict[str, Any]:
    """The state of a step that rank 0 has verified; RunError if this node sees a different file."""
    path, deadline = checkpoint_file(folder, step), time.monotonic() + SECONDS_TO_APPEAR
    while not is_good(path):
        if time.monotonic() > deadline:
            raise RunError(f"rank 0 reads {path}, but this node sees a different content")
        time.sleep(0.5)
    return torch.load(path, map_location=device, weights_only=True)


def load_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of the newest good checkpoint, or None."""
    step = newest_good(folder)
    return None if step is None else load(folder, step, device)
