"""Results of measures in a cell: ``measures/<name>-<hash8>/`` with ``result.json``, written last, and ``arrays.npz``.

The hash covers what decides a number: the measure's settings, split, seed and version, and the digests of what it depends
on (such as an independent classifier). So a measure can be added, corrected and repeated without touching the trained model
or other results. ``failure.json`` instead of ``result.json`` says why the last attempt failed. Nothing here
imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data_prep.files import atomic_path, atomic_write

if TYPE_CHECKING:
    import numpy as np

MEASURES_FOLDER = "measures"
RESULT_FILE = "result.json"
ARRAYS_FILE = "arrays.npz"
FAILURE_FILE = "failure.json"
BEGUN_FILE = "begun"

Better = Literal["higher", "lower", "none"]
Status = Literal["measured", "not_applicable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurementKey:
    """What decides a result, given the trained model."""

    measure: str
    version: int
    split: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that differ from their defaults, so that a new setting does not rename existing results."""
    seed: int = 0
    """Seed of the measure's random numbers, which depend on it and on the cell."""
    rests_on: Mapping[str, str] = field(default_factory=dict)
    """Digests, by name, of what else the numbers depend on."""

    @property
    def digest(self) -> str:
        """Eight hexadecimal characters."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def folder_name(self) -> str:
        """``<name>-<hash8>``."""
        return f"{self.measure}-{self.digest}"

    def folder(self, cell: Path) -> Path:
        """The folder of the result in a cell's folder."""
        return cell / MEASURES_FOLDER / self.folder_name

    def is_settled(self, cell: Path) -> bool:
        """Whether there is a result that can be read, also "not applicable": measuring again would change nothing."""
        return Result.read(self.folder(cell)) is not None

    def note_begin(self, cell: Path) -> None:
        """Record that it is being measured; a killed process leaves only this."""
        self.folder(cell).mkdir(parents=True, exist_ok=True)
        (self.folder(cell) / BEGUN_FILE).touch()

    def forget_begin(self, cell: Path) -> None:
        """Remove the record, when there is a result or failure, or after an orderly interruption."""
        (self.folder(cell) / BEGUN_FILE).unlink(missing_ok=True)

    def was_begun(self, cell: Path) -> bool:
        """Whether a process was killed while measuring it (or is measuring it now)."""
        return (self.folder(cell) / BEGUN_FILE).is_file()


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """One number of a result."""

    value: float
    """May be infinite or not a number."""
    unit: str
    """``share``, ``nats``, ``bits``, ``labels``, ``images``, …"""
    better: Better
    count: int | None = None
    """Number of examples (or labels) it was computed over, if meaningful."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """``result.json``: the result of a measure, or why it does not apply."""

    key: MeasurementKey
    status: Status = "measured"
    reason: str | None = None
    """Why it does not apply; None if it was measured."""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    """By metric; empty if the measure does not apply."""
    seconds: float = 0.0
    time: str = ""
    """When it was measured, ISO 8601 in UTC."""

    def write(self, cell: Path, arrays: Mapping[str, np.ndarray] | None = None) -> Path:
        """Write arrays first and ``result.json`` last; returns the folder."""
        folder = self.key.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        if arrays:
            import numpy as np

            with atomic_path(folder / ARRAYS_FILE) as part, part.open("xb") as file:
                np.savez_compressed(file, allow_pickle=False, **dict(arrays))
        said = asdict(self)
        said["numbers"] = {
            name: entry | {"value": as_json(entry["value"])} for name, entry in said["numbers"].items()
        }
        with atomic_write(folder / RESULT_FILE) as file:
            file.write(json.dumps(said, indent=1, allow_nan=False).encode() + b"\n")
        (folder / FAILURE_FILE).unlink(missing_ok=True)
        return folder

    @classmethod
    def read(cls, folder: Path) -> Result | None:
        """The result in a measurement's folder; None if there is none that can be read."""
        try:
            said = json.loads((folder / RESULT_FILE).read_bytes())
            said["key"] = MeasurementKey(**said["key"])
            said["numbers"] = {
                name: Number(**entry | {"value": float(entry["value"])})
                for name, entry in said["numbers"].items()
            }
            return cls(**said)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """``failure.json``: why the last attempt at a measure failed."""

    key: MeasurementKey
    reason: str
    """One sentence."""
    time: str = ""

    def write(self, cell: Path) -> None:
        """Write it, instead of a result."""
        self.key.folder(cell).mkdir(parents=True, exist_ok=True)
        with atomic_write(self.key.folder(cell) / FAILURE_FILE) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Failure | None:
        """The failure in a measurement's folder; None if there is none, or if a result followed."""
        if (folder / RESULT_FILE).is_file():
            return None
        try:
            said = json.loads((folder / FAILURE_FILE).read_bytes())
            return cls(**said | {"key": MeasurementKey(**said["key"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def results(cell: Path) -> list[Result]:
    """All results in a cell's folder, by the name of their folder; unreadable ones are left out."""
    found = (Result.read(file.parent) for file in sorted((cell / MEASURES_FOLDER).glob(f"*/{RESULT_FILE}")))
    return [result for result in found if result is not None]


def failures(cell: Path) -> list[Failure]:
    """The measures in a cell's folder whose last attempt failed."""
    found = (Failure.read(file.parent) for file in sorted((cell / MEASURES_FOLDER).glob(f"*/{FAILURE_FILE}")))
    return [failure for failure in found if failure is not None]


def as_json(value: float) -> float | str:
    """JSON has no NaN and no infinity, so these are the strings that ``float`` reads."""
    return (
        value
        if math.isfinite(value)
        else "NaN"
        if math.isnan(value)
        else "Infinity"
        if value > 0
        else "-Infinity"
    )
