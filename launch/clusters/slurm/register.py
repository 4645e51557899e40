"""The submitted jobs of a sweep: ``jobs.json`` in its folder, written before and after every ``sbatch``.

An array is first entered as an intent, under a token that sbatch gets as ``--comment``. A launcher that is killed
after sbatch and before the second entry leaves an intent without a job; the next launcher finds it by its comment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.errors import LaunchError
from data_prep.files import atomic_write
from launch.clusters.slurm.queue import QueuedJob

REGISTER_FILE = "jobs.json"
PREFIX = "traitvae"
"""Prefix of the comment of every job that is submitted from here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One array: a call of sbatch."""

    comment: str
    """Its ``--comment``, unique among submissions."""
    stage: str
    """``prepare``, ``merge``, ``train``, ``evaluate`` or ``compare``."""
    folder: str
    """Its job folder: sbatch script, units, pickles and logs."""
    units: dict[str, int]
    """Name of a unit (a cell, ``data set's folder/shard``, the folder for a merge) → its index in the array.

    The cells of a pack have the same one.
    """
    at_once: int | None = None
    """Maximum number of its tasks at the same time."""
    job: str | None = None
    """SLURM's id of the array; None until sbatch has returned it."""
    take: list[str] | None = None
    """The measures of a measuring array, as ``MeasuresConfig.take``; None in other stages."""
    split: str | None = None

    def job_of(self, unit: str) -> str | None:
        """``123_4``, the id of a unit's task in this array; None if it is not in it, or the array has no id yet."""
        return None if self.job is None or unit not in self.units else f"{self.job}_{self.units[unit]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A cell whose jobs are not all in the queue, since there was no room for them."""

    stage: str
    """The first one that is not: ``train`` or ``evaluate``."""
    why: str


class Register:
    """The submissions of a sweep, oldest first."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / REGISTER_FILE
        place = str(folder.absolute())
        # Two sweeps of the same name in different folders must not confuse their jobs.
        self.tag = f"{PREFIX}/{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:16]}"
        self.submissions: list[Submission] = []
        self.held: dict[str, Held] = {}
        self._cells: dict[str, list[str]] | None = None
        self._read()

    def new_comment(self) -> str:
        """A comment for the next submission."""
        return f"{self.tag}/{secrets.token_hex(6)}"

    def intend(self, submission: Submission) -> None:
        """Enter an array that is about to be submitted."""
        self.submissions.append(submission)
        self._write()

    def note(self, comment: str, job: str) -> Submission:
        """Enter the id that SLURM gave to the array of that comment."""
        for index, submission in enumerate(self.submissions):
            if submission.comment == comment:
                self.submissions[index] = dataclasses.replace(submission, job=job)
                self._write()
                return self.submissions[index]
        raise KeyError(comment)

    def withdraw(self, comments: Iterable[str]) -> None:
        """Remove arrays that SLURM does not have."""
        gone = set(comments)
        if gone:
            self.submissions = [entry for entry in self.submissions if entry.comment not in gone]
            self._write()

    def recover(self, queue: Iterable[QueuedJob]) -> None:
        """Assign to intents without a job the queued job with their comment; those without one were never submitted."""
        arrays = {job.comment: job.id.partition("_")[0] for job in queue}
        open_intents = [entry.comment for entry in self.submissions if entry.job is None]
        for comment in open_intents:
            if comment in arrays:
                self.note(comment, arrays[comment])
        self.withdraw(comment for comment in open_intents if comment not in arrays)

    def hold(self, cells: Iterable[str], held: Mapping[str, Held]) -> None:
        """Enter which of these cells wait for room in the queue; the others do not."""
        gone = set(cells)
        now = {name: entry for name, entry in self.held.items() if name not in gone} | dict(held)
        if now != self.held:
            self.held = now
            self._write()

    def newest(self, stage: str, unit: str) -> Submission | None:
        """The latest submission, with a job, of a unit in a stage."""
        for submission in reversed(self.submissions):
            if submission.stage == stage and submission.job is not None and unit in submission.units:
                return submission
        return None

    def jobs_of(self, unit: str) -> dict[str, str]:
        """Stage → id of the newest job of a unit: ``{"train": "123_4", "evaluate": "124_4"}``."""
        found = {}
        for submission in self.submissions:
            job = submission.job_of(unit)
            if job is not None:
                found[submission.stage] = job
        return found

    def cells_of(self, job: str) -> list[str]:
        """The cells (or other units) of a task ``123_4``: several if it is a pack."""
        if self._cells is None:
            self._cells = {}
            for submission in self.submissions:
                for name in submission.units:
                    own = submission.job_of(name)
                    if own is not None:
                        self._cells.setdefault(own, []).append(name)
        return self._cells.get(job, [])

    def is_pack(self, job: str) -> bool:
        """Whether a task has several cells."""
        return len(self.cells_of(job)) > 1

    def in_stages(self, stages: Sequence[str]) -> list[Submission]:
        """The submissions of some stages that have a job, oldest first."""
        return [entry for entry in self.submissions if entry.stage in stages and entry.job is not None]

    def _read(self) -> None:
        try:
            text = self.file.read_text()
        except FileNotFoundError:
            return
        try:
            entries = json.loads(text)
            self.submissions = [Submission(**entry) for entry in entries["submissions"]]
            self.held = {name: Held(**entry) for name, entry in entries.get("held", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LaunchError(
                f"{self.file} is damaged: it lists the submitted jobs; cancel them with scancel, remove the file,"
                " and start the sweep again"
            ) from None

    def _write(self) -> None:
        self._cells = None
        entries: dict[str, Any] = {"comment": self.tag}
        entries["submissions"] = [dataclasses.asdict(submission) for submission in self.submissions]
        if self.held:
            entries["held"] = {name: dataclasses.asdict(entry) for name, entry in self.held.items()}
        with atomic_write(self.file) as file:
            file.write(json.dumps(entries, indent=1).encode())
