"""The folder of a cell, for those who only want to know how it stands: nothing here imports torch."""

from __future__ import annotations

import json
import os
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
"""What ``attempts.jsonl`` says where somebody asked for another try."""
CANCELLED = "cancelled"
"""What it says where somebody took jobs of the cell, which it names, out of the queue."""


@dataclass(frozen=True, slots=True)
class CellFolder:
    """``config.json``, ``checkpoints/``, ``metrics.jsonl``, ``TRAINED``, ``measures/``, ``figures/`` and ``log/``.

    ``TRAINED`` is written last by training; what is measured after it stands in ``measures/`` (see ``measurements``).
    Of its attempts there are ``lease.json`` (who is at work), ``outcome.json`` (how the last attempt ended, in its own
    words), ``attempts.jsonl`` (how all of them ended), and ``FAILED`` where no further one is made by itself.
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
        """What a rank says while it works on a unit; attempts that follow go on with it."""
        return self.folder / "log" / f"{unit}-rank{rank}.txt"

    def is_trained(self) -> bool:
        """Whether it was trained to its last step and recorded; what is measured of it is another question."""
        return (self.folder / TRAINED_FILE).is_file()

    def mark_trained(self) -> None:
        """Write ``TRAINED``: the last thing that training does."""
        with atomic_write(self.folder / TRAINED_FILE) as file:
            file.write(b"trained and recorded\n")
        self.clear_failure()

    def mark_untrained(self) -> None:
        """Take ``TRAINED`` away, where the last checkpoint turns out to be lost: training goes on from the one before."""
        (self.folder / TRAINED_FILE).unlink(missing_ok=True)

    def measures_config(self) -> MeasuresConfig:
        """What is to be measured of it, as its ``config.json`` says.

        Raises:
            ConfigError: it cannot be read, or names a measure that there is not.
        """
        return self._read_record().measures

    def record(self) -> RunRecord | None:
        """What its configuration says, but for the model; None where it cannot be read."""
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
        """Number of steps of the whole run; None where its configuration or its data set are not there."""
        record = self.record()
        if record is None or not Path(record.data.folder, MANIFEST_FILE).is_file():
            return None
        return record.last_step(Manifest.load(Path(record.data.folder)).splits["train"].rows)

    def failed(self) -> str | None:
        """The sentence with which the cell was given up; None for one that was not."""
        try:
            return (self.folder / "FAILED").read_text().strip()
        except FileNotFoundError:
            return None

    def note_attempt(self, entry: dict[str, Any]) -> None:
        """Add a line to ``attempts.jsonl``; one before it that was cut short does not spoil it."""
        with self.attempts_file.open("a+b") as file:
            start = max(0, file.seek(0, os.SEEK_END) - 1)
            file.seek(start)
            cut_short = file.read(1) not in (b"\n", b"")
            file.write(b"\n" * cut_short + json.dumps(entry).encode() + b"\n")

    def reset_failure(self) -> None:
        """Let a cell that was given up be tried again; its attempts count anew."""
        if self.failed() is None:
            return
        self.note_attempt({"ended": RESET})
        self.clear_failure()

    def give_up(self, sentence: str) -> None:
        """Write ``FAILED``: no attempt follows unless somebody asks for it."""
        with atomic_write(self.folder / "FAILED") as file:
            file.write(sentence.encode() + b"\n")

    def clear_failure(self) -> None:
        """Take ``FAILED`` away, after what had failed has succeeded."""
        (self.folder / "FAILED").unlink(missing_ok=True)

    @classmethod
    def of(cls, config_file: Path) -> CellFolder:
        """The folder that a ``config.json`` stands in; RunError where there is none."""
        if not Path(config_file).is_file():
            raise RunError(f"cannot read the configuration {config_file}: No such file")
        return CellFolder(Path(config_file).absolute().parent)
