"""``model.json``: what an export says of itself, and how it is read with care."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from data_prep.errors import RunError
from data_prep.files import atomic_write, checksum
from data_prep.manifest import LabelSpec
from pipeline.config import RunConfig
from pipeline.models.interface import DataSpec
from pipeline.models.registry import SystemConfig
from pipeline.validation import FORBID_UNKNOWN, validated

FORMAT = 1
"""Of the folder; a later version of this program reads all formats up to its own."""
RECORD_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
CODE_FOLDER = "code"
"""The source of a network of the user's own, if the model has one."""
_FILE_NAME = re.compile(rf"{re.escape(WEIGHTS_FILE)}|{CODE_FOLDER}/network_[0-9a-f]{{12}}(/\w+)*/\w+\.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """A file that the model consists of."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """The data set that the model was trained on."""

    name: str
    title: str
    home: str
    licence: str
    """Of the data."""
    digest: str
    """Of the prepared data set."""
    options: Mapping[str, Any]
    rows: Mapping[str, int]
    """Of each split."""
    labels: tuple[LabelSpec, ...]
    """In the order of the model's labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberRecord:
    """One number that the model was measured at."""

    measure: str
    version: int
    """Of the measure."""
    split: str
    settings: Mapping[str, Any]
    """Those that differ from the measure's defaults."""
    metric: str
    value: float | str
    """A string where JSON has no number: ``NaN``, ``Infinity``, ``-Infinity``."""
    unit: str
    better: str
    count: int | None
    """Number of examples (or labels) it was computed over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRecord:
    """``model.json``: everything except the weights."""

    __pydantic_config__ = FORBID_UNKNOWN

    format: int = FORMAT
    name: str
    """Of the cell."""
    identity: str
    """Of the cell, eight hexadecimal characters: a hash of all that decided the training."""
    steps: int
    """Of training."""
    run: RunConfig
    """The run's configuration, without places on the machine that it ran on."""
    data: DataRecord
    spec: DataSpec
    """What the model knows of the data: with ``run.model`` it decides the shapes of the weights."""
    measured: tuple[NumberRecord, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    """Name in the folder → size and hash of the weights, and of code if there is some."""

    def write(self, folder: Path) -> None:
        """Write ``model.json``, which comes last: an export without it is none."""
        with atomic_write(folder / RECORD_FILE) as file:
            file.write(json.dumps(asdict(self), indent=1, allow_nan=False).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> ExportRecord:
        """The record of an export; what it says of its files is not compared with them yet.

        Raises:
            RunError: there is none, it is damaged, or of a later version of this program.
            ConfigError: a field is unknown or invalid.
        """
        path = folder / RECORD_FILE
        try:
            raw = json.loads(path.read_bytes())
            written = int(raw["format"])
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(f"{folder} is no exported model: it has no {RECORD_FILE}") from None
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path} is damaged ({type(error).__name__}: {error}); export the model again"
            ) from None
        if not 1 <= written <= FORMAT:
            raise RunError(
                f"{path} is of format {written}, but this version of traitvae reads formats up to {FORMAT}: update it"
            )
        _refuse_unknown_system(path, raw)
        return validated(cls, raw, str(path))

    def check_files(self, folder: Path) -> None:
        """RunError unless every file is there with its size and hash."""
        if WEIGHTS_FILE not in self.files:
            raise RunError(f"{folder / RECORD_FILE} says nothing of {WEIGHTS_FILE}; export the model again")
        for name, expected in self.files.items():
            path = folder / name
            if not _FILE_NAME.fullmatch(name):
                raise RunError(f"{folder / RECORD_FILE} names {name!r}, which is no file of an export")
            try:
                size = path.stat().st_size
                found = checksum(path) if size == expected.bytes else ""
            except OSError as error:
                raise RunError(f"{path} cannot be read: {error.strerror}") from None
            if size != expected.bytes:
                raise RunError(
                    f"{path} is damaged: it has {size:,} bytes, where {RECORD_FILE} says {expected.bytes:,}; copy or export"
                    " the model again"
                )
            if found != expected.sha256:
                raise RunError(
                    f"{path} was changed or damaged: its SHA-256 is not that in {RECORD_FILE}; copy or export it again"
                )


def files_of(folder: Path) -> dict[str, FileRecord]:
    """Size and hash of the weights in a folder, and of the code next to them."""
    paths = [folder / WEIGHTS_FILE, *sorted((folder / CODE_FOLDER).rglob("*.py"))]
    return {
        path.relative_to(folder).as_posix(): FileRecord(bytes=path.stat().st_size, sha256=checksum(path))
        for path in paths
    }


def _refuse_unknown_system(path: Path, raw: Any) -> None:
    """RunError with the systems that there are, which is more than a parser of unions says."""
    try:
        system = raw["run"]["model"]["system"]
    except (KeyError, TypeError):
        raise RunError(f"{path} is damaged: it names no system; export the model again") from None
    known = [
        str(entry.default)
        for kind in get_args(SystemConfig)
        for entry in fields(kind)
        if entry.name == "system"
    ]
    if system not in known:
        raise RunError(
            f"{path}: this version of traitvae has no system {system!r}; it has {', '.join(known)}"
        )
