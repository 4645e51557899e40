"""The small file beside each checkpoint, with its step, size and SHA-256: a checkpoint without it does not count.

No torch here: a launcher that asks a thousand cells how far they are reads nothing but markers.
"""

from __future__ import annotations

import json
from pathlib import Path

from data_prep.files import atomic_write, checksum


def checkpoint_file(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return folder / f"step-{step:08d}.pt"


def write_marker(path: Path, step: int, size: int, sha256: str) -> None:
    """Say that the checkpoint ``path`` is whole: the last thing that is written of it."""
    with atomic_write(path.with_suffix(".json")) as file:
        file.write(json.dumps({"step": step, "bytes": size, "sha256": sha256}).encode())


def newest_step(folder: Path) -> int | None:
    """Step of the newest checkpoint that has its marker, unchecked; None where there is none."""
    markers = sorted(folder.glob("step-*.json"))
    return step_of(markers[-1]) if markers else None


def is_good(path: Path) -> bool:
    """Whether the marker is there and the file is what it says."""
    try:
        marker = json.loads(path.with_suffix(".json").read_text())
        return path.stat().st_size == marker["bytes"] and checksum(path) == marker["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def step_of(path: Path) -> int:
    """The step in the name of a checkpoint or its marker."""
    return int(path.stem.removeprefix("step-"))
