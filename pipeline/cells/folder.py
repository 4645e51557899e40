"""The folder of a cell and its status; nothing here imports torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.errors import ConfigError, RunError
from data_prep.files import atomic_write
from data_prep.manifest import MANIFEST_FILE, Manifest
from pipeline.cells.record import RunRecord
from pipeline.measures.settings import MeasuresConfig
from pipeline.validation import from_json

TRAINED_FILE = "TRAINED"
RESET = "forgiven"
"""Entry of ``attempts.jsonl`` when a user requested a retry."""
CANCELLED = "cancelled"
"""Entry when a user cancelled jobs of the cell, which it lists."""


@dataclass(frozen=True, slots=True)
class CellFolder:
    """``config.json``, ``checkpoints/``, ``metrics.jsonl``, ``TRAINED``, ``measures/``, ``figures/`` and ``log/``.

    ``TRAINED`` is written last by training; results of measures are in ``measures/`` (see ``measurements``).
    Attempts are recorded in ``lease.json`` (which one is running), ``outcome.json`` (how the last one ended, in its own
    words), ``attempts.jsonl`` (how all of them ended), and ``FAILED`` if there is no automatic retry.
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def config_file(self) -> Path:
        return self.folder / "config.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    @property
    def attempts_file(self) -> Path:
        return self.folder / "attempts.jsonl"

    def log_file(self, unit: str, rank: int) -> Path:
        """The log of a rank for a unit; later attempts append to it."""
        return self.folder / "log" / f"{unit}-rank{rank}.txt"

    def is_trained(self) -> bool:
        """Whether it was trained to its last step and recorded; independent of what has been measured."""
        return (self.folder / TRAINED_FILE).is_file()

    def mark_trained(self) -> None:
        """Write ``TRAINED``: the last thing that training does."""
        with atomic_write(self.folder / TRAINED_FILE) as file:
            file.write(b"trained and recorded\n")
        self.clear_failure()

    def mark_untrained(self) -> None:
        """Remove ``TRAINED`` if the last checkpoint turns out to be lost: training resumes from the previous one."""
        (self.folder / TRAINED_FILE).unlink(missing_ok=True)

    def measures_config(self) -> MeasuresConfig:
        """The measures in its ``config.json``.

        Raises:
            ConfigError: it cannot be read, or names an unknown measure.
        """
        return self._read_record().measures

    def plain_config(self) -> dict[str, Any]:
        """Its ``config.json`` as plain values, whichever version of the code wrote it.

        Raises:
            ConfigError: it cannot be read, or is no object of JSON.
        """
        try:
            found = json.loads(self.config_file.read_bytes())
        except OSError as error:
            raise ConfigError(f"{self.config_file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{self.config_file} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{self.config_file} is not the configuration of a run")
        return found

    def write_plain_config(self, plain: Mapping[str, Any]) -> None:
        """Replace its ``config.json`` by these values, unless they are in it already."""
        text = (json.dumps(plain, indent=2) + "\n").encode()
        if self.config_file.read_bytes() != text:
            with atomic_write(self.config_file) as file:
                file.write(text)

    def record(self) -> RunRecord | None:
        """Its configuration without the model; None if it cannot be read."""
        try:
            return self._read_record()
        except ConfigError:
            return None

    def _read_record(self) -> RunRecord:
        try:
            text = self.config_file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self.config_file} cannot be read: {error.strerror}") from None
        return from_json(RunRecord, text, str(self.config_file))

    def last_step(self) -> int | None:
        """Number of steps of the run; None if its configuration or data set is missing."""
        record = self.record()
        if record is None or not Path(record.data.folder, MANIFEST_FILE).is_file():
            return None
        folder = Path(record.data.folder)
        manifest = Manifest.load(folder)
        references = None
        if record.draws_references:
            from data_prep.shards.arrow import count_references  # late: it takes Arrow

            references = count_references(folder, manifest, "train")
        return record.last_step(manifest.splits["train"].rows, references)

    def failed(self) -> str | None:
        """The reason why the cell was given up; None if it was not."""
        try:
            return (self.folder / "FAILED").read_text().strip()
        except FileNotFoundError:
            return None

    def note_attempt(self, entry: dict[str, Any]) -> None:
        """Add a line to ``attempts.jsonl``, safe even after a truncated line."""
        with self.attempts_file.open("a+b") as file:
            start = max(0, file.seek(0, os.SEEK_END) - 1)
            file.seek(start)
            cut_short = file.read(1) not in (b"\n", b"")
            file.write(b"\n" * cut_short + json.dumps(entry).encode() + b"\n")

    def reset_failure(self) -> None:
        """Let a cell that was given up be retried; its attempts are counted from zero."""
        if self.failed() is None:
            return
        self.note_attempt({"ended": RESET})
        self.clear_failure()

    def give_up(self, sentence: str) -> None:
        """Write ``FAILED``: no automatic retry."""
        with atomic_write(self.folder / "FAILED") as file:
            file.write(sentence.encode() + b"\n")

    def clear_failure(self) -> None:
        """Remove ``FAILED``, after what had failed has succeeded."""
        (self.folder / "FAILED").unlink(missing_ok=True)

    @classmethod
    def of(cls, config_file: Path) -> CellFolder:
        """The folder of a ``config.json``; RunError if there is none."""
        if not Path(config_file).is_file():
            raise RunError(f"cannot read the configuration {config_file}: No such file")
        return CellFolder(Path(config_file).absolute().parent)
