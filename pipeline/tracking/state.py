"""``tracking.json``: which MLflow run a cell has, and how much of the cell has been uploaded."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from data_prep.errors import TrackingError
from data_prep.files import atomic_write
from data_prep.lock import try_lock

FILE = "tracking.json"


@dataclass(kw_only=True, slots=True)
class UploadState:
    """All that an upload needs to start, or to resume where another process stopped. Never contains a secret."""

    uri: str
    """Address of the store, without user and password."""

    experiment: str
    parent_run_id: str | None
    run_name: str
    params: dict[str, str]
    tags: dict[str, str]
    data: dict[str, str] | None
    """Name, digest and source of the data set; None for a run without one."""

    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Tag to find the run if the response to its creation was lost; on disk before the run is created."""

    run_id: str | None = None

    pushed_bytes: int = 0
    """Everything in ``metrics.jsonl`` before this byte is in the store."""

    file_was_lost: bool = False
    """The run has points that ``metrics.jsonl`` lacks, so every point is looked up before upload."""

    artifacts: dict[str, dict[str, str]] = field(default_factory=dict)
    """By path in the store: ``source`` (file here), and ``sent``, the SHA-256 of what was uploaded last."""

    measured: dict[str, Any] = field(default_factory=dict)
    """What the run is to show of its measures: ``metrics`` and ``withdrawn`` (value and time by name), and ``tags``."""

    measured_sent: str = ""
    """SHA-256 of what it showed last."""

    model_sent: str = ""
    """SHA-256 of the final model that was uploaded last."""

    status: str = "RUNNING"
    """Status that the run should have once everything is uploaded."""

    status_sent: str = ""
    """Status last sent to the store."""

    @classmethod
    def load(cls, cell: Path) -> UploadState | None:
        """Read the state of a cell; None if there is none or a damaged one (the run is then found by its tags)."""
        try:
            stored = json.loads((cell / FILE).read_text())
            known = {f.name for f in fields(cls)}
            return cls(**{k: v for k, v in stored.items() if k in known})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def save(self, cell: Path) -> None:
        """Write the state next to the metrics, atomically."""
        with atomic_write(cell / FILE) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")


@contextmanager
def exclusive(cell: Path) -> Iterator[None]:
    """Prevent other processes from uploading this cell at the same time.

    Raises:
        TrackingError: another process is uploading it.
    """
    with (cell / ".tracking.lock").open("ab") as file:
        if not try_lock(file):
            raise TrackingError(f"{cell} is being uploaded by another process")
        yield
