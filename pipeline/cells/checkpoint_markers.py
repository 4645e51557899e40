"""The marker file next to each checkpoint, with its step, size and SHA-256: a checkpoint without it does not count.

Does not import torch: a launcher that polls a thousand cells reads only markers.
"""

from __future__ import annotations

import json
from pathlib import Path

from data_prep.files import atomic_write, checksum


def checkpoint_file(folder: Path, step: int) -> Path:
    """Path of the checkpoint of a step."""
    return folder / f"step-{step:08d}.pt"


def write_marker(path: Path, step: int, size: int, sha256: str) -> None:
    """Mark the checkpoint ``path`` as complete; written after the checkpoint itself."""
    with atomic_write(path.with_suffix(".json")) as file:
        file.write(json.dumps({"step": step, "bytes": size, "sha256": sha256}).encode())


def newest_step(folder: Path) -> int | None:
    """Step of the newest checkpoint that has a marker, unchecked; None if there is none."""
    markers = sorted(folder.glob("step-*.json"))
    return step_of(markers[-1]) if markers else None


def is_good(path: Path) -> bool:
    """Whether the marker exists and the file matches it."""
    try:
        marker = json.loads(path.with_suffix(".json").read_text())
        return path.stat().st_size == marker["bytes"] and checksum(path) == marker["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def step_of(path: Path) -> int:
    """The step in the name of a checkpoint or its marker."""
    return int(path.stem.removeprefix("step-"))
