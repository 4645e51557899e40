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
METRICS_FILE = "metrics.jsonl"
SWEEP_ID = "sweep_id"
"""Tag of a sweep's runs: the id in its ``sweep.json``."""


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
    """Tag of the cell's run, in each store that it was uploaded to; on disk before the run is created.

    The only thing by which a run is found again: a cell that was made anew has another key, and so another run.
    """

    run_id: str | None = None

    pushed_bytes: int = 0
    """Everything in ``metrics.jsonl`` before this byte is in the store."""

    artifacts: dict[str, dict[str, str]] = field(default_factory=dict)
    """By path in the store: ``source`` (file, relative to the cell), and ``sent``, the SHA-256 of what was uploaded last."""

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
        """Read the state of a cell; None if there is none or a damaged one (the cell then gets a new run)."""
        try:
            stored = json.loads((cell / FILE).read_text())
            known = {f.name for f in fields(cls)}
            state = cls(**{k: v for k, v in stored.items() if k in known})
            for entry in state.artifacts.values():
                entry["source"] = inside(cell, entry["source"])
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return None
        return state

    def save(self, cell: Path) -> None:
        """Write the state next to the metrics, atomically."""
        with atomic_write(cell / FILE) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")

    def resume_as(self, now: UploadState, cell: Path) -> UploadState:
        """The state to continue with, where the present settings give ``now``: this one, unless the run is another.

        It is another if the cell is of another sweep by now (its folder was copied), and if ``metrics.jsonl`` lacks points
        that were uploaded (the cell was trained anew). In another store the same run is looked for, by its key.
        """
        sweeps = {self.tags.get(SWEEP_ID), now.tags.get(SWEEP_ID)} - {None}
        if len(sweeps) > 1 or self.pushed_bytes > _size(cell / METRICS_FILE):
            return now
        if (self.uri, self.experiment) != (now.uri, now.experiment):
            self.uri, self.experiment, self.run_id = now.uri, now.experiment, None
            self.forget_what_was_sent()
        self.parent_run_id = now.parent_run_id
        self.run_name, self.params, self.tags, self.data = now.run_name, now.params, now.tags, now.data
        self.status = now.status
        return self

    def forget_what_was_sent(self) -> None:
        """Everything is looked up in the store before it is sent."""
        self.pushed_bytes = 0
        self.measured_sent = self.model_sent = self.status_sent = ""
        for entry in self.artifacts.values():
            entry["sent"] = ""


def inside(cell: Path, file: str) -> str:
    """A file of a cell relative to its folder, which may have been elsewhere; other files as they are."""
    parts = Path(file).parts
    if not Path(file).is_absolute() or cell.name not in parts:
        return file
    last = len(parts) - 1 - parts[::-1].index(cell.name)
    return Path(*parts[last + 1 :]).as_posix()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


class UploadedElsewhere(TrackingError):
    """Another process, or a thread that was abandoned, is uploading the cell."""


@contextmanager
def exclusive(cell: Path) -> Iterator[None]:
    """Prevent others from uploading this cell at the same time.

    Raises:
        UploadedElsewhere: someone does.
    """
    with (cell / ".tracking.lock").open("ab") as file:
        if not try_lock(file):
            raise UploadedElsewhere(f"{cell} is being uploaded by another process")
        yield
