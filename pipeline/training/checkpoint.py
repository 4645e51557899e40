"""Checkpoints that are either whole or not counted, and never read unchecked.

``step-00000300.pt`` is written beside, flushed and renamed; ``step-00000300.json`` with its size and SHA-256 follows.
A checkpoint counts only when that marker is there and agrees with the file.
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
"""How long a rank waits for a file that rank 0 has seen: a network file system may show it to other nodes later."""


def save(
    folder: Path, step: int, state: dict[str, Any], keep: int, guard: Callable[[], None] = no_guard
) -> Path:
    """Write the state of a step, then remove all but the newest ``keep`` checkpoints.

    The old ones go only after the new one is whole, so a full disk or a kill leaves the last good one in place. Those of
    later steps and those without a marker go too: a run that comes to this step now has passed them over as damaged.

    Args:
        folder: the checkpoints of a cell.
        step: steps done.
        state: tensors and plain values.
        keep: how many stay.
        guard: asked before each change of the folder; raises LeaseLost where the folder is another's now.

    Raises:
        OSError: the disk is full; the error names the file.
        LeaseLost: a newer copy of the run has taken over; it finds nothing half-written.
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
    except FileNotFoundError:  # a newer copy has removed what it took for the rest of a killed one
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
    """Step of the newest checkpoint whose bytes are what its marker says, or None.

    Damaged ones are passed over with a warning, and lose their marker: nobody shall take them for the newest again.
    """
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        if is_good(path):
            return step_of(path)
        log.warning("checkpoint %s is incomplete or damaged; the one before it is used", path)
        path.with_suffix(".json").unlink(missing_ok=True)
    return None


def load(folder: Path, step: int, device: torch.device) -> dict[str, Any]:
    """The state of a step that rank 0 has found good; RunError where this node does not see it so."""
    path, deadline = checkpoint_file(folder, step), time.monotonic() + SECONDS_TO_APPEAR
    while not is_good(path):
        if time.monotonic() > deadline:
            raise RunError(f"rank 0 reads {path}, and this node does not see it as it is")
        time.sleep(0.5)
    return torch.load(path, map_location=device, weights_only=True)


def load_newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of the newest good checkpoint, or None."""
    step = newest_good(folder)
    return None if step is None else load(folder, step, device)
